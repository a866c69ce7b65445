//! The body of `POST /v1/requests`, from the flags.
//!
//! The same flags always give the same bytes, so a rerun with the same idempotency key finds the
//! same request.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{bail, ensure};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    Ask,
    parts::{DeadlinePart, FieldPart, OptionPart, QuorumPart},
};
use crate::{
    action::ActionFile,
    files::{STDIN, read_file},
    wait::Accepted,
};

/// A question, ready to be sent.
pub(super) struct Question {
    /// The body in JSON.
    pub(super) body: String,
    /// The decisions that count as a yes.
    pub(super) accepted: Accepted,
}

/// The body, in the words of the API.
#[derive(Serialize)]
struct NewRequest<'a> {
    title: &'a str,
    #[serde(rename = "body", skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    recipients: &'a [String],
    #[serde(skip_serializing_if = "<[OptionPart]>::is_empty")]
    options: &'a [OptionPart],
    #[serde(skip_serializing_if = "<[FieldPart]>::is_empty")]
    fields: &'a [FieldPart],
    #[serde(skip_serializing_if = "Option::is_none")]
    quorum: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_deadline: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consume: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_reference_id: Option<&'a str>,
}

impl Question {
    /// Reads the files that the flags name, and builds the body.
    pub(super) fn read(ask: &Ask) -> anyhow::Result<Self> {
        let is_stdin = |it: &Option<String>| it.as_deref() == Some(STDIN);
        ensure!(
            !(is_stdin(&ask.body_file) && is_stdin(&ask.action_file)),
            "only one of --body-file and --action-file can be standard input"
        );
        let options = if ask.options.is_empty() && ask.fields.is_empty() {
            OptionPart::approve_or_reject()
        } else {
            ask.options.clone()
        };
        let values: Vec<String> = options.iter().map(|it| it.value.clone()).collect();
        let accepted = Accepted::of(&ask.wait.accept, &values)?;
        ensure!(
            accepted.values().len() == 1 || !matches!(ask.quorum, Some(QuorumPart::Count(_))),
            "a number as --quorum allows one --accept: the option whose answers count"
        );
        let action = ask.action_file.as_deref().map(ActionFile::read).transpose()?;
        let quorum = match ask.quorum {
            None if ask.veto.is_empty() => None,
            quorum => Some(quorum.unwrap_or(QuorumPart::All)),
        };
        let body = NewRequest {
            title: &ask.title,
            details: ask.body_file.as_deref().map(read_file).transpose()?,
            action: action.as_ref().map(ActionFile::text),
            recipients: &ask.to,
            options: &options,
            fields: &ask.fields,
            quorum: quorum.map(|it| it.to_json(accepted.values(), &ask.veto)),
            timeout_seconds: ask.deadline.and_then(DeadlinePart::seconds),
            deadline: ask.deadline.and_then(DeadlinePart::time),
            on_deadline: ask.on_deadline.as_deref().map(on_deadline),
            steps: reminders(&ask.remind_after),
            consume: consume(ask, &accepted)?,
            external_reference_id: ask.reference.as_deref(),
        };
        Ok(Self { body: serde_json::to_string(&body)?, accepted })
    }
}

impl DeadlinePart {
    fn seconds(self) -> Option<u64> {
        match self {
            Self::In(length) => Some(length.as_secs()),
            Self::At(_) => None,
        }
    }

    fn time(self) -> Option<Timestamp> {
        match self {
            Self::In(_) => None,
            Self::At(at) => Some(at),
        }
    }
}

fn on_deadline(option: &str) -> Value {
    match option {
        "expire" => json!({ "kind": "expire" }),
        option => json!({ "kind": "default", "option": option }),
    }
}

/// The reminders, in the order of time.
fn reminders(after: &[Duration]) -> Vec<Value> {
    let after: BTreeSet<u64> = after.iter().map(Duration::as_secs).collect();
    after.into_iter().map(|it| json!({ "after_seconds": it, "do": "remind" })).collect()
}

/// The use of the approval. Without `--consume-within` it can be used for the server's default time.
fn consume(ask: &Ask, accepted: &Accepted) -> anyhow::Result<Option<Value>> {
    if ask.action_file.is_none() {
        return Ok(None);
    }
    let [option] = accepted.values() else {
        bail!("--action-file allows one --accept: the option that approves the action")
    };
    let mut consume = json!({ "option": option });
    if let Some(within) = ask.consume_within {
        consume["within_seconds"] = json!(Duration::as_secs(&within));
    }
    if let Some(count) = ask.consume_count {
        consume["count"] = json!(count);
    }
    Ok(Some(consume))
}
