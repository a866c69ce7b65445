//! The requester, in the bodies of requests and of keys that fix theirs.

use answerback::{
    api::body::Object,
    domain::{
        EmailAddress, REQUESTER_ID_CHARS_MAX, REQUESTER_NAME_CHARS_MAX, Requester, RequesterKind,
        limits::EMAIL_CHARS_MAX,
    },
};

/// Reads the requester, if the body has one.
pub(crate) fn read(body: &mut Object<'_>) -> Option<Requester> {
    body.object("requester", members).flatten()
}

fn members(entry: &mut Object<'_>) -> Option<Requester> {
    entry.require("kind");
    let kind = entry.word("kind", &RequesterKind::ALL);
    let name = entry.optional_line("name", REQUESTER_NAME_CHARS_MAX);
    let email = entry.text("email", 1..=EMAIL_CHARS_MAX);
    if email.as_deref().is_some_and(|it| EmailAddress::parse(it).is_none()) {
        entry.error("email", "must be an e-mail address");
    }
    let id = entry.optional_line("id", REQUESTER_ID_CHARS_MAX);
    Some(Requester { kind: kind?, name, email, id })
}
