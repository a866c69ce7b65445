//! E-mail: a text, and the same as HTML.
//!
//! The HTML loads nothing. Its style sheet is plain, because mail programs read only a part of CSS.
//! The frame of the action has its style in the element, where Markdown cannot write: a body cannot
//! imitate it. In the text, each line of the body is quoted for the same reason.

use askama::Template;
use url::{Url, form_urlencoded};

use super::{
    Content, action,
    facts::{Facts, takes_option_alone},
    text::one_line,
};
use crate::{
    domain::{NotificationId, delivery::message::Purpose},
    page::{self, Piece, Quoted, Words, fill, isolated},
};

/// The style sheet.
const STYLE: &str = include_str!("../../templates/email.css");
/// The host in identifiers of messages, if the request's own is unknown.
const UNKNOWN_HOST: &str = "answerback.invalid";

/// An e-mail. It cannot be printed, because it has the link and the code.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// The subject, in one line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The header `Message-ID`, with its angle brackets.
    pub message_id: String,
    /// The header `In-Reply-To`, if this is not the first message.
    pub in_reply_to: Option<String>,
}

#[derive(Template)]
#[template(path = "email.txt")]
struct Text<'a> {
    it: &'a Letter<'a>,
}

#[derive(Template)]
#[template(path = "email.html")]
struct Html<'a> {
    it: &'a Letter<'a>,
    words: &'static Words,
    body: Option<String>,
}

/// The parts of both forms.
struct Letter<'a> {
    facts: Facts,
    /// The reason why the recipient received it.
    because: String,
    options: Vec<OptionLink>,
    link: &'a str,
    /// The text of the link without an option.
    open: &'static str,
    /// The sentence with the code.
    code: Option<String>,
}

/// A link that leads to the button of one option.
struct OptionLink {
    label: String,
    url: String,
}

/// The e-mail with this content.
pub fn email(content: &Content<'_>) -> Email {
    let letter = Letter::of(content);
    let base_url = &content.request.base_url;
    let words = letter.facts.words;
    let body = content.request.question.body.as_deref().map(page::to_html);
    Email {
        subject: letter.subject(content.purpose),
        // The blank line before the title follows a note about the sender, if there is one.
        text: written(&Text { it: &letter }).trim_start_matches('\n').to_owned(),
        html: written(&Html { it: &letter, words, body }),
        message_id: message_id(content.notification, base_url),
        in_reply_to: content.in_reply_to.map(|it| message_id(it, base_url)),
    }
}

impl<'a> Letter<'a> {
    fn of(content: &Content<'a>) -> Self {
        let facts = Facts::of(content);
        let question = &content.request.question;
        let message = &facts.words.message;
        let link = |value: &str| {
            let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            format!("{}?option={value}", content.link)
        };
        let options = question.options.iter().filter(|_| takes_option_alone(question));
        let options: Vec<_> = options
            .map(|it| OptionLink { label: one_line(&it.label), url: link(&it.value) })
            .collect();
        let words = &facts.words.facts;
        Self {
            because: facts.recipient.as_deref().map_or_else(
                || words.because_link.to_owned(),
                |it| fill(words.because_asked, &[&isolated(it)]),
            ),
            open: if options.is_empty() { message.open } else { message.no_option },
            options,
            link: content.link,
            code: content.code.map(|it| fill(message.code, &[it])),
            facts,
        }
    }

    fn subject(&self, purpose: Purpose) -> String {
        let message = &self.facts.words.message;
        let subject = match purpose {
            Purpose::Ask => self.facts.title.clone(),
            Purpose::Remind => fill(message.reminder_subject, &[&self.facts.title]),
            Purpose::Escalate => fill(message.escalated_subject, &[&self.facts.title]),
            Purpose::Code => fill(message.code_subject, &[&self.facts.title]),
        };
        match self.facts.test {
            Some(_) => fill(message.test_subject, &[&subject]),
            None => subject,
        }
    }

    /// The body, quoted.
    fn quoted_body(&self) -> Option<String> {
        let body = self.facts.body.as_deref()?;
        Some(format!("> {}\n", body.trim_end().replace('\n', "\n> ")))
    }
}

/// The identifier of a message in mail headers. The API has the address `base_url`.
pub(super) fn message_id(notification: NotificationId, base_url: &str) -> String {
    let url = Url::parse(base_url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let is_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-');
    let is_host = !host.is_empty() && host.chars().all(is_name);
    format!("<{notification}@{}>", if is_host { host } else { UNKNOWN_HOST })
}

pub(super) fn written(template: &impl Template) -> String {
    template.render().expect("a template fails only if writing does, and a string takes all")
}
