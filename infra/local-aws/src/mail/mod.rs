//! SES: accepts mails, and keeps the latest for a developer to read. It sends none.
//!
//! ```text
//! SendEmail ─▶ checks ─▶ "sent mails" (SQLite) ─▶ list, get
//!                  └─ delivered, bounced or reported ─▶ rule ─▶ queue
//! ```
//!
//! Differences from SES: every sender is verified, a call must name its sender and its recipients,
//! and the content must be a raw message. Of the mailbox simulator there are `bounce@` and
//! `complaint@simulator.amazonses.com`. A [`MailRule`] takes the place of a configuration set, the
//! event bus and its rules: it sends what a mail causes to a queue.
//!
//! <https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html>
//!
//! <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>

mod input;
mod store;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{clock::Clock, database::Database, disk::Disk, error::AwsError, queue::Queue};
use input::{NewMail, read};

/// The path of `SendEmail`.
pub(super) const PATH: &str = "/v2/email/outbound-emails";
/// The limit on a call: the largest mail in base64, and the other members.
pub(super) const BODY_BYTES_MAX: usize = 56 * 1024 * 1024;

/// An address of the mailbox simulator: its mail bounces.
const BOUNCES: &str = "bounce@simulator.amazonses.com";
/// An address of the mailbox simulator: it reports its mail as spam.
const COMPLAINS: &str = "complaint@simulator.amazonses.com";

/// All accepted mails. Clones share them.
#[derive(Clone)]
pub struct Mail(Arc<Inner>);

struct Inner {
    disk: Disk,
    /// `None` once stopped.
    database: Mutex<Option<Database>>,
    clock: Arc<dyn Clock>,
    faults: Mutex<Faults>,
    queue: Queue,
    rule: Mutex<Option<MailRule>>,
}

/// Sends events of mails to a queue.
#[derive(Clone, Debug)]
pub struct MailRule {
    /// The queue, by name.
    pub queue: String,
    /// The body of the message for an event. `None`: the rule does not match.
    pub transform: fn(&MailEvent) -> Option<String>,
}

/// Something that SES reports about a mail later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailEvent {
    /// The kind of event.
    pub kind: MailEventKind,
    /// The tags of the mail.
    pub tags: BTreeMap<String, String>,
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailEventKind {
    /// The mailbox does not exist: a permanent bounce.
    Bounce,
    /// The recipient reported the mail as spam.
    Complaint,
    /// The recipient's mail server accepted the mail.
    Delivery,
}

/// Calls that are still to fail.
#[derive(Clone, Copy, Default)]
struct Faults {
    fault: Option<MailFault>,
    n_calls: usize,
}

/// A failure that a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailFault {
    /// 429: the account's sending rate is exceeded.
    Throttled,
    /// 500: nothing is sent.
    Internal,
    /// 500, but the mail is sent.
    LostResponse,
}

/// An accepted mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMail {
    /// The id that the sender received.
    pub id: String,
    /// The time of the call.
    pub sent_at: Timestamp,
    /// The sender, as the call named it.
    pub from: String,
    /// The recipients of every kind, as the call named them.
    pub to: Vec<String>,
    /// The size of the whole source.
    pub n_bytes: usize,
    /// The source. A list has its first bytes only, up to [`LISTED_BYTES_MAX`].
    pub raw: Vec<u8>,
}

/// The part of a mail's source that a list has.
pub const LISTED_BYTES_MAX: usize = 256 * 1024;

