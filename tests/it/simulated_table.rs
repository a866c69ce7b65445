//! The simulation's table against the embedded DynamoDB: the same operations, the same responses.
//!
//! The real side is the product's port with the real SDK. All sequences share one table of the
//! emulator, and each has keys and partitions of its own.
//!
//! These tests cannot find known differences between the emulator and AWS. The old values of a
//! write that creates an item, and enabling the time to live twice, are not part of the port. AWS
//! does not document the order of rows with equal sort keys, or the lag of an index. The simulated
//! table takes the emulator's order, and its lag is tested alone, at the end.

mod both;
mod operations;

use std::panic::{AssertUnwindSafe, catch_unwind};

use answerback::store::{Attributes, DynamoDb, Error, Key, Put, Table as _, keys::ATTEMPTS};
use aws_sdk_dynamodb::{
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    types::AttributeValue,
};
use proptest::test_runner::{Config, TestRunner};
use simulation::table::SimulatedTable;
use system_tests::World;

use self::{
    both::Both,
    operations::{Operation, sequence},
};

/// How many sequences are compared.
const SEQUENCES: u32 = 80;
/// The local name of the table.
const TABLE: &str = "answerback";

/// The emulator, and a table of it for one sequence.
async fn real() -> (World, DynamoDb) {
    let world = World::start().await;
    let config = world.system.sdk().dynamodb_config();
    // On a busy machine the SDK would repeat a write, which then finds its own result.
    let config = config.retry_config(RetryConfig::disabled());
    let config = config.timeout_config(TimeoutConfig::disabled()).build();
    (world, DynamoDb::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE))
}

