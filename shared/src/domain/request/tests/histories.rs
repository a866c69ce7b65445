//! Random histories: laws that hold after every step, for any order of steps.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::select};

use super::{
    steps::{escalate, remind},
    *,
};
use crate::domain::{consumption::ResultLease, request::erasure::LAST_SEARCH_DELAY};

/// A step. Operations are numbered so that one can be repeated. The number also decides what an
/// answer says.
#[derive(Clone, Copy, Debug)]
enum Step {
    Answer(u64),
    Cancel(u64),
    TimeOut(u64),
    TakeSteps(u64),
    Remind(u64),
    Read(u64),
    Acknowledge(u64),
    ExpireResult,
    Dispatched(usize),
    Hinted(u64),
    Erase,
    Search,
}

/// The history so far.
#[derive(Default)]
struct Seen {
    /// The number and kind of every event.
    events: Vec<(u32, RequestEvent)>,
    /// The operations that got the result.
    readers: BTreeSet<u64>,
    /// The latest lease of the result.
    lease: Option<ResultLease>,
}

const OPTIONS: [&str; 3] = ["yes", "no", "stop"];

fn steps() -> impl Strategy<Value = Vec<(u64, u64, Step)>> {
    let step = prop_oneof![
        8 => (0_u64..12).prop_map(Step::Answer),
        1 => (100_u64..102).prop_map(Step::Cancel),
        3 => (200_u64..202).prop_map(Step::TimeOut),
        3 => (400_u64..430).prop_map(Step::TakeSteps),
        1 => (500_u64..504).prop_map(Step::Remind),
        6 => (300_u64..304).prop_map(Step::Read),
        2 => (300_u64..304).prop_map(Step::Acknowledge),
        2 => Just(Step::ExpireResult),
        5 => (0_usize..4).prop_map(Step::Dispatched),
        2 => (0_u64..400).prop_map(Step::Hinted),
        1 => Just(Step::Erase),
        1 => Just(Step::Search),
    ];
    // Time passes in small and large steps. Clocks differ by up to 2 s.
    let wait = prop_oneof![Just(0_u64), 0_u64..3_000, 0_u64..40_000];
    prop::collection::vec((wait, 0_u64..2_000, step), 1..60)
}

fn requests() -> impl Strategy<Value = Request> {
    let count = prop_oneof![Just(Count::All), (1_u32..3).prop_map(Count::AtLeast)];
    let option = prop::option::of(Just("yes".to_owned()));
    let veto = prop_oneof![Just(Vec::new()), Just(vec!["stop".to_owned()])];
    let quorum =
        (count, option, veto).prop_map(|(count, option, veto)| Quorum { count, option, veto });
    let default = Just(OnDeadline::Default("no".to_owned()));
    let on_deadline = prop_oneof![Just(OnDeadline::Expire), default];
    let read_modes = vec![ReadMode::Repeat, ReadMode::Once, ReadMode::Lease { seconds: 5 }];
    let read = (select(read_modes), prop::option::of(Just(60)))
        .prop_map(|(mode, ttl_seconds)| ReadPolicy { mode, ttl_seconds });
    let events = prop::option::of(prop::sample::subsequence(&RequestEvent::ALL, 0..=7));
    let modes = vec![AnswerMode::OnUserAction, AnswerMode::OnTimeout];
    // Some are due together, and some after the deadline.
    let step_seconds = prop::collection::btree_set(1..DEADLINE_SECONDS + 9, 0..4);
    let policy_steps = (step_seconds, any::<[Option<bool>; 4]>());
    let flags = (any::<bool>(), policy_steps);
    (0_usize..4, select(modes), quorum, on_deadline, read, events, flags).prop_map(
        |(n_first, mode, quorum, on_deadline, read, events, (is_published, (seconds, kinds)))| {
            let callback = events.map(|it| callback(&it));
            let step = |(seconds, kind): (u64, Option<bool>)| match kind {
                // The anonymous recipient has no substitutes.
                Some(is_one) if n_first > 0 => escalate(seconds, if is_one { 1 } else { 2 }),
                Some(_) | None => remind(seconds),
            };
            let steps: Vec<_> = seconds.into_iter().zip(kinds).map(step).collect();
            let n_later: usize = steps.iter().map(|it| it.action.n_recipients()).sum();
            ask(n_first + n_later, |it| {
                it.policy = RequestPolicy {
                    mode,
                    quorum,
                    on_deadline,
                    callback,
                    read,
                    steps: steps.clone(),
                    ..it.policy.clone()
                };
                it.is_published = is_published;
            })
        },
    )
}

