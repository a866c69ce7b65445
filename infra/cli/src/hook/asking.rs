//! A hook's request: it is created, waited for, and cancelled unless people decide in time.

use std::time::Duration;

use answerback::domain::{RequestId, action::ActionDigest};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::HookFlags;
use crate::{
    client::{Call, Client, new_idempotency_key},
    exit::{Exit, Failure},
    printable::printable,
    request::{Outcome, Shown, Status},
    settings::Server,
    wait::{Accepted, Attended, Session, WaitFlags},
};

/// The longest time for which calls may fail. A person waits at the terminal meanwhile.
const GIVE_UP: Duration = Duration::from_secs(10);
/// The request's deadline after the end of the wait. It ends a request whose hook was killed.
const DEADLINE_MARGIN: Duration = Duration::from_secs(15);

/// A question, in the words of the API.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    pub(super) title: String,
    pub(super) body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consume: Option<Value>,
    pub(super) options: Vec<Value>,
    pub(super) fields: Vec<Value>,
}

/// A question and the people that it is for.
#[derive(Serialize)]
struct NewRequest<'a> {
    #[serde(flatten)]
    question: &'a Question<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    recipients: &'a [String],
    quorum: &'static str,
    timeout_seconds: u64,
    /// An agent may have the key of an application.
    accept_api_answers: bool,
}

/// A hook that asks.
pub(super) struct Asking<'a> {
    flags: &'a HookFlags,
    client: Client,
    session: Session,
}

impl<'a> Asking<'a> {
    /// Starts the clock, and listens for signals.
    pub(super) fn new(flags: &'a HookFlags) -> anyhow::Result<Self> {
        let client = Client::new(&Server::choose_for_hook(&flags.server)?, GIVE_UP)?;
        let session = Session::new(&WaitFlags {
            accept: Vec::new(),
            wait_timeout: Some(flags.wait),
            cancel_on_interrupt: true,
        })?;
        Ok(Self { flags, client, session })
    }

    /// Asks, and waits for the decision of people. `None`: there is none, and the request has ended.
    pub(super) async fn ask(
        &mut self,
        question: &Question<'_>,
        accepted: &Accepted,
    ) -> Result<Option<Shown>, Failure> {
        let body = NewRequest {
            question,
            recipients: &self.flags.to,
            quorum: "any",
            timeout_seconds: (self.flags.wait + DEADLINE_MARGIN).as_secs(),
            accept_api_answers: false,
        };
        let body = serde_json::to_string(&body).map_err(anyhow::Error::from)?;
        let create = Call::post("/v1/requests").with_body(body).once(new_idempotency_key());
        let created = self.session.attend(&self.client, None, self.client.request(&create)).await;
        let shown = match created {
            Attended::Done(shown) => shown?,
            Attended::Interrupted(_) | Attended::OutOfTime => {
                // The call may have arrived. Repeating it finds the request.
                match self.session.hurry(self.client.request(&create)).await {
                    Some(Ok(shown)) => self.cancel(shown.request.id).await,
                    Some(Err(failure)) => return Err(failure),
                    None => {
                        let why = self.client.trouble().unwrap_or_default();
                        let text =
                            format!("no request was made in time: {why}; the terminal decides");
                        self.session.progress.line(&printable(&text));
                    }
                }
                return Ok(None);
            }
        };
        let id = shown.request.id;
        self.session.progress.line(&printable(&format!("{id} asked: {}", shown.request.title)));
        match self.session.wait(&self.client, shown, accepted).await {
            Ok((shown, Exit::Accepted | Exit::Otherwise)) => Ok(self.decided_by_people(shown)),
            Ok((_, Exit::StillPending)) => {
                self.cancel(id).await;
                Ok(None)
            }
            // It has ended, or the signal cancelled it.
            Ok(_) => Ok(None),
            Err(failure) => {
                self.cancel(id).await;
                Err(failure)
            }
        }
    }

    /// The request, if it is one that people decided.
    fn decided_by_people(&mut self, shown: Shown) -> Option<Shown> {
        if shown.json["livemode"] != true {
            self.session.progress.line("the key is one of the test mode, which decides nothing");
            return None;
        }
        let request = &shown.request;
        let is_decided = request.status == Status::Finished
            && request.outcome == Some(Outcome::Completed)
            && request.decided_by.as_deref() == Some("recipients");
        is_decided.then_some(shown)
    }

    /// Uses the approval of this action up. True if it was valid.
    pub(super) async fn consume(&mut self, id: RequestId, digest: ActionDigest) -> bool {
        let call = Call::post(format!("/v1/requests/{id}/consume"))
            .with_body(json!({ "digest": digest.to_string() }).to_string())
            .once(new_idempotency_key());
        let consumed = self.session.hurry(self.client.call(&call)).await;
        let failure = match consumed {
            Some(Ok(reply)) if is_consumed(&reply.json) => return true,
            Some(Ok(_)) => "the response does not say so".to_owned(),
            Some(Err(err)) => err.to_string(),
            None => "no response in time".to_owned(),
        };
        self.session.progress.line(&format!("could not use the approval of {id}: {failure}"));
        false
    }

    /// Cancels the request, so that a later answer has no effect.
    async fn cancel(&mut self, id: RequestId) {
        let call = Call::post(format!("/v1/requests/{id}/cancel"));
        let text = match self.session.hurry(self.client.call(&call)).await {
            Some(Ok(_)) => format!("cancelled {id}"),
            Some(Err(err)) if err.code() == Some("already_finished") => format!("{id} has ended"),
            Some(Err(err)) => format!("could not cancel {id}: {err}"),
            None => format!("could not cancel {id} in time"),
        };
        self.session.progress.line(&format!("{text}; the terminal decides"));
    }
}

/// True if the response says that the approval was used: `true`, or the number of the use.
fn is_consumed(reply: &Value) -> bool {
    reply["consumed"] == true || reply["consumed"].is_number()
}
