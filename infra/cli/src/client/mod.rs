//! The API over HTTP. A call survives what passes: refused and dropped connections, restarts of the
//! server, 5xx, and 429 with a short `Retry-After`.
//!
//! ```text
//! response ─┬─ 2xx with JSON ───────────────▶ Reply
//!           ├─ 4xx, 3xx, 501, 505, 508 ─────▶ Refused
//!           └─ other status, no response ─┬─▶ the next attempt, after a growing delay
//!                                         └─▶ Unreachable, when failures lasted for `give_up`
//! ```
//!
//! Every call is safe to repeat: reads, and writes with an `Idempotency-Key`.

mod outage;
mod problem;
mod transport;

use std::{sync::Mutex, time::Duration};

use answerback::{
    platform::{Clock, Entropy},
    signing::to_base32,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    printable::{printable, write_line},
    request::Shown,
    settings::{Server, ServerFlags},
};
use outage::Outage;
use problem::Problem;
use transport::{Attempt, Transport};

/// Timeout of an attempt, in addition to the time for which the server holds it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for which the server holds a call.
pub(crate) const HOLD_SECONDS_MAX: u64 = 25;

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
    timeout: Duration,
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
    /// The server could not be reached, or failed, for too long.
    #[error("no success within {}: {last}", crate::duration::text(*.within))]
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
            timeout: ATTEMPT_TIMEOUT,
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

    /// A read of a request, held until it ends or `hold` has passed.
    pub(crate) fn wait_for(id: &str, hold: Duration) -> Self {
        let seconds = hold.as_secs().min(HOLD_SECONDS_MAX);
        let call = Self::get(format!("/v1/requests/{id}?wait={seconds}"));
        Self { timeout: ATTEMPT_TIMEOUT + Duration::from_secs(seconds), ..call }
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
        let client = Self::new(&Server::choose(flags)?, flags.give_up)?;
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
            let (failure, retry_after) = match self.transport.attempt(call).await {
                Attempt::Success(reply) => {
                    self.note(None);
                    return Ok(reply);
                }
                Attempt::Refused(problem) => return Err(CallError::Refused(problem)),
                Attempt::Limited { problem, retry_after } => {
                    if retry_after.is_some_and(|it| it > outage.time_left()) {
                        return Err(CallError::Refused(problem));
                    }
                    (problem.to_string(), retry_after)
                }
                Attempt::Failed { failure, retry_after } => (failure, retry_after),
            };
            let Some(pause) = outage.next_pause(retry_after) else {
                return Err(CallError::Unreachable { within: self.give_up, last: failure });
            };
            self.note(Some(failure));
            Clock::System.sleep(pause).await;
        }
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
        Shown::read(self.json).map_err(|err| {
            let text = format!("the server responded with something other than a request: {err}");
            Failure::new(Exit::Refused, anyhow::anyhow!(text))
        })
    }
}

impl CallError {
    /// The stable word of the refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.code.as_deref(),
            Self::Unreachable { .. } => None,
        }
    }

    /// The status of the refusal.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(problem) => Some(problem.status),
            Self::Unreachable { .. } => None,
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

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match &error {
            CallError::Refused(_) => Exit::Refused,
            CallError::Unreachable { .. } => Exit::Unreachable,
        };
        Self::new(exit, error)
    }
}
