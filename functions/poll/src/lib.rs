//! Reads over HTTP: requests, results, events, deliveries and attempts, webhooks, notifiers, keys,
//! secrets, the answer page and the OpenAPI document.
//!
//! Two reads write. A read that finds an overdue request settles it, with the sweep's code. A read of
//! a result may consume it: one conditional write decides between readers.

mod account;
mod answers;
mod deliveries;
mod events;
mod fronts;
mod home;
mod keys;
mod list;
mod notifications;
mod notifiers;
mod openapi;
mod requests;
mod result;
mod secret;
mod webhooks;

use answerback::{
    api::http::{self, AppSource},
    service::Core,
};
use axum::{
    Json, Router,
    extract::FromRef,
    response::IntoResponse,
    routing::{get, post},
};

pub use self::openapi::DOCUMENT as OPENAPI;

/// The ports of this function.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
}

impl FromRef<AppSource<App>> for App {
    fn from_ref(source: &AppSource<App>) -> Self {
        source.app()
    }
}

/// This function as a service.
pub fn router(app: App) -> Router {
    shared_router(move || app.clone())
}

/// This function as a service of several processes. Each call gets its process's app from `source`.
/// Building a router takes longer than most calls, so the simulation builds one.
pub fn shared_router(source: impl Fn() -> App + Send + Sync + 'static) -> Router {
    http::service(routes().with_state(AppSource::new(source)))
}

fn routes() -> Router<AppSource<App>> {
    Router::new()
        .route("/", get(home::show))
        .route("/favicon.ico", get(home::favicon))
        .route("/v1/health", get(health))
        .route("/openapi.json", get(openapi::show))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", get(requests::show))
        .route("/v1/requests/{id}/notifications", get(notifications::list))
        .route("/v1/requests/{id}/result", get(result::read))
        .route("/v1/requests/{id}/result/ack", post(result::acknowledge))
        .route("/a/{token}", get(answers::page))
        .route("/v1/answers/{token}", get(answers::show).options(answers::preflight))
        .route("/v1/events", get(events::list))
        .route("/v1/events/{id}", get(events::show))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::show))
        .route("/v1/attempts", get(deliveries::list_attempts))
        .route("/v1/attempts/{id}", get(deliveries::show_attempt))
        .route("/v1/account", get(account::show))
        .route("/v1/key", get(keys::show_own))
        .route("/v1/keys", get(keys::list))
        .route("/v1/secret", get(secret::show))
        .route("/v1/events/secret", get(secret::show_for_events))
        .route("/v1/webhooks", get(webhooks::list))
        .route("/v1/webhooks/{id}", get(webhooks::show))
        .route("/v1/webhooks/{id}/secret", get(webhooks::show_secret))
        .route("/v1/webhooks/{id}/attempts", get(webhooks::attempts::list))
        .route("/v1/notifiers", get(notifiers::list))
        .route("/v1/notifiers/{id}", get(notifiers::show))
        .route("/v1/notifiers/{id}/slack-manifest", get(notifiers::slack_manifest))
        .route("/v1/channels", get(fronts::ping::channels::list))
        .route("/v1/channels/{id}/secret", get(fronts::ping::channels::show_secret))
        .route("/api/notify/status/{request_id}", get(fronts::nextks::status))
        .route("/v1/callback/{token}/{message_id}", get(fronts::ping::messages::read))
        .route("/nextmv/v1/webhooks", get(fronts::nextmv::list))
        .route("/nextmv/v1/webhooks/{id}", get(fronts::nextmv::show))
        .route("/nextmv/v1/webhooks/{id}/secret", get(webhooks::show_secret))
        .route("/nextmv/v1/webhooks/{id}/conversations", get(webhooks::attempts::list))
        .route("/nextmv/v1/conversations", get(deliveries::list_attempts))
        .route("/nextmv/v1/conversations/{id}", get(deliveries::show_attempt))
}

async fn health() -> impl IntoResponse {
    Json(serde_json::json!({ "status": "ok" }))
}