/// The request after `step`, or `None` if nothing changes.
fn take(request: &Request, step: Step, now: Timestamp, seen: &mut Seen) -> Option<Request> {
    match step {
        Step::Answer(op) => {
            let number = usize::try_from(op).expect("small");
            let row = number % request.question.n_rows();
            let taken =
                request.answer(row, &chose(OPTIONS[number % 3]), LINK, NONE, now, OpId(op)).ok()?;
            assert!(taken.is_none() || now < request.deadline, "answered too late");
            assert!(taken.is_none() || request.is_asked(row), "answered before being asked");
            taken
        }
        Step::Cancel(op) => request.cancel(None, NONE, now, OpId(op)).ok()?,
        Step::TimeOut(op) => {
            let next = request.time_out(NONE, now, OpId(op));
            assert!(next.is_none() || request.deadline + CLOCK_GUARD <= now, "timed out too early");
            next
        }
        Step::TakeSteps(op) => request.take_steps(NONE, now, OpId(op)),
        Step::Remind(op) => request.remind(None, NONE, now, OpId(op)).ok()?,
        Step::Read(op) => {
            let ResultRead { outcome, next } = request.read(now, OpId(op))?;
            if let ReadOutcome::Result { lease } = outcome {
                seen.readers.insert(op);
                let mine = |holder| lease.is_some_and(|it| it.receipt == holder);
                let is_leased = seen.lease.is_some_and(|it| now < it.until && !mine(it.receipt));
                assert!(!is_leased, "two readers have the result");
                seen.lease = lease;
            }
            next
        }
        Step::Acknowledge(op) => request.acknowledge(OpId(op), now).ok()?,
        Step::ExpireResult => request.expire_result(now),
        Step::Dispatched(n) => {
            let numbers: Vec<u32> = request.outbox.iter().take(n).map(|it| it.number).collect();
            request.dispatched(&numbers, now)
        }
        // The sweep sends hints only for due requests with events to dispatch.
        Step::Hinted(seconds) => (request.due_at.is_some_and(|it| it <= now)
            && !request.outbox.is_empty()
            && !request.is_overdue(now)
            && !request.is_step_due(now))
        .then(|| request.hinted(now + Duration::from_secs(seconds))),
        Step::Erase => request.erase(now),
        Step::Search => request.searched_for_deliveries(now),
    }
}

/// `step`, repeated by the same operation, changes nothing more.
fn is_known(after: &Request, step: Step, now: Timestamp) -> bool {
    match step {
        Step::Answer(op) => {
            let number = usize::try_from(op).expect("small");
            let row = number % after.question.n_rows();
            // Even if it is too late now: the answer was accepted in time.
            let late = after.deadline + CLOCK_GUARD;
            after.answer(row, &chose(OPTIONS[number % 3]), LINK, NONE, late, OpId(op)) == Ok(None)
        }
        Step::Cancel(op) => after.cancel(None, NONE, now, OpId(op)) == Ok(None),
        Step::TimeOut(op) => after.time_out(NONE, now, OpId(op)).is_none(),
        Step::TakeSteps(op) => after.take_steps(NONE, now, OpId(op)).is_none(),
        Step::Remind(op) => after.remind(None, NONE, now, OpId(op)) == Ok(None),
        Step::Read(op) => after.read(now, OpId(op)).is_some_and(|it| {
            matches!(it.outcome, ReadOutcome::Result { .. }) && it.next.is_none()
        }),
        Step::Acknowledge(op) => after.acknowledge(OpId(op), now) == Ok(None),
        Step::ExpireResult => after.expire_result(now).is_none(),
        Step::Erase => after.erase(now).is_none(),
        Step::Dispatched(_) | Step::Hinted(_) | Step::Search => true,
    }
}

/// The timer of a request after any step except a hint.
fn timer(before: &Request, request: &Request, now: Timestamp) -> Option<Timestamp> {
    // Later events do not postpone it.
    let earlier = before.due_at.filter(|_| !before.outbox.is_empty());
    let of_outbox = earlier.unwrap_or(Timestamp::MAX).min(now + DISPATCH_INTERVAL);
    let of_deadline = request.deadline + CLOCK_GUARD;
    let n_answers = request.rows.iter().flatten().count();
    let n_done = request.steps.n_done();
    // The remaining steps are void once every place is filled.
    let ahead = request.policy.steps.iter().skip(n_done).filter(|_| n_answers < request.n_places());
    let next_step = ahead.map(|it| CREATED + Duration::from_secs(it.after_seconds.into())).next();
    let of_step = next_step.filter(|it| *it < request.deadline).map(|it| it + CLOCK_GUARD);
    let of_deadline = of_step.unwrap_or(of_deadline);
    match &request.state {
        RequestState::Pending if !request.outbox.is_empty() => Some(of_outbox.min(of_deadline)),
        RequestState::Pending => Some(of_deadline),
        RequestState::Ended(_) if !request.outbox.is_empty() => Some(of_outbox),
        RequestState::Ended(end) => {
            end.consumption.timer(request.policy.read, end.at).map(|it| it + CLOCK_GUARD)
        }
        RequestState::Erased { n_searches: 0, .. } => None,
        RequestState::Erased { at, n_searches: 1 } => Some(*at + LAST_SEARCH_DELAY),
        RequestState::Erased { .. } => Some(now),
    }
}

