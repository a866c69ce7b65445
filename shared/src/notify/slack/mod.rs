//! Slack, by a bot: a question that people answer in the message, and the same message after that.
//!
//! ```text
//!   the message ─┬─ press ─▶ the answer                       ┌─▶ the same message with what was decided,
//!                └─ press ─▶ modal with fields ─▶ the answer ─┘   without buttons
//! ```
//!
//! - Nobody decides about text that they did not see: a message that is not whole has no buttons for
//!   options, but one to review.
//! - A link lets its holder answer. So in a channel, which others read, no message has one.
//!
//! <https://docs.slack.dev/reference/block-kit>

mod copy;
mod modal;

pub use copy::{Reader, copy, erased_copy, outcome, state};
use modal::can_prefill;
pub use modal::{closed_modal, modal, option_of, read_modal, refused_modal};
use serde_json::{Value, json};

use super::{
    Content,
    chat::slack::{markup, plain, question, spelled, text_section},
    facts::{Facts, label},
    text::{one_line, units},
};
use crate::{
    domain::{
        Assurance, DeliveryId, Mode, Owner, Question, Request,
        question::{Choice, Style},
    },
    page::{Words, fill, isolated},
};

/// Longest action that stands in a message with buttons.
const ACTION_UNITS_MAX: usize = 2_500;
/// Longest text of a message, which notifications show.
const TEXT_UNITS_MAX: usize = 3_000;
/// A character without width, at which no line breaks.
const WORD_JOINER: char = '\u{2060}';
/// Longest title of a dialog.
const DIALOG_TITLE_UNITS_MAX: usize = 100;
/// Longest text of a button.
const BUTTON_UNITS_MAX: usize = 75;
/// Longest text of a dialog's button.
const DIALOG_BUTTON_UNITS_MAX: usize = 30;

/// The place of a message.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The channel, or the user for a direct message.
    pub channel: &'a str,
    /// Others read it, too.
    pub is_shared: bool,
}

/// The meaning of a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// The option with this index. A question without options has only the first.
    Option(usize),
    /// Shows the link.
    Open,
}

impl Button {
    /// The value of this button in the message `delivery` about a request. It names everything that a
    /// press reads, so that one call reads it.
    pub fn value(self, request: &Request, delivery: DeliveryId) -> String {
        let Owner { account, mode } = request.owner;
        let mode = mode.as_str();
        match self {
            Self::Option(index) => format!("{account}.{mode}.{delivery}.{index}"),
            Self::Open => format!("{account}.{mode}.{delivery}.open"),
        }
    }

    /// The owner of the request, the message and the button of a value.
    pub fn parse(value: &str) -> Option<(Owner, DeliveryId, Self)> {
        let mut parts = value.splitn(4, '.');
        let account = parts.next()?.parse().ok()?;
        let mode = Mode::parse(parts.next()?)?;
        let delivery = parts.next()?.parse().ok()?;
        let button = match parts.next()? {
            "open" => Self::Open,
            index => Self::Option(index.parse().ok()?),
        };
        Some((Owner { account, mode }, delivery, button))
    }
}

