//! The bytes of a mail: headers, and one message as text and as HTML (RFC 5322, RFC 2045 to 2047).
//!
//! Names, subjects and messages are what people wrote. None of it can begin a header, end a part, or
//! make a line that a mail server would refuse:
//!
//! ```text
//! addresses     checked, with the domain in ASCII
//! names         a quoted string, or encoded words
//! subject       as it is, folded at spaces, or encoded words. A control character becomes a space
//! text, HTML    quoted-printable. The boundary has `=_`, which is never in it
//! ```
//!
//! Only a part before an at sign that is not in ASCII makes a mail that is not (RFC 6532).

mod encoding;

use jiff::Timestamp;

use self::encoding::{phrase, quoted_printable, unstructured};
use crate::domain::{EmailAddress, Mailbox};

/// Longest message id. RFC 5322 allows 998 characters in a line.
const MESSAGE_ID_BYTES_MAX: usize = 250;
/// Characters of the message id in the boundary, which has at most 70 (RFC 2046, section 5.1.1).
const BOUNDARY_ID_CHARS_MAX: usize = 60;

/// A mail to one person.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    /// The sender.
    pub from: &'a Mailbox,
    /// The address for replies.
    pub reply_to: Option<&'a EmailAddress>,
    /// The recipient's address.
    pub to: &'a EmailAddress,
    /// The recipient's name.
    pub to_name: Option<&'a str>,
    /// The subject.
    pub subject: &'a str,
    /// The message as text.
    pub text: &'a str,
    /// The message as HTML.
    pub html: &'a str,
    /// The identifier of the mail, in angle brackets.
    pub message_id: &'a str,
    /// The identifier of the mail that this one follows.
    pub in_reply_to: Option<&'a str>,
    /// The time of writing.
    pub date: Timestamp,
}

/// A setting of a letter is malformed. Subjects, names and messages never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// An identifier is not of the form `<left@right>`.
    #[error("must be a message id in angle brackets")]
    MessageId,
}

impl Letter<'_> {
    /// The bytes of the mail. Its lines have at most 998 bytes and end in CRLF.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LetterError> {
        let from = phrase(self.from.name().unwrap_or_default(), &self.from.address().for_mail());
        let to = phrase(self.to_name.unwrap_or_default(), &self.to.for_mail());
        let id = checked_id(self.message_id)?;
        let boundary = boundary(id);

        let mut headers = Headers::default();
        headers.add("Date", &self.date.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string());
        headers.add("From", &from);
        if let Some(reply_to) = self.reply_to {
            headers.add("Reply-To", &phrase("", &reply_to.for_mail()));
        }
        headers.add("To", &to);
        headers.add("Subject", &unstructured(self.subject));
        headers.add("Message-ID", id);
        if let Some(earlier) = self.in_reply_to {
            headers.add("In-Reply-To", checked_id(earlier)?);
            headers.add("References", earlier);
        }
        // RFC 3834, and Exchange's own. Vacation notices would go to nobody.
        headers.add("Auto-Submitted", "auto-generated");
        headers.add("X-Auto-Response-Suppress", "All");
        headers.add("MIME-Version", "1.0");
        let content = format!("multipart/alternative;\r\n boundary=\"{boundary}\"");
        headers.add("Content-Type", &content);

        let mut mail = headers.0;
        for (kind, content) in [("plain", self.text), ("html", self.html)] {
            mail.extend(["\r\n--", &boundary, "\r\nContent-Type: text/", kind]);
            mail += "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
            quoted_printable(content, &mut mail);
        }
        mail.extend(["\r\n--", &boundary, "--\r\n"]);
        Ok(mail.into_bytes())
    }
}

#[derive(Default)]
struct Headers(String);

impl Headers {
    fn add(&mut self, name: &str, value: &str) {
        self.0.extend([name, ": ", value, "\r\n"]);
    }
}

fn checked_id(text: &str) -> Result<&str, LetterError> {
    let inner = text.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    let is_half = |it: &str| {
        !it.is_empty() && it.bytes().all(|it| it.is_ascii_graphic() && !b"<>@".contains(&it))
    };
    let is_id = inner
        .and_then(|it| it.split_once('@'))
        .is_some_and(|(left, right)| is_half(left) && is_half(right));
    if is_id && text.len() <= MESSAGE_ID_BYTES_MAX { Ok(text) } else { Err(LetterError::MessageId) }
}

/// A boundary with `=_`, which quoted-printable text never has.
fn boundary(message_id: &str) -> String {
    let id = message_id.chars().filter(char::is_ascii_alphanumeric);
    format!("=_{}", id.take(BOUNDARY_ID_CHARS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests;