/// The laws that hold for every step.
fn check(before: &Request, after: &Request, step: Step, now: Timestamp, seen: &mut Seen) {
    assert_eq!(after.revision, before.revision + 1);

    match (&before.state, &after.state) {
        (RequestState::Ended(was), RequestState::Ended(is)) => {
            assert_eq!(
                RequestEnd { consumption: was.consumption, ..is.clone() },
                *was,
                "the end changed"
            );
        }
        (RequestState::Ended(_) | RequestState::Erased { .. }, RequestState::Pending)
        | (RequestState::Erased { .. }, RequestState::Ended(_)) => panic!("it came back"),
        (RequestState::Pending, _) | (_, RequestState::Erased { .. }) => (),
    }

    assert!(after.rows.iter().flatten().all(|it| it.at < after.deadline), "answered too late");
    // A request whose answers decide it is not pending.
    if matches!(step, Step::Answer(_)) && after.policy.mode == AnswerMode::OnUserAction {
        assert_eq!(after.state == RequestState::Pending, after.verdict() == QuorumVerdict::Open);
    }

    let is_over = matches!(&after.state, RequestState::Ended(end) if end.consumption.is_over());
    let is_cleared = is_over && after.outbox.is_empty();
    for (was, is) in before.rows.iter().zip(&after.rows) {
        let is_answer =
            matches!(step, Step::Answer(_)) && before.policy.mode == AnswerMode::OnTimeout;
        match (was, is) {
            (Some(was), Some(is)) if is_cleared => {
                assert_eq!((is.at, is.op, &is.answer), (was.at, was.op, &Answer::default()));
            }
            (Some(_), Some(_)) if is_answer => (),
            (Some(was), is) => assert_eq!(Some(was), is.as_ref(), "an answer changed"),
            (None, is) => assert!(is.is_none() || matches!(step, Step::Answer(_))),
        }
    }

    check_steps(before, after, step, now);
    check_outbox(before, after, step, seen);

    if matches!(step, Step::Hinted(_)) {
        let due_at = after.due_at.expect("it has events to dispatch");
        let is_pending = after.state == RequestState::Pending;
        assert!(!is_pending || due_at <= after.deadline + CLOCK_GUARD);
        assert!(!is_pending || after.step_timer().is_none_or(|it| due_at <= it));
    } else {
        assert_eq!(after.due_at, timer(before, after, now));
    }

    if let RequestState::Erased { .. } = after.state {
        assert_eq!(after.question, Question::default());
        assert!(after.rows.is_empty() && after.outbox.is_empty());
        assert_eq!(after.policy.callback, None);
        assert_eq!(after.policy.quorum, Quorum::ALL, "it names options");
        assert_eq!(after.policy.on_deadline, OnDeadline::Expire, "it names an option");
        assert_eq!(after.read(now, OpId(999)), None);
        assert!(!after.shows_answers(now));
    }
}

/// The laws of reminders and escalations.
fn check_steps(before: &Request, after: &Request, step: Step, now: Timestamp) {
    if let RequestState::Erased { .. } = after.state {
        assert_eq!(after.steps, StepState::default());
        return;
    }
    assert_eq!(after.n_places(), before.n_places(), "another number of answers is needed");
    assert!(after.rows.iter().flatten().count() <= after.n_places(), "more answers than places");
    assert!(after.rows.iter().skip(after.n_asked()).all(Option::is_none), "not asked yet");

    let new = before.steps.n_done()..after.steps.n_done();
    assert!(new.is_empty() || matches!(step, Step::TakeSteps(_) | Step::TimeOut(_)));
    assert!(new.is_empty() || before.state == RequestState::Pending, "a step after the end");
    assert!(after.steps.runs.starts_with(&before.steps.runs), "a step was taken again");
    let at = |it: usize| before.step_at(it).expect("a step");
    assert!(new.clone().all(|it| at(it) + CLOCK_GUARD <= now), "a step came early");
    assert!(new.clone().all(|it| at(it) < before.deadline), "a step after the deadline");
    if !new.is_empty() {
        assert!(before.rows.iter().flatten().count() < before.n_places(), "all have answered");
        assert!(!after.is_step_due(now), "an overdue step was not taken");
        let asked: usize =
            new.clone().map(|it| before.policy.steps[it].action.n_recipients()).sum();
        assert_eq!(after.n_asked(), before.n_asked() + asked);
    }
    // At most one reminder at a time, and one event for each escalation.
    let events = after.outbox.iter().filter(|it| it.number > before.n_events);
    let n_of = |kind: RequestEvent| events.clone().filter(|it| it.kind == kind).count();
    let is_reminder = |it: usize| before.policy.steps[it].action == StepAction::Remind;
    let wants = |kind: RequestEvent| {
        before.policy.callback.as_ref().is_some_and(|it| it.events.contains(&kind))
    };
    let reminds = matches!(step, Step::Remind(_)) || new.clone().any(is_reminder);
    let (reminded, escalated) = (RequestEvent::RequestReminded, RequestEvent::RequestEscalated);
    assert_eq!(n_of(reminded), usize::from(reminds && wants(reminded)));
    let n_escalations = new.filter(|it| !is_reminder(*it)).count();
    assert_eq!(n_of(escalated), if wants(escalated) { n_escalations } else { 0 });
}