/// The message with this content, as `chat.postMessage` takes it.
pub fn message(content: &Content<'_>, place: &Place<'_>) -> Value {
    let facts = Facts::of(content);
    let words = facts.words;
    let shown = question(&facts, ACTION_UNITS_MAX);
    let mut blocks = shown.all;
    let mut buttons = Vec::new();
    if shown.is_whole && can_prefill(&content.request.question) {
        buttons.extend(option_buttons(content.request, content.notification.0, words));
    }
    let closing = if place.is_shared { &facts.closing()[..1] } else { &facts.closing()[..] };
    blocks.push(text_section(&closing.join("\n")));
    if place.is_shared {
        buttons.push(open_button(shown.open, content.request, content.notification.0));
    } else {
        blocks.push(markup(&link(content, shown.open, words)));
    }
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    json!({
        "channel": place.channel,
        "text": spelled(&facts.title, TEXT_UNITS_MAX),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// The link with its code, for the recipient alone.
pub fn private_link(content: &Content<'_>) -> String {
    let words = words(content.request);
    link(content, words.message.open, words)
}

fn link(content: &Content<'_>, open: &str, words: &Words) -> String {
    let link = format!("*<{}|{open}>*", content.link);
    match content.code {
        Some(code) => format!("{link}\n{}", fill(words.message.code, &[code])),
        None => link,
    }
}

/// A button that shows the link to who pressed it.
fn open_button(text: &str, request: &Request, message: DeliveryId) -> Value {
    let value = Button::Open.value(request, message);
    json!({ "type": "button", "action_id": "open", "text": plain(text), "value": value })
}

/// A button for each option, if all of them fit.
fn option_buttons(request: &Request, message: DeliveryId, words: &Words) -> Vec<Value> {
    let question = &request.question;
    let value = |index| Button::Option(index).value(request, message);
    let fits = |it: &Choice| units(&spelled(&it.label, usize::MAX)) <= BUTTON_UNITS_MAX;
    if !question.options.iter().all(fits) {
        return Vec::new();
    }
    if question.options.is_empty() {
        return vec![json!({
            "type": "button", "action_id": "option0", "style": "primary",
            "text": plain(words.form.submit), "value": value(0),
        })];
    }
    let button = |(index, option): (usize, &Choice)| {
        let mut button = json!({
            "type": "button",
            "action_id": format!("option{index}"),
            "text": plain(&option.label),
            "value": value(index),
        });
        match option.style {
            Some(Style::Primary) => button["style"] = "primary".into(),
            Some(Style::Destructive) => button["style"] = "danger".into(),
            Some(Style::Secondary) | None => (),
        }
        if asks_to_confirm(request) {
            button["confirm"] = dialog(request, &option.value, words);
        }
        button
    };
    question.options.iter().enumerate().map(button).collect()
}

/// A press is followed by a dialog. A modal is a second step already.
fn asks_to_confirm(request: &Request) -> bool {
    let is_careful = match request.policy.assurance {
        Assurance::Link => false,
        Assurance::Confirm | Assurance::Code => true,
    };
    is_careful && !opens_modal(&request.question)
}

/// An answer has fields, which are filled in in a modal.
pub fn opens_modal(question: &Question) -> bool {
    !question.fields.is_empty()
}

fn dialog(request: &Request, option: &str, words: &Words) -> Value {
    let chose = fill(words.form.you_chose, &[&label(request, option)]);
    json!({
        "title": cut(&chose, DIALOG_TITLE_UNITS_MAX),
        "text": plain(words.form.please_confirm),
        "confirm": cut(words.form.confirm, DIALOG_BUTTON_UNITS_MAX),
        "deny": cut(words.form.back, DIALOG_BUTTON_UNITS_MAX),
    })
}

/// Plain text with this room.
fn cut(text: &str, room: usize) -> Value {
    json!({ "type": "plain_text", "text": spelled(text, room), "emoji": false })
}

/// The words of a request's language.
pub fn words(request: &Request) -> &'static Words {
    let words = request.question.locale.and_then(|it| Words::find(it.as_str()));
    words.unwrap_or(Words::english())
}

/// The reply to a press of somebody who is not asked by this message.
pub fn not_yours(request: &Request, row: usize) -> String {
    fill(words(request).message.not_yours, &[&recipient(request, row)])
}

/// The name or address of a recipient, without a meaning in Slack's markup.
fn recipient(request: &Request, row: usize) -> String {
    let recipient = request.question.recipients.get(row);
    let name = recipient.map_or("", |it| it.name.as_deref().unwrap_or(it.email.as_given()));
    literal(name)
}

/// A text of people in one line, without a meaning in Slack's markup.
fn literal(text: &str) -> String {
    let mut out = String::new();
    for character in isolated(&one_line(text)).chars() {
        out.push(character);
        // Around words, these make them bold, slanted, struck, code or a picture.
        if matches!(character, '*' | '_' | '~' | '`' | ':') {
            out.push(WORD_JOINER);
        }
    }
    spelled(&out, TEXT_UNITS_MAX)
}

/// A reply that only the person who pressed sees. `text` is in Slack's markup.
pub fn whisper(request: &Request, text: &str) -> Value {
    json!({
        "response_type": "ephemeral",
        "replace_original": false,
        "text": words(request).form.your_answer,
        "blocks": [markup(text)],
    })
}

/// The reply to a press that comes before the message is known here.
pub fn press_again(request: &Request) -> &'static str {
    words(request).message.press_again
}
