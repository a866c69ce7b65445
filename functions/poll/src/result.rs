//! Reads a result, as often as its request allows.

use std::time::Duration;

use answerback::{
    api::{
        Code, Problem, body,
        http::Json,
        views::{self, ResultData, Time},
    },
    domain::{OpId, Request, Scope, consumption::ReadOutcome, request::RequestState},
    service::requests::{callback_delivery, find},
    store::Saved,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, header::ALLOW},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{App, list::Parameters, requests::wait_for_end};

/// The shortest and the longest pause between two looks at a result that another reader has.
const LEASE_LOOK_MIN: Duration = Duration::from_millis(50);
const LEASE_LOOK_MAX: Duration = Duration::from_secs(1);
/// Longest receipt that is looked at, in characters; ours are shorter.
const RECEIPT_CHARS_MAX: usize = 128;
/// Most races that one read loses before it gives up.
const RACES_MAX: u32 = 40;

#[derive(Serialize)]
struct View {
    status: &'static str,
    #[serde(flatten)]
    submitted: Option<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<Time>,
}

#[derive(Serialize)]
struct Found {
    result: Option<Box<RawValue>>,
    submitted_at: Option<Time>,
    callback_status: Option<&'static str>,
}

const NOTHING: View =
    View { status: "pending", submitted: None, receipt: None, lease_expires_at: None };

/// Reads the result; held, if the caller likes, until there is one.
pub(crate) async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        // It would take what it does not show.
        let problem = Problem::new(Code::MethodNotAllowed, "a result is read with GET");
        return Ok(([(ALLOW, "GET")], problem).into_response());
    }
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let give_up_at = app.core.now() + parameters.wait();
    parameters.finish()?;
    let op = app.core.new_op();
    let (told, request, result, delivery) = loop {
        let left = |at: Timestamp| {
            Duration::try_from(at.duration_since(app.core.now())).unwrap_or_default()
        };
        let request = wait_for_end(&app, &caller, &id, left(give_up_at)).await?;
        // Before the result is taken: what fails afterwards would cost it.
        let delivery = callback_delivery(&app.core.store, &request).await?;
        let (told, request, result) =
            take(&app, request, op, |it| to_raw_value(&ResultData::of_end(it))).await?;
        match told {
            Some(ReadOutcome::LeasedUntil(until)) if !left(give_up_at).is_zero() => {
                let pause = left(until.min(give_up_at)).max(LEASE_LOOK_MIN).min(LEASE_LOOK_MAX);
                app.core.clock.sleep(pause.min(left(give_up_at))).await;
            }
            _ => break (told, request, result, delivery),
        }
    };
    let view = match told {
        None => NOTHING,
        Some(ReadOutcome::LeasedUntil(until)) => {
            View { lease_expires_at: Some(Time(until)), ..NOTHING }
        }
        Some(ReadOutcome::AlreadyRead) => View { status: "already_read", ..NOTHING },
        Some(ReadOutcome::Expired) => View { status: "expired", ..NOTHING },
        Some(ReadOutcome::Result { lease }) => View {
            status: "submitted",
            submitted: Some(Found {
                result,
                submitted_at: match request.state() {
                    RequestState::Ended(end) => Some(Time(end.at)),
                    RequestState::Pending | RequestState::Erased { .. } => None,
                },
                callback_status: views::CallbackStatus::of(&request, delivery.as_ref()),
            }),
            receipt: lease.map(|it| receipt_text(it.receipt)),
            lease_expires_at: lease.map(|it| Time(it.until)),
        },
    };
    Ok(axum::Json(view).into_response())
}

/// What `op` is told, the request as it then is, and the result as it was shown before it was
/// taken.
pub(crate) async fn take(
    app: &App,
    mut request: Request,
    op: OpId,
    show: impl Fn(&Request) -> serde_json::Result<Box<RawValue>>,
) -> Result<(Option<ReadOutcome>, Request, Option<Box<RawValue>>), Problem> {
    let mut result = None;
    for _ in 0..RACES_MAX {
        let read = request.read(app.core.now(), op);
        let (told, next) = read.map_or((None, None), |it| (Some(it.outcome), it.next));
        if result.is_none() && matches!(told, Some(ReadOutcome::Result { .. })) {
            result = Some(show(&request).map_err(Problem::internal)?);
        }
        if let RequestState::Erased { .. } = request.state() {
            return Err(Problem::not_found());
        }
        let Some(next) = next else { return Ok((told, request, result)) };
        match app.core.store.save(&next).await? {
            Saved::Saved => {
                tracing::info!(request.id = %next.id, account.id = %next.owner.account, "took a result");
                return Ok((told, next, result));
            }
            Saved::Superseded(theirs) => request = theirs,
            Saved::Gone => return Err(Problem::not_found()),
        }
    }
    Err(Problem::too_busy())
}

/// Acknowledges the read that has the lease.
pub(crate) async fn acknowledge(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let Json(body) = body?;
    let receipt = body::read(body, |it| it.required_text("receipt", 1..=RECEIPT_CHARS_MAX))?;
    let unknown = || {
        let detail = "this receipt is not that of the read that has the result";
        Problem::new(Code::ReceiptUnknown, detail)
    };
    let request = find(&app.core.store, &caller, &id).await?;
    let receipt = parse_receipt(&receipt).ok_or_else(unknown)?;
    let now = app.core.now();
    let step = |it: &Request| it.acknowledge(receipt, now).map_err(|_| unknown());
    let request = app.core.advance(request, step).await?;
    tracing::info!(request.id = %request.id, account.id = %request.owner.account, "acknowledged a result");
    Ok(axum::Json(View { status: "already_read", ..NOTHING }).into_response())
}

fn receipt_text(op: OpId) -> String {
    format!("rcp_{:016x}", op.0)
}

fn parse_receipt(text: &str) -> Option<OpId> {
    let op = u64::from_str_radix(text.strip_prefix("rcp_")?, 16).ok().map(OpId)?;
    // Signs, capitals and other numbers of zeros are read too; it has but one spelling.
    (receipt_text(op) == text).then_some(op)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_receipt_is_read_back_and_has_one_spelling(
            bits: u64,
            text in r"\PC*|(rcp_|Rcp_|rcp)[0-9a-f]{15,17}|rcp_[+-]?[0-9A-Fa-f]{15}[0-9a-f g-z_.+-]?",
        ) {
            prop_assert_eq!(parse_receipt(&receipt_text(OpId(bits))), Some(OpId(bits)));
            if let Some(op) = parse_receipt(&text) {
                prop_assert_eq!(receipt_text(op), text);
            }
        }
    }
}
