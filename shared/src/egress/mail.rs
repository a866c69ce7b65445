//! Mail by SMTP (RFC 5321), from the look-up of the server to its last reply.
//!
//! A mail server is as much a stranger as a receiver of callbacks. So its addresses are looked up once
//! and checked, and the connection goes to them. Each step has its stage:
//!
//! ```text
//! connect                                          dns, blocked_address, connect
//! TLS at once, or:                                 tls
//! server speaks          220                       Greeting
//! EHLO                   250, and what it offers   Hello
//! STARTTLS, TLS, EHLO    220                       Tls
//! AUTH PLAIN or LOGIN    235                       Login
//! MAIL FROM              250                       Sender
//! RCPT TO                250                       Recipient
//! DATA, the mail, a dot  354, 250                  Data
//! ```
//!
//! There is one mail per connection, and no pipelining. Outside of development nothing is sent without
//! TLS, whose certificate is verified by the host name and webpki's roots.
//!
//! The protocol is written by hand. `lettre` reads lines of any length, and keeps what a server sends
//! after its reply to STARTTLS: somebody in the middle could put replies there, which would count as if
//! they had come over TLS (CVE-2011-0411).

mod dialog;
mod reply;

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::ServerName;
use secrecy::SecretString;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use self::dialog::{Dialog, Server};
use super::{
    Failure, FailureKind, Network,
    network::{CONNECT_TIMEOUT, MESSAGE_CHARS_MAX},
};
use crate::domain::{
    EmailAddress,
    callback_url::{CallbackUrl, CallbackUrlError},
    notifier::SmtpTls,
};

/// Ports of servers that take mail from clients. Port 25 is for mail between servers.
pub const PORTS: [u16; 3] = [465, 587, 2_525];
/// Timeout of saying goodbye, when the outcome is known.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// One mail for a mail server.
#[derive(Clone)]
pub struct Mail {
    /// Host name or address of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// The way in which TLS begins.
    pub tls: SmtpTls,
    /// The login, if the server wants one.
    pub login: Option<Login>,
    /// The sender's address, which gets the bounces.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The mail, with its headers.
    pub raw: Vec<u8>,
    /// Timeout of everything together.
    pub timeout: Duration,
}

/// A login at a mail server.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// The server did not accept a mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MailFailure {
    /// Kind of failure. A refusal by the server is [`FailureKind::Protocol`] with a reply.
    pub kind: FailureKind,
    /// The reply by which the server refused the mail.
    pub reply: Option<SmtpReply>,
    /// Cause, in our words. A server's words may quote the mail.
    pub message: String,
}

/// A reply of a mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpReply {
    /// The code.
    pub code: u16,
    /// The enhanced code, such as `5.1.1` (RFC 3463).
    pub enhanced: Option<String>,
    /// The stage that it ended.
    pub stage: SmtpStage,
}

/// A stage of the conversation with a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SmtpStage {
    /// The server's first words.
    Greeting,
    /// `EHLO`.
    Hello,
    /// `STARTTLS`.
    Tls,
    /// `AUTH`.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, and the mail.
    Data,
}

/// Gives a mail to its server.
pub(super) async fn send(network: &Network, mail: Mail) -> Result<SmtpReply, MailFailure> {
    let mut open = None;
    let conversation = async {
        let envelope = Envelope::of(&mail)?;
        let server = server(network, &mail)?;
        let stream = connect(network, &server, mail.port).await?;
        let server = Server {
            tls: mail.tls,
            name: server_name(&server)?,
            connector: TlsConnector::from(Arc::new(network.tls().clone())),
        };
        let dialog = open.insert(Dialog::open(stream, &server).await?);
        dialog.submit(mail.login.as_ref(), &envelope, &mail.raw).await
    };
    let outcome = timeout(mail.timeout, conversation).await.unwrap_or_else(|_| {
        let message = format!("no reply within {} s", mail.timeout.as_secs_f64());
        Err(MailFailure::new(FailureKind::Timeout, message))
    });
    // In the middle of a mail the words would be a part of it.
    let is_known = outcome.as_ref().map_or_else(|it| it.reply.is_some(), |_| true);
    if let Some(dialog) = open.as_mut().filter(|_| is_known) {
        let _ = timeout(QUIT_TIMEOUT, dialog.quit()).await;
    }
    outcome
}

