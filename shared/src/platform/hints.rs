//! Hints: queue messages that say which item to look at, never what to do with it.
//!
//! The item itself says what to do, and it has a timer that the sweep watches. So a hint that is
//! lost, duplicated, late or out of order only costs time.
//!
//! There are two queues. Deliveries to receivers that are slow or down go through the slow lane,
//! so that no other delivery waits for its workers. Messages belong to groups: where one group has
//! a backlog, SQS hands out the messages of other groups first (fair queues).

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
    platform::Deferred,
};

pub use group::Group;

pub use crate::domain::delivery::Lane;

/// Most hints in one call, which is the limit of `SendMessageBatch`.
const BATCH_MAX: usize = 10;
/// Attempts to send a batch. The sweep finds what has no hint, but a minute later.
const SEND_ATTEMPTS_MAX: u32 = 2;
/// Most times in a row that workers pass a hint on: in either lane, two with a clock that is behind, and
/// one that moves the delivery to the slow lane. AWS stops a function that feeds itself through a queue
/// about 16 times. The sweep takes over long before that.
pub const HOPS_MAX: u32 = 6;

/// The item to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hint {
    /// A request with events to dispatch, or an erasure to finish.
    Request {
        /// Id of the request.
        id: String,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
    },
    /// A request whose deadline has passed.
    Deadline {
        /// Id of the request.
        id: String,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
    },
    /// A request with a step that is due.
    Step {
        /// Id of the request.
        id: String,
        /// Index of the step.
        step: usize,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
    },
    /// A mail that came back, or that its recipient reported as spam. The rules in `template.yaml` send it
    /// for SES. Nothing but this hint says so: the queue keeps it until a worker has noted it.
    Bounce {
        /// Id of the message.
        id: String,
        /// Index of the way by which the mail went.
        way: String,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
    },
    /// A mail that the recipient's mail server accepted. As for a bounce, but losing it does no harm.
    Arrival {
        /// Id of the message.
        id: String,
        /// Index of the way by which the mail went.
        way: String,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
    },
    /// A posted event to dispatch.
    Event {
        /// Id of the event.
        id: String,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
    },
    /// A delivery to attempt.
    Delivery {
        /// Id of the delivery.
        id: String,
        /// Number of attempts that had started when the hint was sent.
        attempt: u32,
        /// Number of workers in a row that passed this hint on.
        #[serde(default)]
        hops: u32,
        /// True in the slow lane.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        slow: bool,
    },
}

/// A hint to send.
#[derive(Clone, Debug)]
pub struct OutgoingHint {
    /// The group that the message counts for.
    pub group: Group,
    /// The hint.
    pub hint: Hint,
    /// The delay until it arrives, at most [`HINT_DELAY_MAX`].
    pub delay: Duration,
}

/// The queues.
#[derive(Clone, Debug)]
pub enum Hints {
    /// Amazon SQS.
    Queue {
        /// SQS client.
        client: Deferred<aws_sdk_sqs::Client>,
        /// URL of the fast lane's queue.
        url: String,
        /// URL of the slow lane's queue.
        slow_url: String,
    },
    /// The simulation's queues.
    Simulated(Arc<dyn Queue>),
    /// No queue: hints are dropped, and the sweep finds the work.
    Dropped,
}

/// The simulation's replacement for SQS.
pub trait Queue: fmt::Debug + Send + Sync {
    /// Sends messages. Returns the ids of those that the queue rejected.
    fn send(
        &self,
        lane: Lane,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Promise<'_, Result<Vec<String>, SendError>>;
}

/// A call to the queue failed.
pub type SendError = Box<dyn Error + Send + Sync>;

impl Hint {
    /// A hint to look at this request.
    pub fn request(id: RequestId) -> Self {
        Self::Request { id: id.to_string(), hops: 0 }
    }

    /// A hint to look at this request after its deadline.
    pub fn deadline(id: RequestId) -> Self {
        Self::Deadline { id: id.to_string(), hops: 0 }
    }

