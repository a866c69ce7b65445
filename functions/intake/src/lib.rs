//! What writes over HTTP: requests are made, answered, cancelled and erased here, events taken in,
//! and deliveries sent once more.
//!
//! Every handler tells the same story: who is calling, what do they want, what does that make of
//! the item, save it, send a hint. The hint goes out before the answer does, and may get lost: the
//! item's timer finds what no hint was sent for.

mod answers;
mod callback;
mod channels;
mod create;
mod deliveries;
mod events;
mod fronts;
mod idempotency;
mod keys;
mod policy;
mod question;
mod requests;
mod secret;
mod webhooks;

use answerback::{api::http, domain::CallbackRules, egress, service::Core};
use axum::{
    Router,
    routing::{delete, post, put},
};

/// What intake needs from the world.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
    /// How callback URLs are tried out.
    pub egress: egress::Client,
    /// Where callbacks may go.
    pub rules: CallbackRules,
    /// The address in links, unless it is that of the call.
    pub public_base_url: Option<String>,
    /// Whether requests are published on the event bus.
    pub publishes: bool,
}

/// The routes of this function.
pub fn router(app: App) -> Router {
    let routes = Router::new()
        .route("/v1/requests", post(create::create))
        .route("/v1/requests/{id}", delete(requests::erase))
        .route("/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/v1/requests/{id}/responses", post(requests::respond))
        .route("/v1/events", post(events::post))
        .route("/api/notify", post(fronts::nextks::notify))
        .route("/v1/send/{token}", post(fronts::ping::send))
        .route("/v1/keys", post(keys::create))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/secret/rotate", post(secret::rotate))
        .route("/v1/webhooks", post(webhooks::create))
        .route(
            "/v1/webhooks/{id}",
            put(webhooks::put).patch(webhooks::patch).delete(webhooks::delete),
        )
        .route("/v1/webhooks/{id}/trigger", post(webhooks::trigger))
        .route("/v1/webhooks/{id}/recover", post(webhooks::recover))
        .route("/v1/webhooks/{id}/secret/rotate", post(webhooks::rotate))
        .route("/v1/channels", post(channels::create))
        .route("/v1/channels/{id}", delete(channels::delete))
        .route("/v1/channels/{id}/regenerate", post(channels::regenerate))
        .route("/v1/channels/{id}/secret/rotate", post(channels::rotate))
        .route("/a/{token}", post(answers::answer_by_form))
        .route("/v1/answers/{token}", post(answers::answer_by_json))
        .route("/v1/deliveries/{id}/redeliver", post(deliveries::redeliver))
        .route("/nextmv/v1/webhooks", post(fronts::nextmv::create))
        .route(
            "/nextmv/v1/webhooks/{id}",
            put(fronts::nextmv::put).patch(fronts::nextmv::patch).delete(webhooks::delete),
        )
        .route("/nextmv/v1/webhooks/{id}/trigger", post(webhooks::trigger))
        .route("/nextmv/v1/webhooks/{id}/secret/rotate", post(webhooks::rotate))
        .with_state(app);
    http::service(routes)
}
