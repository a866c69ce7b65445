//! `NotifyNL` (as GOV.UK Notify): receipts, received texts and returned letters, under a bearer
//! token.

use std::{sync::Arc, time::Duration};

use answerback::egress::Post;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use system_tests::World;

use super::{Host, Receiver, get, header, live, second, text, told, webhook};

/// Time between sweeps; longer than usual, so that the test is fast.
const SWEEPS: Duration = Duration::from_mins(2);
const TOKEN: &str = "at-least-ten-characters";
const ID: &str = "740e5834-3a29-46b4-9a6f-16142fde533a";
const TIME: &str = "2026-01-01T00:00:00.123456Z";

/// The types that the product's page names.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Uuid,
    Number,
    Time,
    TextOrNull,
    NumberOrNull,
    TimeOrNull,
    OneOf(&'static [&'static str]),
}

type Table = &'static [(&'static str, Kind)];

const RECEIPT: Table = &[
    ("id", Kind::Uuid),
    ("reference", Kind::TextOrNull),
    ("to", Kind::Text),
    (
        "status",
        Kind::OneOf(&["delivered", "permanent-failure", "temporary-failure", "technical-failure"]),
    ),
    ("created_at", Kind::Time),
    ("completed_at", Kind::TimeOrNull),
    ("sent_at", Kind::TimeOrNull),
    ("notification_type", Kind::OneOf(&["email", "sms"])),
    ("template_id", Kind::Uuid),
    ("template_version", Kind::Number),
];

const RECEIVED: Table = &[
    ("id", Kind::Uuid),
    ("source_number", Kind::Text),
    ("destination_number", Kind::Text),
    ("message", Kind::Text),
    ("date_received", Kind::Time),
];

const RETURNED: Table = &[
    ("notification_id", Kind::Uuid),
    ("reference", Kind::TextOrNull),
    ("date_sent", Kind::Time),
    ("sent_by", Kind::Text),
    ("template_name", Kind::Text),
    ("template_id", Kind::Uuid),
    ("template_version", Kind::Number),
    ("spreadsheet_file_name", Kind::TextOrNull),
    ("spreadsheet_row_number", Kind::NumberOrNull),
    ("upload_letter_file_name", Kind::TextOrNull),
];

impl Kind {
    fn fits(self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Text => text.is_some(),
            Self::Uuid => text.is_some_and(|it| {
                it.split('-').map(str::len).eq([8, 4, 4, 4, 12])
                    && it.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
            }),
            Self::Number => value.is_u64(),
            Self::Time => text.is_some_and(|it| it.parse::<Timestamp>().is_ok()),
            Self::TextOrNull => value.is_null() || Self::Text.fits(value),
            Self::NumberOrNull => value.is_null() || Self::Number.fits(value),
            Self::TimeOrNull => value.is_null() || Self::Time.fits(value),
            Self::OneOf(words) => text.is_some_and(|it| words.contains(&it)),
        }
    }
}

/// Refuses posts without its token, and checks each kind of message by a table.
#[derive(Default)]
struct Messages {
    /// Number of posts to refuse as busy.
    n_busy: usize,
    receipts: Vec<Value>,
    received: Vec<Value>,
    returned: Vec<Value>,
    answers: Vec<(i64, u16)>,
}

impl Messages {
    fn take(&mut self, post: &Post) -> u16 {
        if header(post, "authorization") != Some(&format!("Bearer {TOKEN}")) {
            return 401;
        }
        if header(post, "content-type") != Some("application/json") {
            return 415;
        }
        if self.n_busy > 0 {
            self.n_busy -= 1;
            return 503;
        }
        let Ok(Value::Object(message)) = serde_json::from_slice(&post.body) else { return 400 };
        let kinds = [
            (RECEIPT, &mut self.receipts),
            (RECEIVED, &mut self.received),
            (RETURNED, &mut self.returned),
        ];
        let mut kinds = kinds.into_iter();
        let Some((_, books)) = kinds.find(|(table, _)| fits(&message, table)) else { return 422 };
        books.push(Value::Object(message));
        200
    }
}

/// True if all members are there with their types, and no others.
fn fits(message: &Map<String, Value>, table: Table) -> bool {
    let is_known = |(name, kind): &(&str, Kind)| message.get(*name).is_some_and(|it| kind.fits(it));
    message.len() == table.len() && table.iter().all(is_known)
}

