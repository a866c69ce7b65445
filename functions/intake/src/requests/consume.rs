//! `POST /v1/requests/{id}/consume`: the program that acts uses the approval of its action.
//!
//! The use is one conditional write of the request, in the name of the call's idempotency key. So a
//! call whose response was lost succeeds again, and uses the approval once.

use answerback::{
    api::{
        Code, FieldError, Problem,
        body::{self, Object},
        http::Json,
        views::Time,
    },
    domain::{ActionDigest, Request, Scope, approval::ConsumeRefusal},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::find_settled;
use crate::{App, idempotency};

/// Longest text that is looked at as a digest.
const DIGEST_CHARS_MAX: usize = 128;
/// Longest `Retry-After` for a request that is not decided, in seconds.
const DECISION_RETRY_SECONDS_MAX: i64 = 30;

/// A use of an approval.
#[derive(Serialize)]
struct UseView {
    consumed: u32,
    remaining: u32,
    consumed_at: Time,
    livemode: bool,
}

/// Uses the approval of an action.
pub(crate) async fn consume(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsAsk).await?;
    let Json(body) = body?;
    let request = find_settled(&app, &caller, &id).await?;
    let path = format!("/v1/requests/{id}/consume");
    let call = idempotency::of_call(&app, caller.owner(), &headers, &path, &body).await?;
    let call = call.map(|it| it.id_bits).ok_or_else(|| {
        let detail = "is required, so that a lost response does not lose the approval";
        Problem::invalid(vec![FieldError::parameter("Idempotency-Key", detail)])
    })?;
    let digest = read(body)?;
    let (now, op) = (app.core.now(), app.core.new_op());
    let step =
        |it: &Request| it.consume(digest, call, now, op).map_err(|why| problem(it, why, now));
    let request = app.core.advance(request, step).await?;
    let (used, left) = (request.use_by(call), request.uses_left());
    let (Some(used), Some(remaining)) = (used, left) else { return Err(Problem::not_found()) };
    let is_replayed = used.op != op;
    if !is_replayed {
        caller.audit("consumed an approval", &request.id.to_string());
    }
    let count = request.policy.consume.as_ref().map_or(0, |it| it.count);
    let view = UseView {
        consumed: count - remaining,
        remaining,
        consumed_at: Time(used.at),
        livemode: request.owner.mode.is_live(),
    };
    let mut response = axum::Json(view).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

fn read(body: Value) -> Result<ActionDigest, Problem> {
    body::read(body, |body: &mut Object<'_>| {
        let text = body.required_text("digest", 1..=DIGEST_CHARS_MAX)?;
        text.parse().map_err(|err| body.error("digest", format!("{err}"))).ok()
    })
}

fn problem(request: &Request, why: ConsumeRefusal, now: Timestamp) -> Problem {
    let code = match why {
        ConsumeRefusal::NotDecided => Code::NotDecided,
        ConsumeRefusal::NotApproved => Code::NotApproved,
        ConsumeRefusal::DigestMismatch => Code::DigestMismatch,
        ConsumeRefusal::AlreadyConsumed => Code::AlreadyConsumed,
        ConsumeRefusal::Lapsed => Code::ApprovalLapsed,
        ConsumeRefusal::KeyReused => Code::IdempotencyKeyReused,
        ConsumeRefusal::Erased => return Problem::not_found(),
    };
    let problem = Problem::new(code, why.to_string());
    if why != ConsumeRefusal::NotDecided {
        return problem;
    }
    let left = request.deadline.as_second() - now.as_second();
    let wait = left.clamp(1, DECISION_RETRY_SECONDS_MAX);
    problem.retry_after(u32::try_from(wait).unwrap_or(1))
}
