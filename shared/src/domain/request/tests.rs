//! Requests: single steps here, changed answers and codes in [`changes`], the outbox in [`outbox`],
//! reminders and escalations in [`steps`], and random histories in [`histories`].

mod changes;
mod histories;
mod outbox;
mod steps;

use super::*;
use crate::domain::{
    AccountId, EmailAddress, Mode, Profile,
    claim::DISPATCH_INTERVAL,
    consumption::{ReadMode, ReadOutcome, UnknownReceipt},
    question::Recipient,
    quorum::Count,
};

const CREATED: Timestamp = Timestamp::constant(1_800_000_000, 0);
const DEADLINE_SECONDS: u64 = 100;
/// The time of the time-out, in seconds after the creation.
const OVERDUE_SECONDS: u64 = DEADLINE_SECONDS + 2;

const NONE: Subscriptions = Subscriptions::NONE;
const LINK: Proof = Proof::Link;

/// The time `seconds` after the creation of the request.
fn at(seconds: u64) -> Timestamp {
    CREATED + Duration::from_secs(seconds)
}

/// A request to `n_recipients` without subscribers, after `change`.
fn ask(n_recipients: usize, change: impl FnOnce(&mut NewRequest)) -> Request {
    let email = |n| EmailAddress::parse(&format!("{n}@example.com")).expect("an address");
    let recipient =
        |n| Recipient { email: email(n), name: None, via: Vec::new(), slack_user: None };
    let mut new = NewRequest {
        id: RequestId::from_bits(1 << 100),
        owner: Owner { account: AccountId::from_bits(2 << 100), mode: Mode::Live },
        channel: None,
        family: None,
        trace: None,
        created_by: OpId(1),
        body_hash: Some(BodyHash([7; 16])),
        created_at: CREATED,
        deadline: at(DEADLINE_SECONDS),
        question: Question {
            title: "Deploy?".to_owned(),
            recipients: (0..n_recipients).map(recipient).collect(),
            ..<_>::default()
        },
        policy: RequestPolicy {
            mode: AnswerMode::OnUserAction,
            quorum: Quorum::ALL,
            on_deadline: OnDeadline::Expire,
            callback: None,
            read: ReadPolicy { mode: ReadMode::Repeat, ttl_seconds: None },
            assurance: Assurance::Link,
            allows_self: false,
            accepts_api_answers: true,
            consume: None,
            notify: Vec::new(),
            on_unreachable: OnUnreachable::Wait,
            slack_channel: None,
            steps: Vec::new(),
        },
        link_secret: LinkSecret([9; 16]),
        is_counted: false,
        base_url: "https://example.com".to_owned(),
        is_published: false,
    };
    change(&mut new);
    Request::begin(new, NONE)
}

fn callback(events: &[RequestEvent]) -> Callback {
    let receiver = Receiver::of("https://example.com/hook", Profile::Standard);
    Callback { receiver, events: events.to_vec() }
}

fn chose(option: &str) -> Answer {
    Answer { option: Some(option.to_owned()), fields: <_>::default() }
}

/// `request` after these rows chose these options, each in its own operation, a second apart.
fn answered(mut request: Request, answers: &[(usize, &str)]) -> Request {
    for (op, (row, option)) in (100..).zip(answers) {
        let next = request.answer(*row, &chose(option), LINK, NONE, at(op - 99), OpId(op));
        request = next.expect("accepted").expect("a change");
    }
    request
}

fn timed_out(request: &Request) -> Request {
    request.time_out(NONE, at(OVERDUE_SECONDS), OpId(90)).expect("overdue")
}

fn dispatched(request: &Request, now: Timestamp) -> Request {
    let numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
    request.dispatched(&numbers, now).expect("the outbox was not empty")
}

type Ended<'a> = (Outcome, Option<&'a str>, DecidedBy, Timestamp);

/// The end, without operation and consumption.
fn ending(request: &Request) -> Option<Ended<'_>> {
    let RequestState::Ended(end) = &request.state else { return None };
    Some((end.outcome, end.decision.as_deref(), end.decided_by, end.at))
}

fn kinds(request: &Request) -> Vec<RequestEvent> {
    request.outbox.iter().map(|it| it.kind).collect()
}

#[test]
fn answer_is_accepted_only_before_the_deadline() {
    let request = ask(1, |_| ());
    let deadline = request.deadline;
    let just_before = deadline - Duration::from_millis(1);
    assert!(matches!(
        request.answer(0, &chose("yes"), LINK, NONE, just_before, OpId(2)),
        Ok(Some(_))
    ));
    assert_eq!(
        request.answer(0, &chose("yes"), LINK, NONE, deadline, OpId(2)),
        Err(Refusal::Ended)
    );
}

