//! The API over HTTP. A call survives what passes: refused and dropped connections, restarts of the
//! server, 5xx, and 429 with a short `Retry-After`.
//!
//! ```text
//! response ─┬─ 2xx with JSON ───────────────▶ Reply
//!           ├─ 4xx, 3xx, 501, 505, 508 ─────▶ Refused
//!           └─ other status, no response ─┬─▶ the next attempt, after a growing delay
//!                                         └─▶ Unreachable, `give_up` after the first failed attempt began
//! ```
//!
//! Every call is safe to repeat: reads, writes with an `Idempotency-Key`, and the cancellation of a
//! request. A cancelled request stays cancelled, and its repetition is refused as `already_finished`.

mod outage;
mod problem;
mod proxy;
mod transport;

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use answerback::{
    domain::RequestId,
    platform::{Clock, Entropy},
    signing::to_base32,
};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    duration,
    exit::{Exit, Failure},
    printable::{printable, write_line},
    request::Shown,
    settings::{Server, ServerFlags},
};
use outage::Outage;
pub(crate) use problem::Problem;
use transport::{Attempt, Times, Transport};
pub(crate) use transport::{Exchange, Exchanged};

/// Timeout of an attempt, in addition to the time for which the server holds it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Shortest timeout of an attempt, so that the last one can succeed.
const ATTEMPT_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Longest time for which the server holds a call.
pub(crate) const HOLD_MAX: Duration = Duration::from_secs(25);
/// Longest idempotency key that the API takes.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// A client of one server.
pub(crate) struct Client {
    transport: Transport,
    /// The longest time for which calls may fail before the client gives up.
    give_up: Duration,
    /// The latest failure of the call in flight, if that is being retried.
    trouble: Mutex<Option<String>>,
    notices: Notices,
}

/// The way in which a retried failure is reported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notices {
    /// The caller asks for [`Client::trouble`].
    Asked,
    /// The first one of a call is written to stderr.
    Written,
}

/// A call of the API.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Option<String>,
    idempotency_key: Option<String>,
    /// The longest time for which the server may hold the call.
    hold: Duration,
}

/// A response that is a success.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) json: Value,
    /// The server asks for this pause before the next call.
    pub(crate) retry_after: Option<Duration>,
    /// An earlier call with this idempotency key made the object.
    pub(crate) is_replayed: bool,
}

/// A call without a success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server refused the call. Repeating it would not help.
    #[error("{0}")]
    Refused(Problem),
    /// The server asks for a pause (429) that is longer than the client may wait.
    #[error(
        "{problem}; the server asks for a pause of {}, which is longer than --give-up allows",
        duration::text(*.pause)
    )]
    Limited {
        /// The refusal.
        problem: Problem,
        /// The pause.
        pause: Duration,
    },
    /// The settings or flags make no valid call.
    #[error("{0}")]
    Unsendable(String),
    /// The server could not be reached, or failed, for too long.
    #[error("no success within {}: {last}", duration::text(*.within))]
    Unreachable {
        /// The limit.
        within: Duration,
        /// The latest failure.
        last: String,
    },
}

impl Call {
    /// A read.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            idempotency_key: None,
            hold: Duration::ZERO,
        }
    }

    /// A write without a body.
    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// The call with a JSON body.
    pub(crate) fn with_body(self, body: String) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The call, which has its effect once however often it is repeated.
    pub(crate) fn once(self, idempotency_key: String) -> Self {
        Self { idempotency_key: Some(idempotency_key), ..self }
    }

    /// A read of a request, held until it ends or [`HOLD_MAX`] has passed.
    pub(crate) fn wait_for(id: RequestId) -> Self {
        Self { hold: HOLD_MAX, ..Self::get(format!("/v1/requests/{id}")) }
    }
}

