//! The way of a call to its service, named in `X-Amz-Target` or by the path. Errors are written as AWS
//! does.
//!
//! A call over the port must be signed, and web pages are refused. A call from this process
//! ([`crate::Aws::call`]) needs neither check: its caller holds the emulator.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{
        HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts,
    },
    response::IntoResponse as _,
    routing::any,
    serve::ListenerExt as _,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    bus::Bus,
    dynamo::{Answer, Dynamo},
    error::AwsError,
    guard::{Guard, Pages, Refusal},
    kms::Kms,
    mail::{self, Mail},
    queue::Queue,
    signature::Credentials,
    stop::stopped,
};

/// DynamoDB's limit on a request. The other services have lower ones.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The text of the response to a larger one.
const TOO_LARGE: &str = "length limit exceeded";
/// The content type of DynamoDB and SQS.
const JSON_1_0: &str = "application/x-amz-json-1.0";
/// The content type of EventBridge and KMS.
const JSON_1_1: &str = "application/x-amz-json-1.1";
/// The content type of SES, whose calls are named by their paths.
const REST_JSON: &str = "application/json";
/// The prefix of SES's paths.
const MAIL_PATHS: &str = "/v2/email/";

/// The emulated services.
pub(super) struct Services {
    pub(super) queue: Queue,
    pub(super) bus: Bus,
    pub(super) mail: Mail,
    pub(super) kms: Kms,
    pub(super) dynamo: Dynamo,
    pub(super) guard: Guard,
    pub(super) credentials: Credentials,
}

/// Serves calls on `listener` until the sender of `stopping` is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    services: Arc<Services>,
    stopping: watch::Receiver<()>,
) {
    // SQS clients may call the queue's URL or the endpoint.
    let router = Router::new()
        .fallback(call)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route(mail::PATH, any(call).layer(DefaultBodyLimit::max(mail::BODY_BYTES_MAX)))
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

async fn call(State(services): State<Arc<Services>>, parts: Parts, body: Bytes) -> Response<Body> {
    let Parts { method, uri, headers, .. } = &parts;
    if let Err(err) = services.guard.check(method, headers, Pages::Own) {
        return (Refusal::STATUS, err.to_string()).into_response();
    }
    if let Err(err) = services.credentials.check(method, uri, headers, &body) {
        return respond(JSON_1_0, Err(err)).map(Body::from);
    }
    services.call(Request::from_parts(parts, body)).await.map(Body::from)
}

impl Services {
    /// Passes a call to its service. The port refuses larger bodies before they come here.
    pub(super) async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (Parts { method, uri, headers, .. }, body) = request.into_parts();
        let is_mail = uri.path().starts_with(MAIL_PATHS);
        let bytes_max = if is_mail { mail::BODY_BYTES_MAX } else { BODY_BYTES_MAX };
        if body.len() > bytes_max {
            let mut response = Response::new(Bytes::from_static(TOO_LARGE.as_bytes()));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return response;
        }
        if is_mail {
            return respond_rest(self.send_mail(&method, uri.path(), &body).await);
        }
        let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
        match target.unwrap_or_default().split_once('.') {
            Some(("AmazonSQS", operation)) => {
                let output = self.queue.call(operation, &body).await.map_err(AwsError::from);
                respond(JSON_1_0, output)
            }
            Some(("AWSEvents", operation)) => {
                let output = self.bus.call(operation, &body).map_err(AwsError::from);
                respond(JSON_1_1, output)
            }
            Some(("TrentService", operation)) => {
                let output = self.kms.call(operation, &body).map_err(AwsError::from);
                respond(JSON_1_1, output)
            }
            Some((_, operation)) => {
                let Answer { status, body } = self.dynamo.call(operation, body).await;
                response(status, JSON_1_0, body)
            }
            None => respond(JSON_1_0, Err(AwsError::unknown_operation())),
        }
    }

    async fn send_mail(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<Value, mail::Error> {
        if (method, path) != (&Method::POST, mail::PATH) {
            return Err(mail::Error::UnknownOperation);
        }
        self.mail.send(body).await
    }
}

/// The response of a service whose calls are named by their paths.
fn respond_rest(output: Result<Value, mail::Error>) -> Response<Bytes> {
    let error = match output {
        Ok(output) => return response(StatusCode::OK, REST_JSON, output.to_string()),
        Err(error) => AwsError::from(error),
    };
    let body = json!({ "message": error.message }).to_string();
    let mut response = response(error.status, REST_JSON, body);
    let kind = HeaderValue::from_static(error.kind);
    response.headers_mut().insert(HeaderName::from_static("x-amzn-errortype"), kind);
    response
}

fn respond(content_type: &'static str, output: Result<Value, AwsError>) -> Response<Bytes> {
    let error = match output {
        Ok(output) => return response(StatusCode::OK, content_type, output.to_string()),
        Err(error) => error,
    };
    let body = json!({ "__type": error.kind, "message": error.message }).to_string();
    let mut response = response(error.status, content_type, body);
    let sender = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    if let Some(code) = error.query_code
        && let Ok(value) = HeaderValue::try_from(format!("{code};{sender}"))
    {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), value);
    }
    response
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
