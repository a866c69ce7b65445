//! Hints: messages that say where to look, and never what is true.
//!
//! Whatever a hint is about has a timer in its item, so a hint that is lost, doubled, late or out
//! of order costs time only.
//!
//! There are two queues. What is to be told to a receiver that is slow, or down, goes to the slow
//! lane, whose workers nobody else waits for. In each, messages form groups: where one group has
//! many, those of others are received first (SQS's fair queues).

mod group;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Promise,
    domain::{
        Delivery, DeliveryId, EventId, Request, RequestId,
        delivery::HINT_DELAY_MAX,
        request::{CLOCK_GUARD, RequestState},
    },
};

pub use group::Group;

pub use crate::domain::delivery::Lane;

/// Most hints in one call.
const BATCH_MAX: usize = 10;
/// How often sending is tried. The sweep finds what no hint was sent for, but a minute later.
const TRIES_MAX: u32 = 2;
/// Most hints in a row from worker to worker. AWS stops a function that goes on feeding itself
/// through a queue at about 16; the sweep breaks the chain long before.
pub const HOPS_MAX: u32 = 3;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hint {
    /// At a request: it has something to tell.
    Request {
        /// Which.
        id: String,
        /// How many workers in a row have passed this on.
        #[serde(default)]
        hops: u32,
    },
    /// At a request: its deadline has come.
    Deadline {
        /// Which.
        id: String,
        /// How many workers in a row have passed this on.
        #[serde(default)]
        hops: u32,
    },
    /// At a posted event: it is to be told.
    Event {
        /// Which.
        id: String,
        /// How many workers in a row have passed this on.
        #[serde(default)]
        hops: u32,
    },
    /// At a delivery: it is to be attempted.
    Delivery {
        /// Which.
        id: String,
        /// How often it had been started when this was sent.
        attempt: u32,
        /// How many workers in a row have passed this on.
        #[serde(default)]
        hops: u32,
        /// Whether it goes to the slow lane.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        slow: bool,
    },
}

/// A hint to be sent: whose, which, and after how long.
pub type Sending = (Group, Hint, Duration);

/// Where hints go.
#[derive(Clone, Debug)]
pub enum Hints {
    /// Queues of Amazon SQS.
    Queue {
        /// How they are reached.
        client: aws_sdk_sqs::Client,
        /// The fast lane.
        url: String,
        /// The slow lane.
        slow_url: String,
    },
    /// Queues of the simulation's.
    Simulated(Arc<dyn Queue>),
    /// Nowhere: the sweep finds everything by itself.
    Dropped,
}

/// What stands in for SQS in the simulation.
pub trait Queue: fmt::Debug + Send + Sync {
    /// Takes messages; gives the identifiers of those that it did not take.
    fn send(
        &self,
        lane: Lane,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Promise<'_, Result<Vec<String>, SendError>>;
}

/// Why a call to the queue failed.
pub type SendError = Box<dyn Error + Send + Sync>;

impl Hint {
    /// Look at this request.
    pub fn request(id: RequestId) -> Self {
        Self::Request { id: id.to_string(), hops: 0 }
    }

    /// Look at this request once its deadline has come.
    pub fn deadline(id: RequestId) -> Self {
        Self::Deadline { id: id.to_string(), hops: 0 }
    }

    /// Tell of this event.
    pub fn event(id: EventId) -> Self {
        Self::Event { id: id.to_string(), hops: 0 }
    }

    /// Attempt this delivery, which has been started so often.
    pub fn delivery(id: DeliveryId, attempt: u32) -> Self {
        Self::Delivery { id: id.to_string(), attempt, hops: 0, slow: false }
    }

    /// Attempt this delivery as it stands, in the lane where it is.
    pub fn of(delivery: &Delivery) -> Self {
        let (id, slow) = (delivery.id.to_string(), delivery.lane() == Lane::Slow);
        Self::Delivery { id, attempt: delivery.attempt, hops: 0, slow }
    }

    /// The lane that it goes to.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Delivery { slow: true, .. } => Lane::Slow,
            Self::Request { .. }
            | Self::Deadline { .. }
            | Self::Event { .. }
            | Self::Delivery { .. } => Lane::Fast,
        }
    }

    /// The same in this lane, if it is at a delivery; everything else is in the fast one.
    #[must_use]
    pub fn in_lane(mut self, lane: Lane) -> Self {
        if let Self::Delivery { slow, .. } = &mut self {
            *slow = lane == Lane::Slow;
        }
        self
    }

    /// The same, passed on by one more worker; `None` where the sweep is to take over.
    #[must_use]
    pub fn hop(self, hops_so_far: u32) -> Option<Self> {
        let hops = hops_so_far.saturating_add(1);
        (hops <= HOPS_MAX).then_some(match self {
            Self::Request { id, .. } => Self::Request { id, hops },
            Self::Deadline { id, .. } => Self::Deadline { id, hops },
            Self::Event { id, .. } => Self::Event { id, hops },
            Self::Delivery { id, attempt, slow, .. } => Self::Delivery { id, attempt, hops, slow },
        })
    }
}

