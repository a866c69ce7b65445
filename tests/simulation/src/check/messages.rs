//! Checks of messages: they go by ways that work, and none goes for nothing.

use std::collections::BTreeSet;

use answerback::{
    domain::{
        Delivery, EmailAddress, NotificationId, NotifierId, NotifierKind, Request,
        delivery::{
            DeliveryEnd, DeliveryState, FailureReason, Message, SkipReason, Target,
            message::MESSAGE_DELAYS_SECONDS,
        },
        request::RequestState,
        retry::CRASHES_MAX,
        suppression::{AddressHash, SUPPRESSED_FOR, Suppression},
    },
    signing::LinkToken,
    store::keys,
};

use super::{Invariant, Left, timely::MOMENT};
use crate::{
    fault::Fault,
    fleet::MINUTE,
    messengers::{Messenger, Service, SlackPlace},
    queue::BOUNCE,
    seen::{Bounced, Came, Carried, Invocation},
    slack::Asked,
    world::since_start,
};

/// Longest time from a look at a request to the message, in milliseconds: some calls with all retries.
const MIDST: i64 = 15_000;
/// Longest delay that a service gets that takes no more, in milliseconds, without its extension.
const THROTTLE_MAX: i64 = 300_000;
/// Time until the hint at a mail that came back early comes again, in milliseconds.
const EARLY: i64 = 10_000;

/// A message at the end, and the attempts at it.
struct Fate<'a> {
    request: &'a Request,
    row: usize,
    delivery: &'a Delivery,
    message: &'a Message,
    carried: Vec<Carried>,
}

/// The meaning of a service's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Accepted,
    Throttled,
    Failed,
    MessageRefused,
    NotifierRefused,
}

