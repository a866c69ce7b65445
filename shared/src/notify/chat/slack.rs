//! Slack: blocks of plain text. Only our own words and the action, in a block of code, are in its
//! markup. It takes 150 characters in a header, and 3,000 in a section.

use serde_json::{Value, json};

use super::compose::fenced;
use crate::{
    notify::{
        facts::Facts,
        text::{fit, units},
    },
    page::Action,
};

/// Longest header.
const HEADER_UNITS_MAX: usize = 150;
/// Longest text of a section.
const SECTION_UNITS_MAX: usize = 3_000;

/// A question as blocks.
pub(in crate::notify) struct Blocks {
    /// The blocks, without the end and the link.
    pub(in crate::notify) all: Vec<Value>,
    /// Nothing was left out.
    pub(in crate::notify) is_whole: bool,
    /// The words of the link.
    pub(in crate::notify) open: &'static str,
}

pub(super) fn message(facts: &Facts, link: &str) -> Value {
    let Blocks { all: mut blocks, open, .. } = question(facts, SECTION_UNITS_MAX);
    blocks.push(text_section(&facts.closing().join("\n")));
    blocks.push(markup(&format!("*<{link}|{open}>*")));
    json!({
        "text": spelled(&facts.title, SECTION_UNITS_MAX),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// The question, with its action if that takes at most `action_room`.
pub(in crate::notify) fn question(facts: &Facts, action_room: usize) -> Blocks {
    let words = facts.words;
    let mut is_whole = true;
    let mut text = |it: &str| {
        is_whole &= units(&spelled(it, usize::MAX)) <= SECTION_UNITS_MAX;
        text_section(it)
    };
    // A header is not cut: the end of a title can change its meaning.
    let title = match spelled(&facts.title, usize::MAX) {
        it if units(&it) <= HEADER_UNITS_MAX => {
            json!({ "type": "header", "text": plain(&facts.title) })
        }
        _ => text(&facts.title),
    };
    let mut blocks = vec![title, text(&facts.opening().join("\n"))];
    let mut open = words.message.open;
    if let Some(action) = &facts.action {
        let shown = action_text(action, facts);
        if units(&shown) > action_room {
            open = words.message.review;
            blocks.push(text(words.message.too_long));
        } else {
            blocks.push(section(&json!({ "type": "mrkdwn", "text": shown, "verbatim": true })));
            let approval = action.approval.join("\n");
            let approval = Some(approval).filter(|it| !it.is_empty());
            blocks.extend(approval.map(|it| text(&it)));
        }
        blocks.extend(facts.body.as_ref().map(|_| markup(&format!("*{}*", words.facts.message))));
    }
    blocks.extend(facts.body.as_ref().map(|it| text(it.trim())));
    is_whole &= open == words.message.open;
    Blocks { all: blocks, is_whole, open }
}

/// A section in Slack's markup.
pub(in crate::notify) fn markup(text: &str) -> Value {
    // Slack makes no links or mentions of what looks like them.
    section(&json!({ "type": "mrkdwn", "text": text, "verbatim": true }))
}

pub(super) fn notice(text: &str) -> Value {
    json!({ "text": spelled(text, SECTION_UNITS_MAX), "mrkdwn": false })
}

fn action_text(action: &Action, facts: &Facts) -> String {
    let words = &facts.words.facts;
    format!("*{}*\n{}\n```{}```", words.action, words.action_detail, fenced(action))
}

/// A section that Slack shows in full.
fn section(text: &Value) -> Value {
    json!({ "type": "section", "text": text, "expand": true })
}

/// A section of plain text.
pub(in crate::notify) fn text_section(text: &str) -> Value {
    section(&plain(text))
}

/// Plain text.
pub(in crate::notify) fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": spelled(text, SECTION_UNITS_MAX), "emoji": false })
}

/// The text with the three escapes that Slack knows.
pub(in crate::notify) fn spelled(text: &str, room: usize) -> String {
    let spell = |character, out: &mut String| match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        _ => out.push(character),
    };
    fit(text, room, spell, units).text
}
