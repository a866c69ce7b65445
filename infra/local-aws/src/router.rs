//! The one port: reads `X-Amz-Target`, hands the call to its service, and spells refusals as AWS
//! does.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, Method, Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::{bus::Bus, dynamo::Dynamo, error::AwsError, kms::Kms, queue::Queue, stop::stopped};

/// What DynamoDB takes at most, which is more than the others take.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Who answers.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) queue: Queue,
    pub(super) bus: Bus,
    pub(super) kms: Kms,
    pub(super) dynamo: Dynamo,
}

/// Answers calls on `listener` until the other end of `stopping` is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    services: Services,
    stopping: watch::Receiver<()>,
) {
    // Clients of SQS call the queue's own URL or the endpoint, as they please.
    let router = Router::new()
        .fallback(call)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(services);
    let listener = listener.tap_io(|connection| {
        if let Err(err) = connection.set_nodelay(true) {
            tracing::debug!(error = %err, "answers on this connection may wait for the network");
        }
    });
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped(stopping)).await;
    if let Err(err) = served {
        tracing::error!(error = %err, "the local AWS failed");
    }
}

async fn call(
    State(services): State<Services>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    match target.split_once('.') {
        Some(("AmazonSQS", operation)) => {
            let answer = services.queue.call(operation, &body).await.map_err(AwsError::from);
            answered("application/x-amz-json-1.0", answer)
        }
        Some(("AWSEvents", operation)) => {
            let answer = services.bus.call(operation, &body).map_err(AwsError::from);
            answered("application/x-amz-json-1.1", answer)
        }
        Some(("TrentService", operation)) => {
            let answer = services.kms.call(operation, &body).map_err(AwsError::from);
            answered("application/x-amz-json-1.1", answer)
        }
        _ => {
            let mut request = Request::new(body);
            *request.method_mut() = method;
            *request.uri_mut() = uri;
            *request.headers_mut() = headers;
            services.dynamo.call(request).await.map_or_else(
                |err| {
                    tracing::warn!(error = %err, "the local DynamoDB did not answer");
                    StatusCode::SERVICE_UNAVAILABLE.into_response()
                },
                IntoResponse::into_response,
            )
        }
    }
}

fn answered(content_type: &'static str, answer: Result<Value, AwsError>) -> Response {
    let content_type = [(header::CONTENT_TYPE, content_type)];
    let fault = match answer {
        Ok(answer) => return (content_type, answer.to_string()).into_response(),
        Err(fault) => fault,
    };
    let body = json!({ "__type": fault.kind, "message": fault.message }).to_string();
    let sender = if fault.status.is_server_error() { "Receiver" } else { "Sender" };
    let query_error = fault
        .query_code
        .map(|code| [(HeaderName::from_static("x-amzn-query-error"), format!("{code};{sender}"))]);
    (fault.status, content_type, query_error.map(axum::response::AppendHeaders), body)
        .into_response()
}
