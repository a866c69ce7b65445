//! Storage: all items, in one DynamoDB table.
//!
//! ```text
//!   Store     typed reads, conditional writes, lists      (this module)
//!   keys      every key                                   *_item   every attribute
//!   parts     items in several parts                      spread   the list of deliveries
//!   Table     the port: DynamoDb, or the simulation's table
//! ```
//!
//! A write succeeds only if the stored item has not changed since it was read. Losing that race is
//! an answer ([`Saved::Superseded`]), not an error. [`advance()`] repeats a step until it wins. There
//! are no rules here: they are in [`crate::domain`].

mod account_item;
mod advance;
mod answer_item;
mod attempt_item;
mod breaker_item;
mod channel_item;
mod claim_item;
mod compact;
mod delivery_item;
mod destinations;
mod dynamodb;
mod idempotency_item;
mod item;
pub mod keys;
mod long_answer_item;
mod long_question_item;
mod notifier_item;
mod parts;
mod policy_item;
mod posted_event_item;
mod question_item;
mod reader;
mod receiver_item;
mod request_item;
mod secret_item;
mod spread;
mod step_item;
mod suppression_item;
mod table;
#[cfg(test)]
mod tests;
mod webhook_item;

pub(crate) use advance::unless_gone;
pub use advance::{AdvanceError, StepError, advance, advance_with, step};
pub use compact::{Attributes, plain};
pub use destinations::Destinations;
pub use dynamodb::DynamoDb;
pub use item::{Item, Layout};
pub use keys::{Key, Listed, Related};
pub use long_answer_item::LONG_ANSWERS_PAGE;
pub use reader::DecodeError;
pub use table::{Counted, DueCursor, DuePage, ListStart, Page, Put, Table};

use crate::domain::{AccountId, Attempt, Delivery, DeliveryId, EventId, KeyId, Owner, RequestId};
use std::{fmt, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use self::reader::Reader;

/// Errors in a row after which an item is quarantined.
const ERRORS_MAX: u32 = 5;
/// Time from the end of a minute to the deletion of its counts. Clocks differ.
const CALL_COUNT_RETENTION: std::time::Duration = std::time::Duration::from_mins(5);
/// Items of a page whose parts are read at the same time.
const PARTS_AT_ONCE: usize = 16;

/// All items, in one table.
#[derive(Clone, Debug)]
pub struct Store {
    table: Arc<dyn Table>,
    layout: Layout,
}

/// The result of a conditional write.
#[derive(Debug)]
#[must_use = "a lost race is not an error, but the caller has to decide what it means"]
pub enum Saved<T> {
    /// The write was made.
    Saved,
    /// Another writer was faster, and left this item.
    Superseded(T),
    /// The item no longer exists.
    Gone,
}

/// An item that the index lists as due. It may have changed since, or no longer exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The item.
    pub item: DueItem,
    /// The time at which it became due.
    pub due_at: Timestamp,
}

/// A reference to an item with a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueItem {
    /// A request.
    Request(RequestId),
    /// A delivery.
    Delivery(DeliveryId),
    /// A posted event.
    Event(EventId),
    /// An item of a kind that only a newer version knows.
    Unknown(Key),
}

/// A page of due items.
#[derive(Clone, Debug)]
pub struct DueList {
    /// The items, the longest due first.
    pub items: Vec<Due>,
    /// The start of the next page, if there may be one.
    pub next: Option<DueCursor>,
}

/// The result of postponing a malformed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Postponed {
    /// The next attempt comes later.
    Postponed,
    /// It failed too often. It has lost its timer and waits for an operator.
    Quarantined,
}

/// A page of items.
#[derive(Debug)]
pub struct Listing<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// The start of the next page, if there may be one.
    pub next: Option<Cursor>,
}

/// A position in a list: right after an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The item's key.
    pub key: Key,
    /// Its time of creation, by which an index sorts. `None` in a list without an index.
    pub created_at: Option<Timestamp>,
}

