//! A step of a request, taken by its sender or a recipient: its log line, and the problem if it is
//! refused.

use std::time::Duration;

use answerback::{
    api::{Code, Problem, views},
    domain::{
        OpId, Request,
        request::{CHANGE_INTERVAL, Refusal},
    },
};

/// Time after which a full outbox has room.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// Logs what `op` did to `request`, and the outcome if it ended the request.
pub(crate) fn log_step(request: &Request, op: OpId, did: &str) {
    let has_ended = request.was_ended_by(op);
    tracing::info!(
        request.id = %request.id,
        account.id = %request.owner.account,
        Outcome = has_ended.then(|| views::request_outcome(request)).flatten(),
        RequestsFinished = has_ended.then_some(1),
        "{did}"
    );
}

/// The problem for a refused step of a sender or recipient.
pub(crate) fn refused(request: &Request, row: Option<usize>, refusal: &Refusal) -> Problem {
    let code = match refusal {
        Refusal::AlreadyAnswered(_) => Code::AlreadyAnswered,
        Refusal::AlreadyFinished => Code::AlreadyFinished,
        Refusal::Ended | Refusal::NoOpenPlace => Code::RequestEnded,
        Refusal::ChangedTooSoon | Refusal::ChangedTooOften { .. } => Code::TooManyChanges,
        Refusal::LinkLocked => Code::LinkLocked,
        Refusal::RemindedTooSoon { .. } => Code::RateLimited,
        Refusal::TooBusy => Code::TooBusy,
        Refusal::NotAsked | Refusal::Erased => return Problem::not_found(),
    };
    let problem = Problem::new(code, refusal.to_string());
    let problem = match retry_after_seconds(refusal) {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    };
    if matches!(code, Code::TooBusy | Code::RateLimited) {
        return problem;
    }
    let problem = problem
        .with("request_status", views::request_status(request))
        .with("outcome", views::request_outcome(request));
    match (refusal, row) {
        (Refusal::AlreadyAnswered(_), Some(row)) => {
            problem.with("response", views::ResponseView::of_row(request, row))
        }
        _ => problem,
    }
}

/// Seconds after which a refused step may be accepted.
pub(crate) fn retry_after_seconds(refusal: &Refusal) -> Option<u32> {
    let wait = match refusal {
        Refusal::ChangedTooSoon => CHANGE_INTERVAL,
        Refusal::ChangedTooOften { left } | Refusal::RemindedTooSoon { left } => *left,
        Refusal::TooBusy => BUSY_INTERVAL,
        Refusal::AlreadyAnswered(_)
        | Refusal::AlreadyFinished
        | Refusal::Ended
        | Refusal::LinkLocked
        | Refusal::NotAsked
        | Refusal::NoOpenPlace
        | Refusal::Erased => return None,
    };
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}
