//! The outbox: the events in it, their order, and the answers that stay until it is empty.

use super::*;
use crate::domain::request::outbox::{EVENTS_MAX, OUTBOX_MAX};

#[test]
fn outbox_gets_only_events_with_subscribers() {
    use RequestEvent::{RequestAnswered, RequestCancelled, RequestCreated, RequestFinished};

    /// Two requests: one is answered and so finished, and one is cancelled.
    #[track_caller]
    fn check(
        wanted: &[RequestEvent],
        is_published: bool,
        events: [&[RequestEvent]; 2],
        called: [u32; 2],
    ) {
        let request = ask(1, |it| {
            it.policy.callback = Some(callback(wanted));
            it.is_published = is_published;
        });
        let finished = answered(request.clone(), &[(0, "yes")]);
        let cancelled =
            request.cancel(None, NONE, at(1), OpId(5)).expect("accepted").expect("a change");
        for ((request, events), called) in [finished, cancelled].iter().zip(events).zip(called) {
            assert_eq!(kinds(request), events);
            assert_eq!(request.callback_event.unwrap_or(0), called);
        }
    }
    check(&[], false, [&[], &[]], [0, 0]);
    check(&[], true, [&[RequestCreated, RequestFinished], &[RequestCreated]], [0, 0]);
    check(&[RequestFinished], false, [&[RequestFinished], &[]], [1, 0]);
    check(&[RequestAnswered], false, [&[RequestAnswered], &[]], [1, 0]);
    check(&[RequestCancelled], false, [&[], &[RequestCancelled]], [0, 1]);
    let created = [RequestCreated, RequestAnswered, RequestFinished];
    check(&[RequestAnswered], true, [&created, &[RequestCreated]], [2, 0]);
    check(&RequestEvent::ALL, true, [&created, &[RequestCreated, RequestCancelled]], [3, 2]);
}

#[test]
fn only_the_event_of_an_answer_contains_that_answer() {
    let request = ask(2, |it| it.policy.callback = Some(callback(&RequestEvent::ALL)));
    let request = answered(request, &[(1, "yes"), (0, "no")]);
    let events: Vec<_> =
        request.outbox.iter().map(|it| (it.number, it.answered().cloned())).collect();
    let answer = |row, option, op| {
        Some(RecordedAnswer { row, op: OpId(op), answer: chose(option), proof: LINK })
    };
    let expected = [(1, None), (2, answer(1, "yes", 100)), (3, answer(0, "no", 101)), (4, None)];
    assert_eq!(events, expected);
}

#[test]
fn events_that_are_not_dispatched_stay_due() {
    let request = ask(2, |it| it.policy.callback = Some(callback(&RequestEvent::ALL)));
    let request = answered(request, &[(0, "yes")]);
    let some = request.dispatched(&[1], at(5)).expect("a change");
    assert_eq!((kinds(&some).as_slice(), some.due_at), {
        ([RequestEvent::RequestAnswered].as_slice(), request.due_at)
    });
    assert_eq!(some.dispatched(&[1], at(6)), None);
    assert_eq!(some.dispatched(&[2], at(6)).expect("a change").due_at, Some(at(OVERDUE_SECONDS)));
}

#[test]
fn answers_are_cleared_after_consumption_and_dispatch() {
    let request = ask(1, |it| {
        it.policy.callback = Some(callback(&[RequestEvent::RequestFinished]));
        it.policy.read.mode = ReadMode::Once;
    });
    let finished = answered(request, &[(0, "yes")]);
    let row = finished.rows[0].clone().expect("recorded");
    let ResultRead { outcome, next } = finished.read(at(2), OpId(5)).expect("it has ended");
    let read = next.expect("it was unread");
    assert_eq!(outcome, ReadOutcome::Result { lease: None });
    assert_eq!(read.rows, [Some(row.clone())]);
    assert_eq!(read.due_at, finished.due_at);

    let over = dispatched(&read, at(3));
    assert_eq!(over.rows, [Some(Row { answer: Answer::default(), ..row })]);
    assert_eq!((ending(&over), over.due_at), (ending(&finished), None));
}