/// The laws of the outbox.
fn check_outbox(before: &Request, after: &Request, step: Step, seen: &mut Seen) {
    // Events leave the outbox only by a dispatch, and new events get the next numbers.
    let n_gone = match step {
        Step::Dispatched(n) => n.min(before.outbox.len()),
        Step::Erase => before.outbox.len(),
        _ => 0,
    };
    // An answer takes the place of an earlier one of its row.
    let answered = |it: &OutboxEvent| it.answered().map(|it| it.row);
    let is_new = |it: &&OutboxEvent| it.number > before.n_events;
    let replaced: Vec<_> = after.outbox.iter().filter(is_new).filter_map(answered).collect();
    let is_kept = |it: &&OutboxEvent| answered(it).is_none_or(|row| !replaced.contains(&row));
    let kept: Vec<_> = before.outbox[n_gone..].iter().filter(is_kept).cloned().collect();
    let n_kept = kept.len();
    assert!(after.outbox.starts_with(&kept), "an event was lost");
    for event in &after.outbox[n_kept..] {
        let last = seen.events.last().map_or(0, |it| it.0);
        assert_eq!(event.number, last + 1, "a number is missing");
        seen.events.push((event.number, event.kind));
    }
    let last = seen.events.last().map_or(0, |it| it.0);
    assert_eq!(after.n_events, last);
    if let Some(callback) = &after.policy.callback {
        let called = seen.events.iter().rev().find(|it| callback.events.contains(&it.1));
        assert_eq!(after.callback_event, called.map(|it| it.0));
    }
}

proptest! {
    #[test]
    fn requests_obey_their_laws_for_any_history(first in requests(), steps in steps()) {
        let mut seen = Seen::default();
        seen.events.extend(first.outbox.iter().map(|it| (it.number, it.kind)));
        let (mut request, mut clock) = (first, CREATED);
        for (wait, skew, step) in steps {
            clock += Duration::from_millis(wait);
            let now = clock + Duration::from_millis(skew);
            if let Some(next) = take(&request, step, now, &mut seen) {
                check(&request, &next, step, now, &mut seen);
                prop_assert!(is_known(&next, step, now), "repeated: {:?}", step);
                request = next;
            }
        }
        let is_end =
            |it: RequestEvent| [RequestEvent::RequestFinished, RequestEvent::RequestCancelled].contains(&it);
        prop_assert!(seen.events.iter().filter(|it| is_end(it.1)).count() <= 1);
        let is_once = request.policy.read.mode == ReadMode::Once;
        prop_assert!(!is_once || seen.readers.len() <= 1, "read by {:?}", seen.readers);
    }

    /// A request comes to rest if the due step is taken whenever its timer fires.
    #[test]
    fn request_comes_to_rest_if_its_timer_is_followed(first in requests(), steps in steps()) {
        let (mut request, mut clock) = (first, CREATED);
        for (wait, _, step) in steps {
            clock += Duration::from_millis(wait);
            request = take(&request, step, clock, &mut Seen::default()).unwrap_or(request);
        }
        for _ in 0..16 {
            let Some(due_at) = request.due_at else { break };
            clock = clock.max(due_at);
            let numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
            let next = request
                .time_out(NONE, clock, OpId(900))
                .or_else(|| request.take_steps(NONE, clock, OpId(901)))
                .or_else(|| request.expire_result(clock))
                .or_else(|| request.searched_for_deliveries(clock))
                .or_else(|| request.dispatched(&numbers, clock));
            prop_assert!(next.is_some(), "due, but there is nothing to do: {:?}", request);
            request = next.unwrap_or(request);
        }
        prop_assert_eq!(request.due_at, None);
        prop_assert!(request.outbox.is_empty());
        prop_assert!(request.state != RequestState::Pending);
    }
}
