//! The result of a request. Its read policy decides how often it can be read.
//!
//! ```text
//! repeat   every read shows the result
//! once     one conditional write picks the reader that gets it
//! lease    a read gets it with a receipt; without an acknowledgment it becomes readable again
//! ```

use std::time::Duration;

use answerback::{
    api::{
        Code, Problem, body,
        http::Json,
        views::{CallbackStatus, ResultData, Time},
    },
    domain::{Delivery, OpId, Request, Scope, consumption::ReadOutcome, request::RequestState},
    service::{
        Caller, Hold,
        requests::{callback_delivery, find, wait_for_end},
    },
    store::Saved,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{App, list::Parameters};

/// Shortest pause between two reads of a result that another reader has leased.
const LEASE_POLL_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// Longest pause between two reads of such a result.
const LEASE_POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Lost races after which a read gives up.
const READ_RACES_MAX: u32 = 40;
/// Longest text that is looked at as a receipt.
const RECEIPT_CHARS_MAX: usize = 128;

#[derive(Serialize)]
struct ResultView {
    status: &'static str,
    #[serde(flatten)]
    submitted: Option<SubmittedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<Time>,
}

#[derive(Serialize)]
struct SubmittedView {
    result: Option<Box<RawValue>>,
    submitted_at: Option<Time>,
    callback_status: Option<&'static str>,
}

/// A read and its effect on the request.
pub(crate) struct Consumed {
    /// `None` while the request is pending.
    pub(crate) outcome: Option<ReadOutcome>,
    /// The request after the read.
    pub(crate) request: Request,
    /// The result as it was before the read, if this read gets it.
    pub(crate) result: Option<Box<RawValue>>,
}

/// A read that shows its callback's status too.
struct Read {
    consumed: Consumed,
    delivery: Option<Delivery>,
}

/// Reads the result. With `wait`, holds the call until there is one that this caller can get.
pub(crate) async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        // A HEAD would consume the result without showing it.
        return Err(Problem::new(Code::MethodNotAllowed, "use GET to read a result"));
    }
    let caller = app.core.accounts.caller(&headers, Scope::RequestsRead).await?;
    let mut hold = Hold::new(parameters.wait(), app.core.now());
    parameters.finish()?;
    let read = Box::pin(wait_for_result(&app, &caller, &id, &mut hold)).await?;
    Ok(hold.finish(axum::Json(read.into_view()).into_response()))
}

/// The first read that is not refused because of another reader's lease, or the last before
/// `hold` ends.
async fn wait_for_result(
    app: &App,
    caller: &Caller,
    id: &str,
    hold: &mut Hold,
) -> Result<Read, Problem> {
    let op = app.core.new_op();
    loop {
        let request = wait_for_end(&app.core, caller, id, hold).await?;
        // Loaded first: a failure after the result is consumed would lose it.
        let delivery = callback_delivery(&app.core.store, &request).await?;
        let view = |it: &Request| to_raw_value(&ResultData::of_end(it));
        let consumed = consume(app, request, op, view).await?;
        match consumed.outcome {
            Some(ReadOutcome::LeasedUntil(until))
                if !hold.begin(&app.core, caller).await.is_zero() =>
            {
                let now = app.core.now();
                let pause = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                let pause = pause.clamp(LEASE_POLL_INTERVAL_MIN, LEASE_POLL_INTERVAL_MAX);
                app.core.clock.sleep(pause.min(hold.left(now))).await;
            }
            _ => return Ok(Read { consumed, delivery }),
        }
    }
}

/// Reads the result of `request` in the name of `op`. `view` renders it before the read erases it.
pub(crate) async fn consume(
    app: &App,
    mut request: Request,
    op: OpId,
    view: impl Fn(&Request) -> serde_json::Result<Box<RawValue>>,
) -> Result<Consumed, Problem> {
    let mut result = None;
    for _ in 0..READ_RACES_MAX {
        let read = request.read(app.core.now(), op);
        let (outcome, next) = read.map_or((None, None), |it| (Some(it.outcome), it.next));
        if result.is_none() && matches!(outcome, Some(ReadOutcome::Result { .. })) {
            result = Some(view(&request).map_err(Problem::internal)?);
        }
        if let RequestState::Erased { .. } = request.state() {
            return Err(Problem::not_found());
        }
        let Some(next) = next else { return Ok(Consumed { outcome, request, result }) };
        match app.core.store.save(&next).await? {
            Saved::Saved => {
                tracing::info!(request.id = %next.id, account.id = %next.owner.account, "consumed a result");
                return Ok(Consumed { outcome, request: next, result });
            }
            Saved::Superseded(current) => request = current,
            Saved::Gone => return Err(Problem::not_found()),
        }
    }
    Err(Problem::too_busy())
}

impl Read {
    fn into_view(self) -> ResultView {
        let Self { consumed: Consumed { outcome, request, result }, delivery } = self;
        match outcome {
            None => ResultView::of_status("pending"),
            Some(ReadOutcome::LeasedUntil(until)) => {
                let lease_expires_at = Some(Time(until));
                ResultView { lease_expires_at, ..ResultView::of_status("pending") }
            }
            Some(ReadOutcome::AlreadyRead) => ResultView::of_status("already_read"),
            Some(ReadOutcome::Expired) => ResultView::of_status("expired"),
            Some(ReadOutcome::Result { lease }) => ResultView {
                status: "submitted",
                submitted: Some(SubmittedView {
                    result,
                    submitted_at: match request.state() {
                        RequestState::Ended(end) => Some(Time(end.at)),
                        RequestState::Pending | RequestState::Erased { .. } => None,
                    },
                    callback_status: CallbackStatus::of(&request, delivery.as_ref()),
                }),
                receipt: lease.map(|it| receipt_text(it.receipt)),
                lease_expires_at: lease.map(|it| Time(it.until)),
            },
        }
    }
}

impl ResultView {
    fn of_status(status: &'static str) -> Self {
        Self { status, submitted: None, receipt: None, lease_expires_at: None }
    }
}

/// Acknowledges the read that holds the lease. The result is then consumed.
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
        let detail = "the receipt does not belong to the latest lease of the result";
        Problem::new(Code::ReceiptUnknown, detail)
    };
    let request = find(&app.core.store, &caller, &id).await?;
    let receipt = parse_receipt(&receipt).ok_or_else(unknown)?;
    let now = app.core.now();
    let step = |it: &Request| it.acknowledge(receipt, now).map_err(|_| unknown());
    let request = app.core.advance(request, step).await?;
    tracing::info!(request.id = %request.id, account.id = %request.owner.account, "acknowledged a result");
    Ok(axum::Json(ResultView::of_status("already_read")).into_response())
}

fn receipt_text(op: OpId) -> String {
    format!("rcp_{:016x}", op.0)
}

fn parse_receipt(text: &str) -> Option<OpId> {
    let op = u64::from_str_radix(text.strip_prefix("rcp_")?, 16).ok().map(OpId)?;
    // The parser also accepts signs, capitals and leading zeros, but a receipt has one spelling.
    (receipt_text(op) == text).then_some(op)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn receipt_survives_a_round_trip_and_has_one_spelling(
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