/// An operation of the store failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// DynamoDB did not carry out the operation.
    #[error("DynamoDB did not {operation}")]
    Dynamo {
        /// The operation, as a verb phrase.
        operation: &'static str,
        /// The error that the SDK reported.
        #[source]
        source: Arc<aws_sdk_dynamodb::Error>,
    },
    /// An item was written by a newer version in a form that this version does not know. It is left
    /// unchanged for that version.
    #[error("{what} was written by a newer version")]
    Newer {
        /// The expected kind of item.
        what: &'static str,
    },
    /// An item is malformed.
    #[error("{what} is malformed")]
    Decode {
        /// The expected kind of item.
        what: &'static str,
        /// The fault.
        #[source]
        source: DecodeError,
    },
}

impl Store {
    /// The store over `table`.
    pub fn new(table: Arc<dyn Table>, layout: Layout) -> Self {
        Self { table, layout }
    }

    /// The item at `key`. The read is strongly consistent.
    pub async fn get<T: Item>(&self, key: Key) -> Result<Option<T>, Error> {
        let item = self.table.get(key).await?;
        self.whole_if_any(item).await
    }

    /// The items at three different keys, by one call. The reads are strongly consistent, each by itself.
    pub async fn get_three<A: Item, B: Item, C: Item>(
        &self,
        keys: [Key; 3],
    ) -> Result<(Option<A>, Option<B>, Option<C>), Error> {
        let mut found = self.table.get_many(keys.to_vec()).await?;
        let [first, second, third] = keys.map(|it| found.remove(&it));
        Ok((
            self.whole_if_any(first).await?,
            self.whole_if_any(second).await?,
            self.whole_if_any(third).await?,
        ))
    }

    async fn whole_if_any<T: Item>(&self, item: Option<Attributes>) -> Result<Option<T>, Error> {
        match item {
            Some(item) => self.whole(item).await,
            None => Ok(None),
        }
    }

    /// Writes a new item, unless one with its key exists.
    pub async fn create<T: Item>(&self, first: &T) -> Result<Saved<T>, Error> {
        let mut attributes = item::created(first, &self.layout);
        let part = first.split(&mut attributes, &self.layout);
        let part_key = part.as_ref().and_then(Key::of);
        if let Some(part) = part {
            // If it exists already, this is the repetition of our own write.
            self.table.put_new(part).await?;
        }
        match self.table.put_new(attributes).await? {
            Put::Done => Ok(Saved::Saved),
            Put::Refused(current) => {
                // An item that does not have the part is another writer's.
                if let (Some(part), Some(current)) = (part_key, &current)
                    && !T::parts(current).contains(&part)
                {
                    self.erase_part(part).await;
                }
                self.superseded(current).await
            }
        }
    }

    /// Writes `next`, unless the stored item has changed since `next` was made from it.
    ///
    /// Attributes that this version does not know are preserved.
    pub async fn save<T: Item>(&self, next: &T) -> Result<Saved<T>, Error> {
        let previous = next.revision().saturating_sub(1);
        let mutable = item::mutable(next, &self.layout);
        match self.table.update(next.key(), mutable, previous).await? {
            Put::Done => Ok(Saved::Saved),
            Put::Refused(current) => self.superseded(current).await,
        }
    }

    /// The number of partitions of the due index.
    pub fn n_due_shards(&self) -> u32 {
        self.layout.n_due_shards.max(1)
    }

    /// Up to `limit` due items of one shard, the longest due first.
    ///
    /// Callers follow the cursor instead of asking for the first page again: the index lags, so items
    /// that were just handled would still be on it.
    pub async fn due(
        &self,
        shard: u32,
        now: Timestamp,
        limit: i32,
        after: Option<&DueCursor>,
    ) -> Result<DueList, Error> {
        let page = self.table.due(shard.to_string(), now, limit, after.cloned()).await?;
        Ok(DueList { items: page.items.into_iter().filter_map(due).collect(), next: page.next })
    }

    /// Postpones an item that only a newer version can read. Such an item is never quarantined.
    pub async fn postpone(&self, item: &DueItem, until: Timestamp) -> Result<(), Error> {
        self.table.postpone(item.key(), until, 0).await?;
        Ok(())
    }

    /// Postpones a malformed item, or quarantines it after `ERRORS_MAX` errors.
    pub async fn postpone_malformed(
        &self,
        item: &DueItem,
        until: Timestamp,
    ) -> Result<Postponed, Error> {
        let key = item.key();
        let n_errors = self.table.postpone(key.clone(), until, 1).await?;
        if n_errors < ERRORS_MAX {
            return Ok(Postponed::Postponed);
        }
        self.table.quarantine(key, until).await?;
        Ok(Postponed::Quarantined)
    }

