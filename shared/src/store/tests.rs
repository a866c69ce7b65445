//! The laws of spelling: what is written is read back, and what cannot be read is an error.

mod values;
mod versions;
mod webhooks;

use crate::domain::{
    Account, Answer, ApiKey, Attempt, Breaker, Channel, Delivery, Event, OpId, Request,
    Subscriptions,
    breaker::{Health, Heard, Route},
    delivery::{self, AttemptVerdict, LEASE, Start},
    request::{self, CLOCK_GUARD},
};
use std::{fmt::Debug, time::Duration};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use proptest::{collection::vec, prelude::*};

use super::{item::Encoded, *};

const LAYOUT: Layout = Layout { n_due_shards: 4, retention: Duration::from_hours(30 * 24) };

/// The attributes that hold a JSON object.
const OBJECTS: [&str; 8] =
    ["question", "policy", "ended", "erased", "target", "state", "exchange", "callback"];

/// What the table holds of `first` once it is created.
fn created<T: Item>(first: &T) -> Attributes {
    item::created(first, &LAYOUT)
}

/// What the table holds once `next` is saved over `attributes`.
fn saved<T: Item>(mut attributes: Attributes, next: &T) -> Attributes {
    attributes.extend(item::moved(next, &LAYOUT));
    attributes.retain(|_, it| !it.is_null());
    attributes
}

fn seconds_of(attributes: &Attributes, name: &str) -> Option<i64> {
    attributes.get(name)?.as_n().ok()?.parse().ok()
}

/// What a step may need: a row and an answer to put there, a chance, and who takes it.
type Chance = (u8, usize, Answer, OpId, u64);

fn chances() -> impl Strategy<Value = Vec<Chance>> {
    let wait = prop_oneof![0_u64..10_000, 0_u64..40_000_000_000];
    vec((any::<u8>(), 0_usize..4, values::answer(), values::op(), wait), 0..12)
}

/// The request after some step or other.
fn request_moved(
    request: &Request,
    (kind, row, answer, op, _): &Chance,
    now: Timestamp,
) -> Option<Request> {
    let numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
    let row = row % request.question.n_rows();
    match kind % 16 {
        0 => request.cancel(Subscriptions::ALL, now, *op).ok()?,
        1 => request.time_out(Subscriptions::ALL, now.max(request.deadline + CLOCK_GUARD), *op),
        2..6 => request.read(now, *op).1,
        6 => match &request.state {
            request::RequestState::Ended(request::RequestEnd {
                reading: crate::domain::reading::Consumption::Leased { op, .. },
                ..
            }) => request.acknowledge(*op, now).ok()?,
            _ => None,
        },
        7 => request.expire_result(now),
        8 => request.dispatched(&numbers[..numbers.len() / 2], now),
        9 => request.dispatched(&numbers, now),
        10 => Some(request.hinted(now)),
        11 => request.erase(now),
        12 => request.looked_for_deliveries(now),
        _ => request.answer(row, answer, Subscriptions::ALL, request.created_at, *op).ok()?,
    }
}

/// The delivery after some step or other.
fn delivery_moved(delivery: &Delivery, chance: &Chance, now: Timestamp) -> Option<Delivery> {
    let (kind, row, _, op, _) = chance;
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
    match kind % 15 {
        12 => delivery.hold(delivery.attempt, now + Duration::from_mins(9), now),
        13 => delivery.change_lane(delivery.attempt, now),
        14 => finish(AttemptVerdict::Retry { retry_after: None })
            .map(|it| it.retried_in_slow_lane(true)),
        0 => delivery.erase(now, *op),
        1 => delivery.redeliver(now, OpId(7)),
        2 => delivery.due_at.map(|_| delivery.hinted(now)),
        3 => finish(AttemptVerdict::Accepted),
        4 => finish(AttemptVerdict::Permanent(reasons[*row])),
        5..8 => finish(AttemptVerdict::Retry { retry_after: None }),
        _ => match delivery.start(delivery.attempt, now, *op, LEASE) {
            Start::Attempt(next) | Start::GiveUp(next) => Some(*next),
            Start::Mine | Start::Early(_) | Start::Nothing => None,
        },
    }
}

