//! Webhooks in the format of Nextmv.

use serde::Serialize;

use crate::{api::views::WebhookDetails, domain::Webhook};

/// A webhook, without its secrets.
#[derive(Debug, Serialize)]
pub struct NextmvWebhookView<'a> {
    id: &'a str,
    endpoint_url: &'a str,
    #[serde(flatten)]
    details: WebhookDetails<'a>,
}

impl<'a> NextmvWebhookView<'a> {
    /// The view of `webhook`.
    pub fn new(webhook: &'a Webhook) -> Self {
        Self {
            id: webhook.id.as_str(),
            endpoint_url: &webhook.settings.receiver.url,
            details: WebhookDetails::new(webhook),
        }
    }
}
