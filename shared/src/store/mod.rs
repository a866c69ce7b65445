//! Everything that is kept, in one DynamoDB table: conditional writes, no rules.
//!
//! [`keys`] says where everything lives, the `…_item` modules how it is spelled, and [`Store`]
//! what can be asked. Rules belong in [`crate::domain`].

mod account_item;
mod advance;
mod breaker_item;
mod channel_item;
mod delivery_item;
mod dynamodb;
mod item;
pub mod keys;
mod posted_item;
mod question_item;
mod receiver_item;
mod request_item;
mod secret_item;
mod table;
#[cfg(test)]
mod tests;
mod webhook_item;

pub use advance::{AdvanceError, StepError, advance, step};
pub use dynamodb::DynamoDb;
pub use item::{Attributes, DecodeError, Item, Layout};
pub use keys::{Key, Listed, Related};
pub use table::{DueCursor, DuePage, Page, Put, Table};

use crate::domain::{
    AccountId, Attempt, AttemptId, DeliveryId, EventId, KeyId, Owner, RequestId, Webhook,
};
use std::{fmt, sync::Arc};

use jiff::Timestamp;

use self::item::Reader;

/// After so many errors an item is taken out of the line.
const ERRORS_MAX: u32 = 5;
/// How long it is kept how many calls there were: clocks differ.
const CALLS_KEPT: std::time::Duration = std::time::Duration::from_mins(5);
/// Webhooks that are read at once: one more than an account may have, so that one call is enough.
const WEBHOOKS_PAGE: i32 = 51;

/// The table in which everything lives.
#[derive(Clone, Debug)]
pub struct Store {
    table: Arc<dyn Table>,
    layout: Layout,
}

/// What became of a conditional write.
#[derive(Debug)]
#[must_use = "a lost race is not an error, but someone must decide what it means"]
pub enum Saved<T> {
    /// The write was made.
    Saved,
    /// Someone else wrote first; this is what they left.
    Superseded(T),
    /// It is no longer there.
    Gone,
}

/// Something whose time has come, as the index has it: it may be gone, or done, by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which thing.
    pub what: DueItem,
    /// Since when.
    pub due_at: Timestamp,
}

/// Which thing is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueItem {
    /// A request.
    Request(RequestId),
    /// A delivery.
    Delivery(DeliveryId),
    /// A posted event.
    Event(EventId),
    /// Something of a kind that this version does not know.
    Unknown(Key),
}

/// A page of a list.
#[derive(Debug)]
pub struct Listing<T> {
    /// What is on it, newest first.
    pub items: Vec<T>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}

/// A place in a list: the keys of the last item before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The item's partition key.
    pub pk: String,
    /// Where the item sorts in the list.
    pub at: String,
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// DynamoDB did not carry out the request.
    #[error("DynamoDB did not {operation}")]
    Dynamo {
        /// What we were doing, as a verb phrase.
        operation: &'static str,
        /// What the SDK reported.
        #[source]
        source: Box<aws_sdk_dynamodb::Error>,
    },
    /// An item in the table is as a newer version spells it, or of a kind that only a newer version
    /// knows: it is left as it is, for that one.
    #[error("{what} is of a newer version than this one")]
    Newer {
        /// What it was taken for.
        what: &'static str,
    },
    /// An item in the table is not what this version expects.
    #[error("{what} does not decode")]
    Decode {
        /// What it was taken for.
        what: &'static str,
        /// What was wrong with it.
        #[source]
        source: DecodeError,
    },
}

impl Store {
    /// A store that keeps everything in `table`.
    pub fn new(table: Arc<dyn Table>, layout: Layout) -> Self {
        Self { table, layout }
    }

    /// What lives at `key`, as of now: the read is strongly consistent.
    pub async fn get<T: Item>(&self, key: Key) -> Result<Option<T>, Error> {
        self.table.get(key).await?.map(read).transpose()
    }

    /// Writes `first`, unless there is such an item already.
    pub async fn create<T: Item>(&self, first: &T) -> Result<Saved<T>, Error> {
        match self.table.put_new(item::created(first, &self.layout)).await? {
            Put::Done => Ok(Saved::Saved),
            Put::Refused(Some(current)) => read(current).map(Saved::Superseded),
            Put::Refused(None) => Ok(Saved::Gone),
        }
    }

    /// Writes `next`, unless the stored item is no longer the one that `next` was made from.
    ///
    /// Attributes that this version does not know stay as they are.
    pub async fn save<T: Item>(&self, next: &T) -> Result<Saved<T>, Error> {
        let previous = next.revision().saturating_sub(1);
        let moved = item::moved(next, &self.layout);
        match self.table.update(next.key(), moved, previous).await? {
            Put::Done => Ok(Saved::Saved),
            Put::Refused(Some(current)) => read(current).map(Saved::Superseded),
            Put::Refused(None) => Ok(Saved::Gone),
        }
    }

    /// How many partitions the due index has.
    pub fn n_due_shards(&self) -> u32 {
        self.layout.n_due_shards.max(1)
    }

    /// Up to `limit` things of one shard whose time has come at `now`, the longest due first, and
    /// where to go on.
    ///
    /// Pages are followed and not asked for anew: the index lags, and what was just handled would
    /// stand at the head of it again.
    pub async fn due(
        &self,
        shard: u32,
        now: Timestamp,
        limit: i32,
        after: Option<&DueCursor>,
    ) -> Result<(Vec<Due>, Option<DueCursor>), Error> {
        let (page, next) = self.table.due(shard.to_string(), now, limit, after.cloned()).await?;
        Ok((page.into_iter().filter_map(due).collect(), next))
    }