/// Checks that `first`, and what becomes of it, is read back from what the table then holds.
fn check_history<T: Item + Clone + PartialEq + Debug>(
    first: T,
    start: Timestamp,
    chances: &[Chance],
    step: impl Fn(&T, &Chance, Timestamp) -> Option<T>,
) -> Attributes {
    let mut attributes = created(&first);
    let (mut current, mut now) = (first, start);
    for chance in chances {
        now += Duration::from_millis(chance.4);
        if let Some(next) = step(&current, chance, now) {
            assert_eq!(next.revision(), current.revision() + 1);
            attributes = saved(attributes, &next);
            current = next;
        }
        assert_eq!(read::<T>(attributes.clone()).expect("it is as it was written"), current);
        assert_eq!(attributes.contains_key("due_at"), attributes.contains_key("due_shard"));
    }
    check_newer(&attributes, |it: &T| *it == current);
    check_damage::<T>(&attributes);
    attributes
}

/// Checks that what a newer version added, to the item or within, does not get into the way.
fn check_newer<T: Item>(attributes: &Attributes, is_same: impl Fn(&T) -> bool) {
    let mut attributes = attributes.clone();
    for name in OBJECTS {
        let Some(AttributeValue::S(text)) = attributes.get_mut(name) else { continue };
        let members = text.strip_prefix('{').expect("it is a JSON object");
        let comma = if members == "}" { "" } else { "," };
        *text = format!(r#"{{"later":[{{"a":1}}]{comma}{members}"#);
    }
    attributes.insert("later".to_owned(), AttributeValue::L(Vec::new()));
    assert!(is_same(&read::<T>(attributes).expect("it is readable")));
}

/// Checks that with any one attribute gone, or something else in its place, an item is an error,
/// or one that can be written and read again; never a panic.
fn check_damage<T: Item>(attributes: &Attributes) {
    let texts = ["", "x", "{}", "[]", "null", "0", "[{}]", r#"{"at":1e99}"#, "\u{0}"];
    let numbers = ["0", "1", "-1", "1.5", "99999999999999999999", "x"];
    let texts = texts.map(|it| AttributeValue::S(it.to_owned()));
    let numbers = numbers.map(|it| AttributeValue::N(it.to_owned()));
    let others = [
        AttributeValue::Bool(true),
        AttributeValue::Null(true),
        AttributeValue::B(Blob::new([1, 2, 3])),
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

/// Checks that with any change to the text of its JSON, an item is an error, or one that can be
/// written and read again; never a panic.
fn check_damaged_json<T: Item>(attributes: &Attributes, edits: &[Edit]) {
    for name in OBJECTS {
        let Some(AttributeValue::S(text)) = attributes.get(name) else { continue };
        for (at, n_gone, with) in edits {
            let chars: Vec<char> = text.chars().collect();
            let (head, tail) = chars.split_at(at.index(chars.len() + 1));
            let head: String = head.iter().collect();
            let tail: String = tail.iter().skip(*n_gone).collect();
            let mut damaged = attributes.clone();
            damaged.insert(name.to_owned(), AttributeValue::S(format!("{head}{with}{tail}")));
            if let Ok(it) = read::<T>(damaged) {
                assert!(read::<T>(created(&it)).is_ok(), "{name} was read with {with:?}");
            }
        }
    }
}

/// Where something is put into a text, how many characters it stands for, and what it is.
type Edit = (prop::sample::Index, usize, String);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let with = r#"[-0-9e."{}:,\[\]]{0,2}|null|-1|1e99|99999999999999|\\u0000|\PC"#;
    vec((any::<prop::sample::Index>(), 0_usize..9, with), 16)
}

/// All of an account.
fn parts(account: &Account) -> impl PartialEq + Debug {
    let (id_key, secrets) = (account.id_key.0, account.secrets.clone());
    (account.id, account.created_at, id_key, secrets, account.max_pending_requests)
}

/// All of a channel.
fn channel_parts(channel: &Channel) -> impl PartialEq + Debug {
    let Channel { id, owner, name, token_hash, secrets, .. } = channel.clone();
    let Channel { created_at, created_by, body_hash, deleted_at, revision, .. } = *channel;
    let made = (created_at, created_by, body_hash, deleted_at, revision);
    (id, owner, name, token_hash, secrets, made)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_request_is_read_back_whatever_happens_to_it(
        request in values::request(),
        chances in chances(),
    ) {
        let start = request.created_at;
        check_history(request, start, &chances, request_moved);
    }

    #[test]
    fn a_delivery_is_read_back_whatever_happens_to_it(
        delivery in values::delivery(),
        chances in chances(),
    ) {
        let start = delivery.created_at;
        let attributes = check_history(delivery, start, &chances, delivery_moved);
        // What may still be told, or be told again, is not dropped meanwhile.
        let is_over = read::<Delivery>(attributes.clone()).expect("it is readable").due_at.is_none();
        prop_assert_eq!(attributes.contains_key("ttl"), is_over);
    }

    #[test]
    fn a_posted_event_is_read_back_and_kept_until_it_is_dispatched(
        event in values::posted_event(),
        chances in chances(),
    ) {
        let start = event.created_at;
        let attributes = check_history(event, start, &chances, |it: &Event, chance, now| {
            if chance.0 % 2 == 0 { it.dispatched() } else { it.due_at.map(|_| it.hinted(now)) }
        });
        let is_dispatched =
            read::<Event>(attributes.clone()).expect("it is readable").is_dispatched;
        prop_assert_eq!(attributes.contains_key("ttl"), is_dispatched);
        prop_assert_eq!(attributes.contains_key("due_at"), !is_dispatched);
    }

    #[test]
    fn a_breaker_is_read_back_and_kept_for_longer_than_it_is_open(
        breaker in values::breaker(),
        chances in chances(),
    ) {
        let start = breaker.changed_at;
        let attributes = check_history(breaker, start, &chances, |it: &Breaker, chance, now| {
            let health = match chance.0 % 7 {
                0 => Health::Up,
                1 => Health::TimedOut,
                2 => return match it.way(now, chance.3) {
                    Route::Trial(next) => Some(*next),
                    Route::Clear | Route::Barred(_) => None,
                },
                _ => Health::Down,
            };
            it.heard(Heard { health, took: Duration::ZERO }, now, chance.3)
        });
        let breaker: Breaker = read(attributes.clone()).expect("it is readable");
        let kept_until = seconds_of(&attributes, "ttl").expect("idle ones vanish");
        if let Route::Barred(until) = breaker.way(breaker.changed_at, OpId(0)) {
            prop_assert!(until.as_second() + 3_600 < kept_until);
        }
    }

    #[test]
    fn no_json_in_the_table_makes_the_reader_panic(
        request in values::request(),
        delivery in values::delivery(),
        chances in chances(),
        edits in edits(),
    ) {
        let start = request.created_at;
        check_damaged_json::<Request>(&created(&request), &edits);
        let attributes = check_history(request, start, &chances, request_moved);
        check_damaged_json::<Request>(&attributes, &edits);
        check_damaged_json::<Delivery>(&created(&delivery), &edits);
    }

    #[test]
    fn an_attempt_is_read_back_before_and_after_it_is_erased(attempt in values::attempt()) {
        let start = attempt.started_at;
        let chances = [(0, 0, Answer::default(), OpId(1), 0), (0, 0, Answer::default(), OpId(2), 0)];
        check_history(attempt, start, &chances, |it: &Attempt, _, _| it.erase());
    }

    #[test]
    fn an_account_is_read_back(account in values::account()) {
        let attributes = created(&account);
        let back = read::<Account>(attributes.clone()).expect("it is as it was written");
        prop_assert_eq!(parts(&back), parts(&account));
        check_newer(&attributes, |it: &Account| parts(it) == parts(&account));
        check_damage::<Account>(&attributes);
    }

    #[test]
    fn a_channel_is_read_back_before_and_after_it_is_deleted(
        channel in values::channel(),
        token_hash: [u8; 32],
        now in values::moment(),
    ) {
        let other = channel.regenerate(token_hash).expect("another");
        let deleted = other.delete(now).expect("news");
        let mut attributes = created(&channel);
        for (next, is_listed) in [(&other, true), (&deleted, false)] {
            attributes = saved(attributes, next);
            let back = read::<Channel>(attributes.clone()).expect("it is as it was written");
            prop_assert_eq!(channel_parts(&back), channel_parts(next));
            prop_assert_eq!(attributes.contains_key("list_pk"), is_listed);
            prop_assert_eq!(attributes.contains_key("ttl"), !is_listed);
            check_newer(&attributes, |it: &Channel| channel_parts(it) == channel_parts(next));
            check_damage::<Channel>(&attributes);
        }
    }

    #[test]
    fn an_api_key_is_read_back_before_and_after_it_is_revoked(key in values::api_key()) {
        let start = key.created_at;
        let chances = [(0, 0, Answer::default(), OpId(1), 0), (0, 0, Answer::default(), OpId(2), 0)];
        check_history(key, start, &chances, |it: &ApiKey, _, now| it.revoke(now));
    }

    #[test]
    fn a_request_is_kept_while_it_moves_and_while_its_result_may_be_read(
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
    fn a_request_without_its_question_is_no_request_unless_it_is_erased(
        request in values::request(),
    ) {
        let mut attributes = created(&request);
        attributes.remove("question");
        prop_assert!(read::<Request>(attributes).is_err());
        let erased = request.erase(request.created_at).expect("news");
        let attributes = saved(created(&request), &erased);
        prop_assert!(!attributes.contains_key("question"));
    }
}
