//! Checks of times and delays.
//!
//! Without faults, acknowledged events are delivered within moments. With faults, the limits of the
//! table in `ARCHITECTURE.md` apply. In a storm they count from its end.

use answerback::domain::{
    Delivery, RequestEvent,
    delivery::Target,
    request::{Request, RequestState},
};

use super::{Invariant, Left};
use crate::{Behaviour, fault::Schedule, fleet::MINUTE, seen::Sent, world::since_start};

/// Maximum delay without faults, in milliseconds: a few calls, a hint in flight, an attempt.
pub(super) const MOMENT: i64 = 1_500;
/// Maximum delay by a fault that is not a crash, in milliseconds.
const FAULT: i64 = 5_000;
/// Maximum delay by a crash: the interval of a dispatch, the next sweep, and the way from there. A lease
/// and its guard are shorter.
const CRASH: i64 = 2 * MINUTE + MOMENT;
/// Maximum time after a storm until its last effects are over. A hint whose worker died returns, or
/// the sweep skips the item that it has handed on. Then a lease may have to expire.
const AFTERMATH: i64 = 300_000 + 2 * MINUTE + 47_000 + FAULT;
/// Average time between holds of a delivery. Its receiver is paused for at least a minute, and the
/// delivery may be held once more while another delivery probes.
const HOLD: i64 = 30_000;
/// Maximum delay of a hint, in milliseconds.
pub(super) const HINT_DELAY_MAX: i64 = 900_000;

