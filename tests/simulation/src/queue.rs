//! The queues, and the event source mappings that pass their messages to workers.

use std::{collections::VecDeque, sync::Arc};

use answerback::platform::Lane;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use rand::RngExt as _;
use serde_json::json;

use crate::{
    fleet::Fleet,
    world::{State, World},
};

/// Visibility timeout of a message, in milliseconds, as in `template.yaml`.
const VISIBILITY: i64 = 180_000;
/// Number of receives after which a message is dead.
const RECEIVES_MAX: u32 = 5;
/// Maximum number of messages in one event.
const BATCH_MAX: usize = 10;
/// Part of the hint of a bounce.
pub(crate) const BOUNCE: &str = r#""kind":"bounce""#;
/// Maximum delay of a late message, in milliseconds.
const LATE_MAX: i64 = 120_000;

/// Messages in flight.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    n_sent: u64,
    /// Messages that were sent and not yet scheduled, each with its delay.
    sent: Vec<(Message, i64)>,
    /// Visible messages of the fast queue and of the slow one.
    visible: [VecDeque<Message>; 2],
    /// Number of all messages: delayed, visible, or with a worker.
    n_kept: u32,
}

#[derive(Clone, Debug)]
struct Message {
    id: u64,
    lane: Lane,
    body: String,
    n_receives: u32,
}

impl Queue {
    /// Returns true if no message is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.n_kept == 0
    }

    fn visible(&mut self, lane: Lane) -> &mut VecDeque<Message> {
        &mut self.visible[usize::from(lane == Lane::Slow)]
    }
}

/// Accepts a message, loses it or delays it, as the weather decides. Returns false if it refuses
/// it.
#[must_use]
pub(crate) fn send(state: &mut State, lane: Lane, body: &str, delay: i64) -> bool {
    let lost = state.weather.hints_lost;
    if state.happens(lost) {
        // The sweep finds what other hints are about.
        let says_so = state.happens(500) || body.contains(BOUNCE);
        state.tell(|| format!("the queue {} {body}", if says_so { "REFUSES" } else { "LOSES" }));
        return !says_so;
    }
    keep(state, lane, body, delay);
    true
}

/// Accepts the hint that the rules in `template.yaml` make of what SES reports.
pub(crate) fn report(state: &mut State, kind: &str, notification: &str, way: usize, delay: i64) {
    let hint = json!({ "kind": kind, "id": notification, "way": way.to_string() });
    keep(state, Lane::Fast, &hint.to_string(), delay);
}

/// Keeps a message, maybe twice or late.
fn keep(state: &mut State, lane: Lane, body: &str, delay: i64) {
    let (doubled, delayed) = (state.weather.hints_doubled, state.weather.hints_late);
    let n_copies = if state.happens(doubled) { 2 } else { 1 };
    for _ in 0..n_copies {
        let mut delay = delay + state.up_to(20);
        if state.happens(delayed) {
            delay += state.up_to(LATE_MAX);
        }
        state.queue.n_sent += 1;
        state.queue.n_kept += 1;
        let message =
            Message { id: state.queue.n_sent, lane, body: body.to_owned(), n_receives: 0 };
        state.queue.sent.push((message, delay));
    }
}

/// Passes messages to workers when they are visible. Called whenever there may be new ones.
pub(crate) fn collect(fleet: &Arc<Fleet>) {
    let sent = std::mem::take(&mut fleet.world.state().queue.sent);
    for (message, delay) in sent {
        show_after(fleet, message, delay);
    }
}

fn show_after(fleet: &Arc<Fleet>, message: Message, delay: i64) {
    let fleet = Arc::clone(fleet);
    let world = Arc::clone(&fleet.world);
    world.spawn(async move {
        let world = &fleet.world;
        world.sleep(delay).await;
        let lane = message.lane;
        world.state().queue.visible(lane).push_back(message);
        // Other messages may arrive meanwhile. They join the batch.
        let wait = world.state().up_to(20);
        world.sleep(wait).await;
        let batch = receive(world, lane);
        if !batch.is_empty() {
            hand_over(&fleet, batch).await;
        }
    });
}

fn receive(world: &World, lane: Lane) -> Vec<Message> {
    let mut state = world.state();
    let visible = state.queue.visible(lane);
    let n = visible.len().min(BATCH_MAX);
    let mut batch: Vec<Message> = visible.drain(..n).collect();
    // A standard queue does not preserve order.
    for place in (1..batch.len()).rev() {
        let other = state.chance.random_range(0..=place);
        batch.swap(place, other);
    }
    batch
}

async fn hand_over(fleet: &Arc<Fleet>, mut batch: Vec<Message>) {
    let received_at = fleet.world.now();
    for message in &mut batch {
        message.n_receives += 1;
    }
    let records = batch.iter().map(|message| {
        let mut record = SqsMessage::default();
        record.message_id = Some(message.id.to_string());
        record.body = Some(message.body.clone());
        record
    });
    let mut event = SqsEvent::default();
    event.records = records.collect();
    let response = fleet.deliver(event).await;
    let is_failed = |message: &Message| match &response {
        None => true,
        Some(response) => {
            let id = message.id.to_string();
            response.batch_item_failures.iter().any(|it| it.item_identifier == id)
        }
    };
    for message in batch {
        let mut state = fleet.world.state();
        // Removing processed messages from the queue may still fail.
        let doubled = state.weather.hints_doubled;
        let stays = is_failed(&message) || state.happens(doubled / 4);
        if stays && message.n_receives < RECEIVES_MAX {
            let left = received_at + VISIBILITY - state.now();
            drop(state);
            show_after(fleet, message, left);
        } else {
            state.queue.n_kept -= 1;
            if is_failed(&message) {
                state.seen.dead.push(message.body);
            }
        }
    }
}
