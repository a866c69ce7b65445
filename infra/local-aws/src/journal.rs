//! Storage of the queues: a table in the same database as the emulated DynamoDB.
//!
//! A record has a name, a short head that changes, and a body that never changes. A message may be
//! larger than DynamoDB's item limit, so the body is stored in parts. Changing the head does not
//! rewrite them:
//!
//! ```text
//! name     part   text
//! m#<id>   0      the head
//! m#<id>   1..    the body's parts
//! ```

use std::collections::BTreeMap;

use anyhow::Context as _;
use dynoxide::{AttributeValue, Database, DynoxideError};
use serde_json::{Value, json};

const TABLE: &str = "answerback-local-queue";
/// DynamoDB allows 400 KB per item, attribute names included.
const PART_BYTES_MAX: usize = 256 * 1024;
/// DynamoDB's limit on writes in one transaction.
const WRITES_MAX: usize = 100;

#[derive(Clone)]
pub(super) struct Journal(Database);

/// Writes that are made together.
#[derive(Default)]
pub(super) struct Changes(Vec<Value>);

/// A stored record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) head: String,
    pub(super) body: String,
}

impl Journal {
    /// Opens the table, and creates it if it is missing.
    pub(super) fn open(database: Database) -> anyhow::Result<Self> {
        let table = json!({
            "TableName": TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                { "AttributeName": "name", "KeyType": "HASH" },
                { "AttributeName": "part", "KeyType": "RANGE" },
            ],
            "AttributeDefinitions": [
                { "AttributeName": "name", "AttributeType": "S" },
                { "AttributeName": "part", "AttributeType": "N" },
            ],
        });
        match database.create_table(serde_json::from_value(table)?) {
            Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(Self(database)),
            Err(err) => Err(err).context("creating the queues' table"),
        }
    }

    /// Writes `changes`, atomically if they fit into one transaction.
    pub(super) fn write(&self, changes: &Changes) -> anyhow::Result<()> {
        for writes in changes.0.chunks(WRITES_MAX) {
            let request = serde_json::from_value(json!({ "TransactItems": writes }))?;
            self.0.transact_write_items(request).context("writing the queues' table")?;
        }
        Ok(())
    }

    /// All records, by name. A body without a head is ignored.
    pub(super) fn read(&self) -> anyhow::Result<BTreeMap<String, Record>> {
        let mut parts = BTreeMap::new();
        let mut start = Value::Null;
        loop {
            let mut request = json!({ "TableName": TABLE, "ConsistentRead": true });
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let page = self
                .0
                .scan(serde_json::from_value(request)?)
                .context("reading the queues' table")?;
            for item in page.items.unwrap_or_default() {
                let (
                    Some(AttributeValue::S(name)),
                    Some(AttributeValue::N(part)),
                    Some(AttributeValue::S(text)),
                ) = (item.get("name"), item.get("part"), item.get("text"))
                else {
                    anyhow::bail!("an item in the table `{TABLE}` is malformed");
                };
                parts.insert((name.clone(), part.parse::<usize>()?), text.clone());
            }
            match page.last_evaluated_key {
                Some(key) => start = serde_json::to_value(key)?,
                None => break,
            }
        }

        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for ((name, part), text) in parts {
            if part == 0 {
                records.insert(name, Record { head: text, body: String::new() });
            } else if let Some(record) = records.get_mut(&name) {
                record.body.push_str(&text);
            }
        }
        Ok(records)
    }
}

impl Changes {
    /// Sets the head of `name`.
    pub(super) fn put_head(&mut self, name: &str, head: &str) {
        self.put(name, 0, head);
    }

    /// Sets the body of `name`.
    pub(super) fn put_body(&mut self, name: &str, body: &str) {
        for (text, part) in parts(body).into_iter().zip(1..) {
            self.put(name, part, text);
        }
    }

    /// Deletes `name`, whose body is `body`.
    pub(super) fn delete(&mut self, name: &str, body: &str) {
        for part in 0..=parts(body).len() {
            let key = json!({ "name": { "S": name }, "part": { "N": part.to_string() } });
            self.0.push(json!({ "Delete": { "TableName": TABLE, "Key": key } }));
        }
    }

    fn put(&mut self, name: &str, part: usize, text: &str) {
        let item = json!({
            "name": { "S": name },
            "part": { "N": part.to_string() },
            "text": { "S": text },
        });
        self.0.push(json!({ "Put": { "TableName": TABLE, "Item": item } }));
    }
}

fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let (part, rest) = text.split_at(text.floor_char_boundary(PART_BYTES_MAX));
        parts.push(part);
        text = rest;
    }
    parts
}