impl Hints {
    /// Sends a hint that arrives after `delay`, at most 900 s. A failure is logged, and what the
    /// hint is about is found by the sweep.
    pub async fn send(&self, group: Group, hint: &Hint, delay: Duration) {
        self.send_all(&[(group, hint.clone(), delay)]).await;
    }

    /// Sends hints, each after its delay. Gives the places of those that were not sent.
    pub async fn send_all(&self, hints: &[Sending]) -> Vec<usize> {
        if let Self::Dropped = self {
            return Vec::new();
        }
        let mut not_sent = Vec::new();
        for lane in [Lane::Fast, Lane::Slow] {
            let of_lane = hints.iter().enumerate().filter(|(_, it)| it.1.lane() == lane);
            let entries = of_lane.map(|(number, it)| entry(number, it)).collect::<Vec<_>>();
            not_sent.extend(self.send_to(lane, &entries).await);
        }
        not_sent
    }

    /// Gives the places of those that were not sent.
    async fn send_to(&self, lane: Lane, entries: &[SendMessageBatchRequestEntry]) -> Vec<usize> {
        let mut not_sent = Vec::new();
        let mut is_down = false;
        for entries in entries.chunks(BATCH_MAX) {
            let mut left = entries.to_vec();
            // A queue that did not answer is not waited for again for every other ten.
            let n_tries = if is_down { 0 } else { TRIES_MAX };
            for try_ in 1..=n_tries {
                match self.send_batch(lane, left.clone()).await {
                    Ok(failed) => {
                        left.retain(|it| failed.contains(&it.id));
                        if left.is_empty() {
                            break;
                        }
                        tracing::warn!(n_hints = left.len(), try_, "hints were not taken");
                    }
                    Err(err) => {
                        is_down = try_ == TRIES_MAX;
                        tracing::warn!(
                            error = &*err as &(dyn Error + 'static),
                            try_,
                            "hints were not sent"
                        );
                    }
                }
            }
            not_sent.extend(left.iter().filter_map(|it| it.id.parse::<usize>().ok()));
        }
        not_sent
    }

    /// Gives the identifiers of those that were not taken.
    async fn send_batch(
        &self,
        lane: Lane,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<Vec<String>, SendError> {
        match self {
            Self::Queue { client, url, slow_url } => {
                let url = match lane {
                    Lane::Fast => url,
                    Lane::Slow => slow_url,
                };
                let call = client.send_message_batch().queue_url(url).set_entries(Some(entries));
                Ok(call.send().await?.failed.into_iter().map(|it| it.id).collect())
            }
            Self::Simulated(queue) => queue.send(lane, entries).await,
            Self::Dropped => Ok(Vec::new()),
        }
    }

    /// Sends what is to be done about `request` now and, right after its creation, at its
    /// deadline.
    pub async fn send_for_request(&self, request: &Request, is_new: bool, now: Timestamp) {
        let mut hints = Vec::new();
        let group = Group::Account(request.owner.account);
        if !request.outbox.is_empty() || matches!(request.state, RequestState::Erased { .. }) {
            hints.push((group.clone(), Hint::request(request.id), Duration::ZERO));
        }
        let until_settled = request.deadline + CLOCK_GUARD;
        let delay = Duration::try_from(until_settled.duration_since(now)).unwrap_or_default();
        if is_new && request.state == RequestState::Pending && delay <= HINT_DELAY_MAX {
            hints.push((group, Hint::deadline(request.id), delay));
        }
        self.send_all(&hints).await;
    }

    /// Sends what is to be done about `delivery`, passed on by `hops` workers before.
    pub async fn send_for_delivery(&self, delivery: &Delivery, hops: u32, now: Timestamp) {
        let Some(delay) = delivery.hint_delay(now) else { return };
        if let Some(hint) = Hint::of(delivery).hop(hops) {
            self.send(Group::of(delivery), &hint, delay).await;
        }
    }
}

fn entry(number: usize, sending: &Sending) -> SendMessageBatchRequestEntry {
    let (group, hint, delay) = sending;
    // Rounded up: a hint that comes early must be delayed once more.
    let seconds = delay.min(&HINT_DELAY_MAX).as_millis().div_ceil(1000);
    SendMessageBatchRequestEntry::builder()
        .id(number.to_string())
        .message_body(serde_json::to_string(hint).expect("plain data serializes"))
        .delay_seconds(i32::try_from(seconds).expect("at most 900"))
        // On a standard queue a group is for fairness: one receiver's many delay no other's few.
        .message_group_id(group.to_text())
        .build()
        .expect("identifier and body are set")
}

#[cfg(test)]
mod tests;
