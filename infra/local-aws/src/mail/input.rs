//! The input of `SendEmail`, and the rules that SES checks.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

use super::Error;

/// SES's limit on recipients of all kinds.
const RECIPIENTS_MAX: usize = 50;
/// SES's limit on a message.
const RAW_BYTES_MAX: usize = 40 * 1024 * 1024;
/// SES's limit on an address without its display name, from RFC 5321.
const ADDRESS_BYTES_MAX: usize = 320;
/// SES's limit on the name and the value of a tag.
const TAG_CHARS_MAX: usize = 256;
/// SES's words for an address that is none.
const NO_ADDRESS: &str = "Missing final '@domain'";

/// A mail that passed the checks.
pub(super) struct NewMail {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) raw: Vec<u8>,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    destination: Option<Destination>,
    content: Option<Content>,
    #[serde(default)]
    email_tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    name: String,
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Destination {
    #[serde(rename = "ToAddresses")]
    to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    raw: Option<Raw>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    data: Option<String>,
}

/// Reads and checks a call.
pub(super) fn read(body: &[u8]) -> Result<NewMail, Error> {
    let call: SendEmail = serde_json::from_slice(body).map_err(Error::Malformed)?;
    let content = call.content.ok_or_else(|| missing("content"))?;
    let raw =
        content.raw.ok_or_else(|| Error::BadRequest("only raw content is emulated".to_owned()))?;
    let data = raw.data.ok_or_else(|| missing("content.raw.data"))?;
    let raw = BASE64
        .decode(data)
        .map_err(|_| Error::BadRequest("content.raw.data is not base64".to_owned()))?;
    check_raw(&raw)?;
    let from = call
        .from_email_address
        .ok_or_else(|| Error::BadRequest("only calls with a sender are emulated".to_owned()))?;
    if !is_address(&from) {
        return Err(Error::Rejected(NO_ADDRESS));
    }
    let Destination { to, cc, bcc } = call.destination.unwrap_or_default();
    let to = [to, cc, bcc].concat();
    check_recipients(&to)?;
    let tags = read_tags(call.email_tags)?;
    Ok(NewMail { from, to, raw, tags })
}

fn read_tags(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, Error> {
    let is_legal = |it: &str| {
        let mut chars = it.chars();
        (1..=TAG_CHARS_MAX).contains(&it.len())
            && chars.all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.' | '@'))
    };
    match tags.iter().find(|it| !is_legal(&it.name) || !is_legal(&it.value)) {
        Some(tag) => Err(Error::BadRequest(format!("Invalid tag <{}, {}>.", tag.name, tag.value))),
        None => Ok(tags.into_iter().map(|it| (it.name, it.value)).collect()),
    }
}

fn check_raw(raw: &[u8]) -> Result<(), Error> {
    if raw.len() > RAW_BYTES_MAX {
        let n = raw.len();
        let text = format!("Message length is more than {RAW_BYTES_MAX} bytes long: '{n}'.");
        return Err(Error::BadRequest(text));
    }
    let head = raw.split(|it| *it == b'\n').take_while(|it| !it.trim_ascii().is_empty());
    match head.filter(|it| has_name(it, b"from:")).count() {
        0 => Err(Error::BadRequest("Missing required header 'From'.".to_owned())),
        1 => Ok(()),
        _ => Err(Error::BadRequest("Duplicate header 'From'.".to_owned())),
    }
}

fn check_recipients(to: &[String]) -> Result<(), Error> {
    let problem = match to.len() {
        0 => "only calls with recipients are emulated",
        1..=RECIPIENTS_MAX if to.iter().all(|it| is_address(it)) => return Ok(()),
        1..=RECIPIENTS_MAX => NO_ADDRESS,
        _ => "Recipient count exceeds 50.",
    };
    Err(Error::BadRequest(problem.to_owned()))
}

fn has_name(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name))
}

/// True for `local@domain`, also in angle brackets after a name. SES takes ASCII only.
fn is_address(text: &str) -> bool {
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_text = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_graphic());
    text.is_ascii()
        && !text.bytes().any(|it| it.is_ascii_control())
        && address.len() <= ADDRESS_BYTES_MAX
        && address.rsplit_once('@').is_some_and(|(local, domain)| {
            is_text(local) && is_text(domain) && !local.contains(['@', ',', ';'])
        })
}

/// SES's words for a member that is missing.
fn missing(member: &str) -> Error {
    Error::BadRequest(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_and_recipients_must_be_addresses() {
        for good in ["a@b.example", "A Name <a@b.example>", "\"a, b\" <a+b@c.example>"] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@b.example", "a".repeat(320));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b@c",
            "a@b,c@d",
            "A <a@b",
            "ä@b",
            "a@b\r\nTo: c",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn raw_message_has_one_sender_in_its_head() {
        for (raw, is_good) in [
            ("From: a@b\r\n\r\nFrom: c@d", true),
            ("to: c@d\nFROM: a@b\n\n", true),
            ("To: c@d\r\n\r\nFrom: a@b", false),
            ("From: a@b\r\nfrom: c@d\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(check_raw(raw.as_bytes()).is_ok(), is_good, "{raw}");
        }
        let large = format!("From: a@b\r\n\r\n{}", " ".repeat(RAW_BYTES_MAX));
        assert!(matches!(check_raw(large.as_bytes()), Err(Error::BadRequest(_))));
    }
}
