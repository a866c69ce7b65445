//! What a process remembers of receivers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use answerback::domain::{Breaker, breaker::BreakerState};
use jiff::Timestamp;

use super::{Observation, ReceiverKey};

/// How long it is believed that a receiver may be called.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// How long it is believed that it may not.
const OPEN_CACHE_TTL: Duration = Duration::from_secs(1);
/// Most receivers that are remembered.
const CACHE_MAX: usize = 1_000;
/// So many attempts at one receiver at once, in one process, are a crowd ...
const CROWD: usize = 20;
/// ... if the longest of them has taken so long. Nobody knows yet whether the receiver hangs, and
/// until that is known no more of those are spent that everybody needs.
const CROWD_PATIENCE: Duration = Duration::from_millis(500);

/// What a process remembers of receivers. Clones remember the same.
#[derive(Clone, Debug, Default)]
pub struct Breakers(Arc<Mutex<HashMap<ReceiverKey, Known>>>);

#[derive(Debug, Default)]
struct Known {
    /// With the time when it was read or written.
    breaker: Option<(Breaker, Timestamp)>,
    /// When each attempt began that is under way.
    running: Vec<Timestamp>,
    /// What is still to be noted, if somebody is at it.
    noting: Option<VecDeque<Observation>>,
}

/// An attempt that is under way.
pub(super) struct Running<'a> {
    breakers: &'a Breakers,
    receiver: &'a ReceiverKey,
    began_at: Timestamp,
}

impl Breakers {
    /// What is known of a receiver, unless that was too long ago.
    pub(super) fn recall(&self, receiver: &ReceiverKey, now: Timestamp) -> Option<Breaker> {
        let memory = self.memory();
        let (breaker, read_at) = memory.get(receiver)?.breaker.as_ref()?;
        let believed = match breaker.state {
            BreakerState::Closed { .. } => CACHE_TTL,
            BreakerState::Open { .. } | BreakerState::Trial { .. } => OPEN_CACHE_TTL,
        };
        (now < *read_at + believed).then(|| breaker.clone())
    }

    /// What was known of a receiver last, however long ago.
    pub(super) fn last_known(&self, receiver: &ReceiverKey) -> Breaker {
        let memory = self.memory();
        let known = memory.get(receiver).and_then(|it| it.breaker.as_ref());
        known.map_or_else(|| unknown(receiver), |(breaker, _)| breaker.clone())
    }

    pub(super) fn remember(&self, receiver: &ReceiverKey, breaker: Breaker, now: Timestamp) {
        let mut memory = self.memory();
        if memory.len() >= CACHE_MAX {
            memory.retain(|_, it| !it.running.is_empty() || it.noting.is_some());
        }
        memory.entry(receiver.clone()).or_default().breaker = Some((breaker, now));
    }

    /// Counts an attempt that begins, until what this gives is dropped.
    pub(super) fn begin<'a>(&'a self, receiver: &'a ReceiverKey, now: Timestamp) -> Running<'a> {
        self.memory().entry(receiver.clone()).or_default().running.push(now);
        Running { breakers: self, receiver, began_at: now }
    }

    /// Whether so many attempts at a receiver are under way, for so long, that it may be hanging.
    pub(super) fn is_crowded(&self, receiver: &ReceiverKey, now: Timestamp) -> bool {
        let memory = self.memory();
        let Some(Known { running, .. }) = memory.get(receiver) else { return false };
        running.len() >= CROWD && running.iter().any(|it| *it + CROWD_PATIENCE <= now)
    }

    /// Whether the caller is to note `news`; otherwise somebody else does.
    pub(super) fn begin_to_note(&self, receiver: &ReceiverKey, news: Observation) -> bool {
        let mut memory = self.memory();
        let noting = &mut memory.entry(receiver.clone()).or_default().noting;
        let is_first = noting.is_none();
        noting.get_or_insert_default().push_back(news);
        is_first
    }

    /// The next of what is to be noted, and what is known after it; nothing once all is noted.
    pub(super) fn next_to_note(
        &self,
        receiver: &ReceiverKey,
        now: Timestamp,
    ) -> Option<(Observation, Breaker)> {
        let mut memory = self.memory();
        let Known { breaker, noting, .. } = memory.entry(receiver.clone()).or_default();
        while let Some(news) = noting.as_mut().and_then(VecDeque::pop_front) {
            let known = breaker.as_ref().map_or_else(|| unknown(receiver), |it| it.0.clone());
            if let Some(next) = news.after(&known, now) {
                return Some((news, next));
            }
        }
        *noting = None;
        None
    }

