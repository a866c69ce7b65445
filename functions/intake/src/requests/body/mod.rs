//! The body of `POST /v1/requests`, which all fronts translate theirs into.
//!
//! ```text
//!   question.rs  title, body, action, requester, recipients, locale, external_reference_id, metadata
//!   form.rs      options, fields
//!   steps.rs     steps
//!   policy.rs    mode, quorum, timeout_seconds, deadline, on_deadline, read, assurance, consume
//!   ../../callback/   callback_url, callback
//! ```

mod form;
mod policy;
mod question;
mod steps;

use std::time::Duration;

use answerback::{
    api::{
        Problem,
        body::{self, Sent},
    },
    domain::{Assurance, Question, Source, request::RequestPolicy, slack::SlackIdKind},
};

use jiff::Timestamp;

use super::notify::{self, NotifyBody};
use crate::{
    callback::{self, CallbackBody, NewCredentials, Probe},
    notifiers::slack_id,
};

const NOT_AN_OPTION: &str = "is not one of the options";

/// A request as its sender describes it.
pub(crate) struct NewRequestBody {
    pub(crate) question: Question,
    pub(crate) policy: RequestPolicy,
    pub(crate) time_to_answer: TimeToAnswer,
    /// Applies to the callback's URL.
    pub(crate) probe: Probe,
    /// The credentials of the callback.
    pub(crate) credentials: NewCredentials,
    /// The notifiers for the recipients.
    pub(crate) notify: NotifyBody,
    /// The body says how sure it must be that a person answers.
    pub(crate) has_assurance: bool,
}

/// The time to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimeToAnswer {
    /// It takes this long.
    Seconds(u32),
    /// It ends then.
    Until(Timestamp),
}

impl TimeToAnswer {
    /// The deadline of a request that is created at `now`.
    pub(crate) fn deadline(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Seconds(seconds) => now + Duration::from_secs(seconds.into()),
            Self::Until(deadline) => deadline,
        }
    }
}

/// Reads the body at `now`, or lists all errors in it.
pub(crate) fn read(body: Sent, now: Timestamp) -> Result<NewRequestBody, Problem> {
    body::read(body, |body| {
        let mut question_body = question::read(body);
        let question = &question_body.question;
        let time_to_answer = policy::time_to_answer(body, now);
        let mode = policy::mode(body);
        let quorum = policy::quorum(body, question);
        let on_deadline = policy::on_deadline(body, question);
        // After the quorum, which counts those who are asked at first.
        let steps = steps::read(body, &mut question_body, now, time_to_answer.deadline(now));
        let question::QuestionBody { question, via } = question_body;
        question::check_size(body, &question);
        let callback = callback::read(body, Source::Requests);
        let probe = callback.as_ref().map_or(Probe::Skip, |it| it.probe);
        let credentials = callback.as_ref().map(|it| it.credentials.clone()).unwrap_or_default();
        let callback = callback.map(CallbackBody::into_callback);
        let read = policy::read_policy(body);
        let consume = policy::consume(body, &question);
        let acts = question.action.is_some();
        let usual = if acts { Assurance::Confirm } else { Assurance::Link };
        let assurance = policy::assurance(body);
        let has_assurance = assurance.is_some();
        let notify = NotifyBody::read(body, via);
        let policy = RequestPolicy {
            mode,
            quorum,
            on_deadline,
            callback,
            read,
            assurance: assurance.unwrap_or(usual),
            allows_self: body.flag("allow_self").unwrap_or(false),
            accepts_api_answers: body.flag("accept_api_answers").unwrap_or(!acts),
            consume,
            notify: Vec::new(),
            on_unreachable: notify::on_unreachable(body),
            slack_channel: slack_id(body, "slack_channel", SlackIdKind::Channel),
            steps,
        };
        Some(NewRequestBody {
            question,
            policy,
            time_to_answer,
            probe,
            credentials,
            notify,
            has_assurance,
        })
    })
}

#[cfg(test)]
pub(crate) mod tests;
