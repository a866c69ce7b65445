//! What reads over HTTP: requests, results, deliveries and their attempts, and the answer page.
//!
//! Reading may settle: whoever sees that a deadline has passed says so, with the sweep's code. And
//! reading a result may consume it, which is a write like any other: one conditional write decides
//! between readers.

mod answers;
mod channels;
mod deliveries;
mod events;
mod fronts;
mod keys;
mod list;
mod requests;
mod result;
mod secret;
mod webhooks;

use answerback::{api::http, service::Core};
use axum::{
    Json, Router,
    http::header::CONTENT_TYPE,
    response::IntoResponse,
    routing::{get, post},
};

/// The API's description, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("../../../shared/openapi/openapi.json");

/// What polling needs from the world.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
}

/// The routes of this function.
pub fn router(app: App) -> Router {
    let routes = Router::new()
        .route("/v1/health", get(health))
        .route("/openapi.json", get(openapi))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", get(requests::show))
        .route("/v1/requests/{id}/result", get(result::read))
        .route("/v1/requests/{id}/result/ack", post(result::acknowledge))
        .route("/a/{token}", get(answers::page))
        .route("/v1/answers/{token}", get(answers::show))
        .route("/v1/events", get(events::list))
        .route("/v1/events/{id}", get(events::show))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::show))
        .route("/v1/conversations", get(deliveries::list_attempts))
        .route("/v1/conversations/{id}", get(deliveries::show_attempt))
        .route("/v1/keys", get(keys::list))
        .route("/v1/secret", get(secret::show))
        .route("/v1/webhooks", get(webhooks::list))
        .route("/v1/webhooks/{id}", get(webhooks::show))
        .route("/v1/webhooks/{id}/secret", get(webhooks::show_secret))
        .route("/v1/webhooks/{id}/conversations", get(webhooks::list_attempts))
        .route("/v1/channels", get(channels::list))
        .route("/v1/channels/{id}/secret", get(channels::show_secret))
        .route("/api/notify/status/{request_id}", get(fronts::nextks::status))
        .route("/v1/callback/{token}/{message_id}", get(fronts::ping::callback))
        .with_state(app);
    http::service(routes)
}

async fn health() -> impl IntoResponse {
    Json(serde_json::json!({ "status": "ok" }))
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