/// The reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the operation is not emulated")]
    UnknownOperation,
    #[error("the body is not the JSON of this operation")]
    Malformed(#[source] serde_json::Error),
    /// The input breaks a rule.
    #[error("{0}")]
    BadRequest(String),
    /// The mail itself is refused.
    #[error("{0}")]
    Rejected(&'static str),
    #[error("Maximum sending rate exceeded.")]
    Throttled,
    #[error("the service failed because a test asked for it")]
    Scripted,
    #[error("could not store the mail")]
    Disk(#[source] anyhow::Error),
}

impl Mail {
    /// The mails in `database`.
    pub(super) async fn open(
        database: Database,
        disk: Disk,
        clock: Arc<dyn Clock>,
        queue: Queue,
    ) -> anyhow::Result<Self> {
        let ours = database.clone();
        disk.run(move || store::create(&ours)).await??;
        let (database, faults) = (Mutex::new(Some(database)), Mutex::default());
        let rule = Mutex::default();
        Ok(Self(Arc::new(Inner { disk, database, clock, faults, queue, rule })))
    }

    /// Up to `max` mails, newest first, starting after the mail with the id `before` or with the
    /// newest. Sources are cut at [`LISTED_BYTES_MAX`].
    pub async fn list(&self, before: Option<&str>, max: usize) -> anyhow::Result<Vec<SentMail>> {
        let before = before.map(str::to_owned);
        self.run(move |database| store::list(database, before.as_deref(), max)).await
    }

    /// The mail with this id, with its whole source.
    pub async fn get(&self, id: &str) -> anyhow::Result<Option<SentMail>> {
        let id = id.to_owned();
        self.run(move |database| store::get(database, &id)).await
    }

    /// Fails the next `n_calls` calls that would succeed.
    pub fn fail_calls(&self, fault: MailFault, n_calls: usize) {
        *lock(&self.0.faults) = Faults { fault: Some(fault), n_calls };
    }

    /// Sends what mails to the mailbox simulator cause to a queue from now on.
    pub fn set_rule(&self, rule: MailRule) {
        *lock(&self.0.rule) = Some(rule);
    }

    /// Lets go of the database. Later calls fail.
    pub(super) fn close(&self) {
        drop(lock(&self.0.database).take());
    }

    /// Carries out a `SendEmail`.
    pub(super) async fn send(&self, body: &[u8]) -> Result<Value, Error> {
        let mail = read(body)?;
        let fault = lock(&self.0.faults).take();
        match fault {
            Some(MailFault::Throttled) => return Err(Error::Throttled),
            Some(MailFault::Internal) => return Err(Error::Scripted),
            Some(MailFault::LostResponse) | None => {}
        }
        let event = event(&mail);
        let id = self.keep(mail).await.map_err(Error::Disk)?;
        self.publish(&event).await;
        match fault {
            Some(_) => Err(Error::Scripted),
            None => Ok(json!({ "MessageId": id })),
        }
    }

    async fn keep(&self, mail: NewMail) -> anyhow::Result<String> {
        let now = self.0.clock.now();
        self.run(move |database| store::insert(database, mail, now)).await
    }

    async fn publish(&self, event: &MailEvent) {
        let Some(rule) = lock(&self.0.rule).clone() else { return };
        let Some(body) = (rule.transform)(event) else { return };
        let message = json!({ "QueueUrl": self.0.queue.url(&rule.queue), "MessageBody": body });
        let sent = self.0.queue.call("SendMessage", message.to_string().as_bytes()).await;
        if let Err(err) = sent {
            tracing::error!(error = %err, "could not send the event of a mail to a queue");
        }
    }

    /// Runs `work` on the database's thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let database = lock(&self.0.database).clone().ok_or(crate::Stopped)?;
        self.0.disk.run(move || work(&database)).await?
    }
}

impl Faults {
    fn take(&mut self) -> Option<MailFault> {
        self.n_calls = self.n_calls.checked_sub(1)?;
        self.fault
    }
}

/// The event that a mail causes. Of the mailbox simulator, mail may have any label.
fn event(mail: &NewMail) -> MailEvent {
    let is_to = |simulator: &str| mail.to.iter().any(|it| without_label(it) == simulator);
    let kind = if is_to(BOUNCES) {
        MailEventKind::Bounce
    } else if is_to(COMPLAINS) {
        MailEventKind::Complaint
    } else {
        MailEventKind::Delivery
    };
    MailEvent { kind, tags: mail.tags.clone() }
}

/// The address without what follows a plus sign before the at sign.
fn without_label(address: &str) -> String {
    let (name, domain) = address.split_once('@').unwrap_or((address, ""));
    let name = name.split_once('+').map_or(name, |(name, _)| name);
    format!("{name}@{domain}")
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<Error> for AwsError {
    fn from(err: Error) -> Self {
        let (status, kind) = match &err {
            Error::UnknownOperation => (StatusCode::NOT_FOUND, "UnknownOperationException"),
            Error::Malformed(_) => (StatusCode::BAD_REQUEST, "SerializationException"),
            Error::BadRequest(_) => (StatusCode::BAD_REQUEST, "BadRequestException"),
            Error::Rejected(_) => (StatusCode::BAD_REQUEST, "MessageRejected"),
            Error::Throttled => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
            Error::Scripted => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
            Error::Disk(cause) => {
                tracing::error!(error = format!("{cause:#}"), "could not store a mail");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure")
            }
        };
        Self { status, kind, query_code: None, message: err.to_string() }
    }
}