    /// An account's items of one kind, newest first.
    pub async fn list<T: Item>(
        &self,
        owner: Owner,
        listed: Listed,
        limit: i32,
        cursor: Option<&Cursor>,
    ) -> Result<Listing<T>, Error> {
        let (partition, start) = (keys::list(owner, listed), after(cursor));
        self.load(self.table.list(keys::LIST_INDEX, partition, limit, start).await?).await
    }

    /// The deliveries or attempts of another object, newest first.
    pub async fn related<T: Item>(
        &self,
        to: &Related,
        limit: i32,
        cursor: Option<&Cursor>,
    ) -> Result<Listing<T>, Error> {
        let (index, partition) = (keys::WEBHOOK_INDEX, keys::related(to));
        self.load(self.table.list(index, partition, limit, after(cursor)).await?).await
    }

    /// The deliveries of a request, those of its latest event first, from the position `after` on. The
    /// read is strongly consistent.
    pub async fn deliveries_of_request(
        &self,
        request: RequestId,
        limit: i32,
        after: Option<&Cursor>,
    ) -> Result<Listing<Delivery>, Error> {
        self.under(request.to_string(), keys::DELIVERIES.to_owned(), limit, after).await
    }

    /// The deliveries of an event, from the position `after` on. The read is strongly consistent.
    pub async fn deliveries_of_event(
        &self,
        event: EventId,
        limit: i32,
        after: Option<&Cursor>,
    ) -> Result<Listing<Delivery>, Error> {
        self.under(keys::reporting(event), keys::deliveries_of(event), limit, after).await
    }

    /// A delivery's attempts, newest first, from the position `after` on. The read is strongly
    /// consistent.
    pub async fn attempts(
        &self,
        delivery: DeliveryId,
        limit: i32,
        after: Option<&Cursor>,
    ) -> Result<Listing<Attempt>, Error> {
        let pk = keys::reporting(delivery.event());
        self.under(pk, keys::attempts_of(delivery), limit, after).await
    }

    /// The attempts of all deliveries of a request, from the position `after` on. The read is strongly
    /// consistent.
    pub async fn attempts_of_request(
        &self,
        request: RequestId,
        limit: i32,
        after: Option<&Cursor>,
    ) -> Result<Listing<Attempt>, Error> {
        self.under(request.to_string(), keys::ATTEMPTS.to_owned(), limit, after).await
    }

    /// The number of pending, counted requests of an account, or `max` if there are more. The index
    /// lags, so the latest changes may be missing.
    pub async fn n_pending(&self, account: AccountId, max: u32) -> Result<u32, Error> {
        self.table.n_listed(keys::WEBHOOK_INDEX, keys::pending(account), max).await
    }

    /// Counts a call with a key in the minute with this number, unless `max` were counted. A write
    /// that the SDK repeats may be counted twice.
    pub async fn count_call(&self, key: KeyId, minute: i64, max: u32) -> Result<Counted, Error> {
        self.table.count_up(keys::calls(key, minute), 1, max, count_expires_at(minute)).await
    }

    /// Counts a request of a key in the hour with this number, which ends at `ends_at`, unless `max`
    /// were counted.
    pub async fn count_ask(
        &self,
        key: KeyId,
        hour: i64,
        max: u32,
        ends_at: Timestamp,
    ) -> Result<Counted, Error> {
        self.table.count_up(keys::asks(key, hour), 1, max, ends_at + CALL_COUNT_RETENTION).await
    }

    /// Counts a call with a key that is held in the window with this number, unless `max` were
    /// counted. The window ends at `ends_at`.
    pub async fn count_held_call(
        &self,
        key: KeyId,
        window: i64,
        max: u32,
        ends_at: Timestamp,
    ) -> Result<Counted, Error> {
        let expires_at = ends_at + CALL_COUNT_RETENTION;
        self.table.count_up(keys::held_calls(key, window), 1, max, expires_at).await
    }

    /// Counts a probe for an account in the minute with this number, unless `max` were counted.
    pub async fn count_probe(
        &self,
        account: AccountId,
        minute: i64,
        max: u32,
    ) -> Result<Counted, Error> {
        self.table.count_up(keys::probes(account, minute), 1, max, count_expires_at(minute)).await
    }

