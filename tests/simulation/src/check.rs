//! Checks of the promises against the observations of a history and its final state.
//!
//! | invariant | in words |
//! |-----------|----------|
//! | nothing lost | acknowledged writes exist at the end, and their notifications were sent |
//! | nothing early | no time-out, no refusal and no retry before its time |
//! | one outcome | every payload, poll and event reports the same end |
//! | no stray duplicate | one id per event and target; a second attempt only after a crash or a lost response |
//! | one reader | a `once` result has one reader, a leased one has one reader at a time |
//! | budgets kept | exactly the attempts of the policy; a recipient gets 12 messages at most; an answer changes once a second; deliveries wait only for a receiver that was down |
//! | in time | within the limits of the table in ARCHITECTURE.md |
//! | at rest | nothing is due or incomplete |
//! | unnoticed | a retry that succeeds has no visible effect |
//! | genuine | every callback is signed and has the correct identity |
//! | forgotten | erased data is gone everywhere |
//! | wanted | no message comes after the end, after its recipient's answer, by a disabled notifier, or to an address whose mail came back |
//! | assured | a scanner decides nothing, nor does anybody in Slack but the recipient |
//! | used once | an approval is used as often as it allows, each call uses it once, and none after it was withdrawn |
//! | no panic | no function panics |

mod answers;
mod approvals;
mod deliveries;
mod erasures;
mod events;
mod isolation;
mod messages;
mod notifiers;
mod reach;
mod readers;
mod recipients;
mod requests;
mod slack;
mod steps;
mod timely;
mod told;
mod webhooks;

use std::{collections::BTreeMap, fmt, sync::Arc};

use answerback::{
    domain::{
        Account, Attempt, Delivery, Event, EventId, Owner, Request, RequestId, Source,
        secret::Holder,
    },
    store::{Item, Key, Store, keys},
};
use futures::FutureExt as _;
use secrecy::SecretString;
use serde_json::Value;

use crate::{
    Behaviour, fleet,
    history::Over,
    messengers::Service,
    process::Process,
    receiver::is_genuine,
    seen::{Arrival, Called, Seen, Want},
};

/// Longest time of a probe that is not required, in milliseconds.
const PROBE: i64 = 1_000;

/// A promise of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Acknowledged writes exist, and their notifications were sent.
    NothingLost,
    /// Nothing happens before its time.
    NothingEarly,
    /// There is one outcome and one payload.
    OneOutcome,
    /// Nothing is sent twice without need, or under two identifiers.
    NoStrayDuplicate,
    /// Only allowed readers get a result.
    OneReader,
    /// Attempts follow the policy.
    BudgetsKept,
    /// Nothing takes longer than promised.
    InTime,
    /// All work finishes.
    AtRest,
    /// A retry that succeeds has no visible effect.
    Unnoticed,
    /// Callbacks are signed and have the correct identity.
    Genuine,
    /// Erased data is gone.
    Forgotten,
    /// No recipient gets a message that is not needed, or by a way that must not be used.
    Wanted,
    /// A scanner decides nothing, nor does anybody in Slack but the recipient.
    Assured,
    /// An approval is used as often as it allows.
    UsedOnce,
    /// No function panics.
    NoPanic,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub invariant: Invariant,
    /// Description of the violation.
    pub what: String,
}

/// The final state of a history, read with the product's own code, and the observations.
struct Left<'a> {
    over: &'a Over<'a>,
    seen: &'a Seen,
    /// Every request at the end, even if its creation got no response.
    all_requests: Vec<Request>,
    /// The scenario's requests at the end, if their creation was acknowledged.
    requests: Vec<Option<Request>>,
    deliveries: BTreeMap<String, Delivery>,
    attempts: Vec<Attempt>,
    events: Vec<Event>,
    violations: Vec<Violation>,
    /// Longest time from the end of a request to the first attempt to report it.
    slowest: i64,
}

/// Returns all violations.
///
/// Also returns the longest time from the end of a request to the first attempt to report it.
pub(crate) fn check(over: &Over<'_>) -> (Vec<Violation>, i64) {
    let seen = std::mem::take(&mut over.world.state().seen);
    let mut left = Left::read(over, &seen);
    if !over.rests {
        left.broken(Invariant::AtRest, "the history never came to rest".to_owned());
        return (left.violations, 0);
    }
    left.check_calls();
    left.check_requests();
    left.check_answers_of_links();
    left.check_approvals();
    left.check_deliveries();
    left.check_messages();
    left.check_reach();
    left.check_erasures();
    left.check_events();
    left.check_isolation();
    left.check_webhooks();
    left.check_times();
    left.check_signatures(over.account);
    (left.violations, left.slowest)
}

