//! The body of `POST /v1/requests`, which all fronts translate theirs into.
//!
//! ```text
//!   question.rs  title, body, recipients, external_reference_id, metadata
//!   form.rs      options, fields
//!   policy.rs    mode, quorum, timeout_seconds, on_deadline, read, assurance
//!   ../../callback/   callback_url, callback
//! ```

mod form;
mod policy;
mod question;

use answerback::{
    api::{
        Problem,
        body::{self, Sent},
    },
    domain::{Question, Source, request::RequestPolicy},
};

use crate::callback::{self, CallbackBody, NewCredentials, Probe};

/// A request as its sender describes it.
pub(crate) struct NewRequestBody {
    pub(crate) question: Question,
    pub(crate) policy: RequestPolicy,
    pub(crate) timeout_seconds: u32,
    /// Applies to the callback's URL.
    pub(crate) probe: Probe,
    /// The credentials of the callback.
    pub(crate) credentials: NewCredentials,
}

/// Reads the body, or lists all errors in it.
pub(crate) fn read(body: Sent) -> Result<NewRequestBody, Problem> {
    body::read(body, |body| {
        let question = question::read(body);
        let timeout_seconds = policy::timeout_seconds(body);
        let mode = policy::mode(body);
        let quorum = policy::quorum(body, &question);
        let on_deadline = policy::on_deadline(body, &question);
        let callback = callback::read(body, Source::Requests);
        let probe = callback.as_ref().map_or(Probe::Skip, |it| it.probe);
        let credentials = callback.as_ref().map(|it| it.credentials.clone()).unwrap_or_default();
        let callback = callback.map(CallbackBody::into_callback);
        let read = policy::read_policy(body);
        let assurance = policy::assurance(body);
        let policy = RequestPolicy { mode, quorum, on_deadline, callback, read, assurance };
        Some(NewRequestBody { question, policy, timeout_seconds, probe, credentials })
    })
}

#[cfg(test)]
pub(crate) mod tests;
