//! The one port: refuses calls of web pages and strangers, reads `X-Amz-Target`, passes the call to
//! its service, and writes errors as AWS does.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, Method, Uri, header},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    bus::Bus,
    dynamo::Dynamo,
    error::AwsError,
    guard::{Guard, Pages, Refusal},
    kms::Kms,
    queue::Queue,
    signature::Credentials,
    stop::stopped,
};

/// DynamoDB's limit on a request. The other services have lower ones.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The emulated services.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) queue: Queue,
    pub(super) bus: Bus,
    pub(super) kms: Kms,
    pub(super) dynamo: Dynamo,
    pub(super) guard: Guard,
    pub(super) credentials: Credentials,
}

/// Serves calls on `listener` until the sender of `stopping` is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    services: Services,
    stopping: watch::Receiver<()>,
) {
    // SQS clients may call the queue's URL or the endpoint.
    let router = Router::new()
        .fallback(call)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(services);
    let listener = listener.tap_io(|connection| {
        if let Err(err) = connection.set_nodelay(true) {
            tracing::debug!(error = %err, "could not set TCP_NODELAY; responses on this connection may be delayed");
        }
    });
    let served = axum::serve(listener, router).with_graceful_shutdown(stopped(stopping)).await;
    if let Err(err) = served {
        tracing::error!(error = %err, "the emulated AWS stopped serving");
    }
}

async fn call(
    State(services): State<Services>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(err) = services.guard.check(&method, &headers, Pages::Own) {
        return (Refusal::STATUS, err.to_string()).into_response();
    }
    if let Err(err) = services.credentials.check(&method, &uri, &headers, &body) {
        return respond("application/x-amz-json-1.0", Err(err));
    }
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    match target.split_once('.') {
        Some(("AmazonSQS", operation)) => {
            let output = services.queue.call(operation, &body).await.map_err(AwsError::from);
            respond("application/x-amz-json-1.0", output)
        }
        Some(("AWSEvents", operation)) => {
            let output = services.bus.call(operation, &body).map_err(AwsError::from);
            respond("application/x-amz-json-1.1", output)
        }
        Some(("TrentService", operation)) => {
            let output = services.kms.call(operation, &body).map_err(AwsError::from);
            respond("application/x-amz-json-1.1", output)
        }
        Some((_, operation)) => services.dynamo.call(operation, body).await.into_response(),
        None => respond("application/x-amz-json-1.0", Err(AwsError::unknown_operation())),
    }
}

fn respond(content_type: &'static str, output: Result<Value, AwsError>) -> Response {
    let content_type = [(header::CONTENT_TYPE, content_type)];
    let error = match output {
        Ok(output) => return (content_type, output.to_string()).into_response(),
        Err(error) => error,
    };
    let body = json!({ "__type": error.kind, "message": error.message }).to_string();
    let sender = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    let query_error = error
        .query_code
        .map(|code| [(HeaderName::from_static("x-amzn-query-error"), format!("{code};{sender}"))]);
    (error.status, content_type, query_error.map(axum::response::AppendHeaders), body)
        .into_response()
}