#[test]
fn simulated_table_responds_like_the_emulator() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime needs nothing but threads");
    let (_world, real) = runtime.block_on(real());
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    // A failing sequence runs again, shortened, and needs new keys each time.
    let number = std::cell::Cell::new(0);
    let compared = TestRunner::new(config).run(&sequence(), |operations| {
        number.set(number.get() + 1);
        let mut both = Both::new(real.clone(), number.get());
        runtime.block_on(async {
            for operation in operations {
                both.run(operation).await.expect("nothing here is refused");
            }
            both.compare().await.expect("nothing here is refused");
        });
        Ok(())
    });
    compared.unwrap_or_else(|err| panic!("{err}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_at_a_megabyte() -> Result<(), Error> {
    let (_world, real) = real().await;
    let mut both = Both::new(real, 0);
    for sk in ["att#0000001", "att#0000002", "att#0000003", "att#0000004"] {
        let excerpt = AttributeValue::S("e".repeat(300 * 1024));
        both.run(Operation::PutNew(("a", sk), vec![("excerpt", excerpt)])).await?;
    }
    assert_eq!(both.attempts(both.own("a"), 10, None).await?, [3, 1]);
    assert_eq!(both.attempts(both.own("a"), 2, None).await?, [2, 2, 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn item_of_400_kb_is_accepted() -> Result<(), Error> {
    let (_world, real) = real().await;
    let mut both = Both::new(real, 0);
    both.run(Operation::PutNew(("a", "-"), vec![("x", filling(0))])).await?;
    both.compare().await
}

/// A text that makes item `0.a`, `-` exactly 400 KB large, plus `more` bytes.
fn filling(more: usize) -> AttributeValue {
    AttributeValue::S("x".repeat(400 * 1024 - "pk0.ask-x".len() + more))
}

/// Operations that DynamoDB refuses end a history with a panic.
#[tokio::test(flavor = "multi_thread")]
async fn both_tables_refuse_what_dynamodb_refuses() {
    let (_world, real) = real().await;
    let mut both = Both::new(real.clone(), 0);
    let first = vec![("revision", AttributeValue::N("0".to_owned()))];
    both.run(Operation::PutNew(("a", "-"), first)).await.expect("there is none");
    let simulated = both.simulated;

    let one = |name: &str, value| Attributes::from([(name.to_owned(), value)]);
    let text = |it: &str| AttributeValue::S(it.to_owned());
    let a = || Key { pk: "0.a".to_owned(), sk: "-".to_owned() };
    let no_sk = || Key { sk: String::new(), ..a() };
    let no_key = || no_sk().into_attributes();

    let check = |what: &str, simulate: &dyn Fn(&mut SimulatedTable), is_refused: bool| {
        let mut simulated = simulated.clone();
        let panics = catch_unwind(AssertUnwindSafe(|| simulate(&mut simulated))).is_err();
        assert!(panics && is_refused, "{what}: simulated {panics}, emulator {is_refused}");
    };
    check("a key without text", &|it| drop(it.get(&no_sk())), real.get(no_sk()).await.is_err());
    check(
        "an item without text in its key",
        &|it| drop(it.put_new(no_key(), 0)),
        real.put_new(no_key()).await.is_err(),
    );
    for (what, moving) in [
        ("an item over 400 KB", one("x", filling(1))),
        ("a time that is a text", one("due_at", text("9"))),
        ("a partition without a name", one("list_pk", text(""))),
        ("a place that is a text", one("created_at", text("1"))),
        ("another key", one("pk", text("b"))),
        ("nothing to be set", one("x", AttributeValue::Null(true))),
    ] {
        let is_refused = real.update(a(), moving.clone(), 0).await.is_err();
        check(what, &|it| drop(it.update(&a(), moving.clone(), 0, 0)), is_refused);
    }
    check(
        "a key twice",
        &|it| drop(it.get_many(&[a(), a()])),
        real.get_many(vec![a(), a()]).await.is_err(),
    );
    check(
        "a page without room",
        &|it| drop(it.under("0.a", ATTEMPTS, 0, None)),
        real.under("0.a".to_owned(), ATTEMPTS.to_owned(), 0, None).await.is_err(),
    );
    let outside = Some("-".to_owned());
    check(
        "a cursor outside",
        &|it| drop(it.under("0.a", ATTEMPTS, 1, outside.as_deref())),
        real.under("0.a".to_owned(), ATTEMPTS.to_owned(), 1, outside.clone()).await.is_err(),
    );
}

#[test]
fn index_shows_writes_late_and_never_goes_back() {
    let number = |it: i64| AttributeValue::N(it.to_string());
    let armed = |revision: i64, due_at: i64| {
        let shard = AttributeValue::S("0".to_owned());
        let due = [("due_shard", shard), ("due_at", number(due_at))];
        let named = due.into_iter().chain([("revision", number(revision))]);
        named.map(|(name, value)| (name.to_owned(), value)).collect::<Attributes>()
    };
    let key = Key { pk: "a".to_owned(), sk: "-".to_owned() };
    let mut table = SimulatedTable::default();
    let shows = |table: &SimulatedTable, at: i64| {
        let rows = table.due("0", 9, 10, None, at).items;
        rows.into_iter().map(|mut it| it.remove("due_at")).collect::<Vec<_>>()
    };
    let read = |table: &SimulatedTable| table.get(&key).expect("it was put")["due_at"].clone();

    let mut first = armed(0, 1);
    first.extend(key.clone().into_attributes());
    table.put_new(first, 100);
    assert_eq!(table.update(&key, armed(1, 2), 0, 400), Put::Done);
    // The table shows the latest value at once, the index the previous one until it has caught up.
    assert_eq!(read(&table), number(2));
    assert_eq!(shows(&table, 99), []);
    assert_eq!(shows(&table, 100), [Some(number(1))]);
    assert_eq!(shows(&table, 399), [Some(number(1))]);
    assert_eq!(shows(&table, 400), [Some(number(2))]);

    // Two more writes that arrive before the second, which then never shows.
    assert_eq!(table.postpone(&key, 3, 1, 200), 1);
    table.quarantine(&key, 3, 300);
    assert_eq!(shows(&table, 199), [Some(number(1))]);
    assert_eq!(shows(&table, 200), [Some(number(3))]);
    for at in [300, 400, 1_000] {
        assert_eq!(shows(&table, at), []);
    }

    assert_eq!(table.next_due(), Some(1));
    table.settle(200);
    assert_eq!(table.next_due(), Some(3));
    table.settle(300);
    assert_eq!(table.next_due(), None);
}
