//! DynamoDB: calls in its JSON protocol, run by dynoxide in this process.
//!
//! Dynoxide calls `SQLite` synchronously, so calls run on the database's thread, one after the
//! other. Its own HTTP server is not used: every web page could call its port.

use anyhow::Context as _;
use axum::{body::Bytes, http::StatusCode};
use dynoxide::{DynoxideError, actions, storage::Storage};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    database::{Database, output},
    disk::Disk,
};

/// Prefix of the errors of the writes of single items.
const ENVELOPE: &str = "1 validation error detected: ";
/// Prefixes with which dynoxide's types mark errors that are no mistakes in the JSON.
const INVALID: [&str; 2] = ["VALIDATION_REQUEST:", "VALIDATION:"];
/// The prefix of errors that are.
const NOT_SERIALIZED: &str = "SERIALIZATION:";

/// The emulated DynamoDB.
pub(super) struct Dynamo {
    database: Database,
    disk: Disk,
}

/// The result of a call.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Dynamo {
    /// DynamoDB with the tables of `database`.
    pub(super) fn new(database: Database, disk: Disk) -> Self {
        Self { database, disk }
    }

    /// Runs `operation`.
    pub(super) async fn call(&self, operation: &str, body: Bytes) -> Answer {
        let (database, operation) = (self.database.clone(), operation.to_owned());
        let run = self.disk.run(move || {
            let output = run(&database, &operation, &body);
            output.map_err(|err| as_sent(&operation, err))
        });
        let output = run
            .await
            .unwrap_or_else(|err| Err(DynoxideError::InternalServerError(err.to_string())));
        match output {
            Ok(body) => Answer { status: StatusCode::OK, body },
            Err(err) => {
                let status = StatusCode::from_u16(err.status_code());
                Answer { status: status.unwrap_or(StatusCode::BAD_REQUEST), body: err.to_json() }
            }
        }
    }
}

/// Creates a table from a `CreateTable` input, unless a table of that name exists.
pub(super) fn create_table(
    database: &Database,
    definition: serde_json::Value,
) -> anyhow::Result<()> {
    let request = serde_json::from_value(definition).context("reading a table's definition")?;
    match output(actions::create_table::execute(&*database.storage(), request)) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(()),
        Err(err) => Err(err).context("creating a table"),
    }
}

/// One of dynoxide's actions, on the input in `$body`.
macro_rules! action {
    ($database:ident, $body:ident, $action:ident $(, $more:expr)?) => {
        converted($body, |it| {
            let storage: &Storage = &$database.storage();
            output(actions::$action::execute(storage, it $(, $more)?))
        })
    };
}

/// Transactions are not idempotent: a `ClientRequestToken` is ignored.
fn run(database: &Database, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
    match operation {
        "CreateTable" => action!(database, body, create_table),
        "DeleteTable" => action!(database, body, delete_table, database.vectors()),
        "DescribeTable" => action!(database, body, describe_table, database.vectors()),
        "ListTables" => action!(database, body, list_tables),
        "UpdateTable" => action!(database, body, update_table, database.vectors()),
        "UpdateTimeToLive" => action!(database, body, update_time_to_live),
        "DescribeTimeToLive" => action!(database, body, describe_time_to_live),
        "PutItem" => action!(database, body, put_item),
        "GetItem" => action!(database, body, get_item),
        "UpdateItem" => action!(database, body, update_item),
        "DeleteItem" => action!(database, body, delete_item),
        "Query" => action!(database, body, query),
        "Scan" => action!(database, body, scan),
        "BatchGetItem" => action!(database, body, batch_get_item),
        "BatchWriteItem" => action!(database, body, batch_write_item),
        "TransactGetItems" => action!(database, body, transact_get_items),
        "TransactWriteItems" => action!(database, body, transact_write_items),
        "ExecuteStatement" => action!(database, body, execute_statement),
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
