//! A request as the API shows it.

use std::time::Duration;

use answerback::domain::RequestId;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

/// The parts of a request that this program uses.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Request {
    #[serde(deserialize_with = "request_id")]
    pub(crate) id: RequestId,
    pub(crate) status: Status,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) decided_by: Option<String>,
    pub(crate) decision: Option<String>,
    pub(crate) title: String,
    pub(crate) options: Vec<Choice>,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) responses: Vec<Response>,
    pub(crate) deadline: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) external_reference_id: Option<String>,
    /// What will be done if the request is approved.
    #[serde(default)]
    pub(crate) action: Option<Action>,
}

/// Status of a request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    Finished,
    Cancelled,
}

/// Outcome of a request that has ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Completed,
    NotMet,
    Vetoed,
    TimedOut,
    Defaulted,
    Cancelled,
    /// An outcome of a newer server. It is never taken for a yes.
    #[serde(other)]
    Unknown,
}

/// An option.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Choice {
    pub(crate) value: String,
}

/// A recipient. One without an address is anonymous.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recipient {
    pub(crate) email: Option<String>,
    /// Only keys that may see links get it.
    pub(crate) answer_url: Option<String>,
}

/// The row of a recipient.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) recipient: Option<String>,
    pub(crate) option: Option<String>,
    #[serde(default)]
    pub(crate) fields: Map<String, Value>,
    pub(crate) answered_at: Option<Timestamp>,
}

/// An action that is bound to its approval.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) digest: String,
}

/// A request, and the JSON that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) request: Request,
    pub(crate) json: Value,
}

/// An id, so that nothing else gets into a path or a line.
fn request_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RequestId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl Shown {
    /// Reads a request.
    pub(crate) fn read(json: Value) -> serde_json::Result<Self> {
        let request = Request::deserialize(&json)?;
        Ok(Self { request, json })
    }
}

impl Request {
    /// True until the request has ended.
    pub(crate) fn is_pending(&self) -> bool {
        self.status == Status::Pending
    }

    /// The time until the deadline.
    pub(crate) fn time_left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.deadline.duration_since(now)).unwrap_or_default()
    }
}

impl Status {
    /// Its spelling in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Outcome {
    /// Its spelling in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NotMet => "not_met",
            Self::Vetoed => "vetoed",
            Self::TimedOut => "timed_out",
            Self::Defaulted => "defaulted",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl Response {
    /// The recipient's name in messages.
    pub(crate) fn who(&self) -> &str {
        self.recipient.as_deref().unwrap_or("the anonymous recipient")
    }
}
