//! Where the queues write down what they know: a table in the same database as everything else.
//!
//! A record is a name, a short head that changes, and a body that never does. DynamoDB's items
//! are smaller than a message may be, so a body is kept in pieces, and a change of the head
//! leaves them alone:
//!
//! ```text
//! name     part   text
//! m#<id>   0      the head
//! m#<id>   1..    the body's pieces
//! ```

use std::collections::BTreeMap;

use anyhow::Context as _;
use dynoxide::{AttributeValue, Database, DynoxideError};
use serde_json::{Value, json};

const TABLE: &str = "answerback-local-queue";
/// DynamoDB takes 400 KB an item, and counts names, too.
const PIECE_BYTES_MAX: usize = 256 * 1024;
/// DynamoDB takes this many writes a transaction.
const WRITES_MAX: usize = 100;

#[derive(Clone)]
pub(super) struct Journal(Database);

/// Writes that belong together.
#[derive(Default)]
pub(super) struct Changes(Vec<Value>);

/// What is known under one name.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) head: String,
    pub(super) body: String,
}

impl Journal {
    /// Finds the table, or makes it.
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
            Err(err) => Err(err).context("creating the table of the queues"),
        }
    }

    /// Writes `changes`: all or nothing, if they are no more than one transaction takes.
    pub(super) fn write(&self, changes: &Changes) -> anyhow::Result<()> {
        for writes in changes.0.chunks(WRITES_MAX) {
            let request = serde_json::from_value(json!({ "TransactItems": writes }))?;
            self.0.transact_write_items(request).context("writing down what the queues hold")?;
        }
        Ok(())
    }

    /// All records whose head is there.
    pub(super) fn read(&self) -> anyhow::Result<BTreeMap<String, Record>> {
        let mut pieces = BTreeMap::new();
        let mut start = Value::Null;
        loop {
            let mut request = json!({ "TableName": TABLE, "ConsistentRead": true });
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let page = self
                .0
                .scan(serde_json::from_value(request)?)
                .context("reading what the queues hold")?;
            for item in page.items.unwrap_or_default() {
                let (
                    Some(AttributeValue::S(name)),
                    Some(AttributeValue::N(part)),
                    Some(AttributeValue::S(text)),
                ) = (item.get("name"), item.get("part"), item.get("text"))
                else {
                    anyhow::bail!("a row of `{TABLE}` was not written by this program");
                };
                pieces.insert((name.clone(), part.parse::<usize>()?), text.clone());
            }
            match page.last_evaluated_key {
                Some(key) => start = serde_json::to_value(key)?,
                None => break,
            }
        }

        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for ((name, part), text) in pieces {
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
    /// Writes the head of `name`.
    pub(super) fn put_head(&mut self, name: &str, head: &str) {
        self.put(name, 0, head);
    }

    /// Writes the body of `name`.
    pub(super) fn put_body(&mut self, name: &str, body: &str) {
        for (piece, part) in pieces(body).into_iter().zip(1..) {
            self.put(name, part, piece);
        }
    }

    /// Forgets `name`, which has this body.
    pub(super) fn delete(&mut self, name: &str, body: &str) {
        for part in 0..=pieces(body).len() {
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

fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES_MAX));
        pieces.push(piece);
        text = rest;
    }
    pieces
}