#[test]
fn time_out_waits_for_the_guard_band_but_has_the_deadline() {
    let request = ask(1, |_| ());
    let overdue = at(OVERDUE_SECONDS);
    assert_eq!(request.time_out(NONE, overdue - Duration::from_millis(1), OpId(2)), None);
    let late = request.time_out(NONE, overdue + Duration::from_hours(1), OpId(2)).expect("overdue");
    let expected = (Outcome::TimedOut, None, DecidedBy::DeadlinePolicy, request.deadline);
    assert_eq!(ending(&late), Some(expected));
    assert_eq!(late.time_out(NONE, at(9999), OpId(2)), None);
}

#[test]
fn answer_that_decides_the_quorum_ends_the_request() {
    #[track_caller]
    fn check(quorum: Quorum, answers: &[(usize, &str)], expected: Option<(Outcome, Option<&str>)>) {
        let request = ask(3, |it| it.policy.quorum = quorum);
        let (last, before) = answers.split_last().expect("at least one");
        let open = answered(request, before);
        assert_eq!(open.state, RequestState::Pending);
        let next = open.answer(last.0, &chose(last.1), LINK, NONE, at(7), OpId(5)).expect("taken");
        let next = next.expect("a change");
        let expected =
            expected.map(|(outcome, decision)| (outcome, decision, DecidedBy::Recipients, at(7)));
        assert_eq!(ending(&next), expected);
    }
    let approvals = |count, veto: &[&str]| Quorum {
        count,
        option: Some("yes".to_owned()),
        veto: veto.iter().map(|it| (*it).to_owned()).collect(),
    };
    let two = Count::AtLeast(2);
    check(Quorum::ALL, &[(0, "yes"), (2, "no")], None);
    check(Quorum::ALL, &[(0, "yes"), (2, "no"), (1, "yes")], Some((Outcome::Completed, None)));
    check(Quorum { count: Count::AtLeast(1), ..Quorum::ALL }, &[(2, "no")], {
        Some((Outcome::Completed, Some("no")))
    });
    check(approvals(two, &[]), &[(0, "no"), (1, "yes"), (2, "yes")], {
        Some((Outcome::Completed, Some("yes")))
    });
    check(approvals(two, &[]), &[(0, "no"), (1, "no")], Some((Outcome::NotMet, Some("no"))));
    check(approvals(two, &["no"]), &[(0, "yes"), (1, "no")], {
        Some((Outcome::Vetoed, Some("no")))
    });
}

#[test]
fn on_timeout_judges_the_latest_answers_at_the_deadline() {
    #[track_caller]
    fn check(answers: &[(usize, &str)], outcome: Outcome, decision: &str, by: DecidedBy) {
        let request = ask(2, |it| {
            it.policy.mode = AnswerMode::OnTimeout;
            it.policy.on_deadline = OnDeadline::Default("later".to_owned());
            let option = Some("yes".to_owned());
            it.policy.quorum = Quorum { count: Count::All, option, veto: vec!["stop".to_owned()] };
        });
        let request = answered(request, answers);
        assert_eq!(request.state, RequestState::Pending);
        let expected = (outcome, Some(decision), by, request.deadline);
        assert_eq!(ending(&timed_out(&request)), Some(expected));
    }
    let people = DecidedBy::Recipients;
    check(&[(0, "no"), (1, "yes"), (0, "yes")], Outcome::Completed, "yes", people);
    check(&[(0, "stop"), (0, "yes"), (1, "yes")], Outcome::Completed, "yes", people);
    check(&[(0, "yes"), (1, "stop")], Outcome::Vetoed, "stop", people);
    check(&[(0, "no")], Outcome::NotMet, "no", people);
    check(&[(0, "yes")], Outcome::Defaulted, "later", DecidedBy::DeadlinePolicy);
}

#[test]
fn first_answer_counts_even_after_the_end() {
    let request = answered(ask(2, |_| ()), &[(0, "yes")]);
    let first = request.rows[0].clone().expect("recorded");
    let again = |it: &Request| it.answer(0, &chose("no"), LINK, NONE, at(2), OpId(5));
    assert_eq!(again(&request), Err(Refusal::AlreadyAnswered(Box::new(first.clone()))));
    let ended = timed_out(&request);
    assert_eq!(again(&ended), Err(Refusal::AlreadyAnswered(Box::new(first))));
    assert_eq!(ended.answer(1, &chose("no"), LINK, NONE, at(2), OpId(5)), Err(Refusal::Ended));
}

#[test]
fn operation_recognizes_its_own_write() {
    let request = answered(ask(1, |_| ()), &[]);
    let answered = request
        .answer(0, &chose("yes"), LINK, NONE, at(1), OpId(5))
        .expect("accepted")
        .expect("a change");
    // Long after the deadline, and after this answer ended the request.
    assert_eq!(answered.answer(0, &chose("yes"), LINK, NONE, at(9999), OpId(5)), Ok(None));
    let cancelled =
        request.cancel(None, NONE, at(1), OpId(6)).expect("accepted").expect("a change");
    assert_eq!(cancelled.cancel(None, NONE, at(2), OpId(6)), Ok(None));
    assert_eq!(cancelled.cancel(None, NONE, at(2), OpId(7)), Err(Refusal::AlreadyFinished));
}