impl Left<'_> {
    pub(super) fn check_messages(&mut self) {
        if self.over.scenario.messengers.is_empty() {
            return;
        }
        self.check_slack();
        self.check_links();
        self.check_suppressions();
        for request in self.all_requests.clone() {
            if let RequestState::Erased { at, .. } = request.state() {
                self.check_after(&request, None, since_start(*at));
                continue;
            }
            self.check_recipients(&request);
        }
        for number in 0..self.over.scenario.messengers.len() {
            self.check_notifier(number);
        }
    }

    /// An address whose mail came back gets no more mail.
    fn check_suppressions(&mut self) {
        let account = self.over.account.id;
        let all: BTreeSet<&str> = self.seen.bounces.iter().map(|it| it.to.as_str()).collect();
        for to in all {
            let address = EmailAddress::parse(to).expect("our own addresses");
            let key = keys::suppression(account, AddressHash::of(account, &address));
            let Some(suppression) = self.item::<Suppression>(key) else {
                let is_erased = |it: &Request| matches!(it.state(), RequestState::Erased { .. });
                let may_lack =
                    !self.seen.dead.is_empty() || self.all_requests.iter().any(is_erased);
                self.hold(Invariant::NothingLost, may_lack, || format!("{to} is not suppressed"));
                continue;
            };
            let latest = since_start(suppression.until - SUPPRESSED_FOR) + self.race();
            let is_to = |it: &&Carried| it.to.as_deref() == Some(to) && it.began_at > latest;
            let late = self.seen.carried.iter().find(is_to).map(|it| it.began_at);
            self.hold(Invariant::Wanted, late.is_none(), || {
                format!("{to} got a mail at {late:?}, and was suppressed before {latest}")
            });
        }
    }

    /// Each message has one link, which opens the row of its recipient.
    fn check_links(&mut self) {
        for carried in &self.seen.carried {
            let is_right = match carried.tokens.as_slice() {
                [token] => self.opens_its_row(carried, token),
                // Others read the channel.
                [] => self.service_of(carried) == Service::Slack(SlackPlace::Channel),
                _ => false,
            };
            self.hold(Invariant::Genuine, is_right, || {
                format!("a message at {} has the links {:?}", carried.began_at, carried.tokens)
            });
        }
    }

    fn opens_its_row(&self, carried: &Carried, token: &str) -> bool {
        let Some(token) = LinkToken::parse(token) else { return false };
        let Some(request) = self.all_requests.iter().find(|it| it.id == token.request) else {
            return false;
        };
        if matches!(request.state(), RequestState::Erased { .. }) {
            return true;
        }
        let row = usize::from(token.row);
        let recipient = request.question.recipients.get(row);
        let id: Option<NotificationId> = carried.notification.parse().ok();
        token.is_genuine(&request.link_secret)
            && carried
                .to
                .as_ref()
                .is_none_or(|to| recipient.is_some_and(|it| it.email.as_given() == to))
            && id.is_some_and(|it| request.is_message(it.0, row))
    }

    /// The attempts to tell the recipient of a row, or of any row.
    fn carried_to(&self, request: &Request, row: Option<usize>) -> Vec<Carried> {
        let is_to = |it: &&Carried| {
            let Some(token) = it.tokens.first().and_then(|it| LinkToken::parse(it)) else {
                let id: Option<NotificationId> = it.notification.parse().ok();
                return id.is_some_and(|NotificationId(it)| {
                    it.event().request() == Some(request.id)
                        && row.is_none_or(|row| request.is_message(it, row))
                });
            };
            token.request == request.id && row.is_none_or(|row| row == usize::from(token.row))
        };
        self.seen.carried.iter().filter(is_to).cloned().collect()
    }

    /// The message of `delivery` goes by the ways of its recipient, and no further than it has to.
    pub(super) fn check_message(&mut self, request: &Request, delivery: &Delivery) {
        let id = delivery.id;
        let Target::Message(message) = &delivery.target else { return };
        let row = message.row;
        let ways: Vec<NotifierId> = request.notifiers_of(row).iter().map(|it| it.id).collect();
        let chosen: Vec<NotifierId> = message.ways.iter().map(|it| it.notifier).collect();
        self.hold(Invariant::NothingLost, chosen == ways, || {
            format!("{id} goes by {chosen:?}, not by {ways:?}")
        });
        let notification = NotificationId(id).to_string();
        let carried = self.seen.carried.iter().filter(|it| it.notification == notification);
        let carried = carried.cloned().collect();
        let fate = Fate { request, row, delivery, message, carried };
        self.check_fate(&fate);
        self.check_ways(&fate);
        self.check_stray_messages(&fate);
        self.check_first_message(&fate);
        self.check_bounces(&fate);
        self.check_pauses(&fate);
        let is_certain = self.is_certain(&fate.carried) && !self.has_failed_look_ups(&fate);
        self.check_failures(&fate, is_certain);
        self.check_that_it_was_wanted(&fate);
    }

    /// The end of a message is true.
    fn check_fate(&mut self, fate: &Fate<'_>) {
        let delivery = fate.delivery;
        self.hold(Invariant::AtRest, !delivery.has_report, || {
            format!("{} is not reported", delivery.id)
        });
        let DeliveryState::Done { end, at, .. } = delivery.state else { return };
        let mut last: Vec<Meaning> = self.meanings(fate, delivery.way);
        last.extend(self.failed_look_ups(fate, delivery.way));
        let skew = 2 * self.over.scenario.weather.skew;
        let is_true = match end {
            DeliveryEnd::Delivered => last.contains(&Meaning::Accepted),
            DeliveryEnd::Failed(FailureReason::Refused) => last
                .iter()
                .any(|it| matches!(it, Meaning::MessageRefused | Meaning::NotifierRefused)),
            DeliveryEnd::Failed(FailureReason::NotAccepted) => {
                last.contains(&Meaning::MessageRefused)
            }
            DeliveryEnd::Failed(FailureReason::Disabled) => {
                self.number_of(fate, delivery.way).is_some_and(|it| self.may_be_unusable(it))
            }
            DeliveryEnd::DeadLettered(FailureReason::RetriesSpent) => {
                last.contains(&Meaning::Failed)
            }
            DeliveryEnd::DeadLettered(FailureReason::CrashLoop) => self.has_crash_loops(),
            DeliveryEnd::Failed(FailureReason::Bounced) => {
                self.may_be_suppressed(fate, delivery.way, since_start(at) + skew)
            }
            DeliveryEnd::Arrived => self.has_arrived(fate, delivery.way),
            DeliveryEnd::Bounced => self.has_bounced(fate, delivery.way),
            DeliveryEnd::Skipped(SkipReason::MessageLimit) => fate.carried.is_empty(),
            DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_) | DeliveryEnd::Skipped(_) => {
                false
            }
            DeliveryEnd::Cancelled => {
                Self::may_be_settled(fate.request, fate.row, since_start(at) + skew)
            }
        };
        self.hold(Invariant::NothingLost, is_true, || {
            format!("{} ended as {end:?}, and its services replied {last:?}", delivery.id)
        });
        let accepted = fate.carried.iter().find(|it| {
            self.seen.was_whole(&it.process, it.began_at)
                && it.heard.is_some_and(|(_, came)| came.is_accepted())
                && !self.has_bounced(fate, self.way_of(fate, it))
        });
        self.hold(
            Invariant::NothingLost,
            accepted.is_none() || matches!(end, DeliveryEnd::Delivered | DeliveryEnd::Arrived),
            || format!("{} was accepted, and ended as {end:?}", delivery.id),
        );
        let is_back = matches!(end, DeliveryEnd::Delivered | DeliveryEnd::Arrived)
            && self.has_bounced(fate, delivery.way);
        let id = NotificationId(delivery.id).to_string();
        let is_dead = |it: &String| it.contains(BOUNCE) && it.contains(&id);
        let is_known = !self.seen.dead.iter().any(is_dead);
        self.hold(Invariant::NothingLost, !is_back || !is_known, || {
            format!("{} came back by way {}, and is delivered", delivery.id, delivery.way + 1)
        });
    }

    /// A message goes on with the next way only when it has no other chance, and then it does.
    fn check_ways(&mut self, fate: &Fate<'_>) {
        let DeliveryState::Done { end, at, .. } = fate.delivery.state else { return };
        let id = fate.delivery.id;
        let skew = 2 * self.over.scenario.weather.skew;
        let has_failed = match end {
            DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_) => true,
            DeliveryEnd::Bounced => {
                !Self::may_be_settled(fate.request, fate.row, since_start(at) + skew)
            }
            DeliveryEnd::Delivered
            | DeliveryEnd::Arrived
            | DeliveryEnd::Cancelled
            | DeliveryEnd::Skipped(_) => false,
        };
        let n_ways = fate.message.ways.len();
        self.hold(Invariant::NothingLost, !has_failed || fate.delivery.way + 1 == n_ways, || {
            format!("{id} failed on way {} of {n_ways}", fate.delivery.way + 1)
        });
        for way in 0..fate.delivery.way {
            let mut meanings = self.meanings(fate, way);
            meanings.extend(self.failed_look_ups(fate, way));
            let n_failed = meanings.iter().filter(|it| **it == Meaning::Failed).count();
            let is_over = meanings
                .iter()
                .any(|it| matches!(it, Meaning::MessageRefused | Meaning::NotifierRefused))
                || n_failed > MESSAGE_DELAYS_SECONDS.len()
                || self.has_bounced(fate, way)
                || self.may_be_suppressed(fate, way, i64::MAX)
                || self.number_of(fate, way).is_some_and(|it| self.may_be_unusable(it))
                || self.has_crash_loops();
            self.hold(Invariant::BudgetsKept, is_over, || {
                format!("{id} gave up way {} after {meanings:?}", way + 1)
            });
        }
    }

    /// A recipient gets a message once, unless the outcome of an attempt is unknown.
    fn check_stray_messages(&mut self, fate: &Fate<'_>) {
        let id = fate.delivery.id;
        for (place, one) in fate.carried.iter().enumerate() {
            let Some((ended_at, came)) = one.heard else { continue };
            let is_over = came.is_accepted() && self.seen.was_whole(&one.process, one.began_at);
            let is_back = self.has_bounced(fate, self.way_of(fate, one));
            for other in &fate.carried[place + 1..] {
                self.hold(Invariant::NoStrayDuplicate, other.began_at >= ended_at, || {
                    format!("two workers at {id}: {} and {}", one.process, other.process)
                });
                let is_next = is_back && other.place != one.place;
                self.hold(Invariant::NoStrayDuplicate, !is_over || is_next, || {
                    format!("{id} was accepted at {ended_at}, and sent again at {}", other.began_at)
                });
            }
        }
    }

    /// The first attempt comes soon after the request.
    fn check_first_message(&mut self, fate: &Fate<'_>) {
        let Some(number) = self.number_of(fate, 0) else { return };
        let Some(first) = fate.carried.first() else { return };
        if self.may_be_unusable(number) || self.has_failed_look_ups(fate) {
            return;
        }
        let happened_at = since_start(fate.delivery.happened_at);
        let limit = MOMENT + self.over.scenario.weather.lag + self.held(fate.delivery);
        let latest = self.latest(happened_at, limit);
        self.hold(Invariant::InTime, first.began_at <= latest, || {
            let id = fate.delivery.id;
            format!(
                "{id} is for an event at {happened_at}, and was first sent at {}",
                first.began_at
            )
        });
    }

    /// A mail that comes back goes on with the next way soon.
    fn check_bounces(&mut self, fate: &Fate<'_>) {
        let id = NotificationId(fate.delivery.id).to_string();
        let limit = 2 * EARLY + MINUTE + self.over.scenario.weather.lag + self.held(fate.delivery);
        for bounced in self.seen.bounces.iter().filter(|it| it.notification == id) {
            let is_next = |it: &&Carried| self.way_of(fate, it) == bounced.way + 1;
            let Some(next) = fate.carried.iter().find(is_next) else { continue };
            let latest = self.latest(bounced.at, limit + MOMENT);
            self.hold(Invariant::InTime, next.began_at <= latest, || {
                format!("{id} came back at {}, and went on at {}", bounced.at, next.began_at)
            });
        }
    }

    /// Retries follow the schedule, and the next way follows at once.
    fn check_pauses(&mut self, fate: &Fate<'_>) {
        let id = fate.delivery.id;
        if self.has_failed_look_ups(fate) {
            return;
        }
        let weather = &self.over.scenario.weather;
        let (skew, lag) = (2 * weather.skew, weather.lag);
        let is_certain = self.is_certain(&fate.carried);
        for (place, pair) in fate.carried.windows(2).enumerate() {
            let [one, next] = pair else { continue };
            let Some((at, _)) = one.heard else { continue };
            if !self.seen.was_whole(&one.process, one.began_at) {
                continue;
            }
            let meaning = self.meaning(one);
            let n_failed = fate.carried[..=place]
                .iter()
                .filter(|it| it.place == one.place && self.meaning(it) == Meaning::Failed)
                .count();
            let delays = MESSAGE_DELAYS_SECONDS.map(|it| i64::from(it) * 1_000);
            let asked = i64::from(one.asked_for.unwrap_or(0)) * 1_000;
            let (least, most) = match meaning {
                // It may have been disabled during the pause.
                _ if next.place != one.place => (0, delays[2] * 2),
                Meaning::Failed if is_certain => {
                    let delay = delays.get(n_failed - 1).copied().unwrap_or(i64::MAX);
                    (delay, delay.saturating_mul(2))
                }
                Meaning::Failed => (delays[0], delays[2] * 2),
                Meaning::Throttled => {
                    let least = asked.clamp(1_000, THROTTLE_MAX);
                    (least, 2 * least + THROTTLE_MAX)
                }
                Meaning::Accepted | Meaning::MessageRefused | Meaning::NotifierRefused => continue,
            };
            self.hold(
                Invariant::NothingEarly,
                next.began_at + skew >= at.saturating_add(least),
                || format!("{id} was {meaning:?} at {at}, and sent again at {}", next.began_at),
            );
            let held = self.held(fate.delivery);
            let limit = most.saturating_add(10_000 + MINUTE + lag + MOMENT + held);
            let latest = if limit < i64::MAX / 2 { self.latest(at, limit) } else { i64::MAX };
            self.hold(Invariant::InTime, next.began_at <= latest, || {
                format!("{id} was {meaning:?} at {at}, and sent again at {}", next.began_at)
            });
        }
    }

    /// Only failures use up retries, and each way has its own.
    fn check_failures(&mut self, fate: &Fate<'_>, is_certain: bool) {
        let id = fate.delivery.id;
        let n_tries = MESSAGE_DELAYS_SECONDS.len() + 1;
        for way in 0..fate.message.ways.len() {
            let meanings = self.meanings(fate, way);
            let n_failed = meanings.iter().filter(|it| **it == Meaning::Failed).count();
            let n_throttled = meanings.iter().filter(|it| **it == Meaning::Throttled).count();
            let most = n_tries + usize::try_from(CRASHES_MAX).expect("few") + n_throttled;
            self.hold(Invariant::BudgetsKept, meanings.len() <= most, || {
                format!("{id} was sent {} times by way {}", meanings.len(), way + 1)
            });
            let is_spent = fate.delivery.way == way
                && matches!(
                    fate.delivery.state,
                    DeliveryState::Done {
                        end: DeliveryEnd::DeadLettered(FailureReason::RetriesSpent),
                        ..
                    }
                );
            self.hold(
                Invariant::BudgetsKept,
                !is_spent || n_failed >= n_tries || !is_certain,
                || format!("{id} was given up after {meanings:?}"),
            );
            self.hold(Invariant::BudgetsKept, n_failed <= n_tries || !is_certain, || {
                format!("{id} was sent again by way {} after {meanings:?}", way + 1)
            });
        }
    }

    /// Nothing is sent for a request that has ended, or to a recipient who has answered.
    fn check_that_it_was_wanted(&mut self, fate: &Fate<'_>) {
        self.check_after(fate.request, Some(fate.row), Self::settled_at(fate.request, fate.row));
    }

    /// No message to a row, or to any, begins long after this time.
    fn check_after(&mut self, request: &Request, row: Option<usize>, at: i64) {
        let latest = at + self.race();
        let late = self.carried_to(request, row).into_iter().find(|it| it.began_at > latest);
        let late = late.map(|it| it.began_at);
        self.hold(Invariant::Wanted, late.is_none(), || {
            format!(
                "row {row:?} of {} was told at {late:?}, but needed nothing after {at}",
                request.id
            )
        });
    }

    /// The mail by this way came back.
    fn has_bounced(&self, fate: &Fate<'_>, way: usize) -> bool {
        let id = NotificationId(fate.delivery.id).to_string();
        self.seen.bounces.iter().any(|it| it.notification == id && it.way == way)
    }

    /// The mail by this way was reported to have arrived.
    fn has_arrived(&self, fate: &Fate<'_>, way: usize) -> bool {
        let id = NotificationId(fate.delivery.id).to_string();
        self.seen.mails_arrived.contains(&(id, way))
    }

    /// An earlier mail to the recipient came back by this time, so the account may send no mail.
    fn may_be_suppressed(&self, fate: &Fate<'_>, way: usize, by: i64) -> bool {
        let is_mail = fate.message.ways[way].kind == NotifierKind::Email;
        let recipient = fate.request.question.recipients.get(fate.row);
        let is_to = |it: &Bounced| recipient.is_some_and(|of| of.email.as_given() == it.to);
        is_mail && self.seen.bounces.iter().any(|it| is_to(it) && it.at <= by)
    }

    /// The way of an attempt.
    fn way_of(&self, fate: &Fate<'_>, carried: &Carried) -> usize {
        let place = |way| Some(self.over.scenario.place_of_messenger(self.number_of(fate, way)?));
        let mut ways = 0..fate.message.ways.len();
        ways.find(|it| place(*it) == Some(carried.place)).unwrap_or(usize::MAX)
    }

    /// The number of the notifier of a way.
    fn number_of(&self, fate: &Fate<'_>, way: usize) -> Option<usize> {
        let id = fate.message.ways.get(way)?.notifier;
        (0..self.over.scenario.messengers.len()).find(|it| Messenger::id(*it) == id)
    }

    /// The replies to the attempts by a way, in their order. Attempts without a reply failed.
    fn meanings(&self, fate: &Fate<'_>, way: usize) -> Vec<Meaning> {
        let place = self.number_of(fate, way).map(|it| self.over.scenario.place_of_messenger(it));
        let of = fate.carried.iter().filter(|it| Some(it.place) == place);
        of.map(|it| self.meaning(it)).collect()
    }

    /// The meaning of the reply to an attempt.
    pub(super) fn meaning(&self, carried: &Carried) -> Meaning {
        Self::meaning_of(self.service_of(carried), carried.heard.map(|it| it.1))
    }

    fn service_of(&self, carried: &Carried) -> Service {
        let first = self.over.scenario.place_of_messenger(0);
        self.over.scenario.messengers[carried.place - first].service
    }

    /// The meaning of a reply of a service.
    pub(super) fn meaning_of(service: Service, came: Option<Came>) -> Meaning {
        let Some(Came::Status(status)) = came else { return Meaning::Failed };
        match (service, status) {
            (_, 200..=299) => Meaning::Accepted,
            (_, 429 | 503) => Meaning::Throttled,
            (Service::Ntfy(_), 401 | 403 | 404)
            | (Service::Chat(_), 300..=399 | 401 | 403 | 404 | 410)
            | (Service::OwnSystem, 410)
            | (Service::Slack(_), 401 | 403)
            | (Service::Smtp, 401 | 403 | 404 | 410) => Meaning::NotifierRefused,
            (Service::Ntfy(_), 400 | 413)
            | (Service::Chat(_), 400 | 413 | 422)
            | (Service::Slack(_), 400)
            | (Service::Smtp | Service::Ses, 300..=499) => Meaning::MessageRefused,
            _ => Meaning::Failed,
        }
    }

    /// The meanings of the replies by which Slack did not find the recipient for a message by this way,
    /// or for another message to them.
    fn failed_look_ups(&self, fate: &Fate<'_>, way: usize) -> Vec<Meaning> {
        let place = self.number_of(fate, way).map(|it| self.over.scenario.place_of_messenger(it));
        let recipient = fate.request.question.recipients.get(fate.row);
        let own = recipient.map(|it| Asked::LookUp { email: it.email.as_given().to_owned() });
        let calls = self.seen.slack.calls.iter();
        let own = calls.filter(|it| Some(it.place) == place && Some(&it.what) == own.as_ref());
        let failed = own.filter(|it| {
            let is_found = it.heard.is_some_and(|(_, came)| came.is_accepted());
            !is_found || !self.seen.was_whole(&it.process, it.began_at)
        });
        let service = Service::Slack(SlackPlace::Direct);
        failed.map(|it| Self::meaning_of(service, it.heard.map(|it| it.1))).collect()
    }

    fn has_failed_look_ups(&self, fate: &Fate<'_>) -> bool {
        (0..fate.message.ways.len()).any(|it| !self.failed_look_ups(fate, it).is_empty())
    }

    /// Returns true if every attempt had a reply and was recorded.
    fn is_certain(&self, carried: &[Carried]) -> bool {
        carried.iter().all(|it| it.heard.is_some() && self.seen.was_whole(&it.process, it.began_at))
    }

    /// Returns true if so many workers died that a delivery may be given up for it.
    pub(super) fn has_crash_loops(&self) -> bool {
        let of = |it: &&Invocation| it.process.starts_with("deliver") && !it.is_whole;
        let n_cut_off = self.seen.invocations.iter().filter(of).count();
        n_cut_off >= usize::try_from(CRASHES_MAX).expect("few")
    }

    /// The time after which a request needs no answer.
    fn over_at(request: &Request) -> i64 {
        match request.state() {
            RequestState::Ended(end) => since_start(end.at.min(request.deadline)),
            RequestState::Pending | RequestState::Erased { .. } => since_start(request.deadline),
        }
    }

    /// The time after which the recipient of a row needs no message: the end, the answer, or the answer
    /// that took the last place.
    fn settled_at(request: &Request, row: usize) -> i64 {
        let rows = request.rows();
        let answered = rows.get(row).and_then(Option::as_ref).map(|it| since_start(it.at));
        let mut all: Vec<i64> = rows.iter().flatten().map(|it| since_start(it.at)).collect();
        all.sort_unstable();
        let filled = all.get(request.n_places() - 1).copied();
        let by_answer = answered.into_iter().chain(filled).min();
        by_answer.unwrap_or(i64::MAX).min(Self::over_at(request))
    }

    /// The recipient of a row may have needed no message at this time. The time of an answer that was
    /// changed later is unknown.
    pub(super) fn may_be_settled(request: &Request, row: usize, at: i64) -> bool {
        let mut rows = 0..request.rows().len();
        Self::settled_at(request, row) <= at || rows.any(|it| request.n_answers(it) > 1)
    }

    /// The longest time from that of an operation, which is its first moment, to its last write.
    pub(super) fn hesitation(&self) -> i64 {
        let state = self.over.world.state();
        let late = state.faults.injected.iter().map(|(_, fault)| match fault {
            Fault::DoneLate(seconds) | Fault::AnswerLate(seconds) => i64::from(*seconds) * 1_000,
            _ => 0,
        });
        2 * self.over.scenario.weather.skew + late.sum::<i64>() + MOMENT
    }

    /// The longest time from the time of a change to a message that does not know it: between them are
    /// the write of the change, which may come late, and a look at the state.
    pub(super) fn race(&self) -> i64 {
        let state = self.over.world.state();
        let late = state.faults.injected.iter().map(|(_, fault)| match fault {
            Fault::DoneLate(seconds) => i64::from(*seconds) * 1_000,
            _ => 0,
        });
        let skew = 2 * self.over.scenario.weather.skew;
        // There is none without a fault.
        skew + late.max().map_or(MOMENT, |it| it + MIDST)
    }
}
