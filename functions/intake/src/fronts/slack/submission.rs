//! A modal that was sent.

use answerback::{
    api::Problem,
    domain::{question::SUBMIT, request::Proof},
    notify::slack::{self, Reader},
    service::answer_page::fault_text,
    store::AdvanceError,
};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::{Sent, Verified, accepted, payload::Submission};
use crate::answers::{fit, record};

impl Verified<'_> {
    /// Records the answer, or says in the modal why not.
    pub(super) async fn submit(&self, submission: &Submission) -> Result<Response, Problem> {
        let now = self.app.core.now();
        let closed = |text: &str| Ok(shown(&slack::closed_modal(&self.request, text)));
        let Some(Sent { row, copy: Some(copy), .. }) = &self.message else {
            let row = self.message.as_ref().map_or(0, |it| it.row);
            return if self.is_over() {
                closed(&slack::outcome(&self.request, row))
            } else {
                closed(slack::press_again(&self.request))
            };
        };
        let row = *row;
        let Some(user) = self.recipient(copy) else {
            return closed(&slack::not_yours(&self.request, row));
        };
        let state = |request: &_| {
            let text = slack::state(request, row, Reader::Own, now);
            shown(&slack::closed_modal(request, &text))
        };
        // A modal that is sent again must not undo a later answer.
        let is_current = submission.n_answers() == Some(self.request.n_answers(row));
        let option = slack::option_of(&self.request, self.button).unwrap_or(SUBMIT);
        let values = slack::read_modal(&self.request, &submission.state);
        let answer = match fit(&self.request.question, Some(option.to_owned()), &values) {
            Ok(answer) => answer,
            Err(_) if self.is_over() => return Ok(state(&self.request)),
            Err(misfits) => {
                let words = slack::words(&self.request);
                let sentence = |it: &_| fault_text(it, words);
                return Ok(shown(&slack::refused_modal(&self.request, &misfits, sentence)));
            }
        };
        if self.request.has_answer(row, &answer) {
            return Ok(accepted());
        }
        if !is_current || self.is_over() {
            return Ok(state(&self.request));
        }
        match record(self.app, self.request.clone(), row, &answer, Proof::Slack(user)).await {
            // An erased request has no message any more.
            Ok(_) | Err(AdvanceError::Gone) => Ok(accepted()),
            Err(AdvanceError::Refused(refused)) => closed(&refused.shown(row, now)),
            Err(AdvanceError::Contended) => closed(slack::press_again(&self.request)),
            Err(AdvanceError::Store(err)) => Err(err.into()),
        }
    }
}

fn shown(response: &Value) -> Response {
    axum::Json(response).into_response()
}
