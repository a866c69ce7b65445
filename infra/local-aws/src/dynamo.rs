//! DynamoDB: calls in its JSON protocol, run by dynoxide in this process.
//!
//! Dynoxide calls `SQLite` synchronously, so calls run on a thread for blocking work, one after the
//! other. Its own HTTP server is not used: every web page could call its port.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

/// The content type of the protocol.
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// Prefix of the errors of the writes of single items.
const ENVELOPE: &str = "1 validation error detected: ";
/// Prefixes with which dynoxide's types mark errors that are no mistakes in the JSON.
const INVALID: [&str; 2] = ["VALIDATION_REQUEST:", "VALIDATION:"];
/// The prefix of errors that are.
const NOT_SERIALIZED: &str = "SERIALIZATION:";

/// The emulated DynamoDB. Clones share its database.
#[derive(Clone)]
pub(super) struct Dynamo {
    database: Database,
    /// Held during a call: waiting calls take turns, and occupy no thread.
    turn: Arc<Mutex<()>>,
}

/// The result of a call.
pub(super) struct Answer {
    status: StatusCode,
    body: String,
}

impl Dynamo {
    /// DynamoDB with the tables of `database`.
    pub(super) fn new(database: Database) -> Self {
        Self { database, turn: Arc::default() }
    }

    /// Runs `operation`.
    pub(super) async fn call(&self, operation: &str, body: Bytes) -> Answer {
        let (database, operation) = (self.database.clone(), operation.to_owned());
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let run = tokio::task::spawn_blocking(move || {
            let output = run(&database, &operation, &body);
            drop(turn);
            output.map_err(|err| as_sent(&operation, err))
        });
        let output = run.await.unwrap_or_else(|err| {
            tracing::error!(error = %err, "the emulated DynamoDB panicked");
            Err(DynoxideError::InternalServerError("panicked".to_owned()))
        });
        match output {
            Ok(body) => Answer { status: StatusCode::OK, body },
            Err(err) => {
                let status = StatusCode::from_u16(err.status_code());
                Answer { status: status.unwrap_or(StatusCode::BAD_REQUEST), body: err.to_json() }
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, [("content-type", CONTENT_TYPE)], self.body).into_response()
    }
}

fn run(database: &Database, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
    match operation {
        "CreateTable" => converted(body, |it| database.create_table(it)),
        "DeleteTable" => converted(body, |it| database.delete_table(it)),
        "DescribeTable" => converted(body, |it| database.describe_table(it)),
        "ListTables" => converted(body, |it| database.list_tables(it)),
        "UpdateTable" => converted(body, |it| database.update_table(it)),
        "UpdateTimeToLive" => converted(body, |it| database.update_time_to_live(it)),
        "DescribeTimeToLive" => converted(body, |it| database.describe_time_to_live(it)),
        "PutItem" => converted(body, |it| database.put_item(it)),
        "GetItem" => converted(body, |it| database.get_item(it)),
        "UpdateItem" => converted(body, |it| database.update_item(it)),
        "DeleteItem" => converted(body, |it| database.delete_item(it)),
        "Query" => converted(body, |it| database.query(it)),
        "Scan" => converted(body, |it| database.scan(it)),
        "BatchGetItem" => converted(body, |it| database.batch_get_item(it)),
        "BatchWriteItem" => converted(body, |it| database.batch_write_item(it)),
        "TransactGetItems" => converted(body, |it| database.transact_get_items(it)),
        "TransactWriteItems" => converted(body, |it| database.transact_write_items(it)),
        "ExecuteStatement" => converted(body, |it| database.execute_statement(it)),
        _ => {
            let detail = format!("the operation `{operation}` is not emulated");
            Err(DynoxideError::ValidationException(detail))
        }
    }
}

/// Reads the input, calls, and writes the output.
fn converted<I: DeserializeOwned, O: Serialize>(
    body: &[u8],
    call: impl FnOnce(I) -> dynoxide::Result<O>,
) -> dynoxide::Result<String> {
    let input = serde_json::from_slice(body).map_err(|err| malformed(&err.to_string()))?;
    let output = serde_json::to_string(&call(input)?);
    output.map_err(|err| DynoxideError::InternalServerError(err.to_string()))
}

/// The error of an input that is not the JSON of its operation.
fn malformed(error: &str) -> DynoxideError {
    let invalid = INVALID.iter().find_map(|it| error.strip_prefix(it));
    let is_incomplete = error.contains("missing field") || error.contains("unknown variant");
    match invalid {
        Some(detail) => DynoxideError::ValidationException(detail.to_owned()),
        None if is_incomplete => DynoxideError::ValidationException(error.to_owned()),
        None => {
            let detail = error.strip_prefix(NOT_SERIALIZED).unwrap_or(error);
            DynoxideError::SerializationException(detail.to_owned())
        }
    }
}

/// The error as DynamoDB sends it.
fn as_sent(operation: &str, error: DynoxideError) -> DynoxideError {
    let DynoxideError::EnvelopedValidation(detail) = error else { return error };
    let prefix = match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => ENVELOPE,
        _ => "",
    };
    DynoxideError::ValidationException(format!("{prefix}{detail}"))
}