impl<'a> Left<'a> {
    fn read(over: &'a Over<'a>, seen: &'a Seen) -> Self {
        let store = fleet::store(&Arc::new(Process::outside(over.world)));
        let keys: Vec<Key> = over.world.state().table.keys().cloned().collect();
        let mut deliveries = BTreeMap::new();
        let (mut all_requests, mut attempts, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            if key.pk.parse().is_ok_and(|it: RequestId| key == keys::request(it)) {
                all_requests.extend(item::<Request>(&store, key));
                continue;
            }
            if key.pk.parse().is_ok_and(|it: EventId| key == keys::event(it)) {
                events.extend(item::<Event>(&store, key));
                continue;
            }
            if key.sk.starts_with(keys::DELIVERIES) {
                deliveries.extend(item::<Delivery>(&store, key).map(|it| (it.id.to_string(), it)));
            } else if key.sk.starts_with(keys::ATTEMPTS) {
                attempts.extend(item::<Attempt>(&store, key));
            }
        }
        let created = |number: usize| {
            let made = seen.calls.iter().filter(|it| it.request == number && it.is_done());
            let made = made.filter(|it| it.want == Want::Create);
            made.filter_map(|it| it.body["id"].as_str()).next_back()
        };
        let requests = (0..over.scenario.requests.len()).map(|number| {
            let id: RequestId = created(number)?.parse().ok()?;
            item(&store, keys::request(id))
        });
        let requests = requests.collect();
        Self {
            over,
            seen,
            all_requests,
            requests,
            deliveries,
            attempts,
            events,
            violations: Vec::new(),
            slowest: 0,
        }
    }

    /// The stored item at `key`.
    fn item<T: Item>(&self, key: Key) -> Option<T> {
        item(&fleet::store(&Arc::new(Process::outside(self.over.world))), key)
    }

    fn broken(&mut self, invariant: Invariant, what: String) {
        self.violations.push(Violation { invariant, what });
    }

    /// Records a violation unless the promise is kept.
    fn hold(&mut self, invariant: Invariant, is_kept: bool, otherwise: impl FnOnce() -> String) {
        if !is_kept {
            self.broken(invariant, otherwise());
        }
    }

    /// Maximum number of redeliveries of a delivery on demand.
    fn n_redelivered(&self, id: &str) -> usize {
        let is_of = |it: &Want| matches!(it, Want::Redeliver { delivery } if delivery == id);
        let n_answered = self.seen.calls.iter().filter(|it| is_of(&it.want)).count();
        n_answered + self.seen.unanswered.iter().filter(|it| is_of(&it.1)).count()
    }

    /// The calls about a request that a function answered with success.
    fn done(&self, request: usize) -> impl Iterator<Item = &'a Called> + use<'a> {
        self.seen.calls.iter().filter(move |it| it.request == request && it.is_done())
    }

    fn check_calls(&mut self) {
        for call in &self.seen.calls {
            let is_expected = match call.status {
                // The call may have met an end or a concurrent call.
                200..=299 | 409 => true,
                410 => call.want != Want::Create,
                // The second step, a wrong code, a link that is locked, a change or a reminder too soon.
                422 if call.want == Want::Create => self.may_lack_notifiers(call.request),
                429 if matches!(call.want, Want::Remind { .. }) => true,
                303 | 403 | 422 | 429 => Self::is_of_recipient(&call.want),
                400 if call.body["code"] == "callback_url_not_allowed" => {
                    matches!(call.want, Want::Create | Want::Post { .. })
                        && self.may_fail_a_probe(call.request)
                }
                404 => self.may_be_erased(call.request),
                500.. => !call.is_whole,
                _ => false,
            };
            self.hold(Invariant::Unnoticed, is_expected, || {
                format!("{:?} was answered {} {}", call.want, call.status, call.body)
            });
            self.check_creation_time(call);
        }
    }

    /// A slow receiver delays the creation of a request by a second at most.
    fn check_creation_time(&mut self, call: &Called) {
        let plan = self.over.scenario.requests.get(call.request);
        let is_required = plan.is_some_and(|it| it.body["callback"]["probe"] == "require");
        let is_calm = self.over.world.state().faults.injected.is_empty();
        if call.want == Want::Create && is_calm && !is_required {
            let took = call.ended_at - call.began_at;
            self.hold(Invariant::InTime, took <= PROBE + timely::MOMENT, || {
                format!("the creation of request {} took {took} ms", call.request)
            });
        }
    }

    /// Returns true if a callback's URL may be refused: a required probe may have failed, or a look-up,
    /// which only faults disturb.
    fn may_fail_a_probe(&self, request: usize) -> bool {
        let plan = &self.over.scenario.requests[request];
        // A probe takes 5 s at most, with the time to connect.
        let is_well = |it: &Behaviour| matches!(it, Behaviour::Answers(200..=299, 0..4_900));
        let is_required = plan.body["callback"]["probe"] == "require";
        (is_required && !plan.receiver.iter().all(is_well))
            || !self.over.world.state().faults.injected.is_empty()
    }

