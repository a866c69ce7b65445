//! The messages of an event: one for each recipient that it concerns and that a notifier reaches.
//!
//! The notifiers come from the request, and not from what is enabled now. So a dispatch that is repeated
//! makes the same messages.

use answerback::domain::{
    Delivery, Mode, Notifier, OutboxEvent, Request,
    delivery::{DeliveryEnd, DeliveryState, Message, Origin, SkipReason, Target, Way},
    notifier::NotifierChoice,
    request::PlannedMessage,
};

use super::Worker;

/// A message to send.
pub(super) struct NewMessage {
    planned: PlannedMessage,
    message: Message,
}

/// The messages of an event in a request's outbox.
pub(super) fn of_request(
    request: &Request,
    event: &OutboxEvent,
    notifiers: &[Notifier],
) -> Vec<NewMessage> {
    let planned = request.messages(event).into_iter().filter_map(|planned| {
        let row = planned.key.row;
        let way = |it: NotifierChoice| {
            let known = notifiers.iter().find(|known| known.id == it.id);
            let authority = known.and_then(|it| it.settings.authority());
            Way { notifier: it.id, kind: it.kind, authority }
        };
        let ways: Vec<Way> = request.notifiers_of(row).into_iter().map(way).collect();
        let message = Message { row, purpose: planned.purpose, ways };
        (!message.ways.is_empty()).then_some(NewMessage { planned, message })
    });
    planned.collect()
}

impl NewMessage {
    /// The delivery of this message.
    pub(super) fn delivery(
        self,
        request: &Request,
        origin: Origin,
        worker: &Worker<'_>,
    ) -> Delivery {
        let Self { planned, message } = self;
        // The account signs messages to its own system, also for a channel's request.
        let origin = Origin { channel: None, ..origin };
        let skipped = match request.owner.mode {
            Mode::Test => Some(SkipReason::TestMode),
            Mode::Live => planned.is_over_limit.then_some(SkipReason::MessageLimit),
        };
        let (target, now) = (Target::Message(message), worker.now);
        let delivery = Delivery::begin(origin, &planned.key.target_name(), target, Vec::new(), now);
        match skipped {
            None => delivery,
            Some(reason) => Delivery {
                state: DeliveryState::Done {
                    end: DeliveryEnd::Skipped(reason),
                    at: now,
                    op: worker.op,
                },
                due_at: None,
                ..delivery
            },
        }
    }
}
