//! `POST /v1/send/{token}` asks as Ping's API does. The token is all that a sender needs.

use std::fmt::Write as _;

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{CalledHost, Json},
    },
    domain::{
        MessageId,
        question::{FIELDS_MAX, LABEL_CHARS_MAX, OPTIONS_MAX, SUBMIT},
    },
    fronts::ping::{PingProblem, of_token},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::Translation;
use crate::{
    App,
    create::{self, Asking, Draft, Made},
    idempotency,
};

/// How long an answer waits to be read.
const ANSWER_SECONDS: u32 = 600;
/// Most links.
const LINKS_MAX: usize = 10;
/// Longest address of a link, in characters.
const URL_CHARS_MAX: usize = 2_048;
/// What the one button says where there is nothing else to press.
const SEEN: &str = "OK";

/// What can be done with a message.
#[derive(Clone, Copy)]
enum Action {
    Button,
    Url,
    /// A field: our name of its type, and which members it takes beside those that all have, by
    /// our name and by theirs.
    Field(&'static str, &'static [(&'static str, &'static str)]),
}

const ACTIONS: [(&str, Action); 6] = [
    ("button", Action::Button),
    ("select", Action::Field("select", &[("choices", "options")])),
    ("text", Action::Field("text", &[("max_length", "max_length")])),
    ("number", Action::Field("number", &[("min", "min"), ("max", "max")])),
    ("toggle", Action::Field("toggle", &[])),
    ("url", Action::Url),
];

/// Makes a request of a message.
pub(crate) async fn send(
    State(app): State<App>,
    Path(token): Path<String>,
    host: Result<CalledHost, Problem>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, PingProblem> {
    let channel = of_token(&app.core.store, &token).await?;
    let (host, Json(body)) = (host?, body?);
    let asking = Asking {
        owner: channel.owner,
        path: &format!("/v1/send/{}", channel.id),
        host: &host,
        headers: &headers,
    };
    let read = |body| {
        let mut draft = read(body)?;
        draft.channel = Some(channel.id);
        Ok(draft)
    };
    let Made { request, is_replayed } = create::make(&app, asking, body, read).await?;
    let told = json!({ "ok": true, "id": MessageId::of(request.id).to_string() });
    let mut response = axum::Json(told).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// What the body asks for, or everything that is wrong with it.
pub(super) fn read(body: Value) -> Result<Draft, Problem> {
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let mut ours = Translation::default();
    let (mut options, mut form, mut links) = (Vec::new(), Vec::new(), String::new());
    let n_actions = 0..=OPTIONS_MAX + FIELDS_MAX + LINKS_MAX;
    for (pointer, action) in fields.list("actions", n_actions, &mut faults).unwrap_or_default() {
        let mut action = Fields::of(action, pointer.clone(), &mut faults);
        if !action.has("type") {
            action.fault("type", "is required", &mut faults);
        }
        match action.word("type", &ACTIONS, &mut faults) {
            Some(Action::Button) => {
                let place = format!("/options/{}", options.len());
                ours.moved(format!("{place}/value"), format!("{pointer}/key"));
                ours.moved(place, pointer);
                options.push(button(&mut action));
            }
            Some(Action::Field(kind, members)) => {
                let place = format!("/fields/{}", form.len());
                for (our, their) in members.iter().chain(&[("default", "value")]) {
                    ours.moved(format!("{place}/{our}"), format!("{pointer}/{their}"));
                }
                ours.moved(place, pointer);
                form.push(field(&mut action, kind, members));
            }
            Some(Action::Url) => links.extend(link(&mut action, &mut faults)),
            None => (),
        }
    }
    if options.is_empty() && form.is_empty() {
        options.push(json!({ "value": SUBMIT, "label": SEEN }));
    }

    ours.put("title", fields.take("title"), "/title");
    ours.put("body", with_links(fields.take("body"), &links), "/body");
    ours.put("options", Some(options.into()), "/actions");
    ours.put("fields", Some(form.into()), "/actions");
    let read = json!({ "mode": "once", "ttl_seconds": ANSWER_SECONDS });
    ours.put("read", Some(read), "");
    let url = fields.take("callback_url");
    ours.put("callback", url.is_some().then(|| json!({ "profile": "ping" })), "");
    ours.put("callback_url", url, "/callback_url");
    ours.read(faults)
}

/// A button as an option; one without a key is known by its label.
fn button(action: &mut Fields) -> Value {
    let label = action.take("label");
    let key = action.take("key").or_else(|| label.clone());
    json!({ "value": key, "label": label, "style": action.take("style") })
}

fn field(action: &mut Fields, kind: &str, members: &[(&str, &str)]) -> Value {
    let all = [("key", "key"), ("label", "label"), ("required", "required"), ("default", "value")];
    let members = all.iter().chain(members);
    let mut field: Map<String, Value> =
        members.filter_map(|(our, their)| Some(((*our).to_owned(), action.take(their)?))).collect();
    field.insert("type".to_owned(), kind.into());
    field.into()
}

/// A link as a paragraph of Markdown.
fn link(action: &mut Fields, faults: &mut FieldErrors) -> Option<String> {
    let label = action.required_line("label", 1..=LABEL_CHARS_MAX, faults);
    let url = action.required_text("value", 1..=URL_CHARS_MAX, faults)?;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web || url.contains(|it: char| it.is_whitespace() || "<>\\".contains(it)) {
        action.fault("value", "must be the address of a web page", faults);
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

/// The body with the links below it.
fn with_links(body: Option<Value>, links: &str) -> Option<Value> {
    match body {
        Some(Value::String(text)) => Some(format!("{text}{links}").into()),
        None if !links.is_empty() => Some(links.trim_start().into()),
        other => other,
    }
}
