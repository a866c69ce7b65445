//! ntfy: the JSON form of publishing (<https://docs.ntfy.sh/publish/#publish-as-json>).
//!
//! The message is not Markdown. A server takes at most 4,096 bytes of it, and about twice as many of
//! the whole JSON.

use serde_json::{Value, json};

use super::{
    Content,
    chat::{Form, TitlePlace, compose},
    facts::{Facts, takes_press},
    text::{fit, json_bytes, one_line, plain, units},
};
use crate::domain::delivery::message::Purpose;

/// Largest message, in bytes of JSON, which are at least as many as those of the text.
const MESSAGE_BYTES_MAX: usize = 4_000;
/// Longest title.
const TITLE_UNITS_MAX: usize = 200;
/// Most actions of a notification.
const ACTIONS_MAX: usize = 3;
/// ntfy's usual priority.
const PRIORITY_DEFAULT: u8 = 3;
/// The priority of messages that come because an answer is missing.
const PRIORITY_HIGH: u8 = 4;

const FORM: Form = Form {
    room: MESSAGE_BYTES_MAX,
    size: json_bytes,
    spell: plain,
    title: TitlePlace::Elsewhere,
    strong: "",
    fence: None,
};

/// Buttons that answer from the notification, without the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buttons {
    /// They are shown where a press alone may decide.
    Shown,
    /// A notification only opens the link.
    Hidden,
}

/// The message with this content for a topic.
pub fn ntfy(content: &Content<'_>, topic: &str, buttons: Buttons) -> Value {
    let facts = Facts::of(content);
    let message = compose(&facts, &FORM, |_| String::new());
    // Nobody should decide about text that they did not see.
    let is_decidable = buttons == Buttons::Shown && message.is_whole;
    let actions = answers(content).filter(|_| is_decidable).unwrap_or_else(|| {
        vec![json!({ "action": "view", "label": message.open, "url": content.link })]
    });
    let priority = match content.purpose {
        Purpose::Ask | Purpose::Code => PRIORITY_DEFAULT,
        Purpose::Remind | Purpose::Escalate => PRIORITY_HIGH,
    };
    json!({
        "topic": topic,
        "title": fit(&facts.title, TITLE_UNITS_MAX, plain, units).text,
        "message": message.text,
        "click": content.link,
        "actions": actions,
        "priority": priority,
        "tags": ["question"],
    })
}

/// A button for each option, if a press alone may decide and all of them fit.
fn answers(content: &Content<'_>) -> Option<Vec<Value>> {
    let request = content.request;
    let (_, token) = content.link.rsplit_once("/a/")?;
    let url = format!("{}/v1/answers/{token}", request.base_url);
    let options = &request.question.options;
    let button = |value: &str, label: &str| {
        json!({
            "action": "http",
            "label": one_line(label),
            "method": "POST",
            "url": url,
            "headers": { "Content-Type": "application/json" },
            "body": json!({ "option": value }).to_string(),
            "clear": true,
        })
    };
    let buttons = || options.iter().map(|it| button(&it.value, &it.label)).collect();
    (takes_press(request) && options.len() <= ACTIONS_MAX).then(buttons)
}