impl Left<'_> {
    pub(super) fn check_times(&mut self) {
        for number in 0..self.requests.len() {
            let Some(request) = self.requests[number].clone() else { continue };
            self.check_end_is_told(&request);
        }
        for delivery in self.deliveries.clone().into_values() {
            self.check_retries(&delivery);
        }
    }

    /// The allowed additional delay of something that happened at `at`.
    fn patience(&self) -> i64 {
        let scenario = self.over.scenario;
        let weather = &scenario.weather;
        let is_calm = weather.hints_lost + weather.hints_late + weather.sweeps_missed == 0;
        let of_hooks = scenario.hooks.iter().flat_map(|it| &it.receiver);
        let of_events = scenario.requests.iter().flat_map(|it| &it.events_receiver);
        let receivers = scenario.requests.iter().flat_map(|it| &it.receiver);
        let of_messengers = scenario.messengers.iter().flat_map(|it| &it.behaviours);
        let receivers = receivers.chain(of_events).chain(of_hooks).chain(of_messengers);
        let n_kills = receivers.filter(|it| **it == Behaviour::Kills).count();
        if n_kills > 0 {
            // A delivery waits together with one in its batch that kills its worker.
            return AFTERMATH * i64::try_from(n_kills + 1).expect("few");
        }
        match &scenario.schedule {
            Schedule::At(faults) if is_calm && faults.len() <= 1 => match faults.first() {
                None => 0,
                Some((_, fault)) if fault.is_crash() || fault.is_outage() => CRASH,
                Some(_) => FAULT,
            },
            Schedule::Random { per_mille: 0 } if is_calm => 0,
            Schedule::At(_) | Schedule::Random { .. } => AFTERMATH,
        }
    }

    /// The latest time for something that is due `limit` after `at`.
    pub(super) fn latest(&self, at: i64, limit: i64) -> i64 {
        let patience = self.patience();
        let from =
            if patience >= AFTERMATH { at.max(self.over.scenario.weather.ends_at) } else { at };
        from + limit + patience + 2 * self.over.scenario.weather.skew
    }

    /// The allowed additional delay because the receiver was down: the time that the delivery was
    /// held, plus a sweep for each hold, because a worker can run out of hints for it.
    pub(super) fn held(&self, delivery: &Delivery) -> i64 {
        let held = i64::try_from(delivery.breaker_wait.as_millis()).expect("hours");
        let n_times = if held == 0 { 0 } else { 1 + held / HOLD };
        held + n_times * (10_000 + MINUTE + self.over.scenario.weather.lag)
    }

    /// The end of a request is reported soon after it.
    fn check_end_is_told(&mut self, request: &Request) {
        let RequestState::Ended(end) = request.state() else { return };
        let by_time = since_start(end.at) == since_start(request.deadline);
        let lag = self.over.scenario.weather.lag;
        let length = since_start(request.deadline) - since_start(request.created_at);
        let at = since_start(end.at);
        let is_swept = length + 2_000 > HINT_DELAY_MAX;
        let limit = match (by_time, is_swept) {
            (false, _) => MOMENT,
            // The guard band, and the hint rounded up to a second.
            (true, false) => 2_000 + 1_000 + MOMENT,
            (true, true) => 2_000 + MINUTE + lag + MOMENT,
        };
        let id = request.id;
        for delivery in self.deliveries.clone().into_values() {
            let is_end = delivery.event_type == RequestEvent::RequestFinished
                || delivery.event_type == RequestEvent::RequestCancelled;
            if delivery.event().request() != Some(id)
                || !is_end
                || !Self::is_callback(&delivery.target)
            {
                continue;
            }
            // A sweep comes within a minute, at a random moment. A held delivery waits for a
            // receiver that is down, and not because of a fault.
            let first = self.check_first_attempt(&delivery.id.to_string(), at, limit);
            if !(by_time && is_swept) && delivery.breaker_wait.is_zero() {
                self.slowest = self.slowest.max(first.map_or(0, |it| it - at));
            }
        }
    }

    /// The first attempt comes soon after the event. Returns its time.
    pub(super) fn check_first_attempt(
        &mut self,
        delivery: &str,
        happened_at: i64,
        limit: i64,
    ) -> Option<i64> {
        if self.n_redelivered(delivery) > 0 {
            // The delivery may have failed before any post, if its worker died every time.
            return None;
        }
        let delay = self.deliveries.get(delivery).map_or(0, |it| self.held(it));
        let latest = self.latest(happened_at, limit + delay);
        let first = self.seen.posts.iter().find(|it| it.delivery == delivery).map(|it| it.began_at);
        self.hold(Invariant::InTime, first.is_none_or(|it| it <= latest), || {
            format!(
                "{delivery} is for an event at {happened_at}, but its first post was at {first:?}, \
                 not by {latest}"
            )
        });
        first
    }

    /// Retries come when they are due, neither earlier nor much later.
    fn check_retries(&mut self, delivery: &Delivery) {
        let Target::Https(receiver) = &delivery.target else { return };
        let id = delivery.id.to_string();
        let skew = self.over.scenario.weather.skew;
        let lag = self.over.scenario.weather.lag;
        let posts: Vec<Sent> =
            self.seen.posts.iter().filter(|it| it.delivery == id).cloned().collect();
        if self.n_redelivered(&id) > 0 {
            return;
        }
        let mut n_failures = 0;
        for pair in posts.windows(2) {
            let [one, next] = pair else { continue };
            let Some((failed_at, came)) = one.heard else { continue };
            if !self.seen.is_whole(one) || came.is_accepted() {
                continue;
            }
            n_failures += 1;
            // Crashes make the number of this retry uncertain. The shortest delay always applies.
            let certain = posts.iter().all(|it| it.heard.is_some() && self.seen.is_whole(it));
            let delays = receiver.retry.delays_seconds.iter().map(|it| i64::from(*it) * 1_000);
            let delay = if certain {
                delays.clone().nth(n_failures - 1).unwrap_or(0)
            } else {
                delays.clone().min().unwrap_or(0)
            };
            // `Retry-After` is honored up to the double of the delay.
            let asked = one.asked_for.map_or(0, |it| i64::from(it) * 1_000);
            let delay = if certain { delay.max(asked.min(2 * delay)) } else { delay };
            self.hold(
                Invariant::NothingEarly,
                next.began_at + 2 * skew >= failed_at + delay,
                || format!("{id} failed at {failed_at}, and was sent again at {}", next.began_at),
            );
            let longest = if certain { delay } else { delays.max().unwrap_or(0) };
            // `Retry-After` may extend the delay to the double. Jitter is at most half.
            let limit = 2 * longest + 10_000 + MINUTE + lag + MOMENT + self.held(delivery);
            let latest = self.latest(failed_at, limit);
            self.hold(Invariant::InTime, next.began_at <= latest, || {
                format!(
                    "{id} failed at {failed_at} ({came:?}), and was retried at {}",
                    next.began_at
                )
            });
        }
    }
}
