//! Webhooks that exist from the start and rotate their secrets meanwhile.

use answerback::{
    domain::{
        Account, Filter, Mode, OpId, Owner, Profile, Webhook, WebhookId, WebhookRef,
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

use crate::{
    fleet::{self, Fleet, Http},
    receiver::{Behaviour, url},
    scenario::spec,
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
}

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
        };
        (0..n_hooks).map(hook).collect()
    }

    /// Id of the webhook with this number.
    pub(crate) fn id(number: usize) -> WebhookId {
        WebhookId::parse(&format!("h{number}")).expect("a name")
    }

    /// Creates the webhook, with the receiver number `receiver` as its URL.
    pub(crate) fn settle_in(
        &self,
        (number, receiver): (usize, usize),
        account: &Account,
        store: &Store,
        entropy: &Entropy,
        now: Timestamp,
    ) {
        let (id, created_by) = (Self::id(number), OpId::new(entropy.next()));
        let owner = Owner { account: account.id, mode: Mode::Live };
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
                receiver: Receiver {
                    timeout_seconds: 5,
                    ..Receiver::of(url(receiver), Profile::Standard)
                },
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

/// Rotates the secret of the webhook with this number, with one call that may fail.
pub(crate) async fn rotate(fleet: Arc<Fleet>, number: usize, at: i64, api_key: Arc<str>) {
    fleet.world.sleep_until(at).await;
    let request = Request::builder()
        .method("POST")
        .uri(format!("/v1/webhooks/{}/secret/rotate", Hook::id(number)))
        .header("host", "answers.example.net")
        .header("x-api-key", &*api_key)
        .body(Body::empty())
        .expect("a valid request");
    let answer = fleet.http(Http::Intake, request).await;
    let status = answer.map(|((status, _), _)| status.as_u16());
    fleet.world.tell(|| format!("the secret of webhook {number} is rotated: {status:?}"));
}
