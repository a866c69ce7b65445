//! EventBridge: accepts events, keeps the latest in memory for tests to read, and fails on request.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{clock::Clock, error::AwsError};

/// EventBridge's limit on entries in one call.
const ENTRIES_MAX: usize = 10;
/// EventBridge's limit on the total size of a call's entries.
const ENTRIES_BYTES_MAX: usize = 1024 * 1024;
/// The size that EventBridge counts for `Time`.
const TIME_BYTES: usize = 14;
/// Older events are dropped, so memory stays bounded in a process that runs for weeks.
const EVENTS_MAX: usize = 10_000;

/// All event buses. Clones share their state.
#[derive(Clone)]
pub struct Bus {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<BusState>>,
}

#[derive(Default)]
struct BusState {
    events: VecDeque<PublishedEvent>,
    n_published: u64,
    /// Entries that are still to fail.
    n_failing_entries: usize,
    /// Calls that are still to fail.
    n_failing_calls: usize,
}

/// An accepted event.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedEvent {
    /// The id that the publisher received.
    pub id: String,
    /// The bus, by name or ARN as it was given, or `default`.
    pub bus: String,
    /// The publisher.
    pub source: String,
    /// The type of event.
    pub detail_type: String,
    /// The event's JSON, byte for byte as it was sent.
    pub detail: String,
    /// The resources that the event concerns.
    pub resources: Vec<String>,
    /// The time that the publisher gave, or the time of the call.
    pub time: Timestamp,
}

/// The reason why a whole call failed.
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

/// The reason why one entry failed.
struct EntryError {
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
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// The latest events, oldest first.
    pub fn events(&self) -> Vec<PublishedEvent> {
        self.state().events.iter().cloned().collect()
    }

    /// Fails the next `n_entries` entries. The calls that carry them succeed.
    pub fn fail_entries(&self, n_entries: usize) {
        self.state().n_failing_entries = n_entries;
    }

    /// Fails the next `n_calls` calls. The SDK retries such calls.
    pub fn fail_calls(&self, n_calls: usize) {
        self.state().n_failing_calls = n_calls;
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
        if take_one(&mut state.n_failing_calls) {
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

    fn state(&self) -> MutexGuard<'_, BusState> {
        self.state.lock().expect("no holder panics")
    }
}

impl BusState {
    fn publish(&mut self, entry: Entry, now: Timestamp) -> Result<String, EntryError> {
        let source = required(entry.source, "Source")?;
        if source.starts_with("aws.") {
            return Err(EntryError::new(
                "NotAuthorizedForSource",
                "Not authorized for the source.",
            ));
        }
        let detail_type = required(entry.detail_type, "DetailType")?;
        let detail = required(entry.detail, "Detail")?;
        // Any object is accepted. Parsing a `Value` would fail on names that serde_json reserves.
        if serde_json::from_str::<BTreeMap<String, &RawValue>>(&detail).is_err() {
            return Err(EntryError::new("MalformedDetail", "Detail is malformed."));
        }
        if take_one(&mut self.n_failing_entries) {
            return Err(EntryError::new(
                "InternalFailure",
                "The service failed because a test asked for it.",
            ));
        }

        self.n_published += 1;
        let id = crate::ids::unique_id(now, self.n_published);
        let time = entry.time.and_then(|it| SignedDuration::try_from_secs_f64(it).ok());
        let time = time.and_then(|it| Timestamp::from_duration(it).ok());
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(PublishedEvent {
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
    /// The entry's size as EventBridge counts it.
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

impl EntryError {
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

fn required(value: Option<String>, name: &str) -> Result<String, EntryError> {
    value.filter(|it| !it.is_empty()).ok_or_else(|| {
        let reason =
            format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
        EntryError::new("InvalidArgument", reason)
    })
}

/// Counts `left` down, and returns false once it is zero.
fn take_one(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left -= usize::from(is_left);
    is_left
}
