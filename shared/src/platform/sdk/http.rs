//! The HTTP client of all AWS clients.
//!
//! It speaks HTTP/1.1 only. AWS's own client also has HTTP/2 and proxies, which take 0.8 MB in every
//! function, and which none of the services that we call needs.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{
        HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{CaptureConnection, HttpConnector as TcpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{net::TcpStream, sync::Semaphore, task::yield_now, time::timeout};
use tower::{BoxError, timeout::Timeout, util::BoxCloneSyncService};

use crate::egress::tls;

/// Calls at a time over TLS, unless they take long: each has its connection, and a handshake takes as long
/// as some calls.
const CALLS_MAX: usize = 8;
/// Longest wait of a call for its turn. So calls that hang do not hold others up.
const TURN_WAIT_MAX: Duration = Duration::from_millis(500);
/// Timeout of connecting, with the TLS handshake. It is the SDK's.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);

/// A client that trusts `roots`, in PEM. `is_plain`: the endpoint has no TLS, so calls take no turns.
///
/// One connector serves all AWS clients. Timeouts of connecting and reading that they ask for have no
/// effect: the SDK ends an attempt, and [`CONNECT_TIMEOUT`] a connection that no attempt waits for. It
/// fails if the roots do not parse.
pub(super) fn client(roots: &[u8], is_plain: bool) -> anyhow::Result<SharedHttpClient> {
    let turns = (!is_plain).then(|| Arc::new(Semaphore::new(CALLS_MAX)));
    let connector = SharedHttpConnector::new(Patient { connector: pool(roots)?, turns });
    Ok(http_client_fn(move |_, _| connector.clone()))
}

fn pool(roots: &[u8]) -> anyhow::Result<Pool> {
    let tls = tls::trusting(roots).context("the root certificates do not parse")?;
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    let connector = Timeout::new(https.wrap_connector(tcp), CONNECT_TIMEOUT);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(BoxCloneSyncService::new(connector));
    Ok(Pool(client))
}

/// A connector that lets other tasks run before each call. So the connection of the call before is
/// usually back in the pool, and the call begins no other one, which would take a TLS handshake. Above
/// [`CALLS_MAX`] calls wait for their turn.
#[derive(Debug)]
struct Patient<C> {
    connector: C,
    /// `None`: the calls take no TLS.
    turns: Option<Arc<Semaphore>>,
}

impl<C: HttpConnector + Clone + 'static> HttpConnector for Patient<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, turns) = (self.connector.clone(), self.turns.clone());
        HttpConnectorFuture::new(async move {
            yield_now().await;
            // One attempt at a time holds a turn, and the wait is in its timeout.
            let _turn = match turns {
                Some(turns) => timeout(TURN_WAIT_MAX, turns.acquire_owned()).await.ok(),
                None => None,
            };
            connector.call(request).await
        })
    }
}

/// A pool of connections.
#[derive(Clone, Debug)]
struct Pool(Client<Connector, SdkBody>);

type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(err) => return HttpConnectorFuture::ready(Err(ConnectorError::user(err.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let response = self.0.request(request);
        HttpConnectorFuture::new(async move {
            // The SDK's requests are well-formed, so the other side or the network failed, and the call
            // may be repeated.
            let response = response.await.map_err(|err| ConnectorError::io(err.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|err| ConnectorError::other(err.into(), None))
        })
    }
}

/// The connection of a call. The SDK uses it no more if the service is in trouble behind it.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

#[cfg(test)]
mod tests {
    use std::{
        future,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use aws_smithy_runtime_api::http::StatusCode;
    use futures::{future::join_all, poll};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A connector whose first calls hang.
    #[derive(Clone, Debug, Default)]
    struct Hanging(Arc<AtomicUsize>);

    impl HttpConnector for Hanging {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            if self.0.fetch_add(1, Ordering::Relaxed) < CALLS_MAX {
                return HttpConnectorFuture::new(future::pending());
            }
            let status = StatusCode::try_from(200).expect("a status");
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::empty())))
        }
    }

    #[tokio::test]
    async fn calls_that_hang_do_not_hold_others_up() {
        let turns = Some(Arc::new(Semaphore::new(CALLS_MAX)));
        let connector = Patient { connector: Hanging::default(), turns };
        let call = || connector.call(HttpRequest::new(SdkBody::empty()));
        let mut hanging = Box::pin(join_all((0..CALLS_MAX).map(|_| call())));
        while connector.turns.as_ref().is_some_and(|it| it.available_permits() > 0) {
            assert!(poll!(&mut hanging).is_pending());
        }
        let answered = timeout(TURN_WAIT_MAX * 20, call()).await.expect("it is not held up");
        assert_eq!(answered.expect("a response").status().as_u16(), 200);
    }

    /// Answers all calls, each by the number of its connection, the first of which is 200.
    async fn serve(listener: TcpListener) {
        for number in 200.. {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let answer = format!("HTTP/1.1 {number} Fine\r\ncontent-length: 0\r\n\r\n");
                while connection.read(&mut [0; 4_096]).await.is_ok_and(|it| it > 0) {
                    connection.write_all(answer.as_bytes()).await.expect("it takes an answer");
                }
            });
        }
    }

    #[tokio::test]
    async fn connections_serve_many_calls_until_one_is_poisoned() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(serve(listener));
        let client = pool(b"").expect("no roots are fine");
        let call = async |capture: &CaptureSmithyConnection| {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri(uri.as_str()).expect("a URI");
            request.add_extension(capture.clone());
            client.call(request).await.expect("an answer").status().as_u16()
        };
        let (first, second) = (CaptureSmithyConnection::new(), CaptureSmithyConnection::new());
        assert_eq!((call(&first).await, call(&second).await), (200, 200));
        second.get().expect("a connection").poison();
        assert_eq!(call(&first).await, 201);
    }

    #[tokio::test(start_paused = true)]
    async fn handshake_that_hangs_ends() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = pool(b"").expect("no roots are fine");
        let mut request = HttpRequest::new(SdkBody::empty());
        let uri = format!("https://{}/", silent.local_addr().expect("an address"));
        request.set_uri(uri).expect("a URI");
        let failed = timeout(CONNECT_TIMEOUT * 2, client.call(request)).await.expect("it ends");
        assert!(failed.expect_err("nobody answers").is_io());
    }
}
