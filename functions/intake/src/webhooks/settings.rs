//! What the owner of a webhook decides, read from a body.

use answerback::{
    api::{
        Fields, Problem,
        body::{FieldErrors, note},
    },
    domain::{
        Filter, Webhook, WebhookId,
        delivery::BearerToken,
        event::TYPE_CHARS_MAX,
        webhook::{ID_CHARS_MAX, PAYLOAD_BYTES, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN, Settings},
    },
};
use serde_json::{Map, Value, json};

use crate::{callback, question::optional_text};

/// The field that the URL is in.
pub(super) const URL: &str = "url";
/// Longest URL, in characters; more is said by the rules for URLs.
const URL_CHARS_MAX: usize = 4_096;
/// Longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// Most filters.
const EVENT_TYPES_MAX: usize = 50;
/// A webhook as somebody wants it.
#[derive(Clone)]
pub(super) struct Draft {
    /// What it is to be called, where that is still open.
    pub(super) id: Option<WebhookId>,
    pub(super) settings: Settings,
    pub(super) enabled: bool,
    /// Whether the URL is to be tried out.
    pub(super) probe: bool,
}

impl Draft {
    /// What the body asks for, or everything that is wrong with it. `names`: it may say what the
    /// webhook is to be called.
    pub(super) fn read(body: Value, names: bool) -> Result<Self, Problem> {
        let mut faults = FieldErrors::new();
        let mut fields = Fields::of(body, "", &mut faults);
        let id = if names { id(&mut fields, &mut faults) } else { None };
        let url = fields.required_text(URL, 1..=URL_CHARS_MAX, &mut faults);
        let name = "description";
        let description = optional_text(&mut fields, name, DESCRIPTION_CHARS_MAX, &mut faults);
        let event_types = event_types(&mut fields, &mut faults);
        let enabled = fields.flag("enabled", &mut faults).unwrap_or(true);
        let probe = fields.flag("probe", &mut faults).unwrap_or(true);
        let range = PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX;
        let max_payload_bytes = fields.integer("max_payload_bytes", range, &mut faults);
        let receiver = callback::receiver(&mut fields, url.unwrap_or_default(), &mut faults);
        fields.finish(&mut faults);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let usual = || receiver.profile.spec().event_types;
        let usual = || usual().iter().filter_map(|it| Filter::parse(it)).collect();
        let settings = Settings {
            description,
            event_types: event_types.unwrap_or_else(usual),
            max_payload_bytes: max_payload_bytes.unwrap_or(PAYLOAD_BYTES),
            receiver,
        };
        Ok(Self { id, settings, enabled, probe })
    }

    /// What `patch` makes of `webhook` (RFC 7396: what is null is as if it had never been said).
    pub(super) fn patch(webhook: &Webhook, patch: Value) -> Result<Self, Problem> {
        let Value::Object(patch) = patch else { return Self::read(patch, false) };
        let mut whole = spell(webhook);
        merge(&mut whole, patch);
        Self::read(Value::Object(whole), false)
    }
}

/// The body that would make `webhook`.
fn spell(webhook: &Webhook) -> Map<String, Value> {
    let Settings { description, receiver, event_types, max_payload_bytes } = &webhook.settings;
    let spec = receiver.profile.spec();
    let event_types: Vec<&str> = event_types.iter().map(Filter::as_str).collect();
    let headers = receiver.headers.0.iter();
    let headers: Map<String, Value> =
        headers.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut whole = Map::new();
    let mut set = |name: &str, value: Value| _ = whole.insert(name.to_owned(), value);
    set(URL, receiver.url.as_str().into());
    set("description", description.clone().into());
    set("enabled", webhook.disabled.is_none().into());
    set("headers", headers.into());
    set("max_payload_bytes", (*max_payload_bytes).into());
    set("profile", spec.name.into());
    if let Some(body) = receiver.body {
        set("body", body.spec().name.into());
    }
    if let Some(signature) = receiver.signature {
        set("signature", signature.spec().name.into());
    }
    // What is as the profile has it follows the profile.
    if event_types != spec.event_types {
        set("event_types", event_types.into());
    }
    if receiver.timeout_seconds != spec.timeout_seconds {
        set("timeout_seconds", receiver.timeout_seconds.into());
    }
    if receiver.retry != spec.retry() {
        let (delays, jitter) = (&receiver.retry.delays_seconds, receiver.retry.jitter);
        set("retry", json!({ "delays_seconds": delays, "jitter": jitter }));
    }
    if let Some(BearerToken(token)) = &receiver.bearer_token {
        set("bearer_token", token.as_str().into());
    }
    whole
}

/// RFC 7396.
fn merge(whole: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => _ = whole.remove(&name),
            Value::Object(patch) => {
                let place = whole.entry(name).or_insert(Value::Null);
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                merge(place.as_object_mut().expect("it is one now"), patch);
            }
            value => _ = whole.insert(name, value),
        }
    }
}

fn id(fields: &mut Fields, faults: &mut FieldErrors) -> Option<WebhookId> {
    let text = fields.text("id", 1..=ID_CHARS_MAX, faults)?;
    let id = WebhookId::parse(&text);
    if id.is_none() {
        let detail = "must be of a-z, 0-9, - and _, and begin with a letter or a digit";
        fields.fault("id", detail, faults);
    }
    id
}

fn event_types(fields: &mut Fields, faults: &mut FieldErrors) -> Option<Vec<Filter>> {
    let mut filters = Vec::new();
    for (pointer, value) in fields.list("event_types", 1..=EVENT_TYPES_MAX, faults)? {
        let text = value.as_str().filter(|it| it.len() <= TYPE_CHARS_MAX);
        match text.and_then(Filter::parse) {
            Some(filter) if filters.contains(&filter) => note(faults, pointer, "is there twice"),
            Some(filter) => filters.push(filter),
            None => {
                let detail = "must be a type of event such as job.failed, all that begin alike \
                              such as job.*, or * for all";
                note(faults, pointer, detail);
            }
        }
    }
    Some(filters)
}
