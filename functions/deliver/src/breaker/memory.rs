//! A process's memory of hosts: cached breakers, running attempts, and observations to record.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use answerback::domain::{Breaker, WebhookRef, breaker::Observation};
use jiff::Timestamp;

use super::{HostKey, ReceiverKey};

/// Cache lifetime of a closed breaker.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Cache lifetime of an open breaker. It is shorter, so that a receiver is called soon after it is
/// back.
const OPEN_CACHE_TTL: Duration = Duration::from_secs(1);
/// Most hosts in the memory of a process.
const CACHE_MAX: usize = 1_000;
/// Concurrent attempts at one webhook, or all callback URLs of one host, that are a crowd, if the
/// oldest has [`CROWD_AGE_MIN`].
///
/// It is not yet known whether such a receiver hangs. Until it is, further deliveries do not take
/// up workers that all receivers share.
const CROWD_SIZE_MIN: usize = 20;
/// Age of the oldest attempt in a crowd.
const CROWD_AGE_MIN: Duration = Duration::from_millis(500);

/// A process's memory of hosts. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Breakers(Arc<Mutex<HashMap<HostKey, Memory>>>);

#[derive(Debug, Default)]
struct Memory {
    breaker: Option<CachedBreaker>,
    running: Vec<Running>,
    /// Observations to record. `None`: no task is recording.
    queue: Option<VecDeque<Observation>>,
}

/// A breaker as it was read or written.
#[derive(Debug)]
struct CachedBreaker {
    breaker: Breaker,
    known_at: Timestamp,
}

/// A running attempt at a host.
#[derive(Debug, PartialEq)]
struct Running {
    /// `None`: it is a callback.
    webhook: Option<WebhookRef>,
    began_at: Timestamp,
}

/// Observations that change a breaker.
pub(super) struct Change {
    pub(super) observations: VecDeque<Observation>,
    pub(super) next: Breaker,
}

/// A running attempt. It is over when this is dropped.
pub(super) struct RunningAttempt<'a> {
    breakers: &'a Breakers,
    receiver: &'a ReceiverKey,
    began_at: Timestamp,
}

impl Breakers {
    /// The cached breaker of a receiver's host, within its lifetime.
    pub(super) fn cached(&self, receiver: &ReceiverKey, now: Timestamp) -> Option<Breaker> {
        let memory = self.memory();
        let CachedBreaker { breaker, known_at } = memory.get(&receiver.host)?.breaker.as_ref()?;
        let is_closed = breaker.is_closed_for(&receiver.endpoint);
        let ttl = if is_closed { CACHE_TTL } else { OPEN_CACHE_TTL };
        (now < *known_at + ttl).then(|| breaker.clone())
    }

    /// The last known breaker of a host, of any age.
    pub(super) fn last_known(&self, host: &HostKey) -> Breaker {
        let memory = self.memory();
        let cached = memory.get(host).and_then(|it| it.breaker.as_ref());
        cached.map_or_else(|| host.unknown(), |it| it.breaker.clone())
    }

    /// Caches a breaker that was read or written at `now`.
    pub(super) fn remember(&self, host: &HostKey, breaker: Breaker, now: Timestamp) {
        let mut memory = self.memory();
        if memory.len() >= CACHE_MAX {
            memory.retain(|_, it| !it.running.is_empty() || it.queue.is_some());
        }
        let cached = CachedBreaker { breaker, known_at: now };
        memory.entry(host.clone()).or_default().breaker = Some(cached);
    }

    /// Counts an attempt as running until the returned value is dropped.
    pub(super) fn begin_attempt<'a>(
        &'a self,
        receiver: &'a ReceiverKey,
        now: Timestamp,
    ) -> RunningAttempt<'a> {
        let running = Running::new(receiver, now);
        self.memory().entry(receiver.host.clone()).or_default().running.push(running);
        RunningAttempt { breakers: self, receiver, began_at: now }
    }

    /// True if so many attempts have been running for so long that the receiver may hang.
    pub(super) fn is_crowded(&self, receiver: &ReceiverKey, now: Timestamp) -> bool {
        let memory = self.memory();
        let Some(Memory { running, .. }) = memory.get(&receiver.host) else { return false };
        let webhook = receiver.endpoint.webhook();
        let crowd = running.iter().filter(|it| it.webhook.as_ref() == webhook);
        crowd.clone().count() >= CROWD_SIZE_MIN
            && crowd.clone().any(|it| it.began_at + CROWD_AGE_MIN <= now)
    }

    /// Adds an observation to the host's queue. Returns true if the caller has to record the queue,
    /// and false if another task is already recording it.
    pub(super) fn enqueue(&self, host: &HostKey, observation: Observation) -> bool {
        let mut memory = self.memory();
        let queue = &mut memory.entry(host.clone()).or_default().queue;
        let is_first = queue.is_none();
        queue.get_or_insert_default().push_back(observation);
        is_first
    }

    /// The queued observations, if they change the breaker. `None`: the queue is empty, and the
    /// caller has finished recording.
    pub(super) fn next_change(&self, host: &HostKey, now: Timestamp) -> Option<Change> {
        let mut memory = self.memory();
        let Memory { breaker, queue, .. } = memory.entry(host.clone()).or_default();
        let observations = queue.as_mut().map(std::mem::take).unwrap_or_default();
        let known = breaker.as_ref().map_or_else(|| host.unknown(), |it| it.breaker.clone());
        let next = known.after(&observations, now);
        if next.is_none() {
            *queue = None;
        }
        next.map(|next| Change { observations, next })
    }

    /// Puts observations back to the front of the queue.
    pub(super) fn requeue(&self, host: &HostKey, mut observations: VecDeque<Observation>) {
        let mut memory = self.memory();
        if let Some(queue) = &mut memory.entry(host.clone()).or_default().queue {
            observations.append(queue);
            *queue = observations;
        }
    }

    /// Drops the queue, and finishes recording.
    pub(super) fn clear_queue(&self, host: &HostKey) {
        self.memory().entry(host.clone()).or_default().queue = None;
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<HostKey, Memory>> {
        self.0.lock().expect("no holder panics")
    }
}

