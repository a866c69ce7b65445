//! The page behind an answer link: what is asked, the form that answers it, and what was answered.
//!
//! Two functions write it: `poll` shows it, `intake` shows what became of a form that was sent. It
//! is text in and text out. It knows no request and no HTTP, decides nothing, and never sees the
//! token of the link: the form has no `action`, so a browser posts it to where the page came from.
//!
//! - It needs no script, no font, no image and no other resource, and [`headers`] forbid them all.
//!   The one style sheet is inline, and allowed by its hash.
//! - What people wrote is escaped by the templates; the Markdown of the body goes through
//!   `markdown`, the only HTML that a template passes on unescaped.
//! - **No key press decides by accident.** A browser answers Enter in a field with the first submit
//!   button of the form ("implicit submission"), which would be "Approve" as often as not. Where
//!   there are options, the first button is therefore an unseen one whose option is empty, and the
//!   page comes back with "Choose one of the options". It must be neither disabled (Chromium then
//!   takes the next button when Enter is pressed on a checkbox) nor `hidden` (not every browser
//!   presses a button that it does not lay out).

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

pub use form::{Choice, Field, FieldError, FieldKind, Form, Style, parse_form};

/// The whole style sheet, exactly as the page has it: its hash is in [`headers`].
const STYLE: &str = include_str!("../../templates/style.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// What every page is sent with, whatever its status.
pub fn headers() -> [(&'static str, &'static str); 7] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &POLICY),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex, nofollow"),
    ]
}

/// One recipient's view of one request.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// What is asked, in a line.
    pub title: &'a str,
    /// What is asked, at length, in Markdown.
    pub body_markdown: Option<&'a str>,
    /// In whose name the holder of the link answers.
    pub recipient_name: Option<&'a str>,
    /// False where only a test is made, which the page then says.
    pub livemode: bool,
    /// Until when answers count.
    pub deadline: Timestamp,
    /// The time that "in about 3 hours" counts from.
    pub now: Timestamp,
    /// What the recipient can still do, or what has become of it.
    pub content: Content<'a>,
}

/// What stands below the question.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// The recipient may answer, or answer again.
    Form(Form<'a>),
    /// The recipient has answered, finally.
    Answered(Answered<'a>),
    /// The recipient tried to answer once more, and the first answer stands.
    AlreadyAnswered(Answered<'a>),
    /// Nobody can answer any more.
    Ended {
        /// How it ended.
        ending: Ending<'a>,
        /// What this recipient had answered before.
        own: Option<Answered<'a>>,
    },
}

/// How a request ended, as far as a recipient is told.
#[derive(Clone, Debug)]
pub enum Ending<'a> {
    /// The answers so far were enough, or could no longer be.
    Decided,
    /// Who asked took the question back.
    Cancelled,
    /// The deadline came first.
    TimedOut,
    /// The deadline came first, and a rule decided in place of a person.
    Defaulted {
        /// The label of the option that the rule names.
        option: &'a str,
    },
}

/// An answer that is on record.
#[derive(Clone, Debug)]
pub struct Answered<'a> {
    /// The label of the chosen option, where there was a choice.
    pub option: Option<&'a str>,
    /// Label and text of every field that was filled in.
    pub fields: Vec<(&'a str, Cow<'a, str>)>,
    /// When it was given.
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

/// The whole HTML document for one recipient.
pub fn render(page: &Page<'_>) -> String {
    let body = page.body_markdown.map(markdown::to_html);
    written(&Question { page, body })
}

/// The document for a link that is unknown or altered; it tells nothing else.
pub fn render_unknown() -> String {
    render_problem(
        "This link does not work",
        "It is incomplete, or it is no longer valid. Please open the link again exactly as you \
         received it, or ask its sender for a new one.",
    )
}

/// The document for anything else that went wrong.
///
/// Both texts are shown to whoever opened the link. `detail` should say whether an answer was
/// recorded, and what to do.
pub fn render_problem(title: &str, detail: &str) -> String {
    written(&Notice { title, detail })
}

fn written(template: &impl Template) -> String {
    template.render().expect("a template fails only if writing does, and a string takes all")
}

impl Page<'_> {
    /// What a tab or a screen reader says first.
    fn status(&self) -> &'static str {
        match &self.content {
            Content::Form(form) if !form.errors.is_empty() => "Error: ",
            Content::Form(Form { current: None, .. }) => "",
            Content::Form(Form { current: Some(_), .. }) | Content::Answered(_) => "Recorded: ",
            Content::AlreadyAnswered(_) => "Already answered: ",
            Content::Ended { .. } => "Closed: ",
        }
    }
}
