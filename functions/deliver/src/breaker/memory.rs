//! A process's memory of receivers: cached breakers, running attempts, and observations to record.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use answerback::domain::{Breaker, breaker::BreakerState};
use jiff::Timestamp;

use super::{Observation, ReceiverKey};

/// Cache lifetime of a closed breaker.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Cache lifetime of an open breaker. It is shorter, so that a receiver is called soon after it is
/// back.
const OPEN_CACHE_TTL: Duration = Duration::from_secs(1);
/// Most receivers in the memory of a process.
const CACHE_MAX: usize = 1_000;
/// Concurrent attempts at one receiver that are a crowd, if the oldest has [`CROWD_AGE_MIN`].
///
/// It is not yet known whether such a receiver hangs. Until it is, further deliveries do not take
/// up workers that all receivers share.
const CROWD_SIZE_MIN: usize = 20;
/// Age of the oldest attempt in a crowd.
const CROWD_AGE_MIN: Duration = Duration::from_millis(500);

/// A process's memory of receivers. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Breakers(Arc<Mutex<HashMap<ReceiverKey, Memory>>>);

#[derive(Debug, Default)]
struct Memory {
    breaker: Option<CachedBreaker>,
    /// Start of each running attempt.
    running: Vec<Timestamp>,
    /// Observations to record. `None`: no task is recording.
    queue: Option<VecDeque<Observation>>,
}

/// A breaker as it was read or written.
#[derive(Debug)]
struct CachedBreaker {
    breaker: Breaker,
    known_at: Timestamp,
}

/// An observation that changes a breaker.
pub(super) struct Change {
    pub(super) observation: Observation,
    pub(super) next: Breaker,
}

/// A running attempt. It is over when this is dropped.
pub(super) struct RunningAttempt<'a> {
    breakers: &'a Breakers,
    receiver: &'a ReceiverKey,
    began_at: Timestamp,
}

impl Breakers {
    /// The cached breaker of a receiver, within its lifetime.
    pub(super) fn cached(&self, receiver: &ReceiverKey, now: Timestamp) -> Option<Breaker> {
        let memory = self.memory();
        let CachedBreaker { breaker, known_at } = memory.get(receiver)?.breaker.as_ref()?;
        let ttl = match breaker.state {
            BreakerState::Closed { .. } => CACHE_TTL,
            BreakerState::Open { .. } | BreakerState::Trial { .. } => OPEN_CACHE_TTL,
        };
        (now < *known_at + ttl).then(|| breaker.clone())
    }

    /// The last known breaker of a receiver, of any age.
    pub(super) fn last_known(&self, receiver: &ReceiverKey) -> Breaker {
        let memory = self.memory();
        let cached = memory.get(receiver).and_then(|it| it.breaker.as_ref());
        cached.map_or_else(|| receiver.unknown(), |it| it.breaker.clone())
    }

    /// Caches a breaker that was read or written at `now`.
    pub(super) fn remember(&self, receiver: &ReceiverKey, breaker: Breaker, now: Timestamp) {
        let mut memory = self.memory();
        if memory.len() >= CACHE_MAX {
            memory.retain(|_, it| !it.running.is_empty() || it.queue.is_some());
        }
        let cached = CachedBreaker { breaker, known_at: now };
        memory.entry(receiver.clone()).or_default().breaker = Some(cached);
    }

    /// Counts an attempt as running until the returned value is dropped.
    pub(super) fn begin_attempt<'a>(
        &'a self,
        receiver: &'a ReceiverKey,
        now: Timestamp,
    ) -> RunningAttempt<'a> {
        self.memory().entry(receiver.clone()).or_default().running.push(now);
        RunningAttempt { breakers: self, receiver, began_at: now }
    }

    /// True if so many attempts have been running for so long that the receiver may hang.
    pub(super) fn is_crowded(&self, receiver: &ReceiverKey, now: Timestamp) -> bool {
        let memory = self.memory();
        let Some(Memory { running, .. }) = memory.get(receiver) else { return false };
        running.len() >= CROWD_SIZE_MIN && running.iter().any(|it| *it + CROWD_AGE_MIN <= now)
    }

    /// Adds an observation to the receiver's queue. Returns true if the caller has to record the
    /// queue, and false if another task is already recording it.
    pub(super) fn enqueue(&self, receiver: &ReceiverKey, observation: Observation) -> bool {
        let mut memory = self.memory();
        let queue = &mut memory.entry(receiver.clone()).or_default().queue;
        let is_first = queue.is_none();
        queue.get_or_insert_default().push_back(observation);
        is_first
    }

    /// The next observation that changes the breaker. `None`: the queue is empty, and the caller has
    /// finished recording.
    pub(super) fn next_change(&self, receiver: &ReceiverKey, now: Timestamp) -> Option<Change> {
        let mut memory = self.memory();
        let Memory { breaker, queue, .. } = memory.entry(receiver.clone()).or_default();
        while let Some(observation) = queue.as_mut().and_then(VecDeque::pop_front) {
            let known =
                breaker.as_ref().map_or_else(|| receiver.unknown(), |it| it.breaker.clone());
            if let Some(next) = observation.applied_to(&known, now) {
                return Some(Change { observation, next });
            }
        }
        *queue = None;
        None
    }

    /// Puts an observation back to the front of the queue.
    pub(super) fn requeue(&self, receiver: &ReceiverKey, observation: Observation) {
        let mut memory = self.memory();
        if let Some(queue) = &mut memory.entry(receiver.clone()).or_default().queue {
            queue.push_front(observation);
        }
    }

    /// Drops the queue, and finishes recording.
    pub(super) fn clear_queue(&self, receiver: &ReceiverKey) {
        self.memory().entry(receiver.clone()).or_default().queue = None;
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<ReceiverKey, Memory>> {
        self.0.lock().expect("no holder panics")
    }
}

