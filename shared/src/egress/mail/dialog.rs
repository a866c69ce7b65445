//! The conversation with a mail server, over a connection that was made for it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    Envelope, Login, MailFailure, SmtpReply, SmtpStage,
    reply::{LoginMethod, Offers, Reply, broken},
};
use crate::{domain::notifier::SmtpTls, egress::FailureKind};

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The server, as far as its TLS is concerned.
pub(super) struct Server {
    pub(super) tls: SmtpTls,
    pub(super) name: ServerName<'static>,
    pub(super) connector: TlsConnector,
}

/// A conversation that has got as far as a mail can be sent.
pub(super) struct Dialog {
    connection: Connection,
    offers: Offers,
}

struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    /// Our name: the address that we call from (RFC 5321, section 4.1.3).
    name: String,
}

impl Dialog {
    /// Greets the server, and begins TLS.
    pub(super) async fn open(stream: TcpStream, server: &Server) -> Result<Self, MailFailure> {
        let mut connection = Connection::new(stream)?;
        if server.tls == SmtpTls::Implicit {
            connection = connection.encrypted(server).await?;
        }
        connection.reply(2, SmtpStage::Greeting).await?;
        let mut offers = connection.hello().await?;
        if server.tls == SmtpTls::StartTls {
            if !offers.tls {
                let message = "the server does not offer STARTTLS";
                return Err(MailFailure::new(FailureKind::Tls, message));
            }
            connection.call("STARTTLS", 2, SmtpStage::Tls).await?;
            connection = connection.encrypted(server).await?;
            offers = connection.hello().await?;
        }
        Ok(Self { connection, offers })
    }

    /// Logs in, and gives the mail to the server.
    pub(super) async fn submit(
        &mut self,
        login: Option<&Login>,
        envelope: &Envelope,
        raw: &[u8],
    ) -> Result<SmtpReply, MailFailure> {
        if let Some(login) = login {
            self.log_in(login).await?;
        }
        let Envelope { from, to } = envelope;
        let parameters = self.parameters(envelope, raw)?;
        let connection = &mut self.connection;
        connection.call(&format!("MAIL FROM:<{from}>{parameters}"), 2, SmtpStage::Sender).await?;
        connection.call(&format!("RCPT TO:<{to}>"), 2, SmtpStage::Recipient).await?;
        connection.call("DATA", 3, SmtpStage::Data).await?;
        connection.write(&transparent(raw)).await?;
        let reply = connection.reply(2, SmtpStage::Data).await?;
        Ok(reply.at(SmtpStage::Data))
    }

    /// Says goodbye, without waiting for a reply.
    pub(super) async fn quit(&mut self) -> Result<(), MailFailure> {
        self.connection.write(b"QUIT\r\n").await?;
        self.connection.stream.shutdown().await.map_err(|error| broken(&error))
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), MailFailure> {
        const STAGE: SmtpStage = SmtpStage::Login;
        let Login { username, password } = login;
        let password = password.expose_secret();
        let connection = &mut self.connection;
        match self.offers.login {
            Some(LoginMethod::Plain) => {
                let secret = format!("\0{username}\0{password}");
                connection.call_secretly("AUTH PLAIN ", &secret, 2, STAGE).await
            }
            Some(LoginMethod::Login) => {
                connection.call("AUTH LOGIN", 3, STAGE).await?;
                connection.call_secretly("", username, 3, STAGE).await?;
                connection.call_secretly("", password, 2, STAGE).await
            }
            None => {
                let message = "the server offers neither AUTH PLAIN nor AUTH LOGIN";
                Err(MailFailure::new(FailureKind::Protocol, message))
            }
        }
    }

    /// What the server has to know about the mail.
    fn parameters(&self, envelope: &Envelope, raw: &[u8]) -> Result<String, MailFailure> {
        let size = self.offers.size.then(|| format!(" SIZE={}", raw.len()));
        let parameters = size.unwrap_or_default();
        if envelope.from.is_ascii() && envelope.to.is_ascii() && raw.is_ascii() {
            return Ok(parameters);
        }
        if !self.offers.unicode {
            // The code that a server would use (RFC 6531, section 3.5). For us, too, it does not help to repeat.
            let enhanced = Some("5.6.7".to_owned());
            let stage = SmtpStage::Recipient;
            return Err(MailFailure::refused(SmtpReply { code: 553, enhanced, stage }));
        }
        Ok(parameters + " BODY=8BITMIME SMTPUTF8")
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Result<Self, MailFailure> {
        let address = stream.local_addr().map_err(|error| broken(&error))?.ip();
        let kind = if address.is_ipv6() { "IPv6:" } else { "" };
        Ok(Self { stream: BufReader::new(Box::new(stream)), name: format!("[{kind}{address}]") })
    }

    /// The connection with TLS.
    async fn encrypted(self, server: &Server) -> Result<Self, MailFailure> {
        // What came before TLS may come from somebody in the middle (CVE-2011-0411).
        if !self.stream.buffer().is_empty() {
            let message = "the server sent more than a reply before TLS";
            return Err(MailFailure::new(FailureKind::Tls, message));
        }
        let handshake = server.connector.connect(server.name.clone(), self.stream.into_inner());
        let stream = handshake.await.map_err(|error| {
            MailFailure::new(FailureKind::Tls, format!("the TLS handshake failed: {error}"))
        })?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), name: self.name })
    }

    async fn hello(&mut self) -> Result<Offers, MailFailure> {
        let command = format!("EHLO {}", self.name);
        Ok(self.call(&command, 2, SmtpStage::Hello).await?.offers())
    }

    /// Sends a command, and reads a reply of the class `expected`.
    async fn call(
        &mut self,
        command: &str,
        expected: u16,
        stage: SmtpStage,
    ) -> Result<Reply, MailFailure> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply(expected, stage).await
    }

    /// [`Connection::call`] with a secret at the end of the command.
    async fn call_secretly(
        &mut self,
        command: &str,
        secret: &str,
        expected: u16,
        stage: SmtpStage,
    ) -> Result<(), MailFailure> {
        let line = format!("{command}{}\r\n", BASE64_STANDARD.encode(secret));
        let line = SecretString::from(line);
        self.write(line.expose_secret().as_bytes()).await?;
        self.reply(expected, stage).await.map(drop)
    }

    async fn reply(&mut self, expected: u16, stage: SmtpStage) -> Result<Reply, MailFailure> {
        Reply::read(&mut self.stream).await?.of_class(expected, stage)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), MailFailure> {
        self.stream.write_all(bytes).await.map_err(|error| broken(&error))?;
        self.stream.flush().await.map_err(|error| broken(&error))
    }
}

/// The mail as it goes over the line, with its end: a line that begins with a dot gets another one (RFC
/// 5321, section 4.5.2). Every line ends in CRLF, because servers disagree about other ends.
pub(super) fn transparent(raw: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(raw.len() + raw.len() / 32 + 8);
    let mut rest = raw;
    while !rest.is_empty() {
        let end = rest.iter().position(|it| b"\r\n".contains(it)).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        if line.starts_with(b".") {
            sent.push(b'.');
        }
        sent.extend_from_slice(line);
        sent.extend_from_slice(b"\r\n");
        rest = after.strip_prefix(b"\r\n").or(after.get(1..)).unwrap_or_default();
    }
    sent.extend_from_slice(b".\r\n");
    sent
}
