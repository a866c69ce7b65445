//! Hints: messages that say where to look, and never what is true.
//!
//! Whatever a hint is about has a timer in its item, so a hint that is lost, doubled, late or out
//! of order costs time only.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Promise,
    domain::{
        AccountId, Delivery, DeliveryId, EventId, Request, RequestId,
        delivery::HINT_DELAY_MAX,
        request::{GUARD, State},
    },
};

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
    },
}

/// Where hints go.
#[derive(Clone, Debug)]
pub enum Hints {
    /// A queue of Amazon SQS.
    Queue {
        /// How it is reached.
        client: aws_sdk_sqs::Client,
        /// Which one.
        url: String,
    },
    /// A queue of the simulation's.
    Simulated(Arc<dyn Queue>),
    /// Nowhere: the sweep finds everything by itself.
    Dropped,
}

/// What stands in for SQS in the simulation.
pub trait Queue: fmt::Debug + Send + Sync {
    /// Takes messages; gives the identifiers of those that it did not take.
    fn send(
        &self,
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
        Self::Delivery { id: id.to_string(), attempt, hops: 0 }
    }

    /// The same, passed on by one more worker; `None` where the sweep is to take over.
    #[must_use]
    pub fn hop(self, hops_so_far: u32) -> Option<Self> {
        let hops = hops_so_far.saturating_add(1);
        (hops <= HOPS_MAX).then_some(match self {
            Self::Request { id, .. } => Self::Request { id, hops },
            Self::Deadline { id, .. } => Self::Deadline { id, hops },
            Self::Event { id, .. } => Self::Event { id, hops },
            Self::Delivery { id, attempt, .. } => Self::Delivery { id, attempt, hops },
        })
    }
}

impl Hints {
    /// Sends a hint that arrives after `delay`, at most 900 s. A failure is logged, and what the
    /// hint is about is found by the sweep.
    pub async fn send(&self, account: AccountId, hint: &Hint, delay: Duration) {
        self.send_all(&[(account, hint.clone(), delay)]).await;
    }

    /// Sends hints, each after its delay. Gives the places of those that were not sent.
    pub async fn send_all(&self, hints: &[(AccountId, Hint, Duration)]) -> Vec<usize> {
        if let Self::Dropped = self {
            return Vec::new();
        }
        let entries: Vec<SendMessageBatchRequestEntry> =
            hints.iter().enumerate().map(|(number, it)| entry(number, it)).collect();
        let mut not_sent = Vec::new();
        let mut is_down = false;
        for entries in entries.chunks(BATCH_MAX) {
            let mut left = entries.to_vec();
            // A queue that did not answer is not waited for again for every other ten.
            let n_tries = if is_down { 0 } else { TRIES_MAX };
            for try_ in 1..=n_tries {
                match self.send_batch(left.clone()).await {
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
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<Vec<String>, SendError> {
        match self {
            Self::Queue { client, url } => {
                let call = client.send_message_batch().queue_url(url).set_entries(Some(entries));
                Ok(call.send().await?.failed.into_iter().map(|it| it.id).collect())
            }
            Self::Simulated(queue) => queue.send(entries).await,
            Self::Dropped => Ok(Vec::new()),
        }
    }

    /// Sends what is to be done about `request` now and, right after its creation, at its
    /// deadline.
    pub async fn send_for_request(&self, request: &Request, is_new: bool, now: Timestamp) {
        let mut hints = Vec::new();
        if !request.outbox.is_empty() || matches!(request.state, State::Erased { .. }) {
            hints.push((request.account, Hint::request(request.id), Duration::ZERO));
        }
        let until_settled = request.deadline + GUARD;
        let delay = Duration::try_from(until_settled.duration_since(now)).unwrap_or_default();
        if is_new && request.state == State::Pending && delay <= HINT_DELAY_MAX {
            hints.push((request.account, Hint::deadline(request.id), delay));
        }
        self.send_all(&hints).await;
    }

    /// Sends what is to be done about `delivery`, passed on by `hops` workers before.
    pub async fn send_for_delivery(&self, delivery: &Delivery, hops: u32, now: Timestamp) {
        let Some(delay) = delivery.hint_delay(now) else { return };
        let hint = Hint::delivery(delivery.id, delivery.attempt);
        if let Some(hint) = hint.hop(hops) {
            self.send(delivery.account, &hint, delay).await;
        }
    }
}

fn entry(number: usize, hint: &(AccountId, Hint, Duration)) -> SendMessageBatchRequestEntry {
    let (account, hint, delay) = hint;
    // Rounded up: a hint that comes early must be delayed once more.
    let seconds = delay.min(&HINT_DELAY_MAX).as_millis().div_ceil(1000);
    SendMessageBatchRequestEntry::builder()
        .id(number.to_string())
        .message_body(serde_json::to_string(hint).expect("plain data serializes"))
        .delay_seconds(i32::try_from(seconds).expect("at most 900"))
        // On a standard queue a group is for fairness: one account's many delay no other's few.
        .message_group_id(account.to_string())
        .build()
        .expect("identifier and body are set")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hint_is_spelled_as_documented() {
        let hint = Hint::delivery(DeliveryId::from_bits(0), 2);
        assert_eq!(
            serde_json::to_string(&hint).expect("serializes"),
            r#"{"kind":"delivery","id":"dlv_00000000000000000000000000","attempt":2,"hops":0}"#
        );
    }

    #[test]
    fn a_chain_of_hints_ends() {
        let hint = Hint::request(RequestId::from_bits(0));
        assert!(hint.clone().hop(HOPS_MAX - 1).is_some());
        assert!(hint.hop(HOPS_MAX).is_none());
    }

    proptest! {
        #[test]
        fn a_hint_is_read_back_and_passed_on_so_often_only(
            hint in hints(),
            id in r"\PC*",
            // The greatest number has no next one.
            hops in prop_oneof![4 => 0_u32..6, 4 => any::<u32>(), 1 => Just(u32::MAX)],
        ) {
            let text = serde_json::to_string(&hint).expect("serializes");
            prop_assert_eq!(serde_json::from_str::<Hint>(&text).ok(), Some(hint.clone()));
            // A newer version may say more, an older one said less.
            let newer = text.replacen('{', &format!(r#"{{"later":{},"#, serde_json::json!(id)), 1);
            prop_assert_eq!(serde_json::from_str::<Hint>(&newer).ok(), Some(hint.clone()));
            let mut older: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            older.as_object_mut().expect("an object").remove("hops");
            let older: Hint = serde_json::from_value(older).expect("hops are optional");
            prop_assert_eq!(older.hop(0), hint.clone().hop(0));

            let hop = hint.hop(hops);
            prop_assert_eq!(hop.is_some(), hops < HOPS_MAX);
        }

        #[test]
        fn no_message_makes_the_parser_panic(
            text in r#"\PC*|\{("(kind|id|attempt|hops)":("request"|"delivery"|null|-?[0-9]{1,12}|\[\]),?){0,5}\}"#,
        ) {
            if let Ok(hint) = serde_json::from_str::<Hint>(&text) {
                let again = serde_json::to_string(&hint).expect("serializes");
                prop_assert_eq!(serde_json::from_str::<Hint>(&again).ok(), Some(hint));
            }
        }
    }

    fn hints() -> impl Strategy<Value = Hint> {
        (any::<u128>(), any::<u32>(), 0..3).prop_map(|(bits, attempt, kind)| match kind {
            0 => Hint::request(RequestId::from_bits(bits)),
            1 => Hint::deadline(RequestId::from_bits(bits)),
            _ => Hint::delivery(DeliveryId::from_bits(bits), attempt),
        })
    }
}
