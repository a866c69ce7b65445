//! Mattermost: Markdown, and mentions that it finds without reading Markdown. It takes 16,383
//! characters, and splits longer messages.

use serde_json::{Value, json};

use super::compose::{Form, TitlePlace, compose};
use crate::notify::{
    facts::Facts,
    text::{ZERO_WIDTH_SPACE, fit, markdown, units},
};

const FORM: Form = Form {
    room: 16_000,
    size: units,
    spell,
    title: TitlePlace::Inside,
    strong: "**",
    fence: Some("```"),
};

pub(super) fn message(facts: &Facts, link: &str) -> Value {
    json!({ "text": compose(facts, &FORM, |open| format!("{open}: {link}")).text })
}

pub(super) fn notice(text: &str) -> Value {
    json!({ "text": fit(text, FORM.room, spell, units).text })
}

/// A mention survives an escape, but not an invisible space.
fn spell(character: char, out: &mut String) {
    markdown(character, out);
    if character == '@' {
        out.push(ZERO_WIDTH_SPACE);
    }
}
