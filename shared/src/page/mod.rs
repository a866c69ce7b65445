//! The page behind an answer link: the question, and a form or the recorded answer.
//!
//! Two functions render it: `poll` shows it, and `intake` responds to a submitted form with it. This
//! module is text in and text out. It knows neither requests nor HTTP, and it never sees the token
//! of the link: the form has no `action`, so a browser posts it to the page's own URL.
//!
//! - The page loads no script, font, image or other resource, and [`headers`] forbid them all. Its
//!   only style sheet is inline, and allowed by its hash.
//! - The templates escape all texts that people wrote. Only the Markdown of the body becomes HTML,
//!   in `markdown`.
//! - **No key press decides by accident.** If Enter is pressed in a field, browsers press the form's
//!   first button ("implicit submission"), which could be "Approve". So the first button of a form
//!   with options is invisible and has no option, and the page comes back with "Choose one of the
//!   options". This button must not be disabled: then Chromium takes the next one when Enter is
//!   pressed on a checkbox. And it must not be `hidden`: not every browser presses such a button.

mod form;
mod markdown;
mod time;

#[cfg(test)]
mod reader;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::LazyLock};

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub use form::{
    Choice, CodeInput, Field, FieldError, FieldKind, Form, FormPart, Style, SubmittedForm,
    parse_form,
};

/// The style sheet, exactly as it is in the page. Its hash is in [`headers`].
const STYLE: &str = include_str!("../../templates/style.css");

/// The icon of all pages, as SVG.
pub const FAVICON: &str = include_str!("../../templates/favicon.svg");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// The headers of every page, whatever its status.
///
/// - A browser that was here once calls this host by HTTPS only, for a year. It ignores that when
///   it came by HTTP, as in the local stack.
/// - No other site can open, frame or embed a page, and a page needs no device.
pub fn headers() -> [(&'static str, &'static str); 11] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &POLICY),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex, nofollow"),
        ("strict-transport-security", "max-age=31536000"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ]
}

/// One recipient's page of one request.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// The question in one line.
    pub title: &'a str,
    /// The question in detail, in Markdown.
    pub body_markdown: Option<&'a str>,
    /// The name of the recipient.
    pub recipient_name: Option<&'a str>,
    /// The request is a test, and the page says so.
    pub is_test: bool,
    /// The end of the time to answer.
    pub deadline: Timestamp,
    /// The current time, for "in about 3 hours".
    pub now: Timestamp,
    /// The part below the question.
    pub content: Content<'a>,
}

/// The part below the question.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// The recipient may answer, or change the answer.
    Form(Form<'a>),
    /// The second step: the recipient confirms an answer.
    Confirmation(Confirmation<'a>),
    /// The code was wrong too often.
    Locked {
        /// The recipient can have a new code.
        can_renew: bool,
    },
    /// The recipient has answered, and the answer is final.
    Answered(Answered<'a>),
    /// The recipient tried to answer again, but the first answer is final.
    AlreadyAnswered {
        /// The first answer.
        own: Answered<'a>,
        /// The other one.
        written: Option<Written<'a>>,
    },
    /// The request has ended.
    Ended {
        /// Its end.
        ending: Ending<'a>,
        /// The recipient's answer, if there is one.
        own: Option<Answered<'a>>,
        /// The answer that came too late, if there is one.
        written: Option<Written<'a>>,
    },
}

/// The second step: the answer that a press of the button records.
#[derive(Clone, Debug)]
pub struct Confirmation<'a> {
    /// The answer.
    pub written: Written<'a>,
    /// The style of the chosen option.
    pub style: Style,
    /// The value of the chosen option.
    pub option: &'a str,
    /// The texts of the controls, by key.
    pub values: &'a [(String, String)],
    /// The recorded answer, if answers may change.
    pub current: Option<Answered<'a>>,
    /// The recorded answer has changed since the recipient opened the page.
    pub is_outdated: bool,
    /// Says which page the form comes from.
    pub nonce: String,
    /// The code of the link, as it was typed.
    pub code: Option<&'a str>,
}

/// An answer that is not recorded.
#[derive(Clone, Debug, Default)]
pub struct Written<'a> {
    /// The label of the chosen option, if the question has options.
    pub option: Option<&'a str>,
    /// The label and text of every field that was filled in.
    pub fields: Vec<(&'a str, Cow<'a, str>)>,
}

impl Written<'_> {
    /// There is nothing to show.
    fn is_empty(&self) -> bool {
        self.option.is_none() && self.fields.is_empty()
    }
}

/// The end of a request, as far as a recipient may know.
#[derive(Clone, Debug)]
pub enum Ending<'a> {
    /// The answers have decided it.
    Decided,
    /// The sender withdrew the question.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// The deadline passed, and a default decided.
    Defaulted {
        /// The label of the default option.
        option: &'a str,
    },
}

/// A recorded answer.
#[derive(Clone, Debug)]
pub struct Answered<'a> {
    /// The label of the chosen option, if the question has options.
    pub option: Option<&'a str>,
    /// The label and text of every field that was filled in.
    pub fields: Vec<(&'a str, Cow<'a, str>)>,
    /// The time of the answer.
    pub at: Timestamp,
}

#[derive(Template)]
#[template(path = "question.html")]
struct Question<'a> {
    page: &'a Page<'a>,
    body: Option<String>,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    title: &'a str,
    detail: &'a str,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home;

/// The whole HTML document for one recipient.
pub fn render(page: &Page<'_>) -> String {
    let body = page.body_markdown.map(markdown::to_html);
    written(&Question { page, body })
}

/// The document for a link that is unknown or altered. It reveals nothing else.
pub fn render_unknown() -> String {
    render_problem(
        "This link does not work",
        "The link is incomplete or no longer valid. Open it again exactly as you received it, or ask \
         the sender for a new one.",
    )
}

/// The document for any other problem.
///
/// The recipient sees both texts. `detail` should say whether the answer was recorded, and what to
/// do.
pub fn render_problem(title: &str, detail: &str) -> String {
    written(&Notice { title, detail })
}

/// The document at `/`, which says what runs here.
pub fn render_home() -> String {
    written(&Home)
}

fn written(template: &impl Template) -> String {
    template.render().expect("a template fails only if writing does, and a string takes all")
}

impl Page<'_> {
    /// The recipient may answer, or change the answer.
    fn is_open(&self) -> bool {
        matches!(self.content, Content::Form(_) | Content::Confirmation(_) | Content::Locked { .. })
    }

    /// The prefix of the title, which a tab shows and a screen reader says first.
    fn status(&self) -> &'static str {
        match &self.content {
            Content::Form(form) if !form.errors.is_empty() => "Error: ",
            Content::Form(Form { current: None, .. }) => "",
            Content::Form(Form { current: Some(_), .. }) | Content::Answered(_) => "Recorded: ",
            Content::Confirmation(_) => "Confirm: ",
            Content::Locked { .. } => "Locked: ",
            Content::AlreadyAnswered { .. } => "Already answered: ",
            Content::Ended { .. } => "Closed: ",
        }
    }
}