    /// Counts `n` messages of an account in the hour with this number, which ends at `ends_at`, unless
    /// there would be more than `max`.
    pub async fn count_messages(
        &self,
        account: AccountId,
        hour: i64,
        n: u32,
        max: u32,
        ends_at: Timestamp,
    ) -> Result<Counted, Error> {
        let expires_at = ends_at + CALL_COUNT_RETENTION;
        self.table.count_up(keys::messages(account, hour), n, max, expires_at).await
    }

    /// The items of one partition whose sort keys start with `beginning`, the greatest first, from the
    /// position `after` on. A position outside of them counts as none.
    async fn under<T: Item>(
        &self,
        pk: String,
        beginning: String,
        limit: i32,
        after: Option<&Cursor>,
    ) -> Result<Listing<T>, Error> {
        let after = after.map(|it| &it.key.sk).filter(|it| it.starts_with(&beginning)).cloned();
        let page = self.table.under(pk, beginning, limit, after).await?;
        let items = page.items.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Listing { items, next: page.next })
    }

    /// The items that an index lists, in its order, without those that no longer exist.
    async fn load<T: Item>(&self, page: Page) -> Result<Listing<T>, Error> {
        let keys: Vec<Key> = page.items.iter().filter_map(Key::of).collect();
        let mut found = self.table.get_many(keys.clone()).await?;
        let items: Vec<_> = keys.iter().filter_map(|key| found.remove(key)).collect();
        let items = stream::iter(items)
            .map(|it| self.whole(it))
            .buffered(PARTS_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(Listing { items: items.into_iter().flatten().collect(), next: page.next })
    }
}

impl Cursor {
    /// Right after the item with this key in an index.
    pub fn after(key: Key, created_at: Timestamp) -> Self {
        Self { key, created_at: Some(created_at) }
    }
}

impl DueItem {
    /// The item's key.
    pub fn key(&self) -> Key {
        match self {
            Self::Request(id) => keys::request(*id),
            Self::Delivery(id) => keys::delivery(*id),
            Self::Event(id) => keys::event(*id),
            Self::Unknown(key) => key.clone(),
        }
    }
}

impl fmt::Display for DueItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(id) => fmt::Display::fmt(id, f),
            Self::Delivery(id) => fmt::Display::fmt(id, f),
            Self::Event(id) => fmt::Display::fmt(id, f),
            Self::Unknown(key) => write!(f, "{} {}", key.pk, key.sk),
        }
    }
}

impl Error {
    /// A due item of a kind that only a newer version knows.
    pub fn unknown_item() -> Self {
        Self::Newer { what: "a due item" }
    }
}

/// A position outside of an index counts as none.
fn after(cursor: Option<&Cursor>) -> Option<ListStart> {
    cursor.filter(|it| it.created_at.is_some()).cloned().map(ListStart::After)
}

/// The time from which the counts of a minute may be deleted.
fn count_expires_at(minute: i64) -> Timestamp {
    let ends_at = Timestamp::from_second((minute + 1) * 60).unwrap_or(Timestamp::MAX);
    ends_at + CALL_COUNT_RETENTION
}

fn due(row: Attributes) -> Option<Due> {
    let key = Key::of(&row)?;
    let due_at = Reader(row).time("due_at").ok()?;
    let of = [
        key.pk.parse().ok().map(DueItem::Request),
        key.pk.parse().ok().map(DueItem::Event),
        keys::delivery_at(&key.pk, &key.sk).map(DueItem::Delivery),
    ];
    let item = of.into_iter().flatten().find(|it| it.key() == key);
    Some(Due { item: item.unwrap_or(DueItem::Unknown(key)), due_at })
}

/// Written by a version with another encoding. [`read()`] reports it.
fn is_newer<T: Item>(item: &Attributes) -> bool {
    item.get(reader::VERSION)
        .and_then(|it| it.as_n().ok())
        .is_some_and(|it| it.parse::<u32>().is_ok_and(|it| it > T::VERSION))
}

fn read<T: Item>(attributes: Attributes) -> Result<T, Error> {
    let mut item = Reader(attributes);
    let wrong = |source| Error::Decode { what: T::NAME, source };
    if item.version().map_err(wrong)? > T::VERSION {
        return Err(Error::Newer { what: T::NAME });
    }
    T::read(item).map_err(wrong)
}
