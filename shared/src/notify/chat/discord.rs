//! Discord: one embed, and the link above it.
//!
//! `allowed_mentions` allows none, whatever the texts say. Discord takes 2,000 characters of content,
//! and of an embed 256 in the title, 4,096 in the description, and 6,000 in all.

use serde_json::{Value, json};

use super::compose::{Form, TitlePlace, compose};
use crate::notify::{
    facts::Facts,
    text::{fit, markdown, units},
};

/// Longest content.
const CONTENT_UNITS_MAX: usize = 2_000;
/// Longest title of an embed.
const TITLE_UNITS_MAX: usize = 256;

const FORM: Form = Form {
    room: 4_096,
    size: units,
    spell: markdown,
    title: TitlePlace::Elsewhere,
    strong: "**",
    fence: Some("```"),
};

pub(super) fn message(facts: &Facts, link: &str) -> Value {
    let description = compose(facts, &FORM, |_| String::new());
    let title = fit(&facts.title, TITLE_UNITS_MAX, markdown, units).text;
    // In angle brackets it has no preview.
    let content = format!("{}: <{link}>", description.open);
    json!({
        "content": content,
        "embeds": [{ "title": title, "description": description.text }],
        "allowed_mentions": { "parse": [] },
    })
}

pub(super) fn notice(text: &str) -> Value {
    let content = fit(text, CONTENT_UNITS_MAX, markdown, units).text;
    json!({ "content": content, "allowed_mentions": { "parse": [] } })
}
