//! The page behind an answer link: the question, and a form or the recorded answer.
//!
//! Two functions render it: `poll` shows it, and `intake` responds to a submitted form with it. This
//! module is text in and text out. It knows neither requests nor HTTP, and it never sees the token
//! of the link: the form has no `action`, so a browser posts it to the page's own URL.
//!
//! - The page loads no font, image or other resource, and [`headers`] forbid them all. Its only
//!   style sheet and its only script are inline, and allowed by their hashes. The script shows times
//!   in the reader's time zone and counts characters; nothing needs it.
//! - The templates escape all texts that people wrote. Only the Markdown of the body becomes HTML,
//!   in `markdown`.
//! - **No key press decides by accident.** If Enter is pressed in a field, browsers press the form's
//!   first button ("implicit submission"), which could be "Approve". So the first button of a form
//!   with options is invisible and has no option, and the page comes back with "Choose one of the
//!   options". This button must not be disabled: then Chromium takes the next one when Enter is
//!   pressed on a checkbox. And it must not be `hidden`: not every browser presses such a button.

mod action;
mod form;
mod markdown;
mod time;
mod words;

#[cfg(test)]
pub(crate) mod reader;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::LazyLock};

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub use action::{Action, Piece, Quoted};
pub(crate) use form::isolated;
pub use form::{
    Choice, CodeInput, Control, Field, FieldError, FieldKind, Form, FormPart, Required, Style,
    SubmittedForm, parse_form,
};
pub(crate) use markdown::to_html;
pub(crate) use time::{length, written_out};
pub use words::{Notice, ProblemKind, Words};
pub(crate) use words::{around, fill};

/// The style sheet, exactly as it is in the page. Its hash is in [`headers`].
const STYLE: &str = include_str!("../../templates/style.css");

/// The script, exactly as it is in the page. Its hash is in [`headers`].
const SCRIPT: &str = include_str!("../../templates/script.js");

/// The icon of all pages, as SVG.
pub const FAVICON: &str = include_str!("../../templates/favicon.svg");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let [style, script] = [STYLE, SCRIPT].map(|it| STANDARD.encode(Sha256::digest(it)));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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
    /// The page's own words.
    pub words: &'static Words,
    /// Who asks.
    pub asker: Asker<'a>,
    /// The question in one line.
    pub title: &'a str,
    /// The action that will be carried out if people approve.
    pub action: Option<Action>,
    /// The question in detail, in Markdown.
    pub body_markdown: Option<&'a str>,
    /// The name of the recipient.
    pub recipient_name: Option<&'a str>,
    /// The request is a test, and the page says so.
    pub is_test: bool,
    /// The end of the time to answer.
    pub deadline: Timestamp,
    /// The time of the end, if the request has ended.
    pub closed_at: Option<Timestamp>,
    /// What an answer does and what else decides, in sentences.
    pub effects: Vec<String>,
    /// What happens before the deadline, in the order of time.
    pub coming: Vec<Coming>,
    /// The current time, for "in about 3 hours".
    pub now: Timestamp,
    /// The part below the question.
    pub content: Content<'a>,
}

/// Something that happens if the question is still open then: a sentence around a time.
#[derive(Clone, Debug)]
pub struct Coming {
    /// The text before the time.
    pub before: &'static str,
    /// The time.
    pub at: Timestamp,
    /// The text after the time.
    pub after: String,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// The name of the account, if it has one.
    pub account: Option<&'a str>,
    /// Who asks by the account, according to the account.
    pub requester: Option<Requester<'a>>,
}

/// Who asks by an account, according to the account.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// The kind of requester.
    pub kind: RequesterKind,
    /// Its name.
    pub name: &'a str,
    /// It is that of the key that asks, and not a claim.
    pub is_verified: bool,
}

/// The kind of requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequesterKind {
    /// A person.
    Person,
    /// A program with a fixed task.
    Service,
    /// A program that acts by itself.
    Agent,
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
    /// Says whether the answer approves the action, if there is an approval to be used.
    pub approval: Option<&'a str>,
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
    /// One answer has ended it.
    Vetoed,
    /// The answers can no longer decide it.
    NotMet,
    /// Enough others have answered.
    Enough,
    /// The sender withdrew the question.
    Cancelled {
        /// The sender's reason.
        reason: Option<&'a str>,
    },
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
    words: &'static Words,
    body: Option<String>,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    words: &'static Words,
    notice: Notice,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    words: &'static Words,
}

/// The whole HTML document for one recipient.
pub fn render(page: &Page<'_>) -> String {
    let body = page.body_markdown.map(markdown::to_html);
    written(&Question { page, words: page.words, body })
}

/// The document for a problem. For a link that is unknown or altered, it reveals nothing else.
pub fn render_problem(words: &'static Words, kind: ProblemKind) -> String {
    written(&NoticePage { words, notice: words.problem(kind) })
}

/// The document at `/`, which says what runs here. It is for developers, and in English.
pub fn render_home() -> String {
    written(&Home { words: Words::english() })
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
        let words = &self.words.status;
        match &self.content {
            Content::Form(form) if !form.errors.is_empty() => words.error,
            Content::Form(Form { current: None, .. }) => "",
            Content::Form(Form { current: Some(_), .. }) | Content::Answered(_) => words.recorded,
            Content::Confirmation(_) => words.confirm,
            Content::Locked { .. } => words.locked,
            Content::AlreadyAnswered { .. } => words.already,
            Content::Ended { .. } => words.closed,
        }
    }

    /// The title for a tab, where an override of the direction of writing would reach the words
    /// around it.
    fn tab_title(&self) -> String {
        without_directions(self.title)
    }
}

/// The text without characters that set the direction of writing.
pub(crate) fn without_directions(text: &str) -> String {
    let is_direction = |it: char| matches!(it, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace(is_direction, "")
}

impl Requester<'_> {
    /// The text with a place for the name.
    pub(crate) fn on_behalf_of(&self, words: &Words) -> &'static str {
        let words = &words.facts;
        match (self.kind, self.is_verified) {
            (RequesterKind::Person, false) => words.on_behalf_of_person,
            (RequesterKind::Service, false) => words.on_behalf_of_service,
            (RequesterKind::Agent, false) => words.on_behalf_of_agent,
            (RequesterKind::Person, true) => words.for_person,
            (RequesterKind::Service, true) => words.for_service,
            (RequesterKind::Agent, true) => words.for_agent,
        }
    }
}
