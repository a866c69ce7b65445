//! Whether things happen when they are to.
//!
//! What was acknowledged is told within moments, unless something goes wrong; then within the
//! limits of the table in `ARCHITECTURE.md`. In a storm the limits count from its end.

use answerback::domain::{
    Delivery, RequestEvent,
    delivery::Target,
    request::{Request, RequestState},
};

use super::{Invariant, Left};
use crate::{Behaviour, fault::Schedule, fleet::MINUTE, seen::Sent, world::since_start};

/// How long things take when nothing is wrong: a few calls, a hint on its way, an attempt.
pub(super) const MOMENT: i64 = 1_500;
/// What a fault that is no crash may cost.
const FAULT: i64 = 5_000;
/// What a crash may cost: a lease and its guard, the next sweep, and the way from there.
const CRASH: i64 = 45_000 + 2_000 + MINUTE + MOMENT;
/// How long after a storm something may still be on its way: a hint that a worker died of comes
/// back, or the sweep leaves alone what it has handed on; then a lease may be left to run out.
const AFTERMATH: i64 = 300_000 + 2 * MINUTE + 47_000 + FAULT;
/// In so long a delivery is held once, on the whole: when its receiver was left alone, for a minute
/// at least, and perhaps once more while another tries.
const HOLD: i64 = 30_000;
/// Beyond that a hint cannot be delayed.
const HINT_DELAY_MAX: i64 = 900_000;

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

    /// How much later than usual something of `at` may come.
    fn patience(&self) -> i64 {
        let scenario = self.over.scenario;
        let weather = &scenario.weather;
        let is_calm = weather.hints_lost + weather.hints_late + weather.sweeps_missed == 0;
        let of_hooks = scenario.hooks.iter().flat_map(|it| &it.receiver);
        let receivers = scenario.requests.iter().flat_map(|it| &it.receiver).chain(of_hooks);
        let n_kills = receivers.filter(|it| **it == Behaviour::Kills).count();
        if n_kills > 0 {
            // Whoever is worked on together with what kills its worker has to wait with it.
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

    /// The latest moment for what is to come `limit` after `at`.
    pub(super) fn latest(&self, at: i64, limit: i64) -> i64 {
        let patience = self.patience();
        let from =
            if patience >= AFTERMATH { at.max(self.over.scenario.weather.ends_at) } else { at };
        from + limit + patience + 2 * self.over.scenario.weather.skew
    }

    /// How much later a delivery may come because its receiver was down: as long as it was held, and
    /// each time until the sweep comes round; that is when a worker has passed it on too often.
    fn held(&self, delivery: &Delivery) -> i64 {
        let held = i64::try_from(delivery.breaker_wait.as_millis()).expect("hours");
        let n_times = if held == 0 { 0 } else { 1 + held / HOLD };
        held + n_times * (10_000 + MINUTE + self.over.scenario.weather.lag)
    }

    /// The end of a request is told soon after it.
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
            if delivery.event.request() != Some(id)
                || !is_end
                || !Self::is_callback(&delivery.target)
            {
                continue;
            }
            // What waits for the sweep comes within a minute, sooner or later by chance; and what was
            // held waits for a receiver that is down, and not because of a fault.
            let first = self.check_first_attempt(&delivery.id.to_string(), at, limit);
            if !(by_time && is_swept) && delivery.breaker_wait.is_zero() {
                self.slowest = self.slowest.max(first.map_or(0, |it| it - at));
            }
        }
    }

    /// The first attempt comes soon after what it tells of happened; gives the time of it.
    pub(super) fn check_first_attempt(
        &mut self,
        delivery: &str,
        happened_at: i64,
        limit: i64,
    ) -> Option<i64> {
        if self.n_redelivered(delivery) > 0 {
            // It may have been given up before it was once sent, its worker dead every time.
            return None;
        }
        let delay = self.deliveries.get(delivery).map_or(0, |it| self.held(it));
        let latest = self.latest(happened_at, limit + delay);
        let first = self.seen.posts.iter().find(|it| it.delivery == delivery).map(|it| it.began_at);
        self.hold(Invariant::InTime, first.is_none_or(|it| it <= latest), || {
            format!(
                "what {delivery} tells happened at {happened_at}, and was told only at {first:?}, \
                 not by {latest}"
            )
        });
        first
    }

    /// Retries come when their time has come, neither earlier nor much later.
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
            // Crashes make it uncertain which retry this is; the shortest delay holds for all.
            let certain = posts.iter().all(|it| it.heard.is_some() && self.seen.is_whole(it));
            let delays = receiver.retry.delays_seconds.iter().map(|it| i64::from(*it) * 1_000);
            let delay = if certain {
                delays.clone().nth(n_failures - 1).unwrap_or(0)
            } else {
                delays.clone().min().unwrap_or(0)
            };
            self.hold(
                Invariant::NothingEarly,
                next.began_at + 2 * skew >= failed_at + delay,
                || format!("{id} failed at {failed_at}, and was sent again at {}", next.began_at),
            );
            let longest = if certain { delay } else { delays.max().unwrap_or(0) };
            // A receiver that asks for patience gets up to the double; jitter is at most half.
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