/// The addresses on the envelope.
struct Envelope {
    from: String,
    to: String,
}

impl Envelope {
    fn of(mail: &Mail) -> Result<Self, MailFailure> {
        let address = |text: &str, whose: &str| {
            let address = EmailAddress::parse(text).ok_or_else(|| {
                let message = format!("the {whose}'s address is not an e-mail address");
                MailFailure::new(FailureKind::BlockedAddress, message)
            });
            address.map(|it| it.for_mail())
        };
        Ok(Self { from: address(&mail.from, "sender")?, to: address(&mail.to, "recipient")? })
    }
}

/// The server as the host of a URL, so that the rules for callbacks hold for it.
fn server(network: &Network, mail: &Mail) -> Result<CallbackUrl, MailFailure> {
    let rules = &network.rules;
    let blocked = |message: String| MailFailure::new(FailureKind::BlockedAddress, message);
    if !rules.is_development && mail.tls == SmtpTls::None {
        return Err(MailFailure::new(FailureKind::Tls, "a mail server must be called with TLS"));
    }
    if !rules.is_development && !PORTS.contains(&mail.port) {
        return Err(blocked(format!("port {} is not 465, 587 or 2525", mail.port)));
    }
    let host = match mail.host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => mail.host.clone(),
    };
    let url =
        CallbackUrl::parse(&format!("https://{host}/"), rules).map_err(|error| match error {
            CallbackUrlError::Address(address) => {
                blocked(format!("{address} is not a public address"))
            }
            _ => blocked("the host must be a public host name or address".to_owned()),
        })?;
    // A host with a slash or a colon is more than a host.
    if !url.host().eq_ignore_ascii_case(&host) {
        return Err(blocked("the host must be a public host name or address".to_owned()));
    }
    Ok(url)
}

/// The name in the server's certificate.
fn server_name(server: &CallbackUrl) -> Result<ServerName<'static>, MailFailure> {
    match server.literal_address() {
        Some(address) => Ok(ServerName::from(address)),
        None => ServerName::try_from(server.host().to_owned())
            .map_err(|_| MailFailure::new(FailureKind::Tls, "no certificate can name the host")),
    }
}

/// A connection to one of the server's addresses, after all of them were checked.
async fn connect(
    network: &Network,
    server: &CallbackUrl,
    port: u16,
) -> Result<TcpStream, MailFailure> {
    let addresses = network.addresses(server).await?;
    let n_addresses = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut cause = String::from("no connection in time");
    for address in addresses.iter().map(|it| SocketAddr::new(it.ip(), port)) {
        match timeout(CONNECT_TIMEOUT / n_addresses, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => cause = error.to_string(),
            Err(_) => {}
        }
    }
    Err(MailFailure::new(FailureKind::Connect, format!("could not connect: {cause}")))
}

impl MailFailure {
    /// A failure without a reply of the server.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = message.into().chars().take(MESSAGE_CHARS_MAX).collect();
        Self { kind, reply: None, message }
    }

    /// The server refused the mail by this reply.
    pub fn refused(reply: SmtpReply) -> Self {
        let enhanced = reply.enhanced.as_ref().map_or(String::new(), |it| format!(" {it}"));
        let message = format!("the server refused {}: {}{enhanced}", reply.stage, reply.code);
        Self { kind: FailureKind::Protocol, reply: Some(reply), message }
    }
}

impl From<Failure> for MailFailure {
    fn from(failure: Failure) -> Self {
        Self::new(failure.kind, failure.message)
    }
}

impl fmt::Display for SmtpStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the connection",
            Self::Hello => "EHLO",
            Self::Tls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Data => "the mail",
        })
    }
}

// A mail has links and codes that decide, and the address of a person.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("n_raw_bytes", &self.raw.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
