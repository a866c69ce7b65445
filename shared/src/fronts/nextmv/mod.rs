//! Nextmv: webhooks with `endpoint_url` instead of `url`, and the profile `nextmv` by default.
//!
//! A body is translated into that of `/v1/webhooks`, where all rules are applied. Problems and views
//! are translated back. Attempts are shown as `/v1` shows them.

mod body;
mod view;

pub use body::{NextmvProblem, new_webhook, webhook_patch};
pub use view::NextmvWebhookView;
