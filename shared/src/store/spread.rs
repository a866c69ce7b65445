//! The list of an account's deliveries, merged from its shards, newest first.
//!
//! ```text
//!   shard 0    9 7 7 5 │ 5 4 …      a query reads some rows of each shard
//!   shard 1    8 8 7 │              and these are all that it has
//!   the page   9 8 8 7 7 7          complete down to 5, of which there may be more
//! ```
//!
//! All deliveries of an event have the same millisecond, and an index promises no order among rows with
//! equal times. So the keys order such rows here, and they count only once all of them were read. A
//! page that continues another starts with the time of its cursor, and skips the rows up to the cursor.

use futures::future::try_join_all;
use jiff::Timestamp;

use super::{
    Attributes, Cursor, Error, Key, ListStart, Listing, Page, Store,
    keys::{self, CREATED_AT},
    reader::Reader,
};
use crate::domain::{Delivery, Owner};

/// Rows that a query of a shard reads at least. They fit into 4 KB, the least that is charged.
const ROWS_MIN: usize = 28;
/// Most rows that a query of a shard reads.
const ROWS_MAX: i32 = 500;
/// Complete rows of each shard that a page needs at least. A page of this size is never short.
const COMPLETE_ROWS_MIN: usize = 10;

/// A row, in the order of the list: the latest is the greatest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    created_at: Timestamp,
    key: Key,
}

/// Rows of one shard.
struct ShardRows {
    rows: Vec<Row>,
    /// The time of the last row, if more may follow. Only later rows are complete.
    open_at: Option<Timestamp>,
}

impl Store {
    /// The same store, which spreads new deliveries over this many shards of their list.
    #[must_use]
    pub fn spread_over(&self, n_list_shards: u32) -> Self {
        let mut store = self.clone();
        store.layout.n_list_shards = n_list_shards;
        store
    }

    /// An account's deliveries in these shards of its list, newest first. A page may be short.
    pub async fn deliveries(
        &self,
        owner: Owner,
        n_list_shards: u32,
        limit: i32,
        cursor: Option<&Cursor>,
    ) -> Result<Listing<Delivery>, Error> {
        self.load(self.page_of_shards(owner, n_list_shards, limit, cursor).await?).await
    }

    /// The keys of a page of deliveries.
    pub(super) async fn page_of_shards(
        &self,
        owner: Owner,
        n_list_shards: u32,
        limit: i32,
        cursor: Option<&Cursor>,
    ) -> Result<Page, Error> {
        let limit = usize::try_from(limit).unwrap_or(1);
        let after = cursor.and_then(Row::at);
        let n_rows = rows_of_each(limit, n_list_shards);
        let shards = (0..n_list_shards).map(|shard| {
            self.shard_rows(keys::listed_deliveries(owner, shard), n_rows, after.as_ref())
        });
        let shards = try_join_all(shards).await?;
        let open_at = shards.iter().filter_map(|it| it.open_at).max();
        let mut rows: Vec<Row> = shards.into_iter().flat_map(|it| it.rows).collect();
        rows.retain(|it| open_at.is_none_or(|open| it.created_at > open));
        rows.sort_unstable_by(|one, other| other.cmp(one));
        let is_last = open_at.is_none() && rows.len() <= limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| !is_last);
        let next = next.map(|it| Cursor::after(it.key.clone(), it.created_at));
        let items = rows.into_iter().map(|it| it.key.into_attributes()).collect();
        Ok(Page { items, next })
    }

    /// The latest rows of a shard: at least `n_rows` that are complete, unless it has fewer.
    async fn shard_rows(
        &self,
        partition: String,
        n_rows: usize,
        after: Option<&Row>,
    ) -> Result<ShardRows, Error> {
        let mut rows: Vec<Row> = Vec::new();
        let mut start = after.map(|it| ListStart::AtOrBefore(it.created_at));
        // Rows of equal times at the end do not count, so it reads some more.
        let mut limit = i32::try_from((n_rows * 5 / 4 + 1).max(ROWS_MIN)).unwrap_or(ROWS_MAX);
        loop {
            let page = self.table.list(keys::LIST_INDEX, partition.clone(), limit, start).await?;
            let read = page.items.into_iter().filter_map(Row::read);
            rows.extend(read.filter(|it| after.is_none_or(|after| it < after)));
            let Some(next) = page.next else { return Ok(ShardRows { rows, open_at: None }) };
            let open_at = next.created_at.unwrap_or(Timestamp::MAX);
            if rows.iter().filter(|it| it.created_at > open_at).count() >= n_rows {
                return Ok(ShardRows { rows, open_at: Some(open_at) });
            }
            // That is seldom: very many rows have one time.
            (start, limit) = (Some(ListStart::After(next)), (2 * limit).min(ROWS_MAX));
        }
    }
}

impl Row {
    fn at(cursor: &Cursor) -> Option<Self> {
        Some(Self { created_at: cursor.created_at?, key: cursor.key.clone() })
    }

    fn read(row: Attributes) -> Option<Self> {
        let key = Key::of(&row)?;
        Some(Self { key, created_at: Reader(row).time(CREATED_AT).ok()? })
    }
}

/// Complete rows that a page needs of each shard: twice its share, because the shards differ a little.
fn rows_of_each(limit: usize, n_shards: u32) -> usize {
    let n_shards = usize::try_from(n_shards).unwrap_or(1).max(1);
    limit.min((2 * limit / n_shards).max(COMPLETE_ROWS_MIN))
}
