//! Answers: read from a body, recorded in a request. The holder of an answer link sends them by the
//! page's form ([`by_form`]) or by JSON ([`by_json`]); a sender records them for a recipient.

mod by_form;
mod by_json;

pub(crate) use by_form::{answer_by_form, fit};
pub(crate) use by_json::answer_by_json;

use std::collections::BTreeMap;

use answerback::{
    api::{
        Problem,
        body::{Item, Member, Object},
    },
    domain::{
        Answer, Request,
        question::{FieldValue, VALUE_CHARS_MAX},
        request::{LongAnswer, Proof, Refusal},
    },
    notify::slack::{self, Reader},
    service::answer_page::OpenedLink,
    store::AdvanceError,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    App,
    step::{log_step, refused, retry_after_seconds},
};

/// The error of an answer that was not recorded.
pub(crate) type NotRecorded = AdvanceError<Box<RefusedAnswer>>;

/// A refusal, with the request as it was then.
#[derive(Debug)]
pub(crate) struct RefusedAnswer {
    request: Request,
    refusal: Refusal,
}

impl RefusedAnswer {
    /// What was decided instead, for the person of a row who answered in Slack.
    pub(crate) fn shown(&self, row: usize, now: Timestamp) -> String {
        match retry_after_seconds(&self.refusal) {
            Some(_) => slack::press_again(&self.request).to_owned(),
            None => slack::state(&self.request, row, Reader::Own, now),
        }
    }
}

/// Records an answer that fits its question, and sends the hint to notify subscribers.
pub(crate) async fn record(
    app: &App,
    request: Request,
    row: usize,
    answer: &Answer,
    proof: Proof,
) -> Result<Request, NotRecorded> {
    let subscriptions = app.core.destinations.subscriptions(request.owner).await;
    let op = app.core.new_op();
    let now = app.core.now();
    // The code was checked against this issue. A later one must not be answered for by it.
    let issue = request.code_issue(row);
    // A press was compared with this answer. It must not replace a later one.
    let n_answers = request.n_answers(row);
    let step = |it: &Request| {
        let answered = match proof {
            Proof::Code if it.code_issue(row) != issue => Err(Refusal::LinkLocked),
            _ => it.answer(row, answer, proof, subscriptions, now, op),
        };
        let answered = match (proof, answered) {
            (Proof::Slack(_), Ok(Some(_))) if it.n_answers(row) != n_answers => {
                Err(Refusal::ChangedTooSoon)
            }
            (_, answered) => answered,
        };
        answered.map_err(|refusal| Box::new(RefusedAnswer { request: it.clone(), refusal }))
    };
    // A long answer is written first, so that a recorded one is complete.
    let long = if answer.is_long() && step(&request).is_ok_and(|it| it.is_some()) {
        let kept = app.core.store.keep_long_answer(&request, row, answer, op).await;
        kept.map_err(NotRecorded::Store)?
    } else {
        None
    };
    let recorded = app.core.advance(request, step).await;
    let is_left = match &recorded {
        Ok(request) => !request.was_answered_by(row, op),
        Err(err) => matches!(err, AdvanceError::Refused(_)),
    };
    if let Some(long) = long.filter(|_| is_left) {
        forget(app, long).await;
    }
    let request = recorded?;
    if request.was_answered_by(row, op) {
        app.core.hints.send_for_request(&request).await;
        log_step(&request, op, "recorded an answer");
    }
    Ok(request)
}

/// A link whose code was checked.
pub(crate) enum CheckedCode {
    /// The code is right, or none is needed.
    Right(OpenedLink),
    /// The code is missing.
    Missing(OpenedLink),
    /// The code is wrong, which was counted.
    Wrong(OpenedLink),
    /// The code was wrong too often.
    Locked(OpenedLink),
}

/// Checks the code of a link, and counts a wrong one.
pub(crate) async fn check_code(
    app: &App,
    link: OpenedLink,
    code: Option<&str>,
) -> Result<CheckedCode, Problem> {
    let OpenedLink { request, row } = &link;
    let row = *row;
    if !request.needs_code() || !link.is_open(app.core.now()) {
        return Ok(CheckedCode::Right(link));
    }
    if request.is_link_locked(row) {
        return Ok(CheckedCode::Locked(link));
    }
    let Some(code) = code.filter(|it| !it.trim().is_empty()) else {
        return Ok(CheckedCode::Missing(link));
    };
    if link.place().is_code(request.code_issue(row), code) {
        return Ok(CheckedCode::Right(link));
    }
    let subscriptions = app.core.destinations.subscriptions(request.owner).await;
    let (op, now) = (app.core.new_op(), app.core.now());
    let step = |it: &Request| match it.try_wrong_code(row, subscriptions, now, op) {
        // Another call locked it, or the request has ended in the meantime.
        Err(_) => Ok::<_, Problem>(None),
        Ok(next) => Ok(next),
    };
    let request = app.core.advance(link.request, step).await?;
    app.core.hints.send_for_request(&request).await;
    log_step(&request, op, "refused a wrong code");
    let is_locked = request.is_link_locked(row);
    let link = OpenedLink { request, row };
    Ok(if is_locked { CheckedCode::Locked(link) } else { CheckedCode::Wrong(link) })
}

/// Erases a long answer that was not recorded. If that fails, it is deleted with its request.
async fn forget(app: &App, long: LongAnswer) {
    if let Err(err) = app.core.step(long, LongAnswer::erase).await {
        let error = &err as &(dyn std::error::Error + 'static);
        tracing::warn!(error, "could not erase an answer that was refused");
    }
}

/// The problem of an answer that was not recorded. It shows the recorded answer of `shown_row`.
pub(crate) fn problem(err: NotRecorded, shown_row: Option<usize>) -> Problem {
    err.map_refused(|it| refused(&it.request, shown_row, &it.refusal)).into()
}

/// Reads the members of an answer: option and fields.
pub(crate) fn read(body: &mut Object<'_>) -> Answer {
    let option = body.text("option", 0..=VALUE_CHARS_MAX);
    let mut fields = BTreeMap::new();
    let members = body.item("fields").map(|it| it.into_object().into_members());
    for Member { name, item } in members.into_iter().flatten() {
        if !item.value.is_null()
            && let Some(value) = field_value(&item)
        {
            fields.insert(name, value);
        }
    }
    Answer { option, fields }
}

/// A JSON value as a value of a field. Adds an error if it cannot be one.
pub(crate) fn field_value(item: &Item<'_>) -> Option<FieldValue> {
    match &item.value {
        Value::String(text) => Some(FieldValue::Text(text.clone())),
        Value::Bool(toggle) => Some(FieldValue::Toggle(*toggle)),
        Value::Number(_) => item.decimal().map(FieldValue::Number),
        Value::Array(values) => {
            let values = values.iter().map(|it| it.as_str().map(str::to_owned));
            let values: Option<Vec<String>> = values.collect();
            if values.is_none() {
                item.error("must have only strings as entries");
            }
            values.map(FieldValue::Choices)
        }
        Value::Null | Value::Object(_) => {
            item.error("must be a string, a number, a boolean or an array of strings");
            None
        }
    }
}