    /// A hint to look at this request when this step is due.
    pub fn step(id: RequestId, step: usize) -> Self {
        Self::Step { id: id.to_string(), step, hops: 0 }
    }

    /// A hint to dispatch this event.
    pub fn event(id: EventId) -> Self {
        Self::Event { id: id.to_string(), hops: 0 }
    }

    /// A hint to attempt this delivery, of which `attempt` attempts have started.
    pub fn delivery(id: DeliveryId, attempt: u32) -> Self {
        Self::Delivery { id: id.to_string(), attempt, hops: 0, slow: false }
    }

    /// A hint to attempt this delivery in its current state and lane.
    pub fn of(delivery: &Delivery) -> Self {
        let (id, slow) = (delivery.id.to_string(), delivery.lane() == Lane::Slow);
        Self::Delivery { id, attempt: delivery.attempt, hops: 0, slow }
    }

    /// The lane that the hint goes to.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Delivery { slow: true, .. } => Lane::Slow,
            Self::Request { .. }
            | Self::Deadline { .. }
            | Self::Step { .. }
            | Self::Bounce { .. }
            | Self::Arrival { .. }
            | Self::Event { .. }
            | Self::Delivery { .. } => Lane::Fast,
        }
    }

    /// Moves a delivery's hint to `lane`. Other hints stay in the fast lane.
    #[must_use]
    pub fn in_lane(mut self, lane: Lane) -> Self {
        if let Self::Delivery { slow, .. } = &mut self {
            *slow = lane == Lane::Slow;
        }
        self
    }

    /// The same hint, passed on by one more worker. `None` after [`HOPS_MAX`] hops: the sweep
    /// takes over.
    #[must_use]
    pub fn hop(self, hops_so_far: u32) -> Option<Self> {
        let hops = hops_so_far.saturating_add(1);
        (hops <= HOPS_MAX).then_some(match self {
            Self::Request { id, .. } => Self::Request { id, hops },
            Self::Deadline { id, .. } => Self::Deadline { id, hops },
            Self::Step { id, step, .. } => Self::Step { id, step, hops },
            Self::Bounce { id, way, .. } => Self::Bounce { id, way, hops },
            Self::Arrival { id, way, .. } => Self::Arrival { id, way, hops },
            Self::Event { id, .. } => Self::Event { id, hops },
            Self::Delivery { id, attempt, slow, .. } => Self::Delivery { id, attempt, hops, slow },
        })
    }
}

impl Hints {
    /// Sends one hint. A failure is only logged: the sweep finds the item.
    pub async fn send(&self, group: Group, hint: &Hint, delay: Duration) {
        self.send_all(&[OutgoingHint { group, hint: hint.clone(), delay }]).await;
    }

    /// Sends hints. Returns the indexes of those that could not be sent.
    pub async fn send_all(&self, hints: &[OutgoingHint]) -> Vec<usize> {
        if let Self::Dropped = self {
            return Vec::new();
        }
        let mut not_sent = Vec::new();
        for lane in [Lane::Fast, Lane::Slow] {
            let of_lane = hints.iter().enumerate().filter(|(_, it)| it.hint.lane() == lane);
            let entries = of_lane.map(|(index, it)| entry(index, it)).collect::<Vec<_>>();
            not_sent.extend(self.send_to(lane, &entries).await);
        }
        not_sent
    }

