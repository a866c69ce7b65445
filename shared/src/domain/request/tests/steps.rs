//! Reminders and escalations.

use super::*;
use crate::domain::{IdempotentCall, request::steps::StepRun};

pub(super) fn remind(after_seconds: u64) -> Step {
    step(after_seconds, StepAction::Remind)
}

pub(super) fn escalate(after_seconds: u64, n_recipients: usize) -> Step {
    step(after_seconds, StepAction::Escalate { n_recipients })
}

fn step(after_seconds: u64, action: StepAction) -> Step {
    Step { after_seconds: u32::try_from(after_seconds).expect("small"), action }
}

/// A request to two recipients with these steps, whose callback gets all events of steps.
fn escalating(steps: &[Step]) -> Request {
    let n_later: usize = steps.iter().map(|it| it.action.n_recipients()).sum();
    ask(2 + n_later, |it| {
        it.policy.steps = steps.to_vec();
        let events = [RequestEvent::RequestReminded, RequestEvent::RequestEscalated];
        it.policy.callback = Some(callback(&events));
    })
}

/// The request after its overdue steps.
fn stepped(request: &Request, seconds: u64, op: u64) -> Request {
    request.take_steps(NONE, at(seconds), OpId(op)).expect("a step is due")
}

fn took(request: &Request, seconds: u64, op: u64) -> Option<Request> {
    request.take_steps(NONE, at(seconds), OpId(op))
}

/// The events of steps: the step, and the rows that it concerns.
fn reported(request: &Request) -> Vec<(Option<usize>, Vec<usize>)> {
    let detail = |it: &OutboxEvent| match &it.detail {
        EventDetail::Step { step, rows, .. } => (*step, rows.clone()),
        other => panic!("not of a step: {other:?}"),
    };
    request.outbox.iter().map(detail).collect()
}

#[test]
fn step_waits_for_the_guard_band_and_runs_once() {
    let request = escalating(&[remind(10), escalate(20, 1)]);
    assert_eq!(request.due_at, Some(at(12)));
    assert_eq!(request.take_steps(NONE, at(12) - Duration::from_millis(1), OpId(2)), None);
    let reminded = stepped(&request, 12, 2);
    assert_eq!(reported(&reminded), [(Some(0), vec![0, 1])]);
    assert_eq!((reminded.n_asked(), reminded.due_at), (2, Some(at(22))));
    assert!(took(&reminded, 12, 2).is_none() && took(&reminded, 21, 3).is_none());
    let escalated = stepped(&dispatched(&reminded, at(13)), 22, 3);
    assert_eq!(reported(&escalated), [(Some(1), vec![2])]);
    assert_eq!(escalated.n_asked(), 3);
    let done = [0, 1, 2].map(|it| escalated.step_done_at(it));
    assert_eq!(done, [Some(at(12)), Some(at(22)), None]);
    assert_eq!(dispatched(&escalated, at(23)).due_at, Some(at(OVERDUE_SECONDS)));
    let runs = [
        StepRun { n_done: 1, at: at(12), op: OpId(2), n_reminders: 1 },
        StepRun { n_done: 2, at: at(22), op: OpId(3), n_reminders: 1 },
    ];
    assert_eq!(escalated.steps.runs, runs);
    assert_eq!([2, 3, 4].map(|it| escalated.n_steps_by(OpId(it))), [1, 1, 0]);
}

#[test]
fn late_steps_run_together_and_remind_once() {
    let request = escalating(&[remind(10), escalate(20, 2), remind(30), escalate(40, 1)]);
    let late = stepped(&answered(request, &[(1, "yes")]), 50, 2);
    // Who was asked a moment ago needs no reminder.
    let expected = [(Some(1), vec![2, 3]), (Some(2), vec![0]), (Some(3), vec![4])];
    assert_eq!(reported(&late), expected);
    assert_eq!(late.n_asked(), 5);
    assert_eq!(late.steps.runs, [StepRun { n_done: 4, at: at(50), op: OpId(2), n_reminders: 1 }]);
}

#[test]
fn overdue_step_comes_before_the_time_out_in_one_write() {
    let request = escalating(&[escalate(20, 1), remind(99)]);
    let ended = timed_out(&request);
    assert_eq!(reported(&ended), [(Some(0), vec![2]), (Some(1), vec![0, 1])]);
    assert_eq!((ended.n_asked(), ended.revision), (3, request.revision + 1));
    assert_eq!(ending(&ended).map(|it| it.0), Some(Outcome::TimedOut));
    assert!(took(&ended, 9_999, 3).is_none());
}

#[test]
fn step_at_the_deadline_or_later_never_runs() {
    let request = escalating(&[remind(DEADLINE_SECONDS), remind(DEADLINE_SECONDS + 1)]);
    assert_eq!(request.due_at, Some(at(OVERDUE_SECONDS)));
    assert_eq!(reported(&timed_out(&request)), []);
}

#[test]
fn answer_that_meets_the_quorum_ends_the_steps() {
    let request = escalating(&[remind(10), escalate(20, 1)]);
    let ended = answered(request, &[(0, "yes"), (1, "yes")]);
    assert!(took(&ended, 50, 3).is_none());
    assert_eq!((ended.n_asked(), ended.steps_ahead().len()), (2, 0));
}

