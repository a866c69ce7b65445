//! Replies of mail servers (RFC 5321, section 4.2), with limits on what is read.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::{MailFailure, SmtpReply, SmtpStage};
use crate::egress::FailureKind;

/// Longest line of a reply. RFC 5321 allows 512 bytes.
const LINE_BYTES_MAX: usize = 2_048;
/// Most lines of a reply.
const LINES_MAX: usize = 100;

/// A reply, whose lines have the same code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    code: u16,
    /// The texts after the codes.
    lines: Vec<String>,
}

/// What a server can do, from its reply to EHLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// `STARTTLS`.
    pub(super) tls: bool,
    /// The way to log in.
    pub(super) login: Option<LoginMethod>,
    /// `SIZE`.
    pub(super) size: bool,
    /// `SMTPUTF8` (RFC 6531), which includes `8BITMIME`.
    pub(super) unicode: bool,
}

/// A way to log in, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LoginMethod {
    /// RFC 4616.
    Plain,
    /// Older, but some servers have nothing else.
    Login,
}

impl Reply {
    /// Reads a reply.
    pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Self, MailFailure> {
        let mut reply: Option<Self> = None;
        for _ in 0..LINES_MAX {
            let line = Line::parse(&read_line(from).await?).ok_or_else(not_smtp)?;
            let known = reply.get_or_insert(Self { code: line.code, lines: Vec::new() });
            if known.code != line.code {
                return Err(not_smtp());
            }
            known.lines.push(line.text);
            if line.is_last {
                return reply.ok_or_else(not_smtp);
            }
        }
        Err(too_large())
    }

    /// The reply, if its code is of the class `expected`: 2 for done, 3 for more to come.
    pub(super) fn of_class(self, expected: u16, stage: SmtpStage) -> Result<Self, MailFailure> {
        match self.code / 100 {
            class if class == expected => Ok(self),
            4 | 5 => Err(MailFailure::refused(self.at(stage))),
            _ => Err(MailFailure::new(
                FailureKind::Protocol,
                format!("the server replied to {stage} with the code {}", self.code),
            )),
        }
    }

    /// What is known about it at its stage.
    pub(super) fn at(&self, stage: SmtpStage) -> SmtpReply {
        SmtpReply { code: self.code, enhanced: self.enhanced(), stage }
    }

    /// What a server offers. The first line greets.
    pub(super) fn offers(&self) -> Offers {
        let mut offers = Offers::default();
        for line in self.lines.iter().skip(1) {
            // Old servers write `AUTH=LOGIN`.
            let line = line.to_ascii_uppercase().replace('=', " ");
            let mut words = line.split_whitespace();
            match words.next() {
                Some("STARTTLS") => offers.tls = true,
                Some("SIZE") => offers.size = true,
                Some("SMTPUTF8") => offers.unicode = true,
                Some("AUTH") => {
                    let methods = words.filter_map(LoginMethod::parse);
                    offers.login = methods.chain(offers.login).min();
                }
                _ => {}
            }
        }
        offers
    }

    /// The enhanced code, which begins the text (RFC 2034).
    fn enhanced(&self) -> Option<String> {
        let word = self.lines.first()?.split(' ').next()?;
        let (class, rest) = word.split_once('.')?;
        let (subject, detail) = rest.split_once('.')?;
        let is_number =
            |it: &str| (1..=3).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit());
        let is_code =
            class == (self.code / 100).to_string() && is_number(subject) && is_number(detail);
        is_code.then(|| word.to_owned())
    }
}

impl LoginMethod {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "PLAIN" => Some(Self::Plain),
            "LOGIN" => Some(Self::Login),
            _ => None,
        }
    }
}

/// A line of a reply.
struct Line {
    code: u16,
    is_last: bool,
    text: String,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let code = str::from_utf8(code).ok()?;
        let is_code = code.bytes().all(|it| it.is_ascii_digit());
        let code = code.parse().ok().filter(|it| is_code && (200..600).contains(it))?;
        let (is_last, text) = match rest.split_first() {
            None => (true, &[][..]),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return None,
        };
        Some(Self { code, is_last, text: String::from_utf8_lossy(text).into_owned() })
    }
}

/// A line without its end.
async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, MailFailure> {
    let mut line = Vec::new();
    let mut limited = from.take(LINE_BYTES_MAX as u64);
    limited.read_until(b'\n', &mut line).await.map_err(|error| broken(&error))?;
    match line.strip_suffix(b"\n") {
        Some(text) => Ok(text.strip_suffix(b"\r").unwrap_or(text).to_vec()),
        None if line.len() == LINE_BYTES_MAX => Err(too_large()),
        None => Err(MailFailure::new(FailureKind::Protocol, "the server closed the connection")),
    }
}

/// The connection broke.
pub(super) fn broken(error: &std::io::Error) -> MailFailure {
    MailFailure::new(FailureKind::Protocol, format!("the connection broke: {}", error.kind()))
}

fn not_smtp() -> MailFailure {
    MailFailure::new(FailureKind::Protocol, "no valid SMTP reply")
}

fn too_large() -> MailFailure {
    MailFailure::new(FailureKind::TooLarge, "the reply is too large")
}
