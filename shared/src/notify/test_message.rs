//! Test messages: they show that a notifier works, and ask nothing. They are in English, because no
//! request says the language of their reader.

use askama::Template;
use serde_json::{Value, json};

use super::{
    chat::notice,
    email::{Email, message_id, written},
    text::one_line,
};
use crate::{
    domain::{NotificationId, notifier::ChatFormat},
    page::isolated,
};

const TITLE: &str = "Test message from Answerback";
const DETAIL: &str = "This notifier works. You do not need to do anything.";

/// Everything that a test message is made from.
#[derive(Clone, Copy, Debug)]
pub struct TestContent<'a> {
    /// The name of the account.
    pub account: Option<&'a str>,
    /// The identifier of this message.
    pub notification: NotificationId,
    /// The address of the API. `Message-ID` has its host.
    pub base_url: &'a str,
}

#[derive(Template)]
#[template(
    source = "<!doctype html>\n<html lang=\"en\" dir=\"ltr\">\n<head><meta charset=\"utf-8\">\
              <title>{{ title }}</title></head>\n<body>\n<p>{{ text }}</p>\n</body>\n</html>\n",
    ext = "html"
)]
struct Html<'a> {
    title: &'a str,
    text: &'a str,
}

/// A test e-mail.
pub(super) fn email(content: &TestContent<'_>) -> Email {
    let text = content.text();
    let html = written(&Html { title: TITLE, text: &text });
    Email {
        subject: TITLE.to_owned(),
        text: format!("{text}\n"),
        html,
        message_id: message_id(content.notification, content.base_url),
        in_reply_to: None,
    }
}

/// A test message for an ntfy topic.
pub(super) fn ntfy(content: &TestContent<'_>, topic: &str) -> Value {
    json!({ "topic": topic, "title": TITLE, "message": content.text(), "tags": ["test_tube"] })
}

/// A test message for a chat program.
pub(super) fn chat(content: &TestContent<'_>, format: ChatFormat) -> Value {
    notice(&format!("{TITLE}. {}", content.text()), format)
}

/// A test message for a channel or user of Slack.
pub(super) fn slack(content: &TestContent<'_>, channel: &str) -> Value {
    let mut message = chat(content, ChatFormat::Slack);
    message["channel"] = channel.into();
    message
}

/// A test message for the account's own system.
pub(super) fn own_system(content: &TestContent<'_>) -> Value {
    json!({
        "notification_id": content.notification.to_string(),
        "purpose": "test",
        "title": TITLE,
        "body": DETAIL,
    })
}

impl TestContent<'_> {
    fn text(&self) -> String {
        let account = self.account.map(one_line);
        let account = account.map(|it| format!(" It was sent for {}.", isolated(&it)));
        format!("{DETAIL}{}", account.unwrap_or_default())
    }
}
