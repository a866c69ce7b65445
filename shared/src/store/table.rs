//! The few operations on a table that the store is made of.
//!
//! A port with two sides: [`DynamoDb`](super::DynamoDb), and the table of the simulation, which
//! keeps DynamoDB's semantics for these operations and nothing more. Every operation is one call,
//! and every write one conditional write of one item.

use std::{collections::HashMap, fmt};

use jiff::Timestamp;

use super::{Cursor, Error, Key, item::Attributes};
use crate::Promise;

/// A table with its indexes.
pub trait Table: fmt::Debug + Send + Sync {
    /// The item at `key`, as of now: the read is strongly consistent.
    fn get(&self, key: Key) -> Promise<'_, Result<Option<Attributes>, Error>>;

    /// The items at `keys` that there are, as of now.
    fn get_many(&self, keys: Vec<Key>) -> Promise<'_, Result<HashMap<Key, Attributes>, Error>>;

    /// Puts an item where there is none.
    fn put_new(&self, attributes: Attributes) -> Promise<'_, Result<Put, Error>>;

    /// Sets `moving` (a NULL removes) if the item's `revision` is still `previous`.
    fn update(
        &self,
        key: Key,
        moving: Attributes,
        previous: u64,
    ) -> Promise<'_, Result<Put, Error>>;

    /// The keys of up to `limit` items of one partition of the due index whose time has come at
    /// `now`, the longest due first, and where to go on. The index lags.
    fn due(
        &self,
        shard: String,
        now: Timestamp,
        limit: i32,
        after: Option<DueCursor>,
    ) -> Promise<'_, Result<DuePage, Error>>;

    /// Moves the timer of an item that has one, whatever its state, and adds so many to its
    /// `n_errors`; gives the sum, or 0 where there is no timer.
    fn postpone(
        &self,
        key: Key,
        until: Timestamp,
        n_errors: u32,
    ) -> Promise<'_, Result<u32, Error>>;

    /// Counts one more in the item at `key`, which is made where there is none, unless there are
    /// `max`; whether it was counted. The table may drop the item from `expires_at` on.
    fn count_up(
        &self,
        key: Key,
        max: u32,
        expires_at: Timestamp,
    ) -> Promise<'_, Result<bool, Error>>;

    /// Takes an item out of the due index, unless somebody has set its timer since it was set to
    /// `due_at`.
    fn disarm(&self, key: Key, due_at: Timestamp) -> Promise<'_, Result<(), Error>>;

    /// One page of the keys in one partition of an index that lists; the greatest sort key first.
    /// The index lags.
    fn list(
        &self,
        index: &'static str,
        partition: String,
        limit: i32,
        cursor: Option<Cursor>,
    ) -> Promise<'_, Result<Page, Error>>;

    /// How many items there are in one partition of an index that lists, or `max` if there are
    /// more. The index lags.
    fn n_listed(
        &self,
        index: &'static str,
        partition: String,
        max: u32,
    ) -> Promise<'_, Result<u32, Error>>;

    /// One page of the items under one partition key whose sort keys begin so, the greatest
    /// first, as of now.
    fn under(
        &self,
        pk: String,
        beginning: &'static str,
        limit: i32,
        after: Option<String>,
    ) -> Promise<'_, Result<Page, Error>>;
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    /// It was made.
    Done,
    /// Its condition did not hold, because of this.
    Refused(Option<Attributes>),
}

/// The keys of what is due, and where to go on.
pub type DuePage = (Vec<Attributes>, Option<DueCursor>);

/// A place in the due index: the keys of the last row before it.
#[derive(Clone, Debug, PartialEq)]
pub struct DueCursor(pub Attributes);

/// A page of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What is on it.
    pub items: Vec<Attributes>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}
