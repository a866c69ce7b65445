//! Teams: an Adaptive Card in the envelope that Workflows webhooks expect. A message takes 28 KB.
//!
//! The clients of Teams differ in how they break and indent lines of a text block. So each line is a
//! block, and is indented with spaces that do not break.

use serde_json::{Value, json};

use super::compose::verbatim;
use crate::notify::{
    facts::Facts,
    text::{fit, json_bytes, markdown},
};

/// Largest message, in bytes of JSON.
const MESSAGE_BYTES_MAX: usize = 28_000;
/// A space that is neither broken nor left out.
const NO_BREAK_SPACE: &str = "\u{a0}";
/// Most of it that a sentence takes, with at most nine of them in a message.
const SENTENCE_BYTES_MAX: usize = 1_000;
/// Least room for a line of a body, with the JSON around it.
const LINE_BYTES_MIN: usize = 300;

pub(super) fn message(facts: &Facts, link: &str) -> Value {
    let words = facts.words;
    let mut card = Card::default();
    card.push(heading(&facts.title));
    card.extend(facts.opening().iter().map(|it| sentence(it)));
    let closing: Vec<Value> = facts.closing().iter().map(|it| sentence(it)).collect();
    let end_bytes = closing.iter().map(n_bytes).sum::<usize>()
        + n_bytes(&envelope(&[], Some(&opens(words.message.review, link))));
    let room = MESSAGE_BYTES_MAX.saturating_sub(end_bytes);

    let mut open = words.message.open;
    if let Some(action) = &facts.action {
        let mut blocks = vec![heading(words.facts.action), sentence(words.facts.action_detail)];
        blocks.extend(verbatim(action).lines().map(code_line));
        blocks.extend(action.approval.iter().map(|it| sentence(it)));
        if blocks.iter().map(n_bytes).sum::<usize>() > room.saturating_sub(card.n_bytes) {
            open = words.message.review;
            blocks = vec![sentence(words.message.too_long)];
        }
        card.extend(blocks);
    }
    if let Some(body) = &facts.body {
        if facts.action.is_some() {
            card.push(heading(words.facts.message));
        }
        for line in body.lines().filter(|it| !it.trim().is_empty()) {
            let left = room.saturating_sub(card.n_bytes + LINE_BYTES_MIN);
            let fitted = fit(line, left, markdown, json_bytes);
            card.push(text_block(&fitted.text));
            if fitted.is_cut {
                break;
            }
        }
    }
    card.extend(closing);
    envelope(&card.blocks, Some(&opens(open, link)))
}

pub(super) fn notice(text: &str) -> Value {
    envelope(&[sentence(text)], None)
}

/// The blocks of a card so far.
#[derive(Default)]
struct Card {
    blocks: Vec<Value>,
    n_bytes: usize,
}

impl Card {
    fn push(&mut self, block: Value) {
        self.n_bytes += n_bytes(&block);
        self.blocks.push(block);
    }

    fn extend(&mut self, blocks: impl IntoIterator<Item = Value>) {
        for block in blocks {
            self.push(block);
        }
    }
}

fn n_bytes(value: &Value) -> usize {
    // With the comma after it.
    value.to_string().len() + 1
}

/// A block with a text in the spelling of Markdown.
fn text_block(text: &str) -> Value {
    json!({ "type": "TextBlock", "text": text, "wrap": true, "spacing": "Small" })
}

fn sentence(text: &str) -> Value {
    text_block(&fit(text, SENTENCE_BYTES_MAX, markdown, json_bytes).text)
}

fn heading(text: &str) -> Value {
    let mut block = sentence(text);
    block["weight"] = "Bolder".into();
    block["size"] = "Medium".into();
    block["spacing"] = "Medium".into();
    block
}

/// A line of an action. It is never cut.
fn code_line(line: &str) -> Value {
    let code = line.trim_start_matches(' ');
    let indent = NO_BREAK_SPACE.repeat(line.len() - code.len());
    let mut block = text_block(&(indent + &fit(code, usize::MAX, markdown, json_bytes).text));
    block["fontType"] = "Monospace".into();
    block["spacing"] = "None".into();
    block
}

fn opens(words: &str, link: &str) -> Value {
    json!({ "type": "Action.OpenUrl", "title": words, "url": link })
}

fn envelope(body: &[Value], action: Option<&Value>) -> Value {
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": action.into_iter().collect::<Vec<_>>(),
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}