    /// Returns true if a request may be refused because the notifiers that it names are disabled or gone.
    fn may_lack_notifiers(&self, request: usize) -> bool {
        let plan = &self.over.scenario.requests[request];
        let steps = plan.body["steps"].as_array().into_iter().flatten();
        let lists = std::iter::once(&plan.body["recipients"]).chain(steps.map(|it| &it["to"]));
        let mut recipients = lists.filter_map(Value::as_array).flatten();
        let names = plan.body["notify"].is_array() || recipients.any(|it| it["via"].is_array());
        names && (0..self.over.scenario.messengers.len()).any(|it| self.may_be_unusable(it))
    }

    /// Returns true if a caller tried to erase the request.
    fn may_be_erased(&self, request: usize) -> bool {
        let of = |it: &(usize, &Want)| it.0 == request && *it.1 == Want::Erase;
        self.seen.calls.iter().map(|it| (it.request, &it.want)).any(|it| of(&it))
            || self.seen.unanswered.iter().map(|it| (it.0, &it.1)).any(|it| of(&it))
    }

    fn check_signatures(&mut self, account: &Account) {
        let (of_requests, of_events) =
            (secret_of(account, Source::Requests), secret_of(account, Source::Events));
        let first = self.over.scenario.place_of_messenger(0);
        for message in &self.seen.carried {
            if self.over.scenario.messengers[message.place - first].service != Service::OwnSystem {
                continue;
            }
            let (Some(post), Some(at)) = (&message.arrival, message.arrived_at.first()) else {
                continue;
            };
            let arrival = Arrival { at: *at, ..post.clone() };
            self.hold(Invariant::Genuine, is_genuine(&arrival, &of_requests), || {
                format!("{} is not signed correctly", arrival.delivery)
            });
        }
        for arrival in &self.seen.arrivals {
            let is_genuine = if arrival.receiver < self.over.scenario.requests.len() {
                let event = self.deliveries.get(&arrival.delivery).map(Delivery::event);
                match event.map_or(Source::Requests, Source::of) {
                    Source::Requests => is_genuine(arrival, &of_requests),
                    Source::Events => is_genuine(arrival, &of_events),
                }
            } else {
                self.is_genuine_at_webhook(arrival)
            };
            self.hold(Invariant::Genuine, is_genuine, || {
                format!("{} of {} is not signed correctly", arrival.event_kind, arrival.delivery)
            });
            let is_known = if let Some(delivery) = self.deliveries.get(&arrival.delivery) {
                delivery.event_type.as_str() == arrival.event_kind
            } else {
                // Its worker died before it was stored, and then the request was erased, or a later
                // answer took the place of the event.
                let mut posts = self.seen.posts.iter();
                !posts.any(|it| it.delivery == arrival.delivery && self.seen.is_whole(it))
            };
            self.hold(Invariant::Genuine, is_known, || {
                format!("{} is no delivery of {}", arrival.delivery, arrival.event_kind)
            });
        }
    }
}

/// The secret of an account that signs what comes from `source`.
fn secret_of(account: &Account, source: Source) -> SecretString {
    let owner = Owner::live(account.id);
    let secret = &account.secrets.of(owner.mode, source).0[0];
    let secret = fleet::vault()
        .open(&Holder::Account(owner, source), secret, jiff::Timestamp::UNIX_EPOCH)
        .now_or_never();
    secret.and_then(Result::ok).expect("it was sealed with the same key")
}

/// The stored item at `key`, read from outside.
fn item<T: Item>(store: &Store, key: Key) -> Option<T> {
    let found = store.get(key).now_or_never().expect("the operator's calls succeed at once");
    found.expect("what the functions wrote can be read")
}

impl Called {
    fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Invariant {
    /// All promises.
    pub const ALL: [Self; 15] = [
        Self::NothingLost,
        Self::NothingEarly,
        Self::OneOutcome,
        Self::NoStrayDuplicate,
        Self::OneReader,
        Self::BudgetsKept,
        Self::InTime,
        Self::AtRest,
        Self::Unnoticed,
        Self::Genuine,
        Self::Forgotten,
        Self::Wanted,
        Self::Assured,
        Self::UsedOnce,
        Self::NoPanic,
    ];

    /// Name of the promise.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingLost => "nothing lost",
            Self::NothingEarly => "nothing early",
            Self::OneOutcome => "one outcome",
            Self::NoStrayDuplicate => "no stray duplicate",
            Self::OneReader => "one reader",
            Self::BudgetsKept => "budgets kept",
            Self::InTime => "in time",
            Self::AtRest => "at rest",
            Self::Unnoticed => "unnoticed",
            Self::Genuine => "genuine",
            Self::Forgotten => "forgotten",
            Self::Wanted => "wanted",
            Self::Assured => "assured",
            Self::UsedOnce => "used once",
            Self::NoPanic => "no panic",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.as_str(), self.what)
    }
}
