//! The table in DynamoDB. Each operation is one call of the SDK, which repeats failed calls.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{
        AttributeValue, KeysAndAttributes, ReturnValue::UpdatedNew,
        ReturnValuesOnConditionCheckFailure::AllOld, Select,
    },
};
use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    Cursor, Error, Key,
    compact::Attributes,
    keys::{CREATED_AT, DUE_INDEX},
    reader::Reader,
    table::{Counted, DueCursor, DuePage, ListStart, Page, Put, Table},
};
use crate::Promise;

/// Most keys in one read. DynamoDB allows a hundred, but leaves out items beyond 16 MB. 25 items of
/// any size fit into one response.
const BATCH_GET_MAX: usize = 25;
/// Pauses before items that a read left out are read again. The last one repeats.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];

/// A DynamoDB table.
#[derive(Clone)]
pub struct DynamoDb {
    client: Client,
    name: String,
}

impl DynamoDb {
    /// The table called `name`.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }
}

impl Table for DynamoDb {
    fn get(&self, key: Key) -> Promise<'_, Result<Option<Attributes>, Error>> {
        Box::pin(async move {
            let output = self
                .client
                .get_item()
                .table_name(&self.name)
                .set_key(Some(key.into_attributes()))
                .consistent_read(true)
                .send()
                .await
                .map_err(|err| Error::dynamo("read an item", err))?;
            Ok(output.item)
        })
    }

    fn get_many(&self, keys: Vec<Key>) -> Promise<'_, Result<HashMap<Key, Attributes>, Error>> {
        Box::pin(async move {
            let mut found = HashMap::new();
            for keys in keys.chunks(BATCH_GET_MAX) {
                let keys = keys.iter().map(|it| it.clone().into_attributes()).collect();
                let wanted =
                    KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
                let mut wanted = Some(wanted.build().expect("the keys are set"));
                // Items that did not fit into the response, or were throttled, are read again.
                let mut pauses = PAUSES.iter();
                while let Some(rest) = wanted.take() {
                    let output = self
                        .client
                        .batch_get_item()
                        .request_items(&self.name, rest)
                        .send()
                        .await
                        .map_err(|err| Error::dynamo("read items", err))?;
                    let items = output.responses.unwrap_or_default().remove(&self.name);
                    for item in items.unwrap_or_default() {
                        if let Some(key) = Key::of(&item) {
                            found.insert(key, item);
                        }
                    }
                    wanted = output.unprocessed_keys.unwrap_or_default().remove(&self.name);
                    if wanted.is_some() {
                        #[expect(
                            clippy::disallowed_methods,
                            reason = "the SDK pauses like this between its attempts"
                        )]
                        sleep(*pauses.next().unwrap_or(&PAUSES[PAUSES.len() - 1])).await;
                    }
                }
            }
            Ok(found)
        })
    }

    fn put_new(&self, attributes: Attributes) -> Promise<'_, Result<Put, Error>> {
        Box::pin(async move {
            let result = self
                .client
                .put_item()
                .table_name(&self.name)
                .set_item(Some(attributes))
                .condition_expression("attribute_not_exists(pk)")
                .return_values_on_condition_check_failure(AllOld)
                .send()
                .await;
            let Err(err) = result else { return Ok(Put::Done) };
            match err.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                    Ok(Put::Refused(lost.item().cloned()))
                }
                _ => Err(Error::dynamo("create an item", err)),
            }
        })
    }

    fn update(
        &self,
        key: Key,
        mutable: Attributes,
        previous: u64,
    ) -> Promise<'_, Result<Put, Error>> {
        Box::pin(async move {
            let mut set = Vec::new();
            let mut remove = Vec::new();
            let mut names = HashMap::from([("#revision".to_owned(), "revision".to_owned())]);
            let previous = AttributeValue::N(previous.to_string());
            let mut values = HashMap::from([(":previous".to_owned(), previous)]);
            for (number, (name, value)) in mutable.into_iter().enumerate() {
                names.insert(format!("#{number}"), name);
                if value.is_null() {
                    remove.push(format!("#{number}"));
                } else {
                    set.push(format!("#{number} = :{number}"));
                    values.insert(format!(":{number}"), value);
                }
            }
            let mut expression = format!("SET {}", set.join(", "));
            if !remove.is_empty() {
                expression += " REMOVE ";
                expression += &remove.join(", ");
            }
            let result = self
                .client
                .update_item()
                .table_name(&self.name)
                .set_key(Some(key.into_attributes()))
                .update_expression(expression)
                .condition_expression("#revision = :previous")
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values))
                .return_values_on_condition_check_failure(AllOld)
                .send()
                .await;
            let Err(err) = result else { return Ok(Put::Done) };
            match err.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(lost)) => {
                    Ok(Put::Refused(lost.item().cloned()))
                }
                _ => Err(Error::dynamo("write an item", err)),
            }
        })
    }

    fn due(
        &self,
        shard: String,
        now: Timestamp,
        limit: i32,
        after: Option<DueCursor>,
    ) -> Promise<'_, Result<DuePage, Error>> {
        Box::pin(async move {
            let now = AttributeValue::N(now.as_millisecond().to_string());
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(DUE_INDEX)
                .key_condition_expression("due_shard = :shard AND due_at <= :now")
                .expression_attribute_values(":shard", AttributeValue::S(shard))
                .expression_attribute_values(":now", now)
                .set_exclusive_start_key(after.map(|it| it.0))
                .limit(limit)
                .send()
                .await
                .map_err(|err| Error::dynamo("list due items", err))?;
            let next = output.last_evaluated_key.map(DueCursor);
            Ok(DuePage { items: output.items.unwrap_or_default(), next })
        })
    }

    fn postpone(
        &self,
        key: Key,
        until: Timestamp,
        n_errors: u32,
    ) -> Promise<'_, Result<u32, Error>> {
        Box::pin(async move {
            let output = self
                .client
                .update_item()
                .table_name(&self.name)
                .set_key(Some(key.into_attributes()))
                .update_expression("SET due_at = :until ADD n_errors :more")
                .condition_expression("attribute_exists(due_at)")
                .expression_attribute_values(
                    ":until",
                    AttributeValue::N(until.as_millisecond().to_string()),
                )
                .expression_attribute_values(":more", AttributeValue::N(n_errors.to_string()))
                .return_values(UpdatedNew)
                .send()
                .await;
            match output {
                Ok(output) => {
                    let mut item = Reader(output.attributes.unwrap_or_default());
                    Ok(item.number("n_errors").unwrap_or(0))
                }
                Err(err) => match err.as_service_error() {
                    // It has lost its timer in the meantime.
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(0),
                    _ => Err(Error::dynamo("postpone an item", err)),
                },
            }
        })
    }

    fn count_up(
        &self,
        key: Key,
        by: u32,
        max: u32,
        expires_at: Timestamp,
    ) -> Promise<'_, Result<Counted, Error>> {
        Box::pin(async move {
            let Some(room) = max.checked_sub(by) else { return Ok(Counted::Full) };
            let number = |it: i64| AttributeValue::N(it.to_string());
            let result = self
                .client
                .update_item()
                .table_name(&self.name)
                .set_key(Some(key.into_attributes()))
                .update_expression("SET #ttl = :ttl ADD n :by")
                .condition_expression("attribute_not_exists(n) OR n <= :room")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":ttl", number(expires_at.as_second()))
                .expression_attribute_values(":by", number(by.into()))
                .expression_attribute_values(":room", number(room.into()))
                .send()
                .await;
            let Err(err) = result else { return Ok(Counted::Counted) };
            match err.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(Counted::Full),
                _ => Err(Error::dynamo("count a call", err)),
            }
        })
    }

    fn quarantine(&self, key: Key, due_at: Timestamp) -> Promise<'_, Result<(), Error>> {
        Box::pin(async move {
            let due_at = millisecond(due_at);
            let result = self
                .client
                .update_item()
                .table_name(&self.name)
                .set_key(Some(key.into_attributes()))
                .update_expression("REMOVE due_shard, due_at")
                .condition_expression("due_at = :due_at")
                .expression_attribute_values(":due_at", due_at)
                .send()
                .await;
            match result {
                Err(err)
                    if !err
                        .as_service_error()
                        .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
                {
                    Err(Error::dynamo("quarantine an item", err))
                }
                Ok(_) | Err(_) => Ok(()),
            }
        })
    }

    fn list(
        &self,
        index: &'static str,
        partition: String,
        limit: i32,
        start: Option<ListStart>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            let pk_name = format!("{index}_pk");
            let mut condition = "#pk = :pk".to_owned();
            let mut query = self.client.query().table_name(&self.name).index_name(index);
            match start {
                None => (),
                Some(ListStart::AtOrBefore(at)) => {
                    condition = format!("{condition} AND {CREATED_AT} <= :at");
                    query = query.expression_attribute_values(":at", millisecond(at));
                }
                Some(ListStart::After(Cursor { key, created_at })) => {
                    let mut key = key.into_attributes();
                    key.insert(pk_name.clone(), AttributeValue::S(partition.clone()));
                    let created_at = millisecond(created_at.unwrap_or_default());
                    key.insert(CREATED_AT.to_owned(), created_at);
                    query = query.set_exclusive_start_key(Some(key));
                }
            }
            let output = query
                .key_condition_expression(condition)
                .expression_attribute_names("#pk", &pk_name)
                .expression_attribute_values(":pk", AttributeValue::S(partition))
                .scan_index_forward(false)
                .limit(limit)
                .send()
                .await
                .map_err(|err| Error::dynamo("list items", err))?;
            let next = output.last_evaluated_key.and_then(|it| {
                let key = Key::of(&it)?;
                Some(Cursor { key, created_at: Reader(it).optional_time(CREATED_AT).ok()? })
            });
            Ok(Page { items: output.items.unwrap_or_default(), next })
        })
    }

    fn n_listed(
        &self,
        index: &'static str,
        partition: String,
        max: u32,
    ) -> Promise<'_, Result<u32, Error>> {
        Box::pin(async move {
            let (mut n_listed, mut after) = (0, None);
            while n_listed < max {
                let output = self
                    .client
                    .query()
                    .table_name(&self.name)
                    .index_name(index)
                    .select(Select::Count)
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", format!("{index}_pk"))
                    .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                    .set_exclusive_start_key(after)
                    .limit(i32::try_from(max - n_listed).unwrap_or(i32::MAX))
                    .send()
                    .await
                    .map_err(|err| Error::dynamo("count items", err))?;
                n_listed += u32::try_from(output.count).unwrap_or(0);
                // A page also ends at 1 MB.
                after = output.last_evaluated_key;
                if after.is_none() {
                    break;
                }
            }
            Ok(n_listed)
        })
    }

    fn under(
        &self,
        pk: String,
        beginning: String,
        limit: i32,
        after: Option<String>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            let start = after.map(|it| Key { pk: pk.clone(), sk: it }.into_attributes());
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk AND begins_with(sk, :beginning)")
                .expression_attribute_values(":pk", AttributeValue::S(pk))
                .expression_attribute_values(":beginning", AttributeValue::S(beginning))
                .scan_index_forward(false)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .limit(limit)
                .send()
                .await
                .map_err(|err| Error::dynamo("list the items of a partition", err))?;
            let next = output.last_evaluated_key.and_then(|it| Key::of(&it));
            let next = next.map(|key| Cursor { key, created_at: None });
            Ok(Page { items: output.items.unwrap_or_default(), next })
        })
    }
}

/// A time, as it is stored.
fn millisecond(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_millisecond().to_string())
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Error {
    fn dynamo<E, R>(operation: &'static str, err: SdkError<E, R>) -> Self
    where
        aws_sdk_dynamodb::Error: From<SdkError<E, R>>,
    {
        Self::Dynamo { operation, source: Arc::new(err.into()) }
    }
}
