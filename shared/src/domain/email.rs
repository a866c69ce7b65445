//! E-mail addresses: the form that people gave, and the form that is compared.
//!
//! Several texts name one mailbox: `Ada@Bücher.example` and `ada@xn--bcher-kva.example`. Two such
//! texts must not be two people of a quorum, so each address has one canonical form:
//!
//! - The domain in ASCII by UTS #46, without transitional processing and by the rules of STD 3.
//! - The part before the at sign in lower case and in NFC, with full-width letters as ASCII, like the
//!   usernames of RFC 8265. Mail servers decide about upper case; in practice none has two mailboxes
//!   that differ only in it.

mod mailbox;
mod pattern;

use std::fmt;

use icu_normalizer::ComposingNormalizer;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

pub use mailbox::{Mailbox, MailboxError};
pub use pattern::EmailPattern;

use super::{
    limits::{EMAIL_CHARS_MAX, EMAIL_LOCAL_PART_BYTES_MAX},
    text::is_invisible,
};

/// ASCII characters of a part before the at sign, besides letters and digits (RFC 5322, "atext").
const ATEXT: &str = "!#$%&'*+-/=?^_`{|}~.";

/// An e-mail address.
#[derive(Clone, Debug)]
pub struct EmailAddress {
    given: String,
    canonical: String,
}

impl EmailAddress {
    /// The address with this text, if it looks like one. Only sending to it would prove that it is
    /// one.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let canonical = format!("{}@{}", canonical_local_part(local)?, canonical_domain(domain)?);
        let is_short =
            text.chars().count() <= EMAIL_CHARS_MAX && canonical.len() <= EMAIL_CHARS_MAX;
        is_short.then(|| Self { given: text.to_owned(), canonical })
    }

    /// The address as it was given.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The form that is compared.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The address as mail servers take it: the domain in ASCII, and the part before the at sign as it
    /// was given, unless only its canonical form can be in ASCII.
    pub fn for_mail(&self) -> String {
        let given = self.given.rsplit_once('@').filter(|(local, _)| local.is_ascii());
        match (given, self.canonical.rsplit_once('@')) {
            (Some((local, _)), Some((_, domain))) => format!("{local}@{domain}"),
            _ => self.canonical.clone(),
        }
    }

    /// An address that was stored. Its canonical form is kept, so that a newer version of Unicode does
    /// not change who it is.
    pub(crate) fn stored(given: String, canonical: String) -> Self {
        Self { given, canonical }
    }
}

/// Both name one mailbox.
impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for EmailAddress {}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

fn canonical_local_part(local: &str) -> Option<String> {
    let narrow: String = local.chars().map(narrowed).collect();
    let is_part = |it: char| {
        if it.is_ascii() {
            it.is_ascii_alphanumeric() || ATEXT.contains(it)
        } else {
            !it.is_control() && !it.is_whitespace() && !is_invisible(it) && !is_private(it)
        }
    };
    let is_dotted = !narrow.starts_with('.') && !narrow.ends_with('.') && !narrow.contains("..");
    if narrow.is_empty() || !is_dotted || !narrow.chars().all(is_part) {
        return None;
    }
    let canonical = if narrow.is_ascii() {
        narrow.to_ascii_lowercase()
    } else {
        let nfc = ComposingNormalizer::new_nfc();
        nfc.normalize(&nfc.normalize(&narrow).to_lowercase()).into_owned()
    };
    (canonical.len() <= EMAIL_LOCAL_PART_BYTES_MAX).then_some(canonical)
}

/// ASCII for its full-width form.
fn narrowed(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        other => other,
    }
}

/// Has no meaning outside of a private agreement.
fn is_private(character: char) -> bool {
    matches!(
        u32::from(character),
        0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xf_0000..
    ) || u32::from(character) & 0xfffe == 0xfffe
}

/// The domain in ASCII. It has at least two labels, and the last one is not a number, as in an IP
/// address.
fn canonical_domain(domain: &str) -> Option<String> {
    let ascii = to_ascii(domain)?;
    let (_, last) = ascii.rsplit_once('.')?;
    (!last.bytes().all(|it| it.is_ascii_digit())).then_some(ascii)
}

fn to_ascii(domain: &str) -> Option<String> {
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::Check,
        DnsLength::Verify,
    );
    ascii.ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
