//! Operations of all kinds on a few keys, so that they meet.

use answerback::store::keys::{LIST_INDEX, WEBHOOK_INDEX};
use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// The partition keys.
pub(super) const PKS: [&str; 3] = ["a", "b", "ü"];
/// The sort keys: plain ones, attempts, and one that only looks like an attempt.
pub(super) const SKS: [&str; 5] = ["-", "att#0000001", "att#0000002", "att", "atu#0000001"];
/// The partitions of the indexes, each with its attribute.
pub(super) const PARTITIONS: [(&str, &str); 5] = [
    ("due_shard", "0"),
    ("due_shard", "1"),
    ("list_pk", "live"),
    ("list_pk", "test"),
    ("webhook_pk", "one"),
];
/// Attributes that a step may remove.
const REMOVED: [&str; 7] = ["due_shard", "due_at", "list_pk", "created_at", "n_errors", "x", "y"];
/// Numbers, some in unusual spellings.
const NUMBERS: [&str; 9] =
    ["0", "-0", "007", "+5", "1.50", "-12.0", ".5", "100", "-9223372036854775808"];

/// The partition key and the sort key.
pub(super) type Name = (&'static str, &'static str);
pub(super) type Attribute = (&'static str, AttributeValue);
pub(super) type Written = Vec<Attribute>;

/// An operation on both tables.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Get(Name),
    GetMany(Vec<Name>),
    PutNew(Name, Written),
    Update(Name, Written, u64),
    PutOff(Name, i64, u32),
    Disarm(Name, i64),
    CountUp(Name, u32, u32, i64),
    NListed(&'static str, &'static str, u32),
    Due { shard: &'static str, until: i64, limit: i32, from: Option<usize> },
    List { index: &'static str, partition: &'static str, limit: i32, from: Option<usize> },
    Attempts { pk: &'static str, limit: i32, after: Option<&'static str> },
    Settle,
}

/// Long enough that most operations find something. Parts are omitted at random, so that a failing
/// sequence can be shortened.
pub(super) fn sequence() -> impl Strategy<Value = Vec<Operation>> {
    vec(option::weighted(0.9, operation()), 50).prop_map(|it| it.into_iter().flatten().collect())
}

fn operation() -> impl Strategy<Value = Operation> {
    let limit = 1..4;
    let from = option::of(any::<usize>());
    let after = option::of(select(&["att#", "att#0000001", "att#0000002", "att#0000003"][..]));
    prop_oneof![
        1 => name().prop_map(Operation::Get),
        1 => names().prop_map(Operation::GetMany),
        5 => (name(), first()).prop_map(|(name, first)| Operation::PutNew(name, first)),
        5 => (name(), mutable(), 0..2_u64)
            .prop_map(|(name, moving, previous)| Operation::Update(name, moving, previous)),
        2 => (name(), due_at(), 0..3_u32)
            .prop_map(|(name, until, n_errors)| Operation::PutOff(name, until, n_errors)),
        2 => (name(), due_at()).prop_map(|(name, due_at)| Operation::Disarm(name, due_at)),
        2 => (name(), 1..3_u32, 1..4_u32, due_at())
            .prop_map(|(name, by, max, until)| Operation::CountUp(name, by, max, until)),
        2 => (listed(), 0..6_u32)
            .prop_map(|((index, partition), max)| Operation::NListed(index, partition, max)),
        2 => (select(partitions("due_shard")), due_at(), limit.clone(), from.clone())
            .prop_map(|(shard, until, limit, from)| Operation::Due { shard, until, limit, from }),
        2 => (listed(), limit.clone(), from).prop_map(|((index, partition), limit, from)| {
            Operation::List { index, partition, limit, from }
        }),
        1 => (select(&PKS[..]), limit, after)
            .prop_map(|(pk, limit, after)| Operation::Attempts { pk, limit, after }),
        1 => Just(Operation::Settle),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    (select(&PKS[..]), prop_oneof![2 => Just("-"), 3 => select(&SKS[..])])
}

/// At most one name for each partition key, by which the results are matched.
fn names() -> impl Strategy<Value = Vec<Name>> {
    vec(option::of(select(&SKS[..])), PKS.len())
        .prop_map(|sks| PKS.into_iter().zip(sks).filter_map(|(pk, sk)| Some((pk, sk?))).collect())
}

fn partitions(attribute: &'static str) -> Vec<&'static str> {
    PARTITIONS.iter().filter(|it| it.0 == attribute).map(|it| it.1).collect()
}

fn listed() -> impl Strategy<Value = (&'static str, &'static str)> {
    let listed = (Just(LIST_INDEX), select(partitions("list_pk")));
    prop_oneof![2 => listed, 1 => (Just(WEBHOOK_INDEX), select(partitions("webhook_pk")))]
}

/// A small range, so that many times are equal.
fn due_at() -> impl Strategy<Value = i64> {
    9_998..10_002_i64
}

/// The first attributes of an item. A NULL is a value here.
fn first() -> impl Strategy<Value = Written> {
    (vec(attributes(), 0..4), option::weighted(0.9, 0..2), any_value()).prop_map(
        |(written, revision, value)| {
            let mut written = written.concat();
            written.push(("x", value));
            written.extend(revision.map(|it| ("revision", number(it))));
            written
        },
    )
}

/// The writes of a step: its revision, and a NULL for each attribute that it removes.
fn mutable() -> impl Strategy<Value = Written> {
    let removed = select(&REMOVED[..]).prop_map(|it| vec![(it, AttributeValue::Null(true))]);
    let moved = prop_oneof![3 => attributes(), 2 => removed];
    (vec(moved, 0..4), 0..2).prop_map(|(written, revision)| {
        let mut written = written.concat();
        written.push(("revision", number(revision)));
        written
    })
}

/// One attribute, or the two that together make a row of an index.
fn attributes() -> impl Strategy<Value = Written> {
    let both = prop_oneof![
        2 => (shard(), due_at()).prop_map(|(shard, at)| vec![shard, ("due_at", number(at))]),
        2 => (list(), created_at()).prop_map(|(list, at)| vec![list, at]),
        1 => created_at().prop_map(|at| vec![("webhook_pk", text("one")), at]),
    ];
    prop_oneof![attribute().prop_map(|it| vec![it]), both]
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        3 => shard(),
        3 => due_at().prop_map(|it| ("due_at", number(it))),
        1 => Just(("due_at", AttributeValue::N("+09999.0".to_owned()))),
        2 => list(),
        3 => created_at(),
        1 => Just(("webhook_pk", text("one"))),
        1 => (0..9_u32).prop_map(|it| ("n_errors", number(it))),
        2 => (select(&["x", "y"][..]), any_value()),
    ]
}

fn shard() -> impl Strategy<Value = Attribute> {
    select(partitions("due_shard")).prop_map(|it| ("due_shard", text(it)))
}

fn list() -> impl Strategy<Value = Attribute> {
    select(partitions("list_pk")).prop_map(|it| ("list_pk", text(it)))
}

fn created_at() -> impl Strategy<Value = Attribute> {
    select(&[1_i64, 2, 10][..]).prop_map(|it| ("created_at", number(it)))
}

/// A value of any type that the product stores.
fn any_value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        select(&["", "a", "ü\u{0}\n", "{\"a\":[]}"][..])
            .prop_map(|it| AttributeValue::S(it.into())),
        select(&NUMBERS[..]).prop_map(|it| AttributeValue::N(it.to_owned())),
        vec(any::<u8>(), 0..4).prop_map(|it| AttributeValue::B(Blob::new(it))),
        any::<bool>().prop_map(AttributeValue::Bool),
    ]
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}
