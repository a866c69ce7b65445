//! A step of a request, taken by its sender or a recipient: its log line, and the problem if it is
//! refused.

use answerback::{
    api::{Code, Problem, views},
    domain::{OpId, Request, request::Refusal},
};

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
        Refusal::Ended => Code::RequestEnded,
        Refusal::TooBusy => Code::TooBusy,
        Refusal::Erased => return Problem::not_found(),
    };
    let problem = Problem::new(code, refusal.to_string());
    if code == Code::TooBusy {
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
