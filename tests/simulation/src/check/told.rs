//! The end of a request, as a payload or a response reports it.

use answerback::domain::{
    Request,
    request::{AnswerMode, Outcome, RequestEnd},
};
use serde_json::Value;

use crate::world::since_start;

/// The known parts of an end, from a payload or a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) status: Option<Value>,
    pub(super) outcome: Option<Value>,
    pub(super) decision: Option<Value>,
    pub(super) finished_at: Option<i64>,
    /// The selected option of each row, if any.
    pub(super) responses: Option<Vec<Value>>,
}

impl Told {
    /// The end in `data`, a result or a view.
    pub(super) fn of(body: &Value) -> Self {
        let finished_at = body["finished_at"].as_str().and_then(|it| it.parse().ok());
        let responses = body["responses"].as_array().and_then(|rows| {
            let option = |row: &Value| row.get("option").or(row.get("option_value")).cloned();
            rows.iter().map(option).collect::<Option<Vec<Value>>>()
        });
        Self {
            status: body.get("status").cloned(),
            outcome: body.get("outcome").cloned(),
            decision: body.get("decision").cloned(),
            finished_at: finished_at.map(since_start),
            responses,
        }
    }

    /// The end in the stored request.
    pub(super) fn own(request: &Request, end: &RequestEnd) -> Self {
        let rows = request.rows().iter().take(request.n_asked());
        let options = rows.map(|it| it.as_ref().and_then(|it| it.answer.option.clone()).into());
        let is_shown = !end.consumption.is_over();
        Self {
            status: Some(status(end).into()),
            outcome: Some(outcome(end.outcome).into()),
            decision: Some(end.decision.clone().into()),
            finished_at: Some(since_start(end.at)),
            responses: is_shown.then(|| options.collect()),
        }
    }

    /// Returns true if the parts that both know are equal.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        same(self.status.as_ref(), other.status.as_ref())
            && same(self.outcome.as_ref(), other.outcome.as_ref())
            && same(self.decision.as_ref(), other.decision.as_ref())
            && same(self.finished_at.as_ref(), other.finished_at.as_ref())
            && same(self.responses.as_ref(), other.responses.as_ref())
    }

    /// Returns true if a deadline caused the end.
    pub(super) fn is_by_time(&self, mode: AnswerMode) -> bool {
        match self.outcome.as_ref().and_then(Value::as_str) {
            None | Some("cancelled") => false,
            Some("timed_out" | "defaulted") => true,
            Some(_) => mode == AnswerMode::OnTimeout,
        }
    }
}

fn status(end: &RequestEnd) -> &'static str {
    if end.outcome == Outcome::Cancelled { "cancelled" } else { "finished" }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::NotMet => "not_met",
        Outcome::Vetoed => "vetoed",
        Outcome::TimedOut => "timed_out",
        Outcome::Defaulted => "defaulted",
        Outcome::Cancelled => "cancelled",
    }
}
