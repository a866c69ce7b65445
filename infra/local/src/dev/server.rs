//! The HTTP server: refuses calls of web pages, serves the inbox and the outbox, and acts as API
//! Gateway on all other paths.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::any,
    serve::ListenerExt as _,
};
use local_aws::guard::{Guard, Pages, Refusal};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{
    inbox::{self, Inbox},
    outbox::{self, Outbox},
};
use crate::System;

/// Lambda's limit on events. The functions' limit is far lower.
const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Longest wait for calls in flight during a stop. A long poll can take longer.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The routes that web pages of every origin may call. See `answerback::api::cors`.
const OPEN_ROUTES: &str = "/v1/answers/";

/// A running server.
pub(super) struct Server {
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

/// Listens on loopback.
pub(super) async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|err| {
        let advice = match err.kind() {
            io::ErrorKind::AddrInUse => "; choose another port with --port",
            _ => "",
        };
        anyhow::anyhow!("cannot listen on 127.0.0.1:{port}: {err}{advice}")
    })
}

/// Serves until stopped.
pub(super) fn start(
    listener: TcpListener,
    system: System,
    inbox: Arc<Inbox>,
    outbox: Arc<Outbox>,
) -> io::Result<Server> {
    let guard = Guard::new(listener.local_addr()?);
    let (stop, mut stopping) = watch::channel(());
    let router = Router::new()
        .route("/inbox", any(inbox::respond))
        .route("/inbox/", any(inbox::respond))
        .route("/inbox/{*rest}", any(inbox::respond))
        .layer(DefaultBodyLimit::max(inbox::BODY_BYTES_MAX))
        .with_state(inbox)
        .merge(outbox::router(outbox))
        .fallback_service(Router::new().fallback(call).with_state(system))
        .layer(middleware::from_fn_with_state(guard, refuse_pages));
    let listener = listener.tap_io(|connection| {
        if let Err(err) = connection.set_nodelay(true) {
            tracing::debug!(error = %err, "could not set TCP_NODELAY; responses on this connection may be delayed");
        }
    });
    let serving = tokio::spawn(async move {
        let stopped = async move { while stopping.changed().await.is_ok() {} };
        if let Err(err) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            tracing::error!(error = %err, "the HTTP server stopped serving");
        }
    });
    Ok(Server { stop, serving })
}

impl Server {
    /// Accepts no more calls, and lets calls in flight finish.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if tokio::time::timeout(STOP_TIMEOUT, self.serving).await.is_err() {
            tracing::warn!("stopped with calls still in flight");
        }
    }
}

/// Refuses requests of pages of other sites, before any route.
async fn refuse_pages(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let pages = if request.uri().path().starts_with(OPEN_ROUTES) { Pages::All } else { Pages::Own };
    match guard.check(request.method(), request.headers(), pages) {
        Ok(()) => next.run(request).await,
        Err(err) => (Refusal::STATUS, format!("{err}\n")).into_response(),
    }
}

/// Passes a request to its function.
async fn call(State(system): State<System>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request::from_parts(parts, body);
    // As a separate task: a function continues when its client disconnects.
    let response = tokio::spawn(async move { system.http(&request).await }).await;
    response.map_or_else(
        |err| {
            tracing::error!(error = %err, "a function panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        },
        |it| it.map(Body::from),
    )
}
