//! Answers that are sent again or changed, and codes of links.

use super::*;
use crate::domain::request::code::{CODE_ISSUES_MAX, WRONG_CODES_MAX};

fn poll() -> Request {
    ask(2, |it| it.policy.mode = AnswerMode::OnTimeout)
}

fn answer(request: &Request, option: &str, now: Timestamp) -> Result<Option<Request>, Refusal> {
    // Another operation each time.
    let op = request.revision() * 2 + u64::from(option == "yes");
    request.answer(0, &chose(option), LINK, NONE, now, OpId(op + 1_000))
}

fn millis(millis: u64) -> Timestamp {
    CREATED + Duration::from_millis(millis)
}

#[test]
fn equal_answer_is_accepted_at_any_time_and_changes_nothing() {
    let last = at(OVERDUE_SECONDS + 1);
    for request in [poll(), ask(2, |_| ()), ask(1, |_| ())] {
        let once = answered(request, &[(0, "yes")]);
        for now in [at(1), at(2), last] {
            assert_eq!(answer(&once, "yes", now), Ok(None));
        }
        let other = answer(&once, "no", last);
        assert!(matches!(other, Err(Refusal::Ended | Refusal::AlreadyAnswered(_))), "{other:?}");
        if let Some(over) = once.time_out(NONE, last, OpId(3)) {
            assert_eq!(answer(&over, "yes", last), Ok(None));
        }
        let erased = once.erase(at(3)).expect("a change");
        assert_eq!(answer(&erased, "yes", at(4)), Err(Refusal::Erased));
    }
}

#[test]
fn answer_changes_at_most_once_a_second() {
    let once = answer(&poll(), "yes", millis(1_000)).expect("accepted").expect("a change");
    assert_eq!((once.n_answers(0), once.n_answers(1)), (1, 0));
    for soon in [1_000, 1_001, 1_999] {
        assert_eq!(answer(&once, "no", millis(soon)), Err(Refusal::ChangedTooSoon));
    }
    let twice = answer(&once, "no", millis(2_000)).expect("accepted").expect("a change");
    assert_eq!(twice.n_answers(0), 2);
    // Another recipient does not have to wait.
    let other = twice.answer(1, &chose("no"), LINK, NONE, millis(2_000), OpId(8));
    assert!(matches!(other, Ok(Some(_))));
}

#[test]
fn answer_changes_at_most_200_times() {
    let mut request = ask(2, |it| {
        it.policy.mode = AnswerMode::OnTimeout;
        it.deadline = at(1_000);
    });
    for number in 0..=CHANGES_MAX {
        let option = if number % 2 == 0 { "yes" } else { "no" };
        let next = answer(&request, option, at(1 + u64::from(number)));
        request = next.expect("accepted").expect("a change");
    }
    let left = Duration::from_secs(500);
    assert_eq!(answer(&request, "no", at(500)), Err(Refusal::ChangedTooOften { left }));
    assert_eq!(answer(&request, "yes", at(500)), Ok(None), "an equal answer is fine");
}

fn with_code() -> Request {
    ask(2, |it| {
        it.policy.assurance = Assurance::Code;
        it.policy.callback = Some(callback(&[RequestEvent::RequestLinkLocked]));
    })
}

/// The request after `n` wrong codes of the first recipient, from operation `op` on.
fn tried(mut request: Request, n: usize, op: u64) -> Request {
    for op in (op..).take(n) {
        let next = request.try_wrong_code(0, NONE, at(1), OpId(op));
        request = next.expect("counted").expect("a change");
        assert_eq!(request.try_wrong_code(0, NONE, at(1), OpId(op)), Ok(None), "its own write");
    }
    request
}

#[test]
fn five_wrong_codes_lock_one_link_and_are_reported() {
    let request = tried(with_code(), WRONG_CODES_MAX - 1, 10);
    assert!(!request.is_link_locked(0) && request.outbox.is_empty());
    assert_eq!(request.n_code_tries_left(0), 1);
    let locked = tried(request, 1, 20);
    assert!(locked.is_link_locked(0) && !locked.is_link_locked(1));
    assert_eq!(kinds(&locked), [RequestEvent::RequestLinkLocked]);
    assert_eq!(locked.outbox[0].detail, EventDetail::Recipient(0));
    assert_eq!(locked.due_at, Some(at(1) + DISPATCH_INTERVAL));
    assert_eq!(locked.try_wrong_code(0, NONE, at(1), OpId(99)), Err(Refusal::LinkLocked));

    let by_link = locked.answer(0, &chose("yes"), LINK, NONE, at(2), OpId(30));
    assert_eq!(by_link, Err(Refusal::LinkLocked));
    let by_sender =
        locked.answer(0, &chose("yes"), Proof::Key(KeyId::from_bits(5)), NONE, at(2), OpId(30));
    assert!(matches!(by_sender, Ok(Some(_))));
}

#[test]
fn new_code_unlocks_a_link_a_few_times() {
    let mut request = with_code();
    assert_eq!(request.renew_code(0, at(1), OpId(5)), Ok(None), "it is not locked");
    for issue in 1..CODE_ISSUES_MAX {
        request = tried(request, WRONG_CODES_MAX, u64::from(issue) * 100);
        let op = OpId(u64::from(issue));
        request = request.renew_code(0, at(1), op).expect("issued").expect("a change");
        assert_eq!(request.renew_code(0, at(1), op), Ok(None), "its own write");
        assert_eq!((request.code_issue(0), request.code_issue(1)), (issue, 0));
        assert!(!request.is_link_locked(0));
    }
    let locked = tried(request, WRONG_CODES_MAX, 5_000);
    assert_eq!(locked.renew_code(0, at(1), OpId(90)), Err(Refusal::LinkLocked));
    assert!(!locked.can_renew_code(0));
    assert_eq!(locked.renew_code(0, at(100), OpId(90)), Err(Refusal::Ended));
}
