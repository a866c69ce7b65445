//! What the data of the built-in types of event must look like. That of others is free.

use answerback::{
    api::{Fields, body::FieldErrors},
    domain::EventType,
};
use jiff::{Timestamp, civil::Date};

/// Longest text without a meaning of its own, in characters.
const TEXT_CHARS_MAX: usize = 10_000;

/// What a member must be.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Uuid,
    /// A date with or without a time (RFC 3339); it is passed on as it was given.
    Time,
    Number,
    OneOf(&'static [&'static str]),
}

/// A member: its name, what it must be, and whether it may be null.
type Member = (&'static str, Kind, bool);

const RECEIPT: &[Member] = &[
    ("id", Kind::Uuid, false),
    ("reference", Kind::Text, true),
    ("to", Kind::Text, false),
    (
        "status",
        Kind::OneOf(&["delivered", "permanent-failure", "temporary-failure", "technical-failure"]),
        false,
    ),
    ("created_at", Kind::Time, false),
    ("completed_at", Kind::Time, true),
    ("sent_at", Kind::Time, true),
    ("notification_type", Kind::OneOf(&["email", "sms"]), false),
    ("template_id", Kind::Uuid, false),
    ("template_version", Kind::Number, false),
];

const MESSAGE: &[Member] = &[
    ("id", Kind::Uuid, false),
    ("source_number", Kind::Text, false),
    ("destination_number", Kind::Text, false),
    ("message", Kind::Text, false),
    ("date_received", Kind::Time, false),
];

const LETTER: &[Member] = &[
    ("notification_id", Kind::Uuid, false),
    ("reference", Kind::Text, true),
    ("date_sent", Kind::Time, false),
    ("sent_by", Kind::Text, false),
    ("template_name", Kind::Text, false),
    ("template_id", Kind::Uuid, false),
    ("template_version", Kind::Number, false),
    ("spreadsheet_file_name", Kind::Text, true),
    ("spreadsheet_row_number", Kind::Number, true),
    ("upload_letter_file_name", Kind::Text, true),
];

const JOB: &[Member] = &[("executionId", Kind::Text, false), ("status", Kind::Text, false)];

/// Notes everything that is wrong with the data of an event of this type.
pub(crate) fn check(event_type: &EventType, mut data: Fields, faults: &mut FieldErrors) {
    let (members, is_closed) = match event_type.as_str() {
        "notification.receipt" => (RECEIPT, true),
        "message.received" => (MESSAGE, true),
        "letter.returned" => (LETTER, true),
        "job.completed" | "job.failed" => (JOB, false),
        // The status of a run is free within an object, as are types that we do not know.
        _ => (&[][..], false),
    };
    for (name, kind, is_nullable) in members {
        if data.has(name) {
            member(&mut data, name, *kind, faults);
        } else if !data.mentions(name) || !is_nullable {
            data.fault(name, "is required", faults);
        }
        data.take(name);
    }
    if is_closed {
        data.finish(faults);
    }
}

/// Notes what is wrong with a member that is there.
fn member(data: &mut Fields, name: &str, kind: Kind, faults: &mut FieldErrors) {
    if let Kind::Number = kind {
        data.integer(name, 0..=u32::MAX, faults);
        return;
    }
    let Some(text) = data.text(name, 0..=TEXT_CHARS_MAX, faults) else { return };
    match kind {
        Kind::Text | Kind::Number => (),
        Kind::Uuid if is_uuid(&text) => (),
        Kind::Uuid => data.fault(name, "must be a UUID", faults),
        Kind::Time if is_time(&text) => (),
        Kind::Time => data.fault(name, "must be a time as in RFC 3339", faults),
        Kind::OneOf(words) if words.contains(&&*text) => (),
        Kind::OneOf(words) => {
            data.fault(name, format!("must be one of {}", words.join(", ")), faults);
        }
    }
}

/// As RFC 9562 writes it.
fn is_uuid(text: &str) -> bool {
    let is_hex = |it: &str| it.bytes().all(|it| it.is_ascii_hexdigit());
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(is_hex)
}

fn is_time(text: &str) -> bool {
    text.parse::<Timestamp>().is_ok() || text.parse::<Date>().is_ok()
}
