//! `GET /v1/callback/{token}/{message_id}` reads the answer to a message in the format of Ping. An
//! answer can be read once.

use answerback::{
    api::{Code, Problem, views::Time},
    domain::{
        Channel, Delivery, MessageId, Request, RequestId,
        consumption::ReadOutcome,
        delivery::{DeliveryEnd, DeliveryState},
        request::RequestState,
    },
    fronts::ping::{PingProblem, PingView, of_token},
    service::requests::callback_delivery,
    store::keys,
};
use axum::{
    extract::{Path, State},
    http::Method,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    App,
    result::{Consumed, consume},
};

#[derive(Serialize)]
struct MessageView {
    status: &'static str,
    #[serde(flatten)]
    submitted: Option<SubmittedView>,
}

#[derive(Serialize)]
struct SubmittedView {
    result: Option<Box<RawValue>>,
    submitted_at: Option<Time>,
}

/// Reads the answer to a message.
pub(crate) async fn read(
    State(app): State<App>,
    Path((token, message)): Path<(String, String)>,
    method: Method,
) -> Result<Response, PingProblem> {
    if method == Method::HEAD {
        // A HEAD would consume the answer without showing it.
        return Err(Problem::new(Code::MethodNotAllowed, "use GET to read an answer").into());
    }
    let channel = of_token(&app.core.store, &token).await?;
    let view = consume_answer(&app, &channel, &message).await?;
    Ok(axum::Json(view).into_response())
}

async fn consume_answer(
    app: &App,
    channel: &Channel,
    message: &str,
) -> Result<MessageView, Problem> {
    let request = find(app, channel, message).await?;
    let request = app.core.settled(request).await?;
    let request = request.ok_or_else(Problem::not_found)?;
    // Loaded first: a failure after the answer is consumed would lose it.
    let delivery = callback_delivery(&app.core.store, &request).await?;
    if delivery.is_some_and(|it| has_failed(&it)) {
        return Ok(without_answer("failed"));
    }
    if matches!(request.state(), RequestState::Ended(_)) && PingView::of_request(&request).is_none()
    {
        return Ok(without_answer("expired"));
    }
    let op = app.core.new_op();
    let view = |it: &Request| to_raw_value(&PingView::of_request(it));
    let Consumed { outcome, request, result } = consume(app, request, op, view).await?;
    Ok(match outcome {
        None | Some(ReadOutcome::LeasedUntil(_)) => without_answer("pending"),
        Some(ReadOutcome::AlreadyRead) => without_answer("already_read"),
        Some(ReadOutcome::Expired) => without_answer("expired"),
        Some(ReadOutcome::Result { .. }) => {
            let row = request.rows().iter().flatten().next();
            let submitted_at = row.map(|it| Time(it.at));
            let submitted = Some(SubmittedView { result, submitted_at });
            MessageView { status: "submitted", submitted }
        }
    })
}

/// The request of a message of this channel.
async fn find(app: &App, channel: &Channel, message: &str) -> Result<Request, Problem> {
    let message: MessageId = message.parse().map_err(|_| Problem::not_found())?;
    let id = RequestId::from_bits(message.bits());
    let request: Option<Request> = app.core.store.get(keys::request(id)).await?;
    let is_visible = |it: &Request| {
        it.channel == Some(channel.id)
            && MessageId::of(id) == message
            && !matches!(it.state(), RequestState::Erased { .. })
    };
    request.filter(is_visible).ok_or_else(Problem::not_found)
}

fn has_failed(delivery: &Delivery) -> bool {
    matches!(
        delivery.state,
        DeliveryState::Done { end: DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_), .. }
    )
}

fn without_answer(status: &'static str) -> MessageView {
    MessageView { status, submitted: None }
}
