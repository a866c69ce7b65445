//! The outbox as pages: no script, no external resources, and all text of mails escaped.
//!
//! The HTML part of a mail is a document of its own, at its own URL, which the mail's page shows in a
//! frame. Both the frame and the document are sandboxed: the document has no origin, runs no script,
//! submits no form, and loads nothing from any server. Its links open in the whole window, when a
//! person follows them.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};

use super::{
    Listed, ReadMail,
    links::{Origin, Piece},
    parsed::Header,
};

/// The policy of our own pages. Only a mail's page has a frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The policy of a mail's HTML part. Pictures and styles can only be in the mail itself.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'self'; \
                           sandbox allow-popups allow-popups-to-escape-sandbox \
                           allow-top-navigation-by-user-activation";
/// The policy of a mail's source.
const RAW_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// The start of an HTML part's document. The first `target` counts.
const MAIL_START: &str = "<!DOCTYPE html><base target=\"_top\">";

#[derive(Template)]
#[template(path = "outbox.html")]
struct List<'a> {
    mails: &'a [ReadMail],
    /// `None`: the page does not reload by itself, which would interrupt screen readers.
    refresh_seconds: Option<u32>,
    /// The id of the last mail, if older ones exist.
    before: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct One<'a> {
    mail: &'a ReadMail,
    headers: &'a [Header],
    text: Option<Vec<Piece<'a>>>,
}

#[derive(Template)]
#[template(path = "no_mail.html")]
struct NotFound;

/// The list of mails, newest first. `refresh` is the interval that the reader asked for.
pub(super) fn list(Listed { mails, before }: &Listed, refresh: Option<u32>) -> Response {
    let refresh_seconds = refresh.filter(|it| *it > 0);
    render(StatusCode::OK, &List { mails, refresh_seconds, before: before.as_deref() })
}

/// The page of one mail.
pub(super) fn one(mail: &ReadMail, origin: Origin) -> Response {
    let text = mail.parsed.text.as_deref().map(|it| origin.pieces(it));
    render(StatusCode::OK, &One { mail, headers: &mail.parsed.headers, text })
}

/// The page for an id that no mail has.
pub(super) fn not_found() -> Response {
    render(StatusCode::NOT_FOUND, &NotFound)
}

/// The HTML part of a mail, for a frame.
pub(super) fn html(html: &str) -> Response {
    let headers = headers(MAIL_POLICY, "SAMEORIGIN");
    (headers, Html(format!("{MAIL_START}{html}"))).into_response()
}

/// The source of a mail.
pub(super) fn raw(source: Vec<u8>) -> Response {
    let text = [("content-type", "text/plain; charset=utf-8")];
    (headers(RAW_POLICY, "DENY"), text, source).into_response()
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    let page = page.render().expect("writing to a string does not fail");
    (status, headers(PAGE_POLICY, "DENY"), Html(page)).into_response()
}

fn headers(policy: &'static str, frames: &'static str) -> [(&'static str, &'static str); 6] {
    [
        ("content-security-policy", policy),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-dns-prefetch-control", "off"),
        ("x-frame-options", frames),
    ]
}

impl ReadMail {
    /// The time of sending, for display.
    fn time(&self) -> String {
        self.sent.sent_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    fn subject(&self) -> &str {
        match self.parsed.subject.as_str() {
            "" => "(no subject)",
            subject => subject,
        }
    }

    fn to(&self) -> String {
        self.sent.to.join(", ")
    }
}
