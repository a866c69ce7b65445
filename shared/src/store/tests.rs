//! The encoding: a written item is read back, and a malformed item is an error.

mod notifiers;
mod spread;
mod values;
mod versions;
mod webhooks;

use crate::domain::{
    Account, Answer, ApiKey, Attempt, BodyHash, Breaker, Channel, Delivery, Event, IdempotentCall,
    OpId, Request, Subscriptions,
    breaker::{Endpoint, Health, HealthSample, Observation, Route},
    delivery::{self, AttemptVerdict, LEASE, StartDecision},
    posted_event::EventState,
    request::{self, CLOCK_GUARD},
};
use std::{fmt::Debug, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use proptest::{collection::vec, prelude::*};

use super::{
    compact::{read_text, stored_name},
    item::Encoded,
    *,
};

const LAYOUT: Layout =
    Layout { n_due_shards: 4, n_list_shards: 5, retention: Duration::from_hours(30 * 24) };

/// The attributes with a JSON object to which a newer version may add members.
const OBJECTS: [&str; 8] =
    ["question", "policy", "ended", "erased", "target", "exchange", "callback", "connection"];
/// The attributes with JSON.
const JSON: [&str; 12] = [
    "question",
    "policy",
    "ended",
    "erased",
    "target",
    "exchange",
    "callback",
    "connection",
    "state",
    "answers",
    "outbox",
    "codes",
];

/// The stored attributes of the new item `first`.
fn created<T: Item>(first: &T) -> Attributes {
    item::created(first, &LAYOUT)
}

/// The stored attributes after `next` is saved over `attributes`.
fn saved<T: Item>(mut attributes: Attributes, next: &T) -> Attributes {
    attributes.extend(item::mutable(next, &LAYOUT));
    attributes.retain(|_, it| !it.is_null());
    attributes
}

fn seconds_of(attributes: &Attributes, name: &str) -> Option<i64> {
    attributes.get(name)?.as_n().ok()?.parse().ok()
}

/// The input of a random step.
#[derive(Clone, Debug)]
struct Chance {
    kind: u8,
    row: usize,
    answer: Answer,
    op: OpId,
    wait_millis: u64,
}

fn chances() -> impl Strategy<Value = Vec<Chance>> {
    let wait = prop_oneof![0_u64..10_000, 0_u64..40_000_000_000];
    let parts = (any::<u8>(), 0_usize..4, values::answer(), values::op(), wait);
    let chance = parts.prop_map(|(kind, row, answer, op, wait_millis)| Chance {
        kind,
        row,
        answer,
        op,
        wait_millis,
    });
    vec(chance, 0..12)
}

/// A chance for items without random steps.
fn no_chance() -> Chance {
    Chance { kind: 0, row: 0, answer: Answer::default(), op: OpId(1), wait_millis: 0 }
}

/// The request after a random step.
fn request_step(request: &Request, chance: &Chance, now: Timestamp) -> Option<Request> {
    let Chance { kind, row, answer, op, .. } = chance;
    let numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
    let row = row % request.question.n_rows();
    match kind % 20 {
        16 => request.try_wrong_code(row, Subscriptions::ALL, request.created_at, *op).ok()?,
        17 => request.renew_code(row, request.created_at, *op).ok()?,
        18 => request.take_steps(Subscriptions::ALL, now, *op),
        19 => {
            let call = IdempotentCall { id_bits: op.0.into(), body_hash: BodyHash([7; 16]) };
            request.remind(Some(call), Subscriptions::ALL, request.created_at, *op).ok()?
        }
        0 => request.cancel(Some("Not needed"), Subscriptions::ALL, now, *op).ok()?,
        1 => request.time_out(Subscriptions::ALL, now.max(request.deadline + CLOCK_GUARD), *op),
        2..6 => request.read(now, *op)?.next,
        6 => match &request.state {
            request::RequestState::Ended(request::RequestEnd {
                consumption: crate::domain::consumption::Consumption::Leased { op, .. },
                ..
            }) => request.acknowledge(*op, now).ok()?,
            _ => None,
        },
        7 => request.expire_result(now),
        8 => request.dispatched(&numbers[..numbers.len() / 2], now),
        9 => request.dispatched(&numbers, now),
        10 => Some(request.hinted(now)),
        11 => request.erase(now),
        12 => request.searched_for_deliveries(now),
        _ => {
            let via = request::Proof::Key(KeyId::from_bits(5));
            request.answer(row, answer, via, Subscriptions::ALL, request.created_at, *op).ok()?
        }
    }
}

/// The delivery after a random step.
fn delivery_step(delivery: &Delivery, chance: &Chance, now: Timestamp) -> Option<Delivery> {
    let Chance { kind, row, op, .. } = chance;
    let owner = match delivery.state {
        delivery::DeliveryState::Leased { owner, .. } => owner,
        delivery::DeliveryState::Waiting { .. } | delivery::DeliveryState::Done { .. } => *op,
    };
    let reasons = [
        delivery::FailureReason::Redirect,
        delivery::FailureReason::Gone,
        delivery::FailureReason::BlockedAddress,
        delivery::FailureReason::CrashLoop,
        delivery::FailureReason::NotAccepted,
    ];
    let finish = |verdict| delivery.finish(verdict, now, 0.7, owner);
    match kind % 16 {
        15 => delivery.bring_forward(now, now),
        12 => delivery.wait_for_breaker(delivery.attempt, now + Duration::from_mins(9), now),
        13 => delivery.move_to_slow_lane(delivery.attempt, now),
        14 => finish(AttemptVerdict::Retry { retry_after: None })
            .map(|it| it.retried_in(delivery::Lane::Slow)),
        0 => delivery.erase(now, *op),
        1 => delivery.redeliver(now, OpId(7)),
        2 => delivery.due_at.map(|_| delivery.hinted(now)),
        3 => finish(AttemptVerdict::Accepted),
        4 => finish(AttemptVerdict::Permanent(reasons[*row])),
        5..8 => finish(AttemptVerdict::Retry { retry_after: None }),
        _ => match delivery.start(delivery.attempt, now, *op, LEASE) {
            StartDecision::Attempt(next) | StartDecision::GiveUp(next) => Some(*next),
            StartDecision::AlreadyMine | StartDecision::TooEarly(_) | StartDecision::Skip => None,
        },
    }
}

/// Checks that `first` and its later states are read back.
fn check_history<T: Item + Clone + PartialEq + Debug>(
    first: T,
    start: Timestamp,
    chances: &[Chance],
    step: impl Fn(&T, &Chance, Timestamp) -> Option<T>,
) -> Attributes {
    let mut attributes = created(&first);
    let (mut current, mut now) = (first, start);
    for chance in chances {
        now += Duration::from_millis(chance.wait_millis);
        if let Some(next) = step(&current, chance, now) {
            assert_eq!(next.revision(), current.revision() + 1);
            attributes = saved(attributes, &next);
            current = next;
        }
        assert_eq!(read::<T>(attributes.clone()).expect("it is readable"), current);
        assert_eq!(attributes.contains_key("due_at"), attributes.contains_key("due_shard"));
    }
    check_newer(&attributes, |it: &T| *it == current);
    check_damage::<T>(&attributes);
    attributes
}

/// Checks that additions of a newer version, to the item or inside of it, are ignored.
fn check_newer<T: Item>(attributes: &Attributes, is_same: impl Fn(&T) -> bool) {
    let mut attributes = attributes.clone();
    for name in OBJECTS {
        let Some(value) = attributes.get_mut(stored_name(name)) else { continue };
        let text = read_text(value.clone()).expect("it is JSON");
        let members = text.strip_prefix('{').expect("it is an object");
        let comma = if members == "}" { "" } else { "," };
        *value = compact::text(format!(r#"{{"later":[{{"a":1}}]{comma}{members}"#));
    }
    attributes.insert("later".to_owned(), AttributeValue::L(Vec::new()));
    assert!(is_same(&read::<T>(attributes).expect("it is readable")));
}

/// Checks that an item with one attribute removed or replaced is an error, or can be written and
/// read again. It is never a panic.
fn check_damage<T: Item>(attributes: &Attributes) {
    let texts = ["", "x", "{}", "[]", "null", "0", "[{}]", r#"{"at":1e99}"#, "\u{0}"];
    let numbers = ["0", "1", "-1", "1.5", "99999999999999999999", "x"];
    let texts = texts.map(|it| AttributeValue::S(it.to_owned()));
    let numbers = numbers.map(|it| AttributeValue::N(it.to_owned()));
    let others = [
        AttributeValue::Bool(true),
        AttributeValue::Null(true),
        AttributeValue::B(Blob::new([1, 2, 3])),
        AttributeValue::B(Blob::new(compact::deflate(b"[{}]"))),
        AttributeValue::L(Vec::new()),
        AttributeValue::M(<_>::default()),
    ];
    let values: Vec<AttributeValue> = texts.into_iter().chain(numbers).chain(others).collect();
    for name in attributes.keys() {
        for value in values.iter().map(Some).chain([None]) {
            let mut damaged = attributes.clone();
            match value {
                Some(value) => damaged.insert(name.clone(), value.clone()),
                None => damaged.remove(name),
            };
            if let Ok(it) = read::<T>(damaged) {
                assert!(read::<T>(created(&it)).is_ok(), "{name} was read as {value:?}");
            }
        }
    }
}

/// Checks that an item with changed JSON is an error, or can be written and read again. It is never
/// a panic.
fn check_damaged_json<T: Item>(attributes: &Attributes, edits: &[Edit]) {
    for name in JSON {
        let Some(value) = attributes.get(stored_name(name)).cloned() else { continue };
        let text = read_text(value).expect("it is JSON");
        for Edit { at, n_gone, with } in edits {
            let chars: Vec<char> = text.chars().collect();
            let (head, tail) = chars.split_at(at.index(chars.len() + 1));
            let head: String = head.iter().collect();
            let tail: String = tail.iter().skip(*n_gone).collect();
            let mut damaged = attributes.clone();
            let text = compact::text(format!("{head}{with}{tail}"));
            damaged.insert(stored_name(name).to_owned(), text);
            if let Ok(it) = read::<T>(damaged) {
                assert!(read::<T>(created(&it)).is_ok(), "{name} was read with {with:?}");
            }
        }
    }
}

/// A change of a text: at a position, some characters are replaced.
#[derive(Clone, Debug)]
struct Edit {
    at: prop::sample::Index,
    n_gone: usize,
    with: String,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let with = r#"[-0-9e."{}:,\[\]]{0,2}|null|-1|1e99|99999999999999|\\u0000|\PC"#;
    let edit = (any::<prop::sample::Index>(), 0_usize..9, with)
        .prop_map(|(at, n_gone, with)| Edit { at, n_gone, with });
    vec(edit, 16)
}

/// All parts of an account.
fn parts(account: &Account) -> impl PartialEq + Debug {
    let (id_key, secrets) = (account.id_key.0, account.secrets.clone());
    (
        account.id,
        account.created_at,
        account.name.clone(),
        id_key,
        secrets,
        account.calls.clone(),
        account.max_pending_requests,
        account.max_messages_per_hour,
        account.n_list_shards,
    )
}

/// All parts of a channel.
fn channel_parts(channel: &Channel) -> impl PartialEq + Debug {
    let Channel { id, owner, name, token_hash, secrets, .. } = channel.clone();
    let Channel { created_at, created_by, body_hash, deleted_at, revision, .. } = *channel;
    let made = (created_at, created_by, body_hash, deleted_at, revision);
    (id, owner, name, token_hash, secrets, made)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn request_is_read_back_after_any_steps(
        request in values::request(),
        chances in chances(),
    ) {
        let start = request.created_at;
        check_history(request, start, &chances, request_step);
    }

    #[test]
    fn long_answer_is_read_back_until_it_is_erased(long in values::long_answer()) {
        check_history(long, Timestamp::UNIX_EPOCH, &[no_chance(), no_chance()], |it, _, _| it.erase());
    }

    #[test]
    fn delivery_is_read_back_after_any_steps(
        delivery in values::delivery(),
        chances in chances(),
    ) {
        let start = delivery.created_at;
        let attributes = check_history(delivery, start, &chances, delivery_step);
        // A delivery that is not over must not expire.
        let is_over = read::<Delivery>(attributes.clone()).expect("it is readable").due_at.is_none();
        prop_assert_eq!(attributes.contains_key("ttl"), is_over);
    }

    #[test]
    fn posted_event_is_read_back_and_kept_until_dispatched(
        event in values::posted_event(),
        chances in chances(),
    ) {
        let start = event.created_at;
        let attributes = check_history(event, start, &chances, |it: &Event, chance, now| {
            if chance.kind % 2 == 0 { it.dispatched() } else { it.due_at().map(|_| it.hinted(now)) }
        });
        let is_dispatched =
            read::<Event>(attributes.clone()).expect("it is readable").state()
                == EventState::Dispatched;
        prop_assert_eq!(attributes.contains_key("ttl"), is_dispatched);
        prop_assert_eq!(attributes.contains_key("due_at"), !is_dispatched);
    }

    #[test]
    fn breaker_is_read_back_and_kept_while_it_is_open(
        breaker in values::breaker(),
        chances in chances(),
    ) {
        let start = breaker.changed_at;
        let endpoint = |row: usize| {
            let url = format!("https://a.example/{}", row % 2);
            Endpoint::of_callback(&url).expect("a URL")
        };
        let attributes = check_history(breaker, start, &chances, |it: &Breaker, chance, now| {
            let endpoint = endpoint(chance.row);
            let health = match chance.kind % 6 {
                0 => Health::Up,
                1 => Health::TimedOut,
                2 => return match it.route(&endpoint, now, chance.op) {
                    Route::Trial(next) => Some(*next),
                    Route::Clear | Route::Wait(_) => None,
                },
                3 => Health::Unreachable,
                _ => Health::Failing,
            };
            let sample = HealthSample { health, duration: Duration::ZERO };
            it.after([&Observation::Ended { endpoint, sample, op: chance.op }], now)
        });
        let breaker: Breaker = read(attributes.clone()).expect("it is readable");
        let kept_until = seconds_of(&attributes, "ttl").expect("it expires");
        if let Route::Wait(until) = breaker.route(&endpoint(0), breaker.changed_at, OpId(0)) {
            prop_assert!(until.as_second() + 3_600 < kept_until);
        }
    }

    #[test]
    fn changed_json_never_makes_the_decoder_panic(
        request in values::request(),
        delivery in values::delivery(),
        chances in chances(),
        edits in edits(),
    ) {
        let start = request.created_at;
        check_damaged_json::<Request>(&created(&request), &edits);
        let attributes = check_history(request, start, &chances, request_step);
        check_damaged_json::<Request>(&attributes, &edits);
        check_damaged_json::<Delivery>(&created(&delivery), &edits);
    }

    #[test]
    fn attempt_is_read_back_before_and_after_its_erasure(attempt in values::attempt()) {
        let start = attempt.started_at;
        let chances = [no_chance(), no_chance()];
        check_history(attempt, start, &chances, |it: &Attempt, _, _| it.erase());
    }

    #[test]
    fn account_is_read_back(account in values::account()) {
        let attributes = created(&account);
        let back = read::<Account>(attributes.clone()).expect("it is readable");
        prop_assert_eq!(parts(&back), parts(&account));
        check_newer(&attributes, |it: &Account| parts(it) == parts(&account));
        check_damage::<Account>(&attributes);
    }

    #[test]
    fn channel_is_read_back_before_and_after_its_deletion(
        channel in values::channel(),
        token_hash: [u8; 32],
        now in values::moment(),
    ) {
        let other = channel.regenerate(token_hash, None, Timestamp::UNIX_EPOCH).expect("another");
        let deleted = other.delete(now).expect("a change");
        let mut attributes = created(&channel);
        for (next, is_listed) in [(&other, true), (&deleted, false)] {
            attributes = saved(attributes, next);
            let back = read::<Channel>(attributes.clone()).expect("it is readable");
            prop_assert_eq!(channel_parts(&back), channel_parts(next));
            prop_assert_eq!(attributes.contains_key("list_pk"), is_listed);
            prop_assert_eq!(attributes.contains_key("ttl"), !is_listed);
            check_newer(&attributes, |it: &Channel| channel_parts(it) == channel_parts(next));
            check_damage::<Channel>(&attributes);
        }
    }

    #[test]
    fn api_key_is_read_back_before_and_after_its_revocation(key in values::api_key()) {
        let start = key.created_at;
        let chances = [no_chance(), no_chance()];
        check_history(key, start, &chances, |it: &ApiKey, _, now| it.revoke(now));
    }

    #[test]
    fn request_is_kept_while_its_result_and_callback_need_it(
        request in values::request(),
        op in values::op(),
    ) {
        prop_assert!(!created(&request).contains_key("ttl"));
        let ended = request.time_out(Subscriptions::ALL, request.deadline + CLOCK_GUARD, op).expect("overdue");
        let kept_until = seconds_of(&created(&ended), "ttl").expect("it has ended");
        let at = request.deadline;
        prop_assert!((at + LAYOUT.retention).as_second() <= kept_until);
        let retry = request.policy.callback.as_ref().map(|it| it.receiver.retry.longest());
        prop_assert!(retry.is_none_or(|it| (at + it).as_second() < kept_until), "its callback");
        let expires_at = request.policy.read.expires_at(at);
        prop_assert!(expires_at.is_none_or(|it| it.as_second() <= kept_until));
    }

    #[test]
    fn request_without_a_question_is_malformed_unless_erased(
        request in values::request(),
    ) {
        let mut attributes = created(&request);
        attributes.remove(stored_name("question"));
        prop_assert!(read::<Request>(attributes).is_err());
        let erased = request.erase(request.created_at).expect("a change");
        let attributes = saved(created(&request), &erased);
        prop_assert!(!attributes.contains_key(stored_name("question")));
    }
}