impl Receiver for Messages {
    fn receive(&mut self, post: &Post, now: Timestamp) -> u16 {
        let status = self.take(post);
        self.answers.push((second(now), status));
        status
    }
}

fn receipt() -> Value {
    json!({
        "id": ID, "reference": null, "to": "a@example.com", "status": "permanent-failure",
        "created_at": TIME, "completed_at": null, "sent_at": TIME, "notification_type": "email",
        "template_id": ID, "template_version": 3,
    })
}

fn message() -> Value {
    json!({
        "id": ID, "source_number": "31612345678", "destination_number": "31687654321",
        "message": "Ja – graag! 👍", "date_received": TIME,
    })
}

fn letter(row: Option<u32>) -> Value {
    json!({
        "notification_id": ID, "reference": "r", "date_sent": TIME, "sent_by": "a@example.com",
        "template_name": "Reminder", "template_id": ID, "template_version": 1,
        "spreadsheet_file_name": null, "spreadsheet_row_number": row,
        "upload_letter_file_name": null,
    })
}

async fn start(receiver: Messages, token: &str) -> (World, Arc<Host<Messages>>) {
    let (world, host) = Host::start(receiver).await;
    let messages = json!({
        "id": "messages", "profile": "notify", "auth": { "type": "bearer", "token": token },
        "url": "https://notify.example.com/callback",
    });
    webhook(&world, messages).await;
    (world, host)
}

async fn is_dead_lettered(world: &World) -> bool {
    let list = get(world, "/v1/deliveries?webhook_id=messages").await;
    list["data"][0]["status"] == "dead_lettered"
}

#[tokio::test]
async fn notify_receiver_accepts_all_three_kinds_of_messages() {
    let (world, host) = start(Messages::default(), TOKEN).await;
    for (event_type, data) in [
        ("notification.receipt", receipt()),
        ("message.received", message()),
        ("letter.returned", letter(Some(12))),
        ("letter.returned", letter(None)),
    ] {
        let delivery = told(&world, event_type, &data).await;
        assert_eq!(delivery["status"], "delivered", "{event_type}");
    }
    let receiver = host.receiver();
    assert_eq!(receiver.receipts, [receipt()]);
    assert_eq!(receiver.received, [message()]);
    assert_eq!(receiver.returned, [letter(Some(12)), letter(None)]);
}

#[tokio::test]
async fn notify_delivery_is_retried_every_five_minutes() {
    let (world, host) = start(Messages { n_busy: 2, ..<_>::default() }, TOKEN).await;
    let delivery = told(&world, "message.received", &message()).await;
    world.pass(Duration::from_mins(40)).await;
    let path = format!("/v1/deliveries/{}", text(&delivery["id"]));
    assert_eq!(get(&world, &path).await["status"], "delivered");
    let receiver = host.receiver();
    assert_eq!(receiver.received, [message()]);
    let statuses: Vec<u16> = receiver.answers.iter().map(|it| it.1).collect();
    assert_eq!(statuses, [503, 503, 200]);
}

#[tokio::test]
async fn notify_delivery_is_dead_lettered_after_five_retries() {
    let (world, host) = start(Messages { n_busy: 9, ..<_>::default() }, TOKEN).await;
    told(&world, "notification.receipt", &receipt()).await;
    live(&world, 12, SWEEPS).await;
    assert!(!is_dead_lettered(&world).await, "one retry is left");
    live(&world, 30, SWEEPS).await;
    assert!(is_dead_lettered(&world).await);
    let seconds: Vec<i64> = host.receiver().answers.iter().map(|it| it.0).collect();
    assert_eq!(seconds.len(), 6, "{seconds:?}");
    // A retry may wait for the next sweep.
    for pair in seconds.windows(2) {
        assert!((300..425).contains(&(pair[1] - pair[0])), "{seconds:?}");
    }
}

#[tokio::test]
async fn notify_receiver_refuses_another_token() {
    let (world, host) = start(Messages::default(), "another-token").await;
    let delivery = told(&world, "notification.receipt", &receipt()).await;
    assert_eq!(delivery["status"], "pending");
    assert_eq!(host.receiver().answers, [(0, 401)]);
    assert_eq!(host.receiver().receipts, Vec::<Value>::new());
}
