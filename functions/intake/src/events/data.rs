//! Schemas of the built-in event types. The data of other types is any object.

use answerback::{
    api::body::{Object, must_be_one_of},
    domain::{EventType, limits::DATA_TEXT_CHARS_MAX},
};
use jiff::{Timestamp, civil::Date};

/// The schema of an event's data.
struct Schema {
    members: &'static [Member],
    others: Others,
}

/// Members that a schema does not list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Refused,
    Accepted,
}

struct Member {
    name: &'static str,
    kind: Kind,
    is_nullable: bool,
}

/// The type of a member.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Uuid,
    /// A date with or without a time (RFC 3339). It is passed on as it was posted.
    Time,
    Number,
    OneOf(&'static [&'static str]),
}

const fn required(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, is_nullable: false }
}

const fn nullable(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, is_nullable: true }
}

const RECEIPT: Schema = Schema {
    members: &[
        required("id", Kind::Uuid),
        nullable("reference", Kind::Text),
        required("to", Kind::Text),
        required(
            "status",
            Kind::OneOf(&[
                "delivered",
                "permanent-failure",
                "temporary-failure",
                "technical-failure",
            ]),
        ),
        required("created_at", Kind::Time),
        nullable("completed_at", Kind::Time),
        nullable("sent_at", Kind::Time),
        required("notification_type", Kind::OneOf(&["email", "sms"])),
        required("template_id", Kind::Uuid),
        required("template_version", Kind::Number),
    ],
    others: Others::Refused,
};

const MESSAGE: Schema = Schema {
    members: &[
        required("id", Kind::Uuid),
        required("source_number", Kind::Text),
        required("destination_number", Kind::Text),
        required("message", Kind::Text),
        required("date_received", Kind::Time),
    ],
    others: Others::Refused,
};

const LETTER: Schema = Schema {
    members: &[
        required("notification_id", Kind::Uuid),
        nullable("reference", Kind::Text),
        required("date_sent", Kind::Time),
        required("sent_by", Kind::Text),
        required("template_name", Kind::Text),
        required("template_id", Kind::Uuid),
        required("template_version", Kind::Number),
        nullable("spreadsheet_file_name", Kind::Text),
        nullable("spreadsheet_row_number", Kind::Number),
        nullable("upload_letter_file_name", Kind::Text),
    ],
    others: Others::Refused,
};

const JOB: Schema = Schema {
    members: &[required("executionId", Kind::Text), required("status", Kind::Text)],
    others: Others::Accepted,
};

/// Also that of `run.status`.
const ANY_OBJECT: Schema = Schema { members: &[], others: Others::Accepted };

/// Adds the errors of the data of an event of this type.
pub(crate) fn check(event_type: Option<&EventType>, mut data: Object<'_>) {
    let schema = match event_type.map(EventType::as_str) {
        Some("notification.receipt") => RECEIPT,
        Some("message.received") => MESSAGE,
        Some("letter.returned") => LETTER,
        Some("job.completed" | "job.failed") => JOB,
        _ => ANY_OBJECT,
    };
    for Member { name, kind, is_nullable } in schema.members {
        if data.has(name) {
            check_member(&mut data, name, *kind);
        } else if !data.mentions(name) || !is_nullable {
            data.error(name, "is required");
        }
        data.take(name);
    }
    if schema.others == Others::Refused {
        data.finish();
    }
}

fn check_member(data: &mut Object<'_>, name: &str, kind: Kind) {
    if let Kind::Number = kind {
        data.integer(name, 0..=u32::MAX);
        return;
    }
    let Some(text) = data.text(name, 0..=DATA_TEXT_CHARS_MAX) else { return };
    match kind {
        Kind::Text | Kind::Number => (),
        Kind::Uuid if is_uuid(&text) => (),
        Kind::Uuid => data.error(name, "must be a UUID"),
        Kind::Time if is_time(&text) => (),
        Kind::Time => data.error(name, "must be a date or time in RFC 3339"),
        Kind::OneOf(words) if words.contains(&&*text) => (),
        Kind::OneOf(words) => data.error(name, must_be_one_of(words)),
    }
}

/// Written as in RFC 9562.
fn is_uuid(text: &str) -> bool {
    let is_hex = |it: &str| it.bytes().all(|it| it.is_ascii_hexdigit());
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(is_hex)
}

fn is_time(text: &str) -> bool {
    text.parse::<Timestamp>().is_ok() || text.parse::<Date>().is_ok()
}
