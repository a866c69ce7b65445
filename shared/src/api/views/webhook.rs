//! Webhooks.

use serde::Serialize;

use super::Time;
use crate::domain::{
    Filter, Webhook, delivery::AuthKind, retry::RetryPolicy, webhook::DisableReason,
};

/// A webhook, without its secrets.
#[derive(Debug, Serialize)]
pub struct WebhookView<'a> {
    id: &'a str,
    url: &'a str,
    #[serde(flatten)]
    details: WebhookDetails<'a>,
}

/// The members that `/v1` and Nextmv's front have in common.
#[derive(Debug, Serialize)]
pub struct WebhookDetails<'a> {
    description: Option<&'a str>,
    event_types: Vec<&'a str>,
    enabled: bool,
    disabled_reason: Option<&'static str>,
    disabled_at: Option<Time>,
    failing_since: Option<Time>,
    profile: &'static str,
    body: Option<&'static str>,
    signature: Option<&'static str>,
    timeout_seconds: u32,
    retry: RetryView<'a>,
    header_names: Vec<&'a str>,
    auth: Option<AuthView<'a>>,
    max_payload_bytes: u32,
    livemode: bool,
    created_at: Time,
    updated_at: Time,
}

/// An authorization, without its secret.
#[derive(Debug, Serialize)]
pub(super) struct AuthView<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct RetryView<'a> {
    delays_seconds: &'a [u32],
    jitter: f64,
}

impl<'a> AuthView<'a> {
    pub(super) fn new(kind: &'a AuthKind) -> Self {
        match kind {
            AuthKind::Bearer => Self { r#type: "bearer", name: None },
            AuthKind::Basic => Self { r#type: "basic", name: None },
            AuthKind::Header(name) => Self { r#type: "header", name: Some(name) },
        }
    }
}

impl<'a> WebhookView<'a> {
    /// The view of `webhook`.
    pub fn new(webhook: &'a Webhook) -> Self {
        Self {
            id: webhook.id.as_str(),
            url: &webhook.settings.receiver.url,
            details: WebhookDetails::new(webhook),
        }
    }
}

impl<'a> WebhookDetails<'a> {
    /// The details of `webhook`.
    pub fn new(webhook: &'a Webhook) -> Self {
        let settings = &webhook.settings;
        let credentials = &settings.receiver.credentials;
        let RetryPolicy { delays_seconds, jitter } = &settings.receiver.retry;
        Self {
            description: settings.description.as_deref(),
            event_types: settings.event_types.iter().map(Filter::as_str).collect(),
            enabled: webhook.disabled.is_none(),
            disabled_reason: webhook.disabled.map(|it| disabled_reason(it.reason)),
            disabled_at: webhook.disabled.map(|it| Time(it.at)),
            failing_since: webhook.failing_since.map(Time),
            profile: settings.receiver.profile.spec().name,
            body: settings.receiver.body.map(|it| it.spec().name),
            signature: settings.receiver.signature.map(|it| it.spec().name),
            timeout_seconds: settings.receiver.timeout_seconds,
            retry: RetryView { delays_seconds, jitter: *jitter },
            header_names: credentials.headers.iter().map(|it| &*it.name).collect(),
            auth: credentials.auth.as_ref().map(|it| AuthView::new(&it.kind)),
            max_payload_bytes: settings.max_payload_bytes,
            livemode: webhook.owner.mode.is_live(),
            created_at: Time(webhook.created_at),
            updated_at: Time(webhook.updated_at),
        }
    }
}

/// Name of the reason for which a webhook is disabled.
pub fn disabled_reason(reason: DisableReason) -> &'static str {
    match reason {
        DisableReason::ByHand => "by_hand",
        DisableReason::Gone => "gone",
        DisableReason::Failing => "failing",
    }
}
