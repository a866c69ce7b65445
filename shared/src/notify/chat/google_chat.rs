//! Google Chat: text with a markup that has no escape. An invisible space takes the meaning from its
//! characters: `<users/all>` no longer notifies everyone, and `<https://…|text>` is no link. It takes
//! 4,096 bytes.

use serde_json::{Value, json};

use super::compose::{Form, TitlePlace, compose};
use crate::notify::{
    facts::Facts,
    text::{ZERO_WIDTH_SPACE, bytes, fit},
};

const FORM: Form = Form {
    room: 4_096,
    size: bytes,
    spell,
    title: TitlePlace::Inside,
    strong: "*",
    fence: Some("```"),
};

pub(super) fn message(facts: &Facts, link: &str) -> Value {
    json!({ "text": compose(facts, &FORM, |open| format!("{open}: {link}")).text })
}

pub(super) fn notice(text: &str) -> Value {
    json!({ "text": fit(text, FORM.room, spell, bytes).text })
}

fn spell(character: char, out: &mut String) {
    out.push(character);
    if matches!(character, '<' | '*' | '_' | '~' | '`') {
        out.push(ZERO_WIDTH_SPACE);
    }
}
