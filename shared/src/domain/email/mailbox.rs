//! Mailboxes: an address, with an optional name (RFC 5322, section 3.4).

use std::fmt;

use super::EmailAddress;
use crate::domain::text::{is_blank, is_invisible};

/// Longest name, in characters. With the address it fits into one line of a header, which has at most
/// 998 (RFC 5322, section 2.1.1), also if it is encoded.
const NAME_CHARS_MAX: usize = 100;
/// Characters that end an unquoted name, or mean something else in one (RFC 5322, "specials", without
/// the dot, which names have in practice).
const SPECIALS: &str = "()<>[]:;@\\,\"";

/// A sender: `ada@corp.example`, or `Ada Lovelace <ada@corp.example>`. It is one line, and its address
/// is ASCII, so that every mail server takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    given: String,
    name: Option<String>,
    address: EmailAddress,
}

/// The fault of a text that is not a [`Mailbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// It has no address, or more than one.
    #[error("must be one address, such as a@b.example or Name <a@b.example>")]
    Form,
    /// The name has characters that need quotes.
    #[error("must have double quotes around a name with one of ( ) [ ] : ; @ ,")]
    Unquoted,
    /// The name is too long, blank, or has characters that people cannot see.
    #[error("must have a name of 1 to {NAME_CHARS_MAX} visible characters, without \" \\ < >")]
    Name,
    /// The address has characters besides ASCII.
    #[error("must have an ASCII address; write an international domain as xn--…")]
    Ascii,
}

impl Mailbox {
    /// The mailbox with this text.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        // A line break would begin another header.
        if text.contains(char::is_control) {
            return Err(MailboxError::Form);
        }
        let (name, address) = match text.strip_suffix('>') {
            None => (None, text),
            Some(rest) => {
                let (name, address) = rest.rsplit_once('<').ok_or(MailboxError::Form)?;
                (Some(name.trim()).filter(|it| !it.is_empty()), address)
            }
        };
        if !address.is_ascii() {
            return Err(MailboxError::Ascii);
        }
        let address = EmailAddress::parse(address).ok_or(MailboxError::Form)?;
        let name = name.map(read_name).transpose()?;
        Ok(Self { given: text.to_owned(), name, address })
    }

    /// The name, without quotes.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address.
    pub fn address(&self) -> &EmailAddress {
        &self.address
    }

    /// The mailbox as it was given.
    pub fn as_str(&self) -> &str {
        &self.given
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

fn read_name(text: &str) -> Result<String, MailboxError> {
    let quoted = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let name = quoted.unwrap_or(text);
    let is_wrong = |it: char| is_invisible(it) || "\"\\<>".contains(it);
    if is_blank(name) || name.chars().count() > NAME_CHARS_MAX || name.contains(is_wrong) {
        return Err(MailboxError::Name);
    }
    if quoted.is_none() && name.contains(|it| SPECIALS.contains(it)) {
        return Err(MailboxError::Unquoted);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Option<String>, String), MailboxError> {
        let it = Mailbox::parse(text)?;
        Ok((it.name().map(str::to_owned), it.address().as_given().to_owned()))
    }

    #[test]
    fn mailbox_has_an_address_and_perhaps_a_name() {
        for (text, name, address) in [
            ("a@b.example", None, "a@b.example"),
            ("<a@b.example>", None, "a@b.example"),
            ("Ada <a@b.example>", Some("Ada"), "a@b.example"),
            ("J. Döe <a@b.example>", Some("J. Döe"), "a@b.example"),
            ("\"Acme, Inc.\" <a@b.example>", Some("Acme, Inc."), "a@b.example"),
        ] {
            let expected = (name.map(str::to_owned), address.to_owned());
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mailbox_that_mail_programs_read_differently_is_refused() {
        use MailboxError::{Ascii, Form, Name, Unquoted};
        for (text, fault) in [
            ("", Form),
            ("Ada", Form),
            ("a@b.example, c@d.example", Form),
            ("a@b.example>", Form),
            ("Ada a@b.example", Form),
            ("Ada <a@b.example> <c@d.example>", Name),
            ("Ada <a@b.example\r\nBcc: c@d.example>", Form),
            ("Ada\r\nBcc: c@d.example\r\nX: <a@b.example>", Form),
            ("Ada\n<a@b.example>", Form),
            ("Ada\u{202e} <a@b.example>", Name),
            ("\"\" <a@b.example>", Name),
            ("\"A\" B\" <a@b.example>", Name),
            ("Acme, Inc. <a@b.example>", Unquoted),
            ("c@d.example <a@b.example>", Unquoted),
            ("a@bücher.example", Ascii),
            ("Ada <ä@b.example>", Ascii),
        ] {
            assert_eq!(read(text), Err(fault), "{text:?}");
        }
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(read(&format!("{long} <a@b.example>")), Err(Name));
    }
}
