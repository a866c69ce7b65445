//! DynamoDB: dynoxide's server, on a listener that only [`Dynamo`] calls.
//!
//! Dynoxide calls `SQLite` synchronously, so it runs on a separate thread with a separate runtime. Its router is
//! private, so requests are forwarded to it over HTTP, unchanged, and its responses are returned as they are.

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

/// Resolves once the server no longer uses the database.
pub(super) type Ended = oneshot::Receiver<()>;

/// Forwards calls to the inner server.
#[derive(Clone)]
pub(super) struct Dynamo {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

/// A started server.
pub(super) struct Started {
    pub(super) dynamo: Dynamo,
    pub(super) ended: Ended,
}

/// Serves `database` until the sender of `stopping` is dropped.
pub(super) fn start(database: Database, stopping: watch::Receiver<()>) -> anyhow::Result<Started> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("opening a port for the emulated DynamoDB")?;
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
            tracing::error!(error = err, "the emulated DynamoDB stopped serving");
        }
        // Open connections still hold the database; they end with the runtime.
        drop(runtime);
        // The receiver is gone if the emulator was dropped without a stop.
        let _: Result<(), ()> = ending.send(());
    };
    std::thread::Builder::new()
        .name("dynamodb".to_owned())
        .spawn(serve)
        .context("starting the thread of the emulated DynamoDB")?;

    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    Ok(Started { dynamo: Dynamo { client, address }, ended })
}

impl Dynamo {
    /// Forwards `request` and returns the inner server's response.
    pub(super) async fn call(&self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(self.address.to_string())
            .path_and_query(path)
            .build()
            .expect("a socket address and a parsed path make a URI");
        // These headers describe the outer connection. The body has been read completely.
        for name in [header::CONNECTION, header::EXPECT, header::TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let response = self.client.request(Request::from_parts(parts, Full::new(body))).await?;
        Ok(response.map(Body::new))
    }
}
