//! Checks of webhooks: they get their events, signed with their secrets.

use answerback::domain::{
    Delivery, Event, Owner, Request, RequestEvent, Webhook, WebhookId,
    posted_event::Disables,
    request::RequestState,
    secret::Holder,
    webhook::{DisableReason, Disabled},
};
use futures::FutureExt as _;

use super::{Invariant, Left, timely::MOMENT};
use crate::{
    fleet,
    hooks::Hook,
    receiver::is_genuine,
    seen::{Arrival, Called, Sent, Want},
    world::since_start,
};

/// Longest time from the look at a webhook to a post, in milliseconds: answers may be 90 s late.
const READ_AGE: i64 = 100_000;
/// Longest time from signing to arrival, in milliseconds: the longest latency of a post.
const ON_ITS_WAY: i64 = 100_000;

impl Left<'_> {
    /// The webhooks at the end of the history.
    fn webhooks(&self) -> Vec<Webhook> {
        let account = self.over.account.id;
        let key =
            |number| answerback::store::keys::webhook(Owner::live(account), &Hook::id(number));
        let numbers = 0..self.over.scenario.hooks.len();
        numbers.filter_map(|it| self.item::<Webhook>(key(it))).collect()
    }

    pub(super) fn check_webhooks(&mut self) {
        self.check_narrowed();
        self.check_triggers();
        let webhooks = self.webhooks();
        self.hold(Invariant::NothingLost, webhooks.len() == self.over.scenario.hooks.len(), || {
            "a webhook is gone".to_owned()
        });
        for webhook in &webhooks {
            let is_by_hand = |it: &Disabled| it.reason == DisableReason::ByHand;
            let is_silent = webhook.disabled().is_some_and(|it| !is_by_hand(&it));
            let is_announced = self.events.iter().filter(|it| it.is_announced()).any(|it| {
                it.disables.as_ref().is_some_and(|it| match it {
                    Disables::Webhook { webhook: disabled, failing_since, .. } => {
                        *disabled == webhook.reference() && webhook.was_disabled_for(*failing_since)
                    }
                    Disables::Notifier { .. } => false,
                })
            });
            self.hold(Invariant::NothingLost, is_announced || !is_silent, || {
                format!("{} was disabled without an event", webhook.id)
            });
            let is_narrowed = self.narrowed_at(&webhook.id).is_some();
            for (number, request) in self.requests.clone().into_iter().enumerate() {
                if let Some(request) = request
                    && !is_narrowed
                    && !matches!(request.state(), RequestState::Erased { .. })
                {
                    self.check_that_webhook_was_told(webhook, number, &request);
                }
            }
            for event in self.events.clone().into_iter().filter(Event::is_announced) {
                if event.is_test() {
                    continue;
                }
                let id = Delivery::id_of(event.id, event.created_by, &webhook.reference().target());
                let is_wanted = webhook.wants(event.event_type.as_str());
                let is_told = self.deliveries.contains_key(&id.to_string());
                self.hold(Invariant::NothingLost, is_told || !is_wanted, || {
                    format!("{} did not get {}", webhook.id, event.id)
                });
            }
        }
    }

    /// The time of the first call that took the event types of a webhook away, even if it was not
    /// answered.
    fn narrowed_at(&self, id: &WebhookId) -> Option<i64> {
        let hooks = self.over.scenario.hooks.iter().enumerate();
        let mut of = hooks.filter(|(number, _)| Hook::id(*number) == *id);
        of.find_map(|(_, hook)| hook.narrowed_at)
    }

    /// Returns true if a delivery may be cancelled because its webhook lost its event types.
    pub(super) fn may_be_narrowed(&self, delivery: &Delivery) -> bool {
        delivery.webhook.as_ref().is_some_and(|it| self.narrowed_at(&it.id).is_some())
    }

    /// The calls about webhooks that were answered with success.
    fn hook_calls(&self, want: &Want) -> Vec<Called> {
        let calls = self.seen.hook_calls.iter();
        calls.filter(|it| it.want == *want && it.is_done()).cloned().collect()
    }

    /// A webhook is not called for event types that it lost.
    fn check_narrowed(&mut self) {
        for call in self.hook_calls(&Want::Narrow) {
            let id = Hook::id(call.request);
            let from = call.ended_at + READ_AGE;
            let is_late = |post: &&Sent| {
                let delivery = self.deliveries.get(&post.delivery);
                post.began_at > from
                    && delivery.is_some_and(|it| {
                        it.webhook.as_ref().is_some_and(|it| it.id == id)
                            && it.expedited_by.is_none()
                    })
            };
            let late = self.seen.posts.iter().find(is_late).cloned();
            self.hold(Invariant::NoStrayDuplicate, late.is_none(), || {
                format!("{id} lost its event types at {}, but got {late:?}", call.ended_at)
            });
        }
    }

    /// A test event goes at once, whatever became of earlier calls.
    fn check_triggers(&mut self) {
        for call in self.hook_calls(&Want::Trigger) {
            let id = call.body["id"].as_str().expect("an identifier").to_owned();
            let latest = self.latest(call.ended_at, MOMENT);
            let mut posts = self.seen.posts.iter().filter(|it| it.delivery == id);
            let first = posts.next().map(|it| it.began_at);
            self.hold(Invariant::InTime, first.is_none_or(|it| it <= latest), || {
                format!("{id} was triggered at {}, and sent at {first:?}", call.ended_at)
            });
        }
    }

    /// Every subscribed event has a delivery to the webhook, until the webhook is disabled.
    fn check_that_webhook_was_told(&mut self, webhook: &Webhook, number: usize, request: &Request) {
        for kind in RequestEvent::ALL {
            let expected = self.n_events(number, request, kind);
            let wants = webhook.settings.event_types.iter().any(|it| it.matches(kind.as_str()));
            let most = if wants { *expected.end() } else { 0 };
            let least = if wants && webhook.is_enabled() { *expected.start() } else { 0 };
            let is_of = |it: &&Delivery| {
                it.request() == Some(request.id)
                    && it.event_type == kind
                    && it.webhook.as_ref() == Some(&webhook.reference())
            };
            let n_told = self.deliveries.values().filter(is_of).count();
            let what = || {
                let (id, kind) = (&webhook.id, kind.as_str());
                format!("{id} got {n_told} {kind} of {}, not {least} to {most}", request.id)
            };
            self.hold(Invariant::NothingLost, n_told >= least, what);
            self.hold(Invariant::NoStrayDuplicate, n_told <= most, what);
        }
    }

    /// Returns true if a webhook's callback has a signature of each secret that was valid when it
    /// was sent.
    pub(super) fn is_genuine_at_webhook(&self, arrival: &Arrival) -> bool {
        let number = arrival.receiver - self.over.scenario.requests.len();
        let id = Hook::id(number);
        let Some(webhook) = self.webhooks().into_iter().find(|it| it.id == id) else {
            return false;
        };
        let holder = Holder::Webhook(webhook.owner, webhook.reference());
        let secrets = webhook.secrets().0.iter().enumerate();
        let is_first = |place: usize| place + 1 == webhook.secrets().0.len();
        let mut live = secrets.filter(|(place, it)| {
            is_first(*place) || since_start(it.created_at) + ON_ITS_WAY < arrival.at
        });
        live.all(|(_, secret)| {
            let text =
                fleet::vault().open(&holder, secret, jiff::Timestamp::UNIX_EPOCH).now_or_never();
            let text = text.and_then(Result::ok).expect("it was sealed with the same key");
            is_genuine(arrival, &text)
        })
    }

    /// Returns true if the webhook of a delivery is disabled at the end.
    pub(super) fn is_disabled(&self, delivery: &Delivery) -> bool {
        let of = |it: &Webhook| Some(&it.reference()) == delivery.webhook.as_ref();
        self.webhooks().iter().any(|it| of(it) && !it.is_enabled())
    }
}