    /// Puts something first that is still to be noted.
    pub(super) fn take_up_again(&self, receiver: &ReceiverKey, news: Observation) {
        let mut memory = self.memory();
        if let Some(noting) = &mut memory.entry(receiver.clone()).or_default().noting {
            noting.push_front(news);
        }
    }

    /// Lets go of what is still to be noted.
    pub(super) fn stop_noting(&self, receiver: &ReceiverKey) {
        self.memory().entry(receiver.clone()).or_default().noting = None;
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<ReceiverKey, Known>> {
        self.0.lock().expect("no panic while it was held")
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.breakers.memory().get_mut(self.receiver)
            && let Some(place) = known.running.iter().position(|it| *it == self.began_at)
        {
            known.running.swap_remove(place);
        }
    }
}

fn unknown((account, host): &ReceiverKey) -> Breaker {
    Breaker::unknown(*account, host.clone())
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
        (AccountId::from_bits(1 << 100), Authority::from_text("a.example:443"))
    }

    fn failure(op: u64) -> Observation {
        Observation::Heard(
            HealthSample { health: Health::Down, duration: Duration::ZERO },
            OpId(op),
        )
    }

    #[test]
    fn a_crowd_is_many_at_once_for_long() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        let later = NOW + CROWD_PATIENCE;
        let mut running: Vec<_> = (1..CROWD).map(|_| breakers.begin(&receiver, NOW)).collect();
        assert!(!breakers.is_crowded(&receiver, later), "not many");
        running.push(breakers.begin(&receiver, later));
        assert!(!breakers.is_crowded(&receiver, NOW), "not for long");
        assert!(breakers.is_crowded(&receiver, later));
        let other = (AccountId::from_bits(2 << 100), receiver.1.clone());
        assert!(!breakers.is_crowded(&other, later), "another account's");
        running.remove(0);
        assert!(!breakers.is_crowded(&receiver, later), "one has ended");
        running.clear();
        assert!(!breakers.is_crowded(&receiver, later));
    }

    #[test]
    fn that_a_receiver_is_down_is_believed_for_less_long() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        assert_eq!(breakers.recall(&receiver, NOW), None);
        let closed = unknown(&receiver);
        let until = NOW + Duration::from_hours(1);
        let open = Breaker { state: BreakerState::Open { until, n_openings: 1 }, ..closed.clone() };
        for (breaker, believed) in [(closed, CACHE_TTL), (open, OPEN_CACHE_TTL)] {
            breakers.remember(&receiver, breaker.clone(), NOW);
            let last = NOW + believed - Duration::from_millis(1);
            assert_eq!(breakers.recall(&receiver, last), Some(breaker.clone()));
            assert_eq!(breakers.recall(&receiver, NOW + believed), None);
            assert_eq!(breakers.last_known(&receiver), breaker);
        }
    }

    #[test]
    fn one_notes_what_others_bring_meanwhile_and_only_what_is_news() {
        let (breakers, receiver) = (Breakers::default(), receiver());
        assert!(breakers.begin_to_note(&receiver, failure(1)));
        let (first, next) = breakers.next_to_note(&receiver, NOW).expect("it is news");
        assert!(!breakers.begin_to_note(&receiver, failure(2)), "somebody is at it");
        // Another process was faster, and what it left has our own write in it.
        breakers.remember(&receiver, next, NOW);
        breakers.take_up_again(&receiver, first);
        let (_, next) = breakers.next_to_note(&receiver, NOW).expect("the second is news");
        assert_eq!(next.state, BreakerState::Closed { failed: vec![OpId(1), OpId(2)] });
        breakers.remember(&receiver, next, NOW);
        assert!(breakers.next_to_note(&receiver, NOW).is_none());
        assert!(breakers.begin_to_note(&receiver, failure(3)), "nobody is at it any more");
        breakers.stop_noting(&receiver);
        assert!(breakers.begin_to_note(&receiver, failure(4)));
    }
}
