//! DynamoDB: dynoxide's own server, behind a listener that only [`Dynamo`] calls.
//!
//! Its calls are blocking ones into `SQLite`, and its router is private, so it gets a thread with a runtime of
//! its own, and calls reach it as HTTP, byte for byte: its answers are exact, ours would not be.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Context as _;
use axum::{
    body::{Body, Bytes},
    http::{Request, Response, Uri, header, uri::PathAndQuery},
};
use dynoxide::{Database, server::serve_with_shutdown};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::{oneshot, watch};

/// Resolves once the database is no longer used.
pub(super) type Ended = oneshot::Receiver<()>;

/// Hands calls to the inner server.
#[derive(Clone)]
pub(super) struct Dynamo {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

/// Serves `database` until the other end of `stopping` is dropped.
pub(super) fn start(
    database: Database,
    stopping: watch::Receiver<()>,
) -> anyhow::Result<(Dynamo, Ended)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("listening for calls to DynamoDB")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ending, ended) = oneshot::channel();

    let serve = move || {
        let served: io::Result<Result<(), String>> = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Ok(serve_with_shutdown(listener, database, crate::stop::stopped(stopping)).await)
        });
        if let Err(err) = served.map_err(|err| err.to_string()).flatten() {
            tracing::error!(error = err, "the local DynamoDB failed");
        }
        // Connections hold the database for an instant longer, and end with the runtime.
        drop(runtime);
        // Nobody waits for the end of a server that was dropped.
        let _: Result<(), ()> = ending.send(());
    };
    std::thread::Builder::new()
        .name("dynamodb".to_owned())
        .spawn(serve)
        .context("starting a thread for DynamoDB")?;

    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    Ok((Dynamo { client, address }, ended))
}

impl Dynamo {
    /// What the inner server answers to `request`.
    pub(super) async fn call(&self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(self.address.to_string())
            .path_and_query(path)
            .build()
            .expect("a socket's address and a path that was parsed make a URI");
        // These belonged to the outer connection; the body is whole by now.
        for name in [header::CONNECTION, header::EXPECT, header::TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let response = self.client.request(Request::from_parts(parts, Full::new(body))).await?;
        Ok(response.map(Body::new))
    }
}
