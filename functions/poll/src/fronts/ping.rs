//! `GET /v1/callback/{token}/{message_id}` reads an answer as Ping's API does: once.

use answerback::{
    api::{
        Code, Problem,
        views::{PingView, Time},
    },
    domain::{
        Channel, Delivery, MessageId, Request, RequestId,
        consumption::ReadOutcome,
        delivery::{DeliveryEnd, DeliveryState},
        request::RequestState,
    },
    fronts::ping::{PingProblem, of_token},
    service::requests::callback_delivery,
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::{Method, header::ALLOW},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{App, result::take};

#[derive(Serialize)]
struct View {
    status: &'static str,
    #[serde(flatten)]
    submitted: Option<Submitted>,
}

#[derive(Serialize)]
struct Submitted {
    result: Option<Box<RawValue>>,
    submitted_at: Option<Time>,
}

/// Reads what was answered to a message.
pub(crate) async fn callback(
    State(app): State<App>,
    Path((token, message)): Path<(String, String)>,
    method: Method,
) -> Result<Response, PingProblem> {
    if method == Method::HEAD {
        // It would take what it does not show.
        let problem = Problem::new(Code::MethodNotAllowed, "an answer is read with GET");
        return Ok(([(ALLOW, "GET")], PingProblem::from(problem)).into_response());
    }
    let channel = of_token(&app.core.store, &token).await?;
    let view = read(&app, &channel, &message).await?;
    Ok(axum::Json(view).into_response())
}

async fn read(app: &App, channel: &Channel, message: &str) -> Result<View, Problem> {
    let request = find(app, channel, message).await?;
    let request = app.core.settled(request).await?;
    let request = request.ok_or_else(Problem::not_found)?;
    // Before the answer is taken: what fails afterwards would cost it.
    let delivery = callback_delivery(&app.core.store, &request).await?;
    if delivery.is_some_and(|it| has_failed(&it)) {
        return Ok(bare("failed"));
    }
    if matches!(request.state(), RequestState::Ended(_)) && PingView::of_request(&request).is_none()
    {
        // It ended without an answer.
        return Ok(bare("expired"));
    }
    let op = app.core.new_op();
    let (told, request, result) =
        take(app, request, op, |it| serde_json::value::to_raw_value(&PingView::of_request(it)))
            .await?;
    Ok(match told {
        None | Some(ReadOutcome::LeasedUntil(_)) => bare("pending"),
        Some(ReadOutcome::AlreadyRead) => bare("already_read"),
        Some(ReadOutcome::Expired) => bare("expired"),
        Some(ReadOutcome::Result { .. }) => {
            let row = request.rows().iter().flatten().next();
            let submitted_at = row.map(|it| Time(it.at));
            View { status: "submitted", submitted: Some(Submitted { result, submitted_at }) }
        }
    })
}

/// The request of a message of this channel.
async fn find(app: &App, channel: &Channel, message: &str) -> Result<Request, Problem> {
    let message: MessageId = message.parse().map_err(|_| Problem::not_found())?;
    let id = RequestId::from_bits(message.bits());
    let request: Option<Request> = app.core.store.get(keys::request(id)).await?;
    let is_there = |it: &Request| {
        it.channel == Some(channel.id)
            && MessageId::of(id) == message
            && !matches!(it.state(), RequestState::Erased { .. })
    };
    request.filter(is_there).ok_or_else(Problem::not_found)
}

fn has_failed(delivery: &Delivery) -> bool {
    matches!(
        delivery.state,
        DeliveryState::Done { end: DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_), .. }
    )
}

fn bare(status: &'static str) -> View {
    View { status, submitted: None }
}