#[test]
fn first_of_answer_cancellation_and_time_out_decides() {
    let request = ask(1, |_| ());
    let (ops, late) = ([OpId(5), OpId(6), OpId(7)], at(OVERDUE_SECONDS));
    let by_answer = request
        .answer(0, &chose("yes"), LINK, NONE, at(1), ops[0])
        .expect("accepted")
        .expect("a change");
    let by_cancel = request.cancel(None, NONE, at(1), ops[1]).expect("accepted").expect("a change");
    let by_time = request.time_out(NONE, late, ops[2]).expect("overdue");
    let cancelled = (Outcome::Cancelled, None, DecidedBy::Sender, at(1));
    assert_eq!(ending(&by_cancel), Some(cancelled));

    for ended in [&by_answer, &by_time] {
        assert_eq!(ended.cancel(None, NONE, late, ops[1]), Err(Refusal::AlreadyFinished));
    }
    for ended in [&by_cancel, &by_time] {
        assert_eq!(ended.answer(0, &chose("yes"), LINK, NONE, at(2), ops[0]), Err(Refusal::Ended));
    }
    for ended in [&by_answer, &by_cancel] {
        assert_eq!(ended.time_out(NONE, late, ops[2]), None);
    }
}

#[test]
fn timer_is_the_time_of_the_next_step() {
    let called_back =
        |it: &mut NewRequest| it.policy.callback = Some(callback(&[RequestEvent::RequestFinished]));
    let published = ask(1, |it| it.is_published = true);
    assert_eq!(published.due_at, Some(CREATED + DISPATCH_INTERVAL));
    let request = ask(1, |it| {
        called_back(it);
        it.policy.read = ReadPolicy { mode: ReadMode::Repeat, ttl_seconds: Some(60) };
    });
    assert_eq!(request.due_at, Some(at(OVERDUE_SECONDS)));
    let finished = answered(request, &[(0, "yes")]);
    assert_eq!(finished.due_at, Some(at(1) + DISPATCH_INTERVAL));
    let finished = dispatched(&finished, at(2));
    assert_eq!(finished.due_at, Some(at(63)));
    let read = finished.read(at(60), OpId(5)).expect("it has ended");
    assert_eq!(read.next.expect("it was unread").due_at, None);
    assert_eq!(finished.expire_result(at(62)), None);
    let expired = finished.expire_result(at(63)).expect("expired");
    assert_eq!((expired.due_at, expired.rows[0].clone().expect("kept").answer), <_>::default());
    assert_eq!(dispatched(&answered(ask(1, called_back), &[(0, "yes")]), at(2)).due_at, None);
}

#[test]
fn hinted_request_is_due_again_later_but_by_its_deadline() {
    let request = ask(1, |it| it.is_published = true);
    assert_eq!(request.hinted(at(50)).due_at, Some(at(50)));
    assert_eq!(request.hinted(at(500)).due_at, Some(at(OVERDUE_SECONDS)));
    let ended = timed_out(&request);
    assert_eq!(ended.hinted(at(500)).due_at, Some(at(500)));
}

#[test]
fn tombstone_allows_only_two_searches_for_deliveries() {
    let request = ask(2, |it| {
        it.policy.callback = Some(callback(&RequestEvent::ALL));
        it.policy.on_deadline = OnDeadline::Default("yes".to_owned());
        it.policy.quorum.veto = vec!["no".to_owned()];
        it.policy.slack_channel = SlackId::parse("C012AB3CD");
    });
    let request = answered(request, &[(0, "yes")]);
    let erased = request.erase(at(9)).expect("a change");
    let expected = Request {
        question: Question::default(),
        rows: Vec::new(),
        outbox: Vec::new(),
        policy: ask(0, |_| ()).policy,
        state: RequestState::Erased { at: at(9), n_searches: 2 },
        due_at: Some(at(9)),
        revision: request.revision + 1,
        ..request
    };
    assert_eq!(erased, expected);

    assert_eq!(erased.erase(at(10)), None);
    assert_eq!(erased.answer(0, &chose("yes"), LINK, NONE, at(10), OpId(5)), Err(Refusal::Erased));
    assert_eq!(erased.cancel(None, NONE, at(10), OpId(5)), Err(Refusal::Erased));
    assert_eq!(erased.time_out(NONE, at(9999), OpId(5)), None);
    assert_eq!(erased.read(at(10), OpId(5)), None);
    assert_eq!(erased.acknowledge(OpId(5), at(10)), Err(UnknownReceipt));
    assert_eq!(erased.dispatched(&[1, 2], at(10)), None);

    let once = erased.searched_for_deliveries(at(10)).expect("due");
    assert_eq!(once.due_at, Some(at(189)));
    assert_eq!(once.searched_for_deliveries(at(188)), None);
    let twice = once.searched_for_deliveries(at(189)).expect("due");
    assert_eq!((twice.due_at, twice.searched_for_deliveries(at(999))), (None, None));
}
