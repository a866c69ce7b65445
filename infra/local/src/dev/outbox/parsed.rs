//! The content of a mail: headers, parts and links. Any bytes are a mail, however broken.

use std::borrow::Cow;

use mail_parser::{HeaderName, Message, MessageParser, PartType};
use serde::Serialize;

use super::links;

/// The part of a text that is shown.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// The part of an HTML part that is shown.
const HTML_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The part of a header that is shown.
const HEADER_BYTES_MAX: usize = 2 * 1024;
/// The end of a part that is cut.
const CUT: &str = "\n… the rest is not shown";

/// The content of a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ParsedMail {
    pub(super) subject: String,
    pub(super) message_id: Option<String>,
    pub(super) in_reply_to: Option<String>,
    /// The text part. `None` if the mail has none.
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    /// The http and https links of both parts, without duplicates.
    pub(super) links: Vec<String>,
    /// The headers that the page shows, as name and value.
    #[serde(skip)]
    pub(super) headers: Vec<Header>,
    #[serde(skip)]
    pub(super) n_attachments: usize,
}

/// A header, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) value: String,
}

impl ParsedMail {
    /// Reads the source of a mail.
    pub(super) fn of(raw: &[u8]) -> Self {
        let Some(mail) = MessageParser::default().parse(raw) else { return Self::default() };
        let id = |name| value(&mail, name).map(|it| it.trim_matches(['<', '>']).to_owned());
        let html = html(&mail).map(|it| cut(it, HTML_BYTES_MAX));
        let text = text(&mail).map(|it| cut(it, TEXT_BYTES_MAX));
        Self {
            subject: value(&mail, HeaderName::Subject).unwrap_or_default(),
            message_id: id(HeaderName::MessageId),
            in_reply_to: id(HeaderName::InReplyTo),
            links: links::of(text.as_deref(), html.as_deref()),
            text,
            html,
            headers: shown(&mail),
            n_attachments: mail.attachment_count(),
        }
    }
}

fn shown(mail: &Message<'_>) -> Vec<Header> {
    let names = [
        ("From", HeaderName::From),
        ("To", HeaderName::To),
        ("Cc", HeaderName::Cc),
        ("Reply-To", HeaderName::ReplyTo),
        ("Subject", HeaderName::Subject),
        ("Date", HeaderName::Date),
        ("Message-ID", HeaderName::MessageId),
        ("In-Reply-To", HeaderName::InReplyTo),
    ];
    let shown = names.into_iter().filter_map(|(name, header)| {
        let value = value(mail, header)?;
        Some(Header { name, value })
    });
    shown.collect()
}

/// The value of a header in one line, with encoded words decoded.
fn value(mail: &Message<'_>, name: HeaderName<'static>) -> Option<String> {
    let raw = mail.header_raw(name.clone())?;
    let has_id = [HeaderName::MessageId, HeaderName::InReplyTo].contains(&name);
    let decoded: Cow<'_, str> = match mail.header(name) {
        // The parser drops the brackets of ids.
        _ if has_id => Cow::Borrowed(raw),
        Some(mail_parser::HeaderValue::Text(text)) => Cow::Borrowed(text),
        Some(mail_parser::HeaderValue::Address(addresses)) => Cow::Owned(names(addresses)),
        _ => Cow::Borrowed(raw),
    };
    let line = decoded.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(cut(&line, HEADER_BYTES_MAX))
}

/// Addresses as people read them.
fn names(addresses: &mail_parser::Address<'_>) -> String {
    let all = addresses.iter().map(|it| match (it.name(), it.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (one, other) => one.or(other).unwrap_or_default().to_owned(),
    });
    all.collect::<Vec<_>>().join(", ")
}

fn html<'a>(mail: &'a Message<'_>) -> Option<&'a str> {
    mail.html_bodies().find_map(|it| match &it.body {
        PartType::Html(html) => Some(html.as_ref()),
        _ => None,
    })
}

fn text<'a>(mail: &'a Message<'_>) -> Option<&'a str> {
    mail.text_bodies().find_map(|it| match &it.body {
        PartType::Text(text) => Some(text.as_ref()),
        _ => None,
    })
}

/// The text up to a size, at the border of a character.
fn cut(text: &str, max: usize) -> String {
    let end = text.floor_char_boundary(max);
    let note = if end < text.len() { CUT } else { "" };
    format!("{}{note}", &text[..end])
}