impl Client {
    /// A client of `server`. It connects at the first call.
    pub(crate) fn new(server: &Server, give_up: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            transport: Transport::new(server)?,
            give_up,
            trouble: Mutex::default(),
            notices: Notices::Asked,
        })
    }

    /// The client that the flags choose, for a command without a progress line.
    pub(crate) fn choose(flags: &ServerFlags) -> anyhow::Result<Self> {
        let client = Self::new(&Server::choose(&flags.address)?, flags.give_up)?;
        Ok(Self { notices: Notices::Written, ..client })
    }

    /// The latest failure of the call in flight, if that is being retried.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().expect("no holder panics").clone()
    }

    /// Makes the call, and repeats it until a response decides.
    pub(crate) async fn call(&self, call: &Call) -> Result<Reply, CallError> {
        let mut outage = Outage::new(self.give_up);
        loop {
            let began = Instant::now();
            let times = self.times(call, &outage);
            let (failure, retry_after) = match self.transport.attempt(call, times).await {
                Attempt::Success(reply) => {
                    self.note(None);
                    return Ok(reply);
                }
                Attempt::Refused(problem) => return Err(CallError::Refused(problem)),
                Attempt::Unsendable(text) => return Err(CallError::Unsendable(text)),
                Attempt::Limited { problem, retry_after } => {
                    outage.failed_since(began);
                    if let Some(pause) = retry_after.filter(|it| *it > outage.time_left()) {
                        return Err(CallError::Limited { problem, pause });
                    }
                    (problem.to_string(), retry_after)
                }
                Attempt::Failed { failure, retry_after } => (failure, retry_after),
            };
            outage.failed_since(began);
            let Some(pause) = outage.next_pause(retry_after) else {
                return Err(CallError::Unreachable { within: self.give_up, last: failure });
            };
            self.note(Some(failure));
            Clock::System.sleep(pause).await;
        }
    }

    /// The times of the next attempt, which ends before the client must give up.
    fn times(&self, call: &Call, outage: &Outage) -> Times {
        // After a failure, a response at once says that the server is back.
        let hold = if outage.has_begun() { Duration::ZERO } else { self.give_up / 2 };
        let hold = call.hold.min(hold);
        let left = outage.time_left().max(ATTEMPT_TIMEOUT_MIN);
        Times { hold, timeout: (ATTEMPT_TIMEOUT + hold).min(left) }
    }

    /// Makes one exchange, and judges nothing: whatever the server responds is the caller's.
    pub(crate) async fn exchange(&self, exchange: &Exchange) -> Result<Exchanged, String> {
        self.transport.exchange(exchange, ATTEMPT_TIMEOUT + HOLD_MAX).await
    }

    /// Makes a call that responds with a request.
    pub(crate) async fn request(&self, call: &Call) -> Result<Shown, Failure> {
        let reply = self.call(call).await?;
        reply.request()
    }

    fn note(&self, failure: Option<String>) {
        let mut trouble = self.trouble.lock().expect("no holder panics");
        if let (Notices::Written, None, Some(failure)) = (self.notices, &*trouble, &failure) {
            write_line(&trying_again(failure));
        }
        *trouble = failure;
    }
}

impl Reply {
    /// The request in the response.
    pub(crate) fn request(self) -> Result<Shown, Failure> {
        Shown::read(self.json).map_err(|err| other_than("a request", &err))
    }

    /// The `expected` object in the response.
    pub(crate) fn read<T: DeserializeOwned>(self, expected: &str) -> Result<T, Failure> {
        serde_json::from_value(self.json).map_err(|err| other_than(expected, &err))
    }
}

/// The failure of a call whose response is no `expected` object. It must not count as a success.
pub(crate) fn other_than(expected: &str, error: &serde_json::Error) -> Failure {
    let text = format!("the server responded with something other than {expected}: {error}");
    Failure::new(Exit::Refused, anyhow::anyhow!(printable(&text)))
}

impl CallError {
    /// The stable word of the refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) | Self::Limited { problem, .. } => problem.code.as_deref(),
            Self::Unsendable(_) | Self::Unreachable { .. } => None,
        }
    }

    /// True if a repetition of the call would be refused, too.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unsendable(_))
    }

    /// The status of the refusal.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(problem) | Self::Limited { problem, .. } => Some(problem.status),
            Self::Unsendable(_) | Self::Unreachable { .. } => None,
        }
    }
}

/// The message about a call that is repeated.
pub(crate) fn trying_again(failure: &str) -> String {
    printable(&format!("trying again, because of: {failure}"))
}

/// An idempotency key that no other call has.
pub(crate) fn new_idempotency_key() -> String {
    format!("cli-{}", to_base32(&Entropy::System.next().to_be_bytes()))
}

/// Parses an idempotency key.
pub(crate) fn idempotency_key(text: &str) -> Result<String, String> {
    let is_printable = text.bytes().all(|it| (b' '..=b'~').contains(&it));
    if is_printable && (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(format!("must be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters"))
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match &error {
            CallError::Refused(_) | CallError::Limited { .. } => Exit::Refused,
            CallError::Unsendable(_) => Exit::Usage,
            CallError::Unreachable { .. } => Exit::Unreachable,
        };
        Self::new(exit, error)
    }
}
