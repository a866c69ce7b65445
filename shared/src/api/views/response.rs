//! Rows: the answer of each recipient.

use jiff::Timestamp;
use serde::Serialize;

use super::{AnswerFields, Time, answer_fields};
use crate::domain::{
    Answer, OutboxEvent, Request,
    request::{Proof, RecordedAnswer, Row},
};

/// The answer of one recipient, or a row without one.
#[derive(Debug, Serialize)]
pub struct ResponseView<'a> {
    /// Email address. `None` for the anonymous recipient.
    pub(crate) recipient: Option<&'a str>,
    /// Left out where the read policy hides answers.
    #[serde(flatten)]
    pub(crate) answer: Option<AnswerView<'a>>,
    pub(crate) answered_at: Option<Time>,
    pub(crate) expired: bool,
    proof: Option<ProofView>,
}

/// The way in which it was shown who answers.
#[derive(Debug, Serialize)]
struct ProofView {
    method: &'static str,
    identity: Option<String>,
}

impl ProofView {
    fn new(request: &Request, number: usize, proof: Proof) -> Self {
        let of_link = || email(request, number).map(|it| format!("mailto:{it}"));
        let (method, identity) = match proof {
            Proof::Link => ("link", of_link()),
            Proof::Confirm => ("confirm", of_link()),
            Proof::Code => ("code", of_link()),
            Proof::Key(key) => ("api", Some(format!("key:{key}"))),
            Proof::Slack(user) => ("slack", Some(user.to_string())),
        };
        Self { method, identity }
    }
}

/// An answer. A row without one has no option and no fields.
#[derive(Debug, Serialize)]
pub(crate) struct AnswerView<'a> {
    pub(crate) option: Option<&'a str>,
    fields: AnswerFields<'a>,
}

/// Visibility of answers in rows.
#[derive(Clone, Copy)]
pub(super) enum Answers {
    Shown,
    Hidden,
}

impl<'a> ResponseView<'a> {
    /// Row `number` of `request`.
    pub fn of_row(request: &'a Request, number: usize) -> Self {
        let row = request.rows.get(number).and_then(Option::as_ref);
        Self::new(request, number, row, Answers::Shown)
    }

    pub(super) fn new(
        request: &'a Request,
        number: usize,
        row: Option<&'a Row>,
        answers: Answers,
    ) -> Self {
        Self {
            recipient: email(request, number),
            answer: match answers {
                Answers::Shown => Some(AnswerView::new(row.map(|it| &it.answer))),
                Answers::Hidden => None,
            },
            answered_at: row.map(|it| Time(it.at)),
            expired: row.is_none() && request.ended_by_time(),
            proof: row.map(|it| ProofView::new(request, number, it.proof)),
        }
    }

    pub(super) fn of_event(
        request: &'a Request,
        event: &OutboxEvent,
        answered: &'a RecordedAnswer,
    ) -> Self {
        Self {
            recipient: email(request, answered.row),
            answer: Some(AnswerView::new(Some(&answered.answer))),
            answered_at: Some(Time(event.at)),
            expired: false,
            proof: Some(ProofView::new(request, answered.row, answered.proof)),
        }
    }
}

impl Answers {
    /// The read policy decides. The result and callbacks always show answers.
    pub(super) fn at(request: &Request, now: Timestamp) -> Self {
        if request.shows_answers(now) { Self::Shown } else { Self::Hidden }
    }
}

impl<'a> AnswerView<'a> {
    fn new(answer: Option<&'a Answer>) -> Self {
        Self {
            option: answer.and_then(|it| it.option.as_deref()),
            fields: answer.map(answer_fields).unwrap_or_default(),
        }
    }
}

/// E-mail address of a recipient. `None` for the anonymous one.
pub(super) fn email(request: &Request, number: usize) -> Option<&str> {
    request.question.recipients.get(number).map(|it| it.email.as_given())
}
