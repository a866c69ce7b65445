//! The table, as `template.yaml` deploys it.

use answerback::store::keys::{CREATED_AT, DUE_INDEX, LIST_INDEX, WEBHOOK_INDEX};
use serde_json::{Value, json};

/// The table's name in the local stack.
pub const TABLE: &str = "answerback";

/// The input of `CreateTable`.
pub(crate) fn definition() -> Value {
    let index = |name: &str, hash: &str, range: &str| {
        json!({
            "IndexName": name,
            "KeySchema": [
                { "AttributeName": hash, "KeyType": "HASH" },
                { "AttributeName": range, "KeyType": "RANGE" },
            ],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        })
    };
    let attribute =
        |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            attribute("pk", "S"),
            attribute("sk", "S"),
            attribute("due_shard", "S"),
            attribute("due_at", "N"),
            attribute("list_pk", "S"),
            attribute("webhook_pk", "S"),
            attribute(CREATED_AT, "N"),
        ],
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "GlobalSecondaryIndexes": [
            index(DUE_INDEX, "due_shard", "due_at"),
            index(LIST_INDEX, "list_pk", CREATED_AT),
            index(WEBHOOK_INDEX, "webhook_pk", CREATED_AT),
        ],
    })
}
