//! The port to the table: the few operations that the store needs.
//!
//! It has two implementations: [`DynamoDb`](super::DynamoDb), and the simulation's table, which has
//! DynamoDB's semantics for these operations and nothing else. Every operation is one call, and
//! every write is one conditional write of one item.

use std::{collections::HashMap, fmt};

use jiff::Timestamp;

use super::{Cursor, Error, Key, compact::Attributes};
use crate::Promise;

/// A table with its indexes.
pub trait Table: fmt::Debug + Send + Sync {
    /// The item at `key`. The read is strongly consistent.
    fn get(&self, key: Key) -> Promise<'_, Result<Option<Attributes>, Error>>;

    /// The items at `keys` that exist. The read is strongly consistent.
    fn get_many(&self, keys: Vec<Key>) -> Promise<'_, Result<HashMap<Key, Attributes>, Error>>;

    /// Writes an item, unless one with its key exists.
    fn put_new(&self, attributes: Attributes) -> Promise<'_, Result<Put, Error>>;

    /// Sets the attributes `mutable` (a NULL removes one) if the item's `revision` is `previous`.
    fn update(
        &self,
        key: Key,
        mutable: Attributes,
        previous: u64,
    ) -> Promise<'_, Result<Put, Error>>;

    /// The keys of up to `limit` items in one partition of the due index that are due at `now`, the
    /// longest due first. The index lags.
    fn due(
        &self,
        shard: String,
        now: Timestamp,
        limit: i32,
        after: Option<DueCursor>,
    ) -> Promise<'_, Result<DuePage, Error>>;

    /// Sets the timer of an item that has one, whatever its state, and adds `n_errors` to its count
    /// of errors. Returns the count, or 0 if the item has no timer.
    fn postpone(
        &self,
        key: Key,
        until: Timestamp,
        n_errors: u32,
    ) -> Promise<'_, Result<u32, Error>>;

    /// Adds `by` to the count at `key`, unless it would be more than `max`. Creates the item if it does
    /// not exist. The table may delete it from `expires_at` on.
    fn count_up(
        &self,
        key: Key,
        by: u32,
        max: u32,
        expires_at: Timestamp,
    ) -> Promise<'_, Result<Counted, Error>>;

    /// Removes the timer of an item, unless it differs from `due_at` and so was set again.
    fn quarantine(&self, key: Key, due_at: Timestamp) -> Promise<'_, Result<(), Error>>;

    /// One page of the keys in one partition of a listing index, the latest first. Rows of the same
    /// millisecond have any order. The index lags.
    fn list(
        &self,
        index: &'static str,
        partition: String,
        limit: i32,
        start: Option<ListStart>,
    ) -> Promise<'_, Result<Page, Error>>;

    /// The number of items in one partition of a listing index, or `max` if there are more. The
    /// index lags.
    fn n_listed(
        &self,
        index: &'static str,
        partition: String,
        max: u32,
    ) -> Promise<'_, Result<u32, Error>>;

    /// One page of the items of one partition whose sort keys start with `beginning`, the greatest
    /// first. The read is strongly consistent.
    fn under(
        &self,
        pk: String,
        beginning: String,
        limit: i32,
        after: Option<String>,
    ) -> Promise<'_, Result<Page, Error>>;
}

/// The start of a page of a listing index. Without one, a page starts with the latest row.
#[derive(Clone, Debug, PartialEq)]
pub enum ListStart {
    /// The latest row of this time or before.
    AtOrBefore(Timestamp),
    /// Right after the last row of the page before.
    After(Cursor),
}

/// The result of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// The write was made.
    Done,
    /// The condition was false for this item.
    Refused(Option<Attributes>),
}

/// The result of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// One was added.
    Counted,
    /// The maximum was reached before.
    Full,
}

/// A page of the due index.
#[derive(Clone, Debug, PartialEq)]
pub struct DuePage {
    /// The keys of due items.
    pub items: Vec<Attributes>,
    /// The start of the next page, if there may be one.
    pub next: Option<DueCursor>,
}

/// A position in the due index: the keys of the row before it.
#[derive(Clone, Debug, PartialEq)]
pub struct DueCursor(pub Attributes);

/// A page of items, or of their keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Attributes>,
    /// The start of the next page, if there may be one.
    pub next: Option<Cursor>,
}
