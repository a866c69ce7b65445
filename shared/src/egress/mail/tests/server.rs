//! A mail server on loopback that follows a script.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpListener,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{Duration, mail};
use crate::{
    domain::CallbackRules,
    egress::{Client, Mail, MailFailure, Network, Resolver, SmtpReply},
};

/// Longest test. A server that waits for us longer is a defect.
pub(super) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What the server of a test does, in order.
#[derive(Clone)]
pub(super) enum Step {
    /// It writes this.
    Says(String),
    /// It reads a line, and fails unless the line begins so.
    Hears(&'static str),
    /// It reads a mail up to its last dot.
    HearsMail,
    /// It begins TLS.
    StartsTls,
    /// It keeps the connection open until we close it.
    Hangs,
}

use Step::{Hangs, Hears, HearsMail, StartsTls};

pub(super) fn says(text: &str) -> Step {
    Step::Says(format!("{text}\r\n"))
}

/// A connection of the server.
trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Line for S {}

/// A mail server on loopback for one connection, and a client that trusts its certificate.
pub(super) struct MailServer {
    port: u16,
    pub(super) client: Client,
    /// All that it read.
    heard: JoinHandle<Vec<u8>>,
}

impl MailServer {
    pub(super) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (server, client) = certificates();
        let steps: Vec<Step> = steps.into_iter().collect();
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            serve(Box::new(stream), steps, TlsAcceptor::from(Arc::new(server))).await
        });
        let resolver = Resolver::from_json(r#"{"localhost": [["127.0.0.1"]]}"#);
        let network =
            Network::with_tls(CallbackRules::development(), resolver.expect("well-formed"), client);
        Self { port, client: Client::Network(Arc::new(network)), heard }
    }

    /// Sends [`mail`] with changes.
    pub(super) async fn send(
        &self,
        change: impl FnOnce(&mut Mail),
    ) -> Result<SmtpReply, MailFailure> {
        let mut mail = mail(self.port);
        change(&mut mail);
        timeout(TEST_TIMEOUT, self.client.mail(mail)).await.expect("it ends")
    }

    /// All that it read, when it has ended.
    pub(super) async fn heard(self) -> String {
        let heard = timeout(TEST_TIMEOUT, self.heard).await.expect("it ends");
        String::from_utf8(heard.expect("no step failed")).expect("UTF-8")
    }
}

async fn serve(stream: Box<dyn Line>, steps: Vec<Step>, acceptor: TlsAcceptor) -> Vec<u8> {
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    for step in steps {
        match step {
            // We may have hung up after a reply that we do not accept.
            Step::Says(text) => drop(stream.write_all(text.as_bytes()).await),
            Hears(beginning) => {
                let before = heard.len();
                stream.read_until(b'\n', &mut heard).await.expect("a line");
                let line = String::from_utf8_lossy(&heard[before..]);
                assert!(line.starts_with(beginning), "{line:?} instead of {beginning:?}");
            }
            HearsMail => {
                while !heard.ends_with(b"\r\n.\r\n") {
                    let n_bytes = stream.read_until(b'\n', &mut heard).await.expect("a line");
                    assert!(n_bytes > 0, "the mail broke off");
                }
            }
            StartsTls => match acceptor.accept(stream.into_inner()).await {
                Ok(encrypted) => stream = BufReader::new(Box::new(encrypted)),
                Err(_) => return heard,
            },
            Hangs => drop(stream.read_to_end(&mut heard).await),
        }
    }
    heard
}

/// The settings of a server with a new certificate for `localhost`, and of a client that trusts it.
fn certificates() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a valid certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a valid certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}