impl Running {
    fn new(receiver: &ReceiverKey, began_at: Timestamp) -> Self {
        Self { webhook: receiver.endpoint.webhook().cloned(), began_at }
    }
}

impl Drop for RunningAttempt<'_> {
    fn drop(&mut self) {
        let ended = Running::new(self.receiver, self.began_at);
        if let Some(memory) = self.breakers.memory().get_mut(&self.receiver.host)
            && let Some(index) = memory.running.iter().position(|it| *it == ended)
        {
            memory.running.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use answerback::domain::{
        AccountId, OpId, WebhookId,
        breaker::{Authority, Circuit, Endpoint, Health, HealthSample},
    };

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn receiver() -> ReceiverKey {
        let authority = Authority::from_text("a.example:443");
        let host = HostKey { account: AccountId::from_bits(1 << 100), authority };
        let endpoint = Endpoint::of_callback("https://a.example/hook").expect("a URL");
        ReceiverKey { host, endpoint }
    }

    fn webhook() -> ReceiverKey {
        let id = WebhookId::parse("h1").expect("a name");
        let reference = WebhookRef { id, created_by: OpId(1) };
        ReceiverKey { endpoint: Endpoint::Webhook(reference), ..receiver() }
    }

    fn failure(op: u64) -> Observation {
        let sample = HealthSample { health: Health::Unreachable, duration: Duration::ZERO };
        Observation::Ended { endpoint: receiver().endpoint, sample, op: OpId(op) }
    }

    #[test]
    fn crowd_is_many_attempts_that_run_for_long() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        let other_path = Endpoint::of_callback("https://a.example/other").expect("a URL");
        let other_path = ReceiverKey { endpoint: other_path, ..receiver.clone() };
        let later = NOW + CROWD_AGE_MIN;
        let begin = |at| breakers.begin_attempt(&receiver, at);
        let mut running: Vec<_> = (1..CROWD_SIZE_MIN).map(|_| begin(NOW)).collect();
        assert!(!breakers.is_crowded(&receiver, later), "not many");
        running.push(breakers.begin_attempt(&other_path, later));
        assert!(!breakers.is_crowded(&receiver, NOW), "not for long");
        assert!(breakers.is_crowded(&receiver, later));
        assert!(!breakers.is_crowded(&webhook(), later), "a webhook counts its own attempts");
        let account = AccountId::from_bits(2 << 100);
        let host = HostKey { account, ..receiver.host.clone() };
        let other = ReceiverKey { host, ..receiver.clone() };
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
        let closed = receiver.host.unknown();
        let until = NOW + Duration::from_hours(1);
        let connection = Circuit::Open { until, n_openings: 1 };
        let open = Breaker { connection, ..closed.clone() };
        for (breaker, ttl) in [(closed, CACHE_TTL), (open, OPEN_CACHE_TTL)] {
            breakers.remember(&receiver.host, breaker.clone(), NOW);
            let last = NOW + ttl - Duration::from_millis(1);
            assert_eq!(breakers.cached(&receiver, last), Some(breaker.clone()));
            assert_eq!(breakers.cached(&receiver, NOW + ttl), None);
            assert_eq!(breakers.last_known(&receiver.host), breaker);
        }
    }

    #[test]
    fn one_task_records_the_observations_of_all() {
        let (breakers, HostKey { account, authority }) = (Breakers::default(), receiver().host);
        let host = HostKey { account, authority };
        assert!(breakers.enqueue(&host, failure(1)));
        let first = breakers.next_change(&host, NOW).expect("it changes the breaker");
        for op in 2..=3 {
            assert!(!breakers.enqueue(&host, failure(op)), "another task is recording");
        }
        // Another process was faster, and its item includes our own write.
        breakers.remember(&host, first.next, NOW);
        breakers.requeue(&host, first.observations);
        let second = breakers.next_change(&host, NOW).expect("the others change it");
        let failed = vec![OpId(1), OpId(2), OpId(3)];
        assert_eq!(second.next.connection, Circuit::Closed { failed });
        assert_eq!(second.next.revision, 2, "one write for all");
        breakers.remember(&host, second.next, NOW);
        assert!(breakers.next_change(&host, NOW).is_none());
        assert!(breakers.enqueue(&host, failure(4)), "no task is recording any more");
        breakers.clear_queue(&host);
        assert!(breakers.enqueue(&host, failure(5)));
    }
}
