//! The HTTP server: the inbox, and for all else what API Gateway does.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::any,
    serve::ListenerExt as _,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::inbox::{self, Inbox};
use crate::System;

/// Lambda takes events of 6 MB; the functions' own limit is far below.
const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// How long a stop waits for calls that are under way, such as one with `?wait=25`.
const STOP: Duration = Duration::from_secs(5);

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
pub(super) fn start(listener: TcpListener, system: System, inbox: Arc<Inbox>) -> Server {
    let (stop, mut stopping) = watch::channel(());
    let router = Router::new()
        .route("/inbox", any(inbox::answer))
        .route("/inbox/{*rest}", any(inbox::answer))
        .layer(DefaultBodyLimit::max(inbox::BODY_BYTES_MAX))
        .with_state(inbox)
        .fallback_service(Router::new().fallback(call).with_state(system));
    let listener = listener.tap_io(|connection| {
        if let Err(err) = connection.set_nodelay(true) {
            tracing::debug!(error = %err, "answers on this connection may wait for the network");
        }
    });
    let serving = tokio::spawn(async move {
        let told = async move { while stopping.changed().await.is_ok() {} };
        if let Err(err) = axum::serve(listener, router).with_graceful_shutdown(told).await {
            tracing::error!(error = %err, "the HTTP server failed");
        }
    });
    Server { stop, serving }
}

impl Server {
    /// Takes no more calls, and lets those under way finish.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if tokio::time::timeout(STOP, self.serving).await.is_err() {
            tracing::warn!("stopped with calls still under way");
        }
    }
}

/// Has a function answer.
async fn call(State(system): State<System>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request::from_parts(parts, body);
    // On its own, because a function goes on when its caller has hung up.
    let answer = tokio::spawn(async move { system.http(&request).await }).await;
    answer.map_or_else(
        |err| {
            tracing::error!(error = %err, "a function panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        },
        |it| it.map(Body::from),
    )
}