impl Drop for RunningAttempt<'_> {
    fn drop(&mut self) {
        if let Some(memory) = self.breakers.memory().get_mut(self.receiver)
            && let Some(index) = memory.running.iter().position(|it| *it == self.began_at)
        {
            memory.running.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use answerback::domain::{
        AccountId, OpId,
        breaker::{Authority, Health, HealthSample},
    };

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn receiver() -> ReceiverKey {
        let authority = Authority::from_text("a.example:443");
        ReceiverKey { account: AccountId::from_bits(1 << 100), authority }
    }

    fn failure(op: u64) -> Observation {
        let sample = HealthSample { health: Health::Down, duration: Duration::ZERO };
        Observation::Ended { sample, op: OpId(op) }
    }

    #[test]
    fn crowd_is_many_attempts_that_run_for_long() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        let later = NOW + CROWD_AGE_MIN;
        let begin = |at| breakers.begin_attempt(&receiver, at);
        let mut running: Vec<_> = (1..CROWD_SIZE_MIN).map(|_| begin(NOW)).collect();
        assert!(!breakers.is_crowded(&receiver, later), "not many");
        running.push(begin(later));
        assert!(!breakers.is_crowded(&receiver, NOW), "not for long");
        assert!(breakers.is_crowded(&receiver, later));
        let other = ReceiverKey { account: AccountId::from_bits(2 << 100), ..receiver.clone() };
        assert!(!breakers.is_crowded(&other, later), "another account's");
        running.remove(0);
        assert!(!breakers.is_crowded(&receiver, later), "one has ended");
        running.clear();
        assert!(!breakers.is_crowded(&receiver, later));
    }

    #[test]
    fn open_breaker_is_cached_for_less_time() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        assert_eq!(breakers.cached(&receiver, NOW), None);
        let closed = receiver.unknown();
        let until = NOW + Duration::from_hours(1);
        let open = Breaker { state: BreakerState::Open { until, n_openings: 1 }, ..closed.clone() };
        for (breaker, ttl) in [(closed, CACHE_TTL), (open, OPEN_CACHE_TTL)] {
            breakers.remember(&receiver, breaker.clone(), NOW);
            let last = NOW + ttl - Duration::from_millis(1);
            assert_eq!(breakers.cached(&receiver, last), Some(breaker.clone()));
            assert_eq!(breakers.cached(&receiver, NOW + ttl), None);
            assert_eq!(breakers.last_known(&receiver), breaker);
        }
    }

    #[test]
    fn one_task_records_the_observations_of_all() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        assert!(breakers.enqueue(&receiver, failure(1)));
        let first = breakers.next_change(&receiver, NOW).expect("it changes the breaker");
        assert!(!breakers.enqueue(&receiver, failure(2)), "another task is recording");
        // Another process was faster, and its item includes our own write.
        breakers.remember(&receiver, first.next, NOW);
        breakers.requeue(&receiver, first.observation);
        let second = breakers.next_change(&receiver, NOW).expect("the second changes it");
        let failed = vec![OpId(1), OpId(2)];
        assert_eq!(second.next.state, BreakerState::Closed { failed });
        breakers.remember(&receiver, second.next, NOW);
        assert!(breakers.next_change(&receiver, NOW).is_none());
        assert!(breakers.enqueue(&receiver, failure(3)), "no task is recording any more");
        breakers.clear_queue(&receiver);
        assert!(breakers.enqueue(&receiver, failure(4)));
    }
}
