//! Requests as tools of AI agents show them: without links and codes, and with what to do next.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    ResponseView, Time,
    request::{ResultData, request_status},
    response::Answers,
};
use crate::domain::{
    Request,
    request::{DecidedBy, Outcome, RequestState},
};

/// The option that approves, in requests for an approval.
pub const APPROVE: &str = "approve";

/// A request.
#[derive(Debug, Serialize)]
pub struct ToolView<'a> {
    request_id: String,
    status: &'static str,
    outcome: Option<&'static str>,
    decision: Option<&'a str>,
    decided_by: Option<&'static str>,
    answers: Vec<ResponseView<'a>>,
    /// Only of a request with an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// An approval in test mode approves nothing.
    livemode: bool,
    deadline: Time,
    next_action: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
}

/// A request in a list.
#[derive(Debug, Serialize)]
pub struct ToolEntry<'a> {
    request_id: String,
    title: &'a str,
    status: &'static str,
    outcome: Option<&'static str>,
    decision: Option<&'a str>,
    reference: Option<&'a str>,
    created_at: Time,
    deadline: Time,
}

impl<'a> ToolView<'a> {
    /// The view of `request` at `now`.
    pub fn new(request: &'a Request, now: Timestamp) -> Self {
        let data = ResultData::of_now(request, now);
        let answered = (0..request.n_asked()).filter(|row| request.rows()[*row].is_some());
        let shown = Answers::at(request, now);
        let answers = answered
            .map(|row| ResponseView::new(request, row, request.rows()[row].as_ref(), shown));
        let action = request.question.action.as_ref();
        let approved = action.map(|_| Approved::of(request, now));
        let retry_after_seconds = retry_after(request, now);
        Self {
            request_id: request.id.to_string(),
            status: request_status(request),
            outcome: data.outcome,
            decision: data.decision,
            decided_by: data.decided_by,
            answers: answers.collect(),
            approved: approved.map(|it| it == Approved::Yes),
            digest: action.map(|it| it.digest.to_string()),
            livemode: request.owner.mode.is_live(),
            deadline: Time(request.deadline),
            next_action: next_action(request, approved, retry_after_seconds),
            retry_after_seconds,
        }
    }
}

impl<'a> ToolEntry<'a> {
    /// The entry of `request`.
    pub fn new(request: &'a Request, now: Timestamp) -> Self {
        let data = ResultData::of_now(request, now);
        Self {
            request_id: request.id.to_string(),
            title: &request.question.title,
            status: request_status(request),
            outcome: data.outcome,
            decision: data.decision,
            reference: request.question.external_reference_id.as_deref(),
            created_at: Time(request.created_at),
            deadline: Time(request.deadline),
        }
    }
}

/// The approval of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approved {
    /// Recipients approved.
    Yes,
    /// They have not, or the deadline or a cancellation decided.
    No,
    /// They approved, and the approval was used, withdrawn or has lapsed.
    NoLonger,
}

impl Approved {
    fn of(request: &Request, now: Timestamp) -> Self {
        let RequestState::Ended(end) = request.state() else { return Self::No };
        if request.policy.consume.is_some() {
            let is_usable = request.uses_left().is_some_and(|it| it > 0)
                && end.approval.withdrawn_by.is_none()
                && request.approval_lapses_at().is_some_and(|it| now < it);
            return match request.uses_left() {
                Some(_) if is_usable => Self::Yes,
                Some(_) => Self::NoLonger,
                None => Self::No,
            };
        }
        let is_yes = end.outcome == Outcome::Completed
            && end.decided_by == DecidedBy::Recipients
            && end.decision.as_deref() == Some(APPROVE);
        if is_yes { Self::Yes } else { Self::No }
    }
}

/// Seconds until the next look at a pending request. They grow with its age.
fn retry_after(request: &Request, now: Timestamp) -> Option<u32> {
    (*request.state() == RequestState::Pending).then(|| {
        match now.duration_since(request.created_at).as_secs() {
            ..60 => 5,
            60..600 => 30,
            600..3_600 => 60,
            _ => 300,
        }
    })
}

/// The next step of the agent. Models follow such a text, and ignore a delay in a description.
fn next_action(
    request: &Request,
    approved: Option<Approved>,
    retry_after: Option<u32>,
) -> Cow<'static, str> {
    if let Some(seconds) = retry_after {
        let id = request.id;
        return format!(
            "Not decided yet. Do not guess the decision. In {seconds} s, call check_request with request_id {id} \
             and wait_seconds 20; do other work meanwhile."
        )
        .into();
    }
    let is_live = request.owner.mode.is_live();
    let text = match (approved, request.state()) {
        (Some(Approved::Yes), _) if request.policy.consume.is_some() => {
            "Approved. Consume the approval immediately before the action, and do exactly that action."
        }
        (Some(Approved::Yes), _) if is_live => {
            "Approved. Do exactly the action that was approved, once."
        }
        (Some(Approved::Yes), _) => "Approved in test mode, which approves nothing real.",
        (Some(Approved::NoLonger), _) => {
            "The approval was used, withdrawn or has lapsed. Do not do the action."
        }
        (Some(Approved::No), _) => "Not approved. Do not do the action.",
        (None, RequestState::Ended(end)) => match end.outcome {
            Outcome::Completed => "Go on with the answers.",
            Outcome::Defaulted => {
                "The deadline passed, and the default was chosen. Go on with `decision`."
            }
            Outcome::NotMet | Outcome::Vetoed => {
                "The recipients did not agree. Do not go on as if they had."
            }
            Outcome::TimedOut => {
                "The deadline passed without a decision. Do not take that for a yes; ask again, or stop."
            }
            Outcome::Cancelled => "The request was cancelled. Do not go on with it.",
        },
        (None, _) => "The request was erased. Do not go on with it.",
    };
    text.into()
}
