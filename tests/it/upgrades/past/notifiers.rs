//! Notifiers.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Past, id};

impl Past {
    /// Notifiers of each kind, one of them disabled, and a deleted one.
    pub(super) async fn create_notifiers(&self) {
        let auth = json!({ "type": "header", "name": "x-key", "value": "T0ken" });
        for (kind, settings) in [
            ("email", json!({ "transport": "ses", "from": "Its team <team@example.com>" })),
            (
                "email",
                json!({
                    "transport": "smtp", "from": "team@example.com", "reply_to": "a@example.com",
                    "host": "smtp.example.com", "port": 465, "username": "A user",
                    "password": "A password",
                }),
            ),
            (
                "email",
                json!({
                    "transport": "smtp", "from": "team@example.com", "host": "smtp.example.com",
                    "port": 587,
                }),
            ),
            (
                "ntfy",
                json!({
                    "url": "https://ntfy.sh", "topic": "a-topic", "token": "T0ken", "buttons": true,
                }),
            ),
            (
                "webhook",
                json!({
                    "url": "https://own.example.com/hook", "auth": auth,
                    "headers": { "x-team": "A team" },
                }),
            ),
            (
                "slack",
                json!({
                    "bot_token": "T0ken", "signing_secret": "S3cret", "team_id": "T012AB3CD",
                    "default_channel": "C012AB3CD", "api_url": "https://slack-gov.com/api/",
                }),
            ),
            ("incoming_webhook", incoming("teams")),
            ("incoming_webhook", incoming("discord")),
            ("incoming_webhook", incoming("mattermost")),
            ("incoming_webhook", incoming("google_chat")),
            ("incoming_webhook", incoming("slack")),
        ] {
            let body = json!({ "kind": kind, "settings": settings, "name": "A name" });
            self.post("/v1/notifiers", body).await;
        }
        let off = json!({
            "kind": "incoming_webhook", "settings": incoming("slack"), "enabled": false,
            "default": true,
        });
        self.post_once("/v1/notifiers", off).await;
        let body = json!({ "kind": "incoming_webhook", "settings": incoming("slack") });
        let deleted = self.post("/v1/notifiers", body).await;
        self.call(Method::DELETE, &format!("/v1/notifiers/{}", id(&deleted)), Value::Null).await;
    }
}

fn incoming(format: &str) -> Value {
    json!({ "url": "https://chat.example.com/services/a", "format": format })
}