#[test]
fn either_may_come_first_at_the_time_of_a_step() {
    let request = answered(escalating(&[escalate(20, 1)]), &[(0, "yes")]);
    let answer = |it: &Request| {
        it.answer(1, &chose("yes"), LINK, NONE, at(22), OpId(9)).expect("taken").expect("a change")
    };
    let answered_first = answer(&request);
    assert!(took(&answered_first, 22, 3).is_none());
    let stepped_first = answer(&stepped(&request, 22, 3));
    assert_eq!([&answered_first, &stepped_first].map(Request::n_asked), [2, 3]);
    for ended in [answered_first, stepped_first] {
        let completed = (Outcome::Completed, Some("yes"), DecidedBy::Recipients, at(22));
        assert_eq!(ending(&ended), Some(completed));
    }
}

#[test]
fn substitute_answers_once_asked_and_fills_a_place() {
    let request = escalating(&[escalate(20, 1)]);
    let answer = |it: &Request, row, seconds| {
        it.answer(row, &chose("yes"), LINK, NONE, at(seconds), OpId(9))
    };
    assert_eq!(answer(&request, 2, 5), Err(Refusal::NotAsked));
    let escalated = stepped(&answered(request, &[(0, "yes")]), 22, 2);
    let ended = answer(&escalated, 2, 30).expect("taken").expect("a change");
    let completed = (Outcome::Completed, Some("yes"), DecidedBy::Recipients, at(30));
    assert_eq!(ending(&ended), Some(completed));
    assert_eq!(answer(&ended, 1, 31), Err(Refusal::Ended));
}

#[test]
fn filled_places_end_the_steps_until_the_deadline() {
    let request = ask(4, |it| {
        it.policy.mode = AnswerMode::OnTimeout;
        it.policy.steps = vec![escalate(20, 1), escalate(40, 1)];
    });
    let request = answered(stepped(&request, 22, 2), &[(0, "no"), (2, "yes"), (0, "yes")]);
    assert!(took(&request, 50, 3).is_none());
    let late = request.answer(1, &chose("no"), LINK, NONE, at(50), OpId(9));
    assert_eq!(late, Err(Refusal::NoOpenPlace));
    assert_eq!(request.remind(None, NONE, at(50), OpId(9)), Ok(None));
    let completed = (Outcome::Completed, Some("yes"), DecidedBy::Recipients, request.deadline);
    assert_eq!(ending(&timed_out(&request)), Some(completed));
}

#[test]
fn reminders_are_ten_minutes_apart() {
    let request = ask(2, |it| {
        it.deadline = at(10_000);
        it.policy.steps = vec![remind(60)];
        it.policy.callback = Some(callback(&[RequestEvent::RequestReminded]));
    });
    let call = |id_bits| Some(IdempotentCall { id_bits, body_hash: BodyHash([0; 16]) });
    let remind =
        |it: &Request, id_bits, seconds, op| it.remind(call(id_bits), NONE, at(seconds), OpId(op));
    let first = remind(&request, 1, 5, 10).expect("accepted").expect("a change");
    assert_eq!(reported(&first), [(None, vec![0, 1])]);
    // The same operation, and the same call.
    assert_eq!((remind(&first, 2, 6, 10), remind(&first, 1, 6, 11)), (Ok(None), Ok(None)));
    let too_soon = |seconds| Refusal::RemindedTooSoon { left: Duration::from_secs(seconds) };
    assert_eq!(remind(&first, 2, 604, 11), Err(too_soon(1)));
    // Reminders of steps come anyhow, and count.
    let by_step = stepped(&first, 62, 12);
    assert_eq!(remind(&by_step, 2, 605, 11), Err(too_soon(57)));
    let second = remind(&by_step, 2, 662, 11).expect("accepted").expect("a change");
    assert_eq!(remind(&second, 2, 9_000, 13), Ok(None));
    assert_eq!(remind(&second, 3, 10_000, 13), Err(Refusal::AlreadyFinished));
    assert_eq!(remind(&second.erase(at(700)).expect("a change"), 3, 701, 13), Err(Refusal::Erased));
}

#[test]
fn messages_to_a_recipient_are_counted_from_the_time_of_asking() {
    let mut request = ask(2, |it| {
        it.deadline = at(100_000);
        it.policy.steps = vec![escalate(6_000, 1)];
        let events = [RequestEvent::RequestReminded, RequestEvent::RequestEscalated];
        it.policy.callback = Some(callback(&events));
    });
    let is_over = |it: &Request| -> Vec<(usize, bool)> {
        let [event] = it.outbox() else { panic!("{} events", it.outbox().len()) };
        it.messages(event).into_iter().map(|it| (it.key.row, it.is_over_limit)).collect()
    };
    // The first message asks, so 11 reminders may follow.
    for number in 1..=9 {
        let reminded = request.remind(None, NONE, at(600 * number), OpId(10 + number));
        request = reminded.expect("accepted").expect("a change");
        assert_eq!(is_over(&request), [(0, false)]);
        request = dispatched(&request, at(600 * number));
    }
    request = stepped(&request, 6_002, 30);
    assert_eq!(is_over(&request), [(1, false)]);
    request = dispatched(&request, at(6_003));
    for number in 11..=21 {
        let reminded = request.remind(None, NONE, at(600 * number), OpId(100 + number));
        request = reminded.expect("accepted").expect("a change");
        assert_eq!(is_over(&request), [(0, number > 12), (1, false)]);
        request = dispatched(&request, at(600 * number));
    }
    let last = request.remind(None, NONE, at(600 * 22), OpId(200)).expect("accepted");
    assert_eq!(is_over(&last.expect("a change")), [(0, true), (1, true)]);
}
