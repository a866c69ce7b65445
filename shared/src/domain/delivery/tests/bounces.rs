//! Mails that arrive or come back.

use super::*;
use crate::domain::{NotifierId, NotifierKind};

/// A message by these kinds of notifiers.
fn message(kinds: &[NotifierKind]) -> Delivery {
    let ways = kinds.iter().zip(1..).map(|(kind, id)| Way {
        notifier: NotifierId::from_bits(id),
        kind: *kind,
        authority: None,
    });
    let message = Message { row: 0, purpose: Purpose::Ask, ways: ways.collect() };
    Delivery { target: Target::Message(message), body: Some(Vec::new()), ..delivery() }
}

/// The message after its first attempt with this verdict, at 10 seconds.
fn attempted(message: &Delivery, verdict: AttemptVerdict) -> Delivery {
    let leased = started(message, at(0), ME);
    leased.finish(verdict, at(10), 0.0, ME).expect("the lease is ours")
}

fn bounce(way: usize) -> Bounce {
    Bounce { way, is_wanted: true }
}

#[test]
fn bounce_of_the_last_way_ends_the_message_with_a_report() {
    let sent = attempted(&message(&[NotifierKind::Email]), AttemptVerdict::Accepted);
    let bounced = sent.bounce(bounce(0), at(60), OTHER).expect("it came back");
    let expected = Delivery {
        state: DeliveryState::Done { end: DeliveryEnd::Bounced, at: at(60), op: OTHER },
        has_report: true,
        due_at: Some(at(60) + REPORT_INTERVAL),
        revision: sent.revision + 1,
        ..sent
    };
    assert_eq!(bounced, expected);
    assert_eq!(bounced.bounce(bounce(0), at(61), ME), None, "it was noted");
    let reported = bounced.reported().expect("it has a report");
    assert_eq!(reported.bounce(bounce(0), at(62), ME), None, "it was noted");
}

#[test]
fn bounce_goes_on_with_the_next_way_unless_it_is_not_wanted() {
    let sent = message(&[NotifierKind::Email, NotifierKind::Ntfy]);
    let sent = attempted(&sent, AttemptVerdict::Accepted);
    let next = sent.bounce(bounce(0), at(60), OTHER).expect("it came back");
    let expected = Delivery {
        state: DeliveryState::Waiting { not_before: at(60), reason: None },
        way: 1,
        starts: 0,
        due_at: Some(at(60) + SWEEP_GRACE),
        revision: sent.revision + 1,
        ..sent.clone()
    };
    assert_eq!(next, expected);
    let unwanted = Bounce { way: 0, is_wanted: false };
    let ended = sent.bounce(unwanted, at(60), OTHER).expect("it came back");
    let expected = Delivery {
        state: DeliveryState::Done { end: DeliveryEnd::Bounced, at: at(60), op: OTHER },
        revision: sent.revision + 1,
        ..sent
    };
    assert_eq!(ended, expected);
}

#[test]
fn bounce_counts_after_an_attempt_with_an_unknown_outcome() {
    let retry = AttemptVerdict::Retry { retry_after: None };
    let waiting = attempted(&message(&[NotifierKind::Email]), retry);
    let bounced = waiting.bounce(bounce(0), at(60), OTHER).expect("it came back");
    let end = DeliveryState::Done { end: DeliveryEnd::Bounced, at: at(60), op: OTHER };
    assert_eq!((bounced.state, bounced.has_report), (end, true));
}

#[test]
fn reports_change_only_a_mail_that_was_sent_by_its_way() {
    let mail = message(&[NotifierKind::Email, NotifierKind::Email]);
    let refused = AttemptVerdict::Permanent(FailureReason::Refused);
    let sent = attempted(&mail, AttemptVerdict::Accepted);
    let chat = attempted(&message(&[NotifierKind::Ntfy]), AttemptVerdict::Accepted);
    let single = attempted(&message(&[NotifierKind::Email]), refused);
    for (case, delivery, way) in [
        ("it was never attempted", &mail, 0),
        ("it is being attempted", &started(&mail, at(0), ME), 0),
        ("the way was not used", &sent, 1),
        ("the way was given up", &attempted(&mail, refused), 0),
        ("the next way was not attempted", &attempted(&mail, refused), 1),
        ("no mail was sent", &single, 0),
        ("it is no mail", &chat, 0),
        ("it was erased", &sent.erase(at(20), OTHER).expect("it has content"), 0),
    ] {
        assert_eq!(delivery.bounce(bounce(way), at(60), OTHER), None, "{case}");
        assert_eq!(delivery.arrive(way, at(60), OTHER), None, "{case}");
    }
}

#[test]
fn arrival_ends_a_mail_that_was_sent_by_its_way() {
    let mail = message(&[NotifierKind::Email, NotifierKind::Email]);
    let sent = attempted(&mail, AttemptVerdict::Accepted);
    let arrived = sent.arrive(0, at(60), OTHER).expect("it was sent");
    let end = DeliveryState::Done { end: DeliveryEnd::Arrived, at: at(60), op: OTHER };
    assert_eq!((arrived.state, arrived.has_report, arrived.due_at), (end, false, None));
    assert_eq!(arrived.arrive(0, at(61), ME), None, "it was noted");

    let retry = AttemptVerdict::Retry { retry_after: None };
    let arrived = attempted(&mail, retry).arrive(0, at(60), OTHER).expect("it may have been sent");
    assert_eq!((arrived.state, arrived.due_at), (end, None));
}

#[test]
fn mail_that_arrived_can_be_reported_as_spam() {
    let sent = attempted(&message(&[NotifierKind::Email]), AttemptVerdict::Accepted);
    let arrived = sent.arrive(0, at(60), OTHER).expect("it was sent");
    let bounced = arrived.bounce(bounce(0), at(70), OTHER).expect("it was sent by this way");
    let end = DeliveryState::Done { end: DeliveryEnd::Bounced, at: at(70), op: OTHER };
    assert_eq!((bounced.state, bounced.has_report), (end, true));
    assert_eq!(bounced.arrive(0, at(80), OTHER), None);
    assert_eq!(arrived.bounce(bounce(1), at(70), OTHER), None, "the way was not used");
}