#[test]
fn answer_is_refused_while_the_outbox_is_full() {
    let asked = ask(OUTBOX_MAX + 1, |it| {
        it.policy.mode = AnswerMode::OnTimeout;
        it.policy.callback = Some(callback(&[RequestEvent::RequestAnswered]));
    });
    let all: Vec<_> = (0..OUTBOX_MAX).map(|row| (row, "yes")).collect();
    let full = answered(asked, &all);
    let change = |it: &Request, row| it.answer(row, &chose("no"), LINK, NONE, at(60), OpId(999));
    assert_eq!(change(&full, OUTBOX_MAX), Err(Refusal::TooBusy));
    // An answer that takes the place of another needs no room.
    let changed = change(&full, 0).expect("accepted").expect("a change");
    assert_eq!(changed.outbox.len(), OUTBOX_MAX);
    assert!(matches!(change(&dispatched(&full, at(60)), OUTBOX_MAX), Ok(Some(_))));
}

#[test]
fn end_has_a_number_left_after_a_million_answers() {
    let mut request = ask(1, |it| {
        it.policy.mode = AnswerMode::OnTimeout;
        it.policy.callback =
            Some(callback(&[RequestEvent::RequestAnswered, RequestEvent::RequestFinished]));
    });
    // As after a million changed answers.
    request.n_events = EVENTS_MAX - 1;
    let mut ids = vec![request.id.event(request.n_events)];
    for op in 0..6 {
        let option = if op % 2 == 0 { "yes" } else { "no" };
        let next = request.answer(0, &chose(option), LINK, NONE, at(1 + op), OpId(op));
        let Ok(Some(next)) = next else { break };
        ids.extend(next.outbox.iter().map(|it| it.id(next.id)));
        request = dispatched(&next, at(1 + op));
    }
    assert!(ids.len() > 1);
    ids.extend(timed_out(&request).outbox.iter().map(|it| it.id(request.id)));
    let mut distinct = ids.clone();
    distinct.dedup();
    assert_eq!(ids, distinct);
}

fn poll() -> Request {
    ask(2, |it| {
        it.policy.mode = AnswerMode::OnTimeout;
        it.policy.callback = Some(callback(&[RequestEvent::RequestAnswered]));
    })
}

#[test]
fn overtaken_answer_recognizes_its_write_and_adds_no_event() {
    let answered = answered(poll(), &[(0, "yes"), (0, "no")]);
    let again = answered.answer(0, &chose("yes"), LINK, NONE, at(9), OpId(100));
    assert_eq!(again, Ok(None));
    assert_eq!(answered.outbox.len(), 1);
}

/// A worker that dispatches the earlier answer marks its number as dispatched.
#[test]
fn changed_answer_takes_the_place_of_the_earlier_with_a_new_number() {
    let reported = |it: &Request| -> Vec<(u32, usize, String)> {
        let answered = it.outbox.iter().filter_map(|it| Some((it.number, it.answered()?)));
        let option = |it: &RecordedAnswer| it.answer.option.clone().unwrap_or_default();
        answered.map(|(number, it)| (number, it.row, option(it))).collect()
    };
    let first = answered(poll(), &[(0, "yes"), (1, "yes")]);
    assert_eq!(reported(&first), [(1, 0, "yes".to_owned()), (2, 1, "yes".to_owned())]);
    let changed = first.answer(0, &chose("no"), LINK, NONE, at(9), OpId(7));
    let changed = changed.expect("accepted").expect("a change");
    assert_eq!(reported(&changed), [(2, 1, "yes".to_owned()), (3, 0, "no".to_owned())]);
    let numbers: Vec<u32> = first.outbox.iter().map(|it| it.number).collect();
    let dispatched = changed.dispatched(&numbers, at(10)).expect("a change");
    assert_eq!(reported(&dispatched), [(3, 0, "no".to_owned())]);
    assert_eq!(dispatched.answered_event(3).as_ref(), dispatched.outbox.first());
    assert_eq!(dispatched.answered_event(1), None);
}
