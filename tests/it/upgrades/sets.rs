//! Tables as files: one item per line in DynamoDB's JSON, and the data that their clients know.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use answerback::store::Attributes;
use aws_sdk_dynamodb::{Client, primitives::Blob, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use system_tests::{Setup, World};

use super::past::Past;

const TABLE: &str = "answerback";
/// More random numbers than any set has used. Identifiers that are drawn after these are new.
const DRAWN_MAX: usize = 10_000;

/// A table that an earlier version wrote.
pub(super) struct Set {
    items: &'static str,
    known: &'static str,
}

/// All sets, the oldest first.
pub(super) const SETS: [Set; 1] =
    [Set { items: include_str!("sets/1/items.jsonl"), known: include_str!("sets/1/known.json") }];

/// A set in a world with today's code.
pub(super) struct Restored {
    pub(super) world: World,
    pub(super) known: Value,
}

impl Set {
    /// Its items, in DynamoDB's JSON.
    pub(super) fn items(&self) -> Vec<Value> {
        self.items.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect()
    }

    /// A world with these items only, at the time at which the set was written.
    pub(super) async fn restore(&self) -> Restored {
        let bus = Some("events".to_owned());
        let mut world = World::start_with(Setup { bus, ..<_>::default() }).await;
        for _ in 0..DRAWN_MAX {
            world.system.entropy.next();
        }
        put(&world, &self.items()).await;
        let known: Value = serde_json::from_str(self.known).expect("JSON");
        let text = |name: &str| known[name].as_str().expect("a text").to_owned();
        let at: Timestamp = text("at").parse().expect("a time");
        let passed = at.duration_since(world.system.clock.now());
        world.system.clock.advance(Duration::try_from(passed).expect("it was after the start"));
        world.key = text("key");
        Restored { world, known }
    }
}

/// All items of a world's table in DynamoDB's JSON, in the order of their keys.
pub(crate) async fn items(world: &World) -> Vec<Value> {
    let mut items = BTreeMap::new();
    let mut pages = client(world).scan().table_name(TABLE).into_paginator().items().send();
    while let Some(item) = pages.next().await {
        let item = to_json(&item.expect("the table exists"));
        items.insert((item["pk"].to_string(), item["sk"].to_string()), item);
    }
    items.into_values().collect()
}

/// The text of an attribute in DynamoDB's JSON, inflated if it is deflated. `None` for bytes that
/// are no text, and for other types.
pub(crate) fn plain(value: &Value) -> Option<String> {
    let text = answerback::store::plain(&attribute(value))?;
    String::from_utf8(text).ok()
}

/// Puts these items into a world's table.
async fn put(world: &World, items: &[Value]) {
    for item in items {
        let item = from_json(item);
        let put = client(world).put_item().table_name(TABLE).set_item(Some(item)).send().await;
        put.expect("the table exists");
    }
}

/// Writes a set into Cargo's folder for the files of tests, and returns the folder.
pub(super) async fn write(past: &Past) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("upgrades");
    fs::create_dir_all(&folder).expect("a folder of Cargo's own");
    let items: Vec<_> = items(&past.world).await.iter().map(Value::to_string).collect();
    let known = serde_json::to_string_pretty(&past.known).expect("JSON");
    for (name, text) in [("items.jsonl", items.join("\n")), ("known.json", known)] {
        fs::write(folder.join(name), text + "\n").expect("a folder of Cargo's own");
    }
    folder
}

fn client(world: &World) -> Client {
    world.system.sdk().dynamodb()
}

fn to_json(item: &Attributes) -> Value {
    let to_json = |value: &AttributeValue| match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        other => panic!("unexpected attribute {other:?}"),
    };
    item.iter().map(|(name, value)| (name.clone(), to_json(value))).collect::<Map<_, _>>().into()
}

fn from_json(item: &Value) -> Attributes {
    let item = item.as_object().expect("an item");
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().and_then(|it| it.iter().next()).expect("a value");
    let text = value.as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text),
        "N" => AttributeValue::N(text),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(text).expect("base64"))),
        "BOOL" => AttributeValue::Bool(value.as_bool().expect("a flag")),
        other => panic!("unexpected attribute {other}"),
    }
}
