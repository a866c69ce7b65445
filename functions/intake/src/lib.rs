//! Writes over HTTP: one module for each resource, one for the fronts of other products.
//!
//! Every handler reads the same: authenticate, read the body, make the next state, save it, send a
//! hint. The hint goes out before the response. It may get lost: the item's timer then finds what
//! was left undone.

mod account;
mod answers;
mod callback;
mod deliveries;
mod events;
mod fronts;
mod idempotency;
mod keys;
mod mcp;
mod merge;
mod notifiers;
mod requests;
mod secrets;
mod step;
mod webhooks;

use answerback::{
    api::http::{self, AppSource},
    domain::CallbackRules,
    egress,
    service::Core,
};
use axum::{
    Router,
    extract::FromRef,
    routing::{delete, patch, post, put},
};

use self::fronts::{nextks, nextmv, ping, slack};
pub use callback::Probes;

/// The ports and settings of this function.
#[derive(Clone, Debug)]
pub struct App {
    /// The ports that all functions share.
    pub core: Core,
    /// The way out to callback URLs.
    pub egress: egress::Client,
    /// The rules for callback URLs.
    pub rules: CallbackRules,
    /// This process's latest probes.
    pub probes: Probes,
    /// The address in links. Without it, links use the host of the call.
    pub public_base_url: Option<String>,
    /// Requests are published on the event bus.
    pub publishes: bool,
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
        .route("/v1/requests", post(requests::create))
        .route("/v1/requests/{id}", delete(requests::erase))
        .route("/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/v1/requests/{id}/consume", post(requests::consume))
        .route("/v1/requests/{id}/remind", post(requests::remind))
        .route("/v1/requests/{id}/responses", post(requests::respond))
        .route("/v1/events", post(events::post))
        .route("/mcp", post(mcp::serve))
        .route("/api/notify", post(nextks::notify))
        .route("/v1/send/{token}", post(ping::send))
        .route("/v1/slack/{notifier_id}", post(slack::interact))
        .route("/v1/account", patch(account::patch))
        .route("/v1/keys", post(keys::create))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/secret/rotate", post(secrets::rotate))
        .route("/v1/secret/expire-previous", post(secrets::expire_previous))
        .route("/v1/events/secret/rotate", post(secrets::rotate_for_events))
        .route("/v1/events/secret/expire-previous", post(secrets::expire_previous_for_events))
        .route("/v1/webhooks", post(webhooks::create))
        .route(
            "/v1/webhooks/{id}",
            put(webhooks::put).patch(webhooks::patch).delete(webhooks::delete),
        )
        .route("/v1/webhooks/{id}/trigger", post(webhooks::trigger))
        .route("/v1/webhooks/{id}/recover", post(webhooks::recover))
        .route("/v1/webhooks/{id}/secret/rotate", post(webhooks::rotate))
        .route("/v1/webhooks/{id}/secret/expire-previous", post(webhooks::expire_previous))
        .route("/v1/notifiers", post(notifiers::create))
        .route("/v1/notifiers/{id}", patch(notifiers::patch).delete(notifiers::delete))
        .route("/v1/notifiers/{id}/test", post(notifiers::test))
        .route("/v1/channels", post(ping::channels::create))
        .route("/v1/channels/{id}", delete(ping::channels::delete))
        .route("/v1/channels/{id}/regenerate", post(ping::channels::regenerate))
        .route("/v1/channels/{id}/secret/rotate", post(ping::channels::rotate))
        .route("/v1/channels/{id}/secret/expire-previous", post(ping::channels::expire_previous))
        .route("/a/{token}", post(answers::answer_by_form))
        .route("/v1/answers/{token}", post(answers::answer_by_json))
        .route("/v1/deliveries/{id}/redeliver", post(deliveries::redeliver))
        .route("/nextmv/v1/webhooks", post(nextmv::create))
        .route(
            "/nextmv/v1/webhooks/{id}",
            put(nextmv::put).patch(nextmv::patch).delete(webhooks::delete),
        )
        .route("/nextmv/v1/webhooks/{id}/trigger", post(webhooks::trigger))
        .route("/nextmv/v1/webhooks/{id}/secret/rotate", post(webhooks::rotate))
}
