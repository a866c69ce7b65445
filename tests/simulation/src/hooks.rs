//! Webhooks that exist from the start. Meanwhile they rotate their secrets, lose their event types, and
//! are tested.

use answerback::{
    domain::{
        self, Account, Filter, Mode, OpId, Profile, Webhook, WebhookId, WebhookRef,
        delivery::Receiver,
        secret::Holder,
        webhook::{NewWebhook, PAYLOAD_BYTES, Settings},
    },
    platform::Entropy,
    store::{Saved, Store},
};
use std::sync::Arc;

use axum::{body::Body, http::Request};
use futures::FutureExt as _;
use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::{
    fleet::{self, Fleet, Http},
    receiver::Behaviour,
    scenario::spec,
    seen::{Called, Want},
};

/// A webhook, and its actions.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Types of events that it subscribes to.
    pub event_types: &'static str,
    /// Behavior of its receiver, attempt by attempt.
    pub receiver: Vec<Behaviour>,
    /// Time at which its secret is rotated, in milliseconds.
    pub rotated_at: Option<i64>,
    /// Time at which its event types are replaced by one that does not happen, in milliseconds.
    pub narrowed_at: Option<i64>,
    /// Time at which a test event is triggered, in milliseconds.
    pub triggered_at: Option<i64>,
}

/// The owner of a webhook, with the key to change it.
pub(crate) struct Owner {
    fleet: Arc<Fleet>,
    number: usize,
    api_key: Arc<str>,
}

/// A type of events that does not happen.
const NEVER: &str = "never.happens";

impl Hook {
    /// The webhooks of the scenario with this seed.
    pub(crate) fn random(seed: u64) -> Vec<Self> {
        let mut chance = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(8).wrapping_add(6));
        let n_hooks = [0, 0, 0, 1, 2][chance.random_range(0..5)];
        let hook = |_| Self {
            event_types: ["*", "request.*", "request.finished", "webhook.*"]
                [chance.random_range(0..4)],
            receiver: (0..chance.random_range(0..4)).map(|_| spec(&mut chance)).collect(),
            rotated_at: chance.random_bool(0.3).then(|| chance.random_range(0..120_000)),
            narrowed_at: chance.random_bool(0.15).then(|| chance.random_range(0..120_000)),
            triggered_at: chance.random_bool(0.2).then(|| chance.random_range(0..120_000)),
        };
        (0..n_hooks).map(hook).collect()
    }

    /// Id of the webhook with this number.
    pub(crate) fn id(number: usize) -> WebhookId {
        WebhookId::parse(&format!("h{number}")).expect("a name")
    }

    /// Creates the webhook with this URL.
    pub(crate) fn settle_in(
        &self,
        number: usize,
        url: String,
        account: &Account,
        store: &Store,
        entropy: &Entropy,
        now: Timestamp,
    ) {
        let (id, created_by) = (Self::id(number), OpId::new(entropy.next()));
        let owner = domain::Owner { account: account.id, mode: Mode::Live };
        let holder = Holder::Webhook(owner, WebhookRef { id: id.clone(), created_by });
        let secret = fleet::vault().make(&holder, now, entropy).now_or_never();
        let secret = secret.and_then(Result::ok).expect("nothing waits, and a local key seals");
        let webhook = Webhook::new(NewWebhook {
            id,
            owner,
            created_by,
            call: None,
            created_at: now,
            settings: Settings {
                description: None,
                receiver: Receiver { timeout_seconds: 5, ..Receiver::of(url, Profile::Standard) },
                event_types: vec![Filter::parse(self.event_types).expect("a filter")],
                max_payload_bytes: PAYLOAD_BYTES,
            },
            is_enabled: true,
            secret: secret.kept,
        });
        let made = store.create(&webhook).now_or_never();
        assert!(matches!(made, Some(Ok(Saved::Saved))), "the operator's calls succeed at once");
    }
}

impl Owner {
    pub(crate) fn new(fleet: &Arc<Fleet>, number: usize, api_key: &Arc<str>) -> Self {
        Self { fleet: Arc::clone(fleet), number, api_key: Arc::clone(api_key) }
    }

    /// Makes one call at this time, which may fail.
    async fn call(&self, at: i64, method: &str, end: &str, body: Value, want: Want) {
        let world = &self.fleet.world;
        world.sleep_until(at).await;
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/webhooks/{}{end}", Hook::id(self.number)))
            .header("host", "answers.example.net")
            .header("x-api-key", &*self.api_key)
            .body(Body::from(body.to_string()))
            .expect("a valid request");
        let began_at = world.now();
        let answer = self.fleet.http(Http::Intake, request).await;
        let Some(((status, body), is_whole)) = answer else { return };
        let mut state = world.state();
        let ended_at = state.now();
        state.tell(|| format!("{want:?} of webhook {}: {status}", self.number));
        state.seen.hook_calls.push(Called {
            request: self.number,
            want,
            began_at,
            ended_at,
            status: status.as_u16(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            is_heard: true,
            is_whole,
        });
    }
}

/// Makes the calls of a webhook's owner.
pub(crate) async fn live(owner: Owner, hook: Hook) {
    let rotate = async {
        let Some(at) = hook.rotated_at else { return };
        owner.call(at, "POST", "/secret/rotate", json!({}), Want::Rotate).await;
    };
    let narrow = async {
        let Some(at) = hook.narrowed_at else { return };
        owner.call(at, "PATCH", "", json!({ "event_types": [NEVER] }), Want::Narrow).await;
    };
    let trigger = async {
        let Some(at) = hook.triggered_at else { return };
        owner.call(at, "POST", "/trigger", json!({}), Want::Trigger).await;
    };
    futures::join!(rotate, narrow, trigger);
}
