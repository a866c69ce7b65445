//! The body of a webhook: its settings.

use answerback::{
    api::{
        Problem,
        body::{self, Object},
    },
    domain::{
        Filter, Source, WEBHOOK_ID_CHARS_MAX, Webhook, WebhookId,
        delivery::Receiver,
        event::TYPE_CHARS_MAX,
        limits::{DESCRIPTION_CHARS_MAX, EVENT_TYPES_MAX, WEBHOOK_URL_CHARS_MAX},
        webhook::{PAYLOAD_BYTES, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MIN, Settings},
    },
};
use serde_json::{Map, Value, json};

use crate::{
    callback::{self, CredentialsUpdate, NewCredentials, Probe},
    merge::merge,
};

/// The member with the URL.
pub(super) const URL: &str = "url";

/// A webhook as its owner describes it.
#[derive(Clone)]
pub(super) struct WebhookBody {
    /// Without credentials.
    pub(super) settings: Settings,
    pub(super) credentials: CredentialsUpdate,
    pub(super) is_enabled: bool,
    /// Applies to the URL.
    pub(super) probe: Probe,
}

/// A webhook to be created.
pub(super) struct NewWebhookBody {
    /// The id that the owner chose.
    pub(super) id: Option<WebhookId>,
    pub(super) webhook: WebhookBody,
}

impl NewWebhookBody {
    /// Reads the body of a creation.
    pub(super) fn read(body: Value) -> Result<Self, Problem> {
        body::read(body, |body| Some(Self { id: id(body), webhook: WebhookBody::of(body) }))
    }
}

impl WebhookBody {
    /// Reads the body of a webhook whose id is in the path.
    pub(super) fn read(body: Value) -> Result<Self, Problem> {
        body::read(body, |body| Some(Self::of(body)))
    }

    /// The settings of `webhook` after `patch` (RFC 7396: null resets a member to its default).
    pub(super) fn patch(webhook: &Webhook, patch: Value) -> Result<Self, Problem> {
        let Value::Object(mut patch) = patch else { return Self::read(patch) };
        let kept = CredentialsUpdate::of_patch(&mut patch);
        let mut whole = body_of(webhook);
        merge(&mut whole, patch);
        let body = Self::read(Value::Object(whole))?;
        let credentials = kept.with(body.credentials.new);
        Ok(Self { credentials, ..body })
    }

    fn of(body: &mut Object<'_>) -> Self {
        let url = body.required_text(URL, 1..=WEBHOOK_URL_CHARS_MAX).unwrap_or_default();
        let description = body.optional_text("description", DESCRIPTION_CHARS_MAX);
        let event_types = event_types(body);
        let is_enabled = body.flag("enabled").unwrap_or(true);
        let probe = callback::probe(body);
        let range = PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX;
        let max_payload_bytes = body.integer("max_payload_bytes", range).unwrap_or(PAYLOAD_BYTES);
        let receiver = callback::receiver(body, url);
        let usual = || usual_event_types(&receiver).iter().filter_map(|it| Filter::parse(it));
        let event_types = event_types.unwrap_or_else(|| usual().collect());
        check_event_types(body, &receiver, &event_types);
        let settings = Settings { description, event_types, max_payload_bytes, receiver };
        let credentials = CredentialsUpdate::replacing(NewCredentials::read(body));
        Self { settings, credentials, is_enabled, probe }
    }
}

/// The body that describes `webhook`.
fn body_of(webhook: &Webhook) -> Map<String, Value> {
    let Settings { description, receiver, event_types, max_payload_bytes } = &webhook.settings;
    let spec = receiver.profile.spec();
    let event_types: Vec<&str> = event_types.iter().map(Filter::as_str).collect();
    let mut whole = Map::new();
    let mut set = |name: &str, value: Value| _ = whole.insert(name.to_owned(), value);
    set(URL, receiver.url.as_str().into());
    set("description", description.clone().into());
    set("enabled", webhook.disabled().is_none().into());
    set("max_payload_bytes", (*max_payload_bytes).into());
    set("profile", spec.name.into());
    if let Some(body) = receiver.body {
        set("body", body.spec().name.into());
    }
    if let Some(signature) = receiver.signature {
        set("signature", signature.spec().name.into());
    }
    // Defaults of the profile are left out, so that they follow a change of the profile.
    if event_types != usual_event_types(receiver) {
        set("event_types", event_types.into());
    }
    if receiver.timeout_seconds != spec.timeout_seconds {
        set("timeout_seconds", receiver.timeout_seconds.into());
    }
    if receiver.retry != spec.retry() {
        let (delays, jitter) = (&receiver.retry.delays_seconds, receiver.retry.jitter);
        set("retry", json!({ "delays_seconds": delays, "jitter": jitter }));
    }
    whole
}

fn id(body: &mut Object<'_>) -> Option<WebhookId> {
    let text = body.text("id", 1..=WEBHOOK_ID_CHARS_MAX)?;
    let id = WebhookId::parse(&text);
    if id.is_none() {
        let detail = "must consist of a-z, 0-9, - and _, and start with a letter or a digit";
        body.error("id", detail);
    }
    id
}

/// The default event types: those of the profile whose body the receiver gets.
fn usual_event_types(receiver: &Receiver) -> &'static [&'static str] {
    receiver.body.unwrap_or(receiver.profile).spec().event_types
}

/// Refuses event types whose events the body cannot report.
fn check_event_types(body: &mut Object<'_>, receiver: &Receiver, types: &[Filter]) {
    let detail = match receiver.spec().body.source() {
        Some(Source::Requests) if !types.iter().all(Filter::is_of_requests) => {
            "must be request events such as request.finished, because the body serves no others"
        }
        Some(Source::Events) if types.iter().any(Filter::may_match_requests) => {
            "must not include request events, because the body serves posted events only"
        }
        _ => return,
    };
    body.error("event_types", detail);
}

fn event_types(body: &mut Object<'_>) -> Option<Vec<Filter>> {
    body.distinct("event_types", 1..=EVENT_TYPES_MAX, |value| {
        let text = value.as_str().filter(|it| it.len() <= TYPE_CHARS_MAX);
        text.and_then(Filter::parse).ok_or_else(|| {
            "must be an event type such as job.failed, a group such as job.*, or *".to_owned()
        })
    })
}