    /// Sends entries in batches. Returns the indexes of those that could not be sent.
    async fn send_to(&self, lane: Lane, entries: &[SendMessageBatchRequestEntry]) -> Vec<usize> {
        let mut not_sent = Vec::new();
        let mut is_down = false;
        for entries in entries.chunks(BATCH_MAX) {
            let mut left = entries.to_vec();
            // Do not wait again for each further batch if the queue did not respond.
            let n_attempts = if is_down { 0 } else { SEND_ATTEMPTS_MAX };
            for attempt in 1..=n_attempts {
                match self.send_batch(lane, left.clone()).await {
                    Ok(failed) => {
                        left.retain(|it| failed.contains(&it.id));
                        if left.is_empty() {
                            break;
                        }
                        tracing::warn!(n_hints = left.len(), attempt, "the queue rejected hints");
                    }
                    Err(err) => {
                        is_down = attempt == SEND_ATTEMPTS_MAX;
                        tracing::warn!(
                            error = &*err as &(dyn Error + 'static),
                            attempt,
                            "could not send hints"
                        );
                    }
                }
            }
            not_sent.extend(left.iter().filter_map(|it| it.id.parse::<usize>().ok()));
        }
        not_sent
    }

    /// Sends one batch. Returns the ids of the entries that the queue rejected.
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

    /// Sends a hint if `request` has events to dispatch or an erasure to finish.
    pub async fn send_for_request(&self, request: &Request) {
        let hints: Vec<_> = work_hint(request).into_iter().collect();
        self.send_all(&hints).await;
    }

    /// [`Self::send_for_request`] right after the request was created, with hints at its steps and at
    /// its deadline.
    pub async fn send_for_new_request(&self, request: &Request, now: Timestamp) {
        let later = step_hints(request, now).chain(deadline_hint(request, now));
        let hints: Vec<_> = work_hint(request).into_iter().chain(later).collect();
        self.send_all(&hints).await;
    }

    /// Sends a hint at the next attempt of `delivery`, which `hops` workers have passed on.
    pub async fn send_for_delivery(&self, delivery: &Delivery, hops: u32, now: Timestamp) {
        let Some(delay) = delivery.hint_delay(now) else { return };
        if let Some(hint) = Hint::of(delivery).hop(hops) {
            self.send(Group::of(delivery), &hint, delay).await;
        }
    }
}

fn work_hint(request: &Request) -> Option<OutgoingHint> {
    request.has_work().then(|| OutgoingHint {
        group: Group::Account(request.owner.account),
        hint: Hint::request(request.id),
        delay: Duration::ZERO,
    })
}

/// `None`: the request has ended, or its deadline is beyond [`HINT_DELAY_MAX`].
fn deadline_hint(request: &Request, now: Timestamp) -> Option<OutgoingHint> {
    let is_pending = *request.state() == RequestState::Pending;
    let hint = || Hint::deadline(request.id);
    is_pending.then(|| later_hint(request, hint(), request.deadline + CLOCK_GUARD, now)).flatten()
}

/// A hint for each step within [`HINT_DELAY_MAX`].
fn step_hints(request: &Request, now: Timestamp) -> impl Iterator<Item = OutgoingHint> {
    let hint = move |step| {
        let hint = Hint::step(request.id, step);
        later_hint(request, hint, request.step_settles_at(step)?, now)
    };
    request.steps_ahead().filter_map(hint)
}

/// `None`: `at` is beyond [`HINT_DELAY_MAX`].
fn later_hint(
    request: &Request,
    hint: Hint,
    at: Timestamp,
    now: Timestamp,
) -> Option<OutgoingHint> {
    let delay = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    let group = Group::Account(request.owner.account);
    (delay <= HINT_DELAY_MAX).then_some(OutgoingHint { group, hint, delay })
}

fn entry(index: usize, outgoing: &OutgoingHint) -> SendMessageBatchRequestEntry {
    // Rounded up: a worker has to delay a hint that comes early once more.
    let seconds = outgoing.delay.min(HINT_DELAY_MAX).as_millis().div_ceil(1000);
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(serde_json::to_string(&outgoing.hint).expect("plain data serializes"))
        .delay_seconds(i32::try_from(seconds).expect("at most 900"))
        // On a standard queue the group is for fairness, not for order.
        .message_group_id(outgoing.group.to_text())
        .build()
        .expect("id and body are set")
}

#[cfg(test)]
mod tests;
