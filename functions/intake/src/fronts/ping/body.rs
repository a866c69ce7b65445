//! The body of Ping's messages.

use std::fmt::Write as _;

use answerback::{
    api::{
        Problem,
        body::{Errors, Item, Object, Sent},
        pointer,
    },
    domain::question::{FIELDS_MAX, LABEL_CHARS_MAX, OPTIONS_MAX, SUBMIT},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{fronts::Translation, requests::body::NewRequestBody};

/// Lifetime of an unread answer, as in Ping.
const ANSWER_TTL_SECONDS: u32 = 600;
/// Most links of a message.
const LINKS_MAX: usize = 10;
/// Most actions of a message.
const ACTIONS_MAX: usize = OPTIONS_MAX + FIELDS_MAX + LINKS_MAX;
/// Longest address of a link, in characters.
const LINK_URL_CHARS_MAX: usize = 2_048;
/// The label of the only button of a message without actions.
const ACKNOWLEDGE: &str = "OK";

/// The type of an action.
#[derive(Clone, Copy)]
enum ActionType {
    Button,
    Url,
    Field(FieldSpec),
}

/// The translation of an action that is a field.
#[derive(Clone, Copy)]
struct FieldSpec {
    /// Its type in our words.
    field_type: &'static str,
    /// The members that only this type has.
    specific: &'static [Rename],
}

/// A member's name in our body and in Ping's.
#[derive(Clone, Copy)]
struct Rename {
    ours: &'static str,
    theirs: &'static str,
}

const fn same(name: &'static str) -> Rename {
    Rename { ours: name, theirs: name }
}

const fn field(field_type: &'static str, specific: &'static [Rename]) -> ActionType {
    ActionType::Field(FieldSpec { field_type, specific })
}

const TYPES: [(&str, ActionType); 6] = [
    ("button", ActionType::Button),
    ("select", field("select", &[Rename { ours: "choices", theirs: "options" }])),
    ("text", field("text", &[same("max_length")])),
    ("number", field("number", &[same("min"), same("max")])),
    ("toggle", field("toggle", &[])),
    ("url", ActionType::Url),
];

/// The members that all fields have.
const COMMON: [Rename; 4] =
    [same("key"), same("label"), same("required"), Rename { ours: "default", theirs: "value" }];

/// The actions of a message in our words.
#[derive(Default)]
struct Actions {
    options: Vec<Value>,
    fields: Vec<Value>,
    /// Paragraphs of Markdown.
    links: String,
}

/// Reads the body, or lists all errors in it.
pub(in crate::fronts) fn read(body: Sent, now: Timestamp) -> Result<NewRequestBody, Problem> {
    let (body, source) = body.into_parts();
    let errors = Errors::default();
    let mut body = Object::of(body, "", &errors);
    let mut ours = Translation::default();
    let mut actions = Actions::default();
    for action in body.list("actions", 0..=ACTIONS_MAX).unwrap_or_default() {
        actions.add(action, &mut ours);
    }
    if actions.options.is_empty() && actions.fields.is_empty() {
        actions.options.push(json!({ "value": SUBMIT, "label": ACKNOWLEDGE }));
    }

    ours.put("title", body.take("title"), "/title");
    ours.put("body", with_links(body.take("body"), &actions.links), "/body");
    ours.put("options", Some(actions.options.into()), "/actions");
    ours.put("fields", Some(actions.fields.into()), "/actions");
    let read = json!({ "mode": "once", "ttl_seconds": ANSWER_TTL_SECONDS });
    ours.put("read", Some(read), "");
    let url = body.take("callback_url");
    ours.put("callback", url.is_some().then(|| json!({ "profile": "ping", "probe": "skip" })), "");
    ours.put("callback_url", url, "/callback_url");
    ours.read(source, errors.into_found(), now)
}

impl Actions {
    fn add(&mut self, action: Item<'_>, ours: &mut Translation) {
        let theirs = action.pointer().to_owned();
        let mut action = action.into_object();
        action.require("type");
        match action.word("type", &TYPES) {
            Some(ActionType::Button) => {
                let place = pointer::entry("/options", self.options.len());
                ours.moved(pointer::member(&place, "value"), pointer::member(&theirs, "key"));
                ours.moved(place, theirs);
                self.options.push(button(&mut action));
            }
            Some(ActionType::Field(spec)) => {
                let place = pointer::entry("/fields", self.fields.len());
                for it in spec.specific.iter().chain(&COMMON) {
                    let at = pointer::member(&theirs, it.theirs);
                    ours.moved(pointer::member(&place, it.ours), at);
                }
                ours.moved(place, theirs);
                self.fields.push(spec.translate(&mut action));
            }
            Some(ActionType::Url) => self.links.extend(link(&mut action)),
            None => (),
        }
    }
}

impl FieldSpec {
    fn translate(self, action: &mut Object<'_>) -> Value {
        let members = COMMON.iter().chain(self.specific);
        let mut field: Map<String, Value> =
            members.filter_map(|it| Some((it.ours.to_owned(), action.take(it.theirs)?))).collect();
        field.insert("type".to_owned(), self.field_type.into());
        field.into()
    }
}

/// A button as an option. Its value is its key, or else its label.
fn button(action: &mut Object<'_>) -> Value {
    let label = action.take("label");
    let key = action.take("key").or_else(|| label.clone());
    json!({ "value": key, "label": label, "style": action.take("style") })
}

/// A link as a paragraph of Markdown.
fn link(action: &mut Object<'_>) -> Option<String> {
    let label = action.required_line("label", 1..=LABEL_CHARS_MAX);
    let url = action.required_text("value", 1..=LINK_URL_CHARS_MAX)?;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web || url.contains(|it: char| it.is_whitespace() || "<>\\".contains(it)) {
        action.error("value", "must be an http or https URL");
        return None;
    }
    let mut text = "\n\n[".to_owned();
    for character in label?.chars() {
        if character.is_ascii_punctuation() {
            text.push('\\');
        }
        text.push(character);
    }
    write!(text, "](<{url}>)").expect("a string takes everything");
    Some(text)
}

/// The body, followed by the links.
fn with_links(body: Option<Value>, links: &str) -> Option<Value> {
    match body {
        Some(Value::String(text)) => Some(format!("{text}{links}").into()),
        None if !links.is_empty() => Some(links.trim_start().into()),
        other => other,
    }
}