    /// Puts off an item that is a newer version's, however often.
    pub async fn leave_to_newer(&self, what: &DueItem, until: Timestamp) -> Result<(), Error> {
        self.table.postpone(what.key(), until, 0).await?;
        Ok(())
    }

    /// Puts off an item that cannot be handled, and takes it out of the line after a few times.
    /// Whether it was taken out.
    pub async fn postpone(&self, what: &DueItem, until: Timestamp) -> Result<bool, Error> {
        let key = what.key();
        let n_errors = self.table.postpone(key.clone(), until, 1).await?;
        if n_errors < ERRORS_MAX {
            return Ok(false);
        }
        self.table.disarm(key, until).await?;
        Ok(true)
    }

    /// What an account has of one kind, newest first.
    pub async fn list<T: Item>(
        &self,
        owner: Owner,
        listed: Listed,
        limit: i32,
        cursor: Option<&Cursor>,
    ) -> Result<Listing<T>, Error> {
        let partition = keys::list(owner, listed);
        self.load(self.table.list(keys::LIST_INDEX, partition, limit, cursor.cloned()).await?).await
    }

    /// The deliveries, or attempts, that belong to something, newest first.
    pub async fn related<T: Item>(
        &self,
        to: &Related,
        limit: i32,
        cursor: Option<&Cursor>,
    ) -> Result<Listing<T>, Error> {
        let (index, partition) = keys::related(to);
        self.load(self.table.list(index, partition, limit, cursor.cloned()).await?).await
    }

    /// A delivery's attempts, newest first, after the one at this place if one is given.
    pub async fn attempts(
        &self,
        delivery: DeliveryId,
        limit: i32,
        after: Option<&str>,
    ) -> Result<Listing<Attempt>, Error> {
        // A place that no attempt can have is before all of them.
        let after = after.filter(|it| it.starts_with(keys::ATTEMPTS));
        let (pk, after) = (delivery.to_string(), after.map(str::to_owned));
        let page = self.table.under(pk, keys::ATTEMPTS, limit, after).await?;
        let items = page.items.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Listing { items, next: page.next })
    }

    /// All webhooks of an account and mode, those that were deleted lately among them, as of now.
    pub async fn webhooks(&self, owner: Owner) -> Result<Vec<Webhook>, Error> {
        let mut webhooks = Vec::new();
        let mut after = None;
        loop {
            let pk = keys::owner(owner);
            let page = self.table.under(pk, keys::WEBHOOKS, WEBHOOKS_PAGE, after).await?;
            for item in page.items {
                webhooks.push(read(item)?);
            }
            after = page.next.map(|it| it.at);
            if after.is_none() {
                return Ok(webhooks);
            }
        }
    }

    /// How many requests of an account are pending and counted, or `max` if there are more. What
    /// was made or ended just now may be missing, or be counted still.
    pub async fn n_pending(&self, account: AccountId, max: u32) -> Result<u32, Error> {
        self.table.n_listed(keys::RELATED_INDEX, keys::pending(account), max).await
    }

    /// Counts a call with a key in the minute with this number, unless there were `max`; whether
    /// it was counted. Calls that the SDK repeats may be counted twice.
    pub async fn count_call(&self, key: KeyId, minute: i64, max: u32) -> Result<bool, Error> {
        let ends_at = Timestamp::from_second((minute + 1) * 60).unwrap_or(Timestamp::MAX);
        self.table.count_up(keys::calls(key, minute), max, ends_at + CALLS_KEPT).await
    }

    /// The items that an index named, in its order; those that are gone are left out.
    async fn load<T: Item>(&self, page: Page) -> Result<Listing<T>, Error> {
        let keys: Vec<Key> = page.items.iter().filter_map(Key::of).collect();
        let mut found = self.table.get_many(keys.clone()).await?;
        let items =
            keys.iter().filter_map(|key| found.remove(key)).map(read).collect::<Result<_, _>>()?;
        Ok(Listing { items, next: page.next })
    }
}

impl Cursor {
    /// Right after something in its account's list.
    pub fn after(id: impl fmt::Display + Copy, created_at: Timestamp) -> Self {
        Self { pk: id.to_string(), at: keys::by_time(created_at, id) }
    }

    /// Right after an attempt in the list of its webhook's.
    pub fn after_attempt(id: AttemptId, started_at: Timestamp) -> Self {
        Self { pk: id.delivery().to_string(), at: keys::by_time(started_at, id) }
    }
}

impl DueItem {
    /// Where it lives.
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
        f.write_str(&self.key().pk)
    }
}

impl Error {
    /// Something is due of a kind that this version does not know.
    pub fn unknown_item() -> Self {
        Self::Newer { what: "something due" }
    }
}

fn due(row: Attributes) -> Option<Due> {
    let key = Key::of(&row)?;
    let due_at = Reader(row).time("due_at").ok()?;
    let what = None
        .or_else(|| key.pk.parse().ok().map(DueItem::Request))
        .or_else(|| key.pk.parse().ok().map(DueItem::Delivery))
        .or_else(|| key.pk.parse().ok().map(DueItem::Event))
        .unwrap_or(DueItem::Unknown(key));
    Some(Due { what, due_at })
}

fn read<T: Item>(attributes: Attributes) -> Result<T, Error> {
    let mut item = Reader(attributes);
    let wrong = |source| Error::Decode { what: T::NAME, source };
    if item.version().map_err(wrong)? > T::VERSION {
        return Err(Error::Newer { what: T::NAME });
    }
    T::read(item).map_err(wrong)
}
