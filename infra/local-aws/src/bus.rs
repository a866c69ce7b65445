//! EventBridge: takes events, keeps the latest for whoever looks, and fails when told to.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use answerback::platform::Clock;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::error::AwsError;

/// EventBridge takes this many entries a call.
const ENTRIES_MAX: usize = 10;
/// EventBridge takes this much in all entries of a call.
const ENTRIES_BYTES_MAX: usize = 1024 * 1024;
/// What EventBridge counts for a time.
const TIME_BYTES: usize = 14;
/// Older events are forgotten, so that a stack that runs for weeks does not grow.
const EVENTS_MAX: usize = 10_000;

/// An event bus. Clones are the same one.
#[derive(Clone)]
pub struct Bus {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Published>,
    published: u64,
    failing_entries: usize,
    failing_calls: usize,
}

/// An event that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// What the publisher was told.
    pub id: String,
    /// The bus, by name or ARN as it was given, or `default`.
    pub bus: String,
    /// Who published it.
    pub source: String,
    /// What kind of event it is.
    pub detail_type: String,
    /// The event itself: JSON, the bytes that were sent.
    pub detail: String,
    /// What the event is about.
    pub resources: Vec<String>,
    /// When it happened.
    pub time: Timestamp,
}

/// Why a whole call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the operation `{0}` is not emulated")]
    UnknownOperation(String),
    #[error("the body is not the JSON of this operation")]
    Malformed(#[source] serde_json::Error),
    #[error(
        "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and 10"
    )]
    EntriesCount,
    #[error("Total size of the entries in the request is over the limit.")]
    EntriesSize,
    #[error("This exception occurs due to unexpected causes.")]
    Scripted,
}

/// Why one entry failed.
struct Refused {
    code: &'static str,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Entry {
    time: Option<f64>,
    source: Option<String>,
    resources: Vec<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
}

impl Bus {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// The latest events, oldest first.
    pub fn events(&self) -> Vec<Published> {
        self.state().events.iter().cloned().collect()
    }

    /// Refuses the next `n_entries` entries, while the calls that carry them succeed.
    pub fn fail_entries(&self, n_entries: usize) {
        self.state().failing_entries = n_entries;
    }

    /// Fails the next `n_calls` calls as a whole; the SDK tries such a call again.
    pub fn fail_calls(&self, n_calls: usize) {
        self.state().failing_calls = n_calls;
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<Value, Error> {
        if operation != "PutEvents" {
            return Err(Error::UnknownOperation(operation.to_owned()));
        }
        let PutEvents { entries } = serde_json::from_slice(body).map_err(Error::Malformed)?;
        if !(1..=ENTRIES_MAX).contains(&entries.len()) {
            return Err(Error::EntriesCount);
        }
        if entries.iter().map(Entry::bytes).sum::<usize>() > ENTRIES_BYTES_MAX {
            return Err(Error::EntriesSize);
        }
        let now = self.clock.now();
        let mut state = self.state();
        if take_one(&mut state.failing_calls) {
            return Err(Error::Scripted);
        }

        let results: Vec<_> = entries.into_iter().map(|it| state.publish(it, now)).collect();
        let n_failed = results.iter().filter(|it| it.is_err()).count();
        let entries: Vec<_> = results
            .into_iter()
            .map(|result| match result {
                Ok(id) => json!({ "EventId": id }),
                Err(it) => json!({ "ErrorCode": it.code, "ErrorMessage": it.message }),
            })
            .collect();
        Ok(json!({ "FailedEntryCount": n_failed, "Entries": entries }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl State {
    fn publish(&mut self, entry: Entry, now: Timestamp) -> Result<String, Refused> {
        let source = given(entry.source, "Source")?;
        if source.starts_with("aws.") {
            return Err(Refused::new("NotAuthorizedForSource", "Not authorized for the source."));
        }
        let detail_type = given(entry.detail_type, "DetailType")?;
        let detail = given(entry.detail, "Detail")?;
        // Any object is taken. A `Value` would not do: it reads some names as its own.
        if serde_json::from_str::<BTreeMap<String, &RawValue>>(&detail).is_err() {
            return Err(Refused::new("MalformedDetail", "Detail is malformed."));
        }
        if take_one(&mut self.failing_entries) {
            return Err(Refused::new("InternalFailure", "The service failed, as it was told to."));
        }

        self.published += 1;
        let id = crate::ids::unique_id(now, self.published);
        let time = entry.time.and_then(|it| SignedDuration::try_from_secs_f64(it).ok());
        let time = time.and_then(|it| Timestamp::from_duration(it).ok());
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Published {
            id: id.clone(),
            bus: entry.event_bus_name.unwrap_or_else(|| "default".to_owned()),
            source,
            detail_type,
            detail,
            resources: entry.resources,
            time: time.unwrap_or(now),
        });
        Ok(id)
    }
}

impl Entry {
    /// Its size as EventBridge counts it.
    fn bytes(&self) -> usize {
        [&self.source, &self.detail_type, &self.detail]
            .into_iter()
            .flatten()
            .chain(&self.resources)
            .map(String::len)
            .sum::<usize>()
            + self.time.map_or(0, |_| TIME_BYTES)
    }
}

impl Refused {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Error> for AwsError {
    fn from(err: Error) -> Self {
        let (status, kind) = match &err {
            Error::UnknownOperation(_) => (StatusCode::BAD_REQUEST, "UnknownOperationException"),
            Error::Malformed(_) => (StatusCode::BAD_REQUEST, "SerializationException"),
            Error::EntriesCount | Error::EntriesSize => {
                (StatusCode::BAD_REQUEST, "ValidationException")
            }
            Error::Scripted => (StatusCode::INTERNAL_SERVER_ERROR, "InternalException"),
        };
        Self { status, kind, query_code: None, message: err.to_string() }
    }
}

fn given(value: Option<String>, name: &str) -> Result<String, Refused> {
    value.filter(|it| !it.is_empty()).ok_or_else(|| {
        let reason =
            format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
        Refused::new("InvalidArgument", reason)
    })
}

fn take_one(left: &mut usize) -> bool {
    let some = *left > 0;
    *left -= usize::from(some);
    some
}
