//! A table with DynamoDB's semantics, limited to the operations of the store's port.
//!
//! It is a plain value: it never waits, fails, reads a clock or draws a number. The caller passes
//! the time at which each write shows in the indexes and the time of each query. Reads of the table
//! see every write at once.
//!
//! | DynamoDB                                     | here                                       |
//! |----------------------------------------------|--------------------------------------------|
//! | conditions, and `ALL_OLD` where one fails    | returns the whole current item, if any     |
//! | an index is sparse, and has keys only        | a row only while both attributes exist     |
//! | an index lags                                | `index`                                    |
//! | rows with equal sort keys have any order     | by the keys of their items                 |
//! | a page ends at its limit, or at 1 MB         | the same, even if nothing follows          |
//! | `ValidationException`                        | a panic: the product causes none; `limits` |
//!
//! A differential test compares it with the DynamoDB that the local stack embeds.

mod index;
mod limits;

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use answerback::store::{
    Attributes, Counted, Cursor, DueCursor, DuePage, Key, ListStart, Page, Put,
};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use self::index::{INDEXES, Index, Place, Rows, text};

/// The table.
#[derive(Clone, Debug, Default)]
pub struct SimulatedTable {
    items: BTreeMap<Key, Kept>,
}

/// An item and its rows in the indexes.
#[derive(Clone, Debug, Default)]
struct Kept {
    attributes: Attributes,
    rows: [Rows; INDEXES.len()],
}

impl SimulatedTable {
    /// The item at `key`.
    pub fn get(&self, key: &Key) -> Option<Attributes> {
        limits::admit_key(key);
        Some(self.items.get(key)?.attributes.clone())
    }

    /// The existing items at `keys`.
    pub fn get_many(&self, keys: &[Key]) -> HashMap<Key, Attributes> {
        let mut found = HashMap::with_capacity(keys.len());
        for (number, key) in keys.iter().enumerate() {
            assert!(!keys[..number].contains(key), "DynamoDB refuses a batch with {key:?} twice");
            if let Some(attributes) = self.get(key) {
                found.insert(key.clone(), attributes);
            }
        }
        found
    }

    /// Puts an item unless one exists.
    pub fn put_new(&mut self, mut attributes: Attributes, visible_at: i64) -> Put {
        limits::admit(&mut attributes);
        let part = |name| text(&attributes, name).expect("an item has its keys").to_owned();
        let key = Key { pk: part("pk"), sk: part("sk") };
        limits::admit_key(&key);
        limits::admit_size(&attributes);
        match self.items.entry(key) {
            Entry::Occupied(taken) => Put::Refused(Some(taken.get().attributes.clone())),
            Entry::Vacant(place) => {
                let kept = place.insert(Kept { attributes, rows: Default::default() });
                kept.show([true; INDEXES.len()], visible_at);
                Put::Done
            }
        }
    }

    /// Sets `moving` (NULL removes an attribute) if the item's `revision` is still `previous`.
    pub fn update(
        &mut self,
        key: &Key,
        mut moving: Attributes,
        previous: u64,
        visible_at: i64,
    ) -> Put {
        limits::admit_key(key);
        limits::admit(&mut moving);
        assert!(!moving.contains_key("pk") && !moving.contains_key("sk"), "a key cannot be set");
        assert!(!moving.values().all(AttributeValue::is_null), "DynamoDB refuses an empty SET");
        // Without its condition, an update of a missing item would create it.
        let Some(kept) = self.items.get_mut(key) else { return Put::Refused(None) };
        if kept.number("revision") != Some(previous) {
            return Put::Refused(Some(kept.attributes.clone()));
        }
        let touched = INDEXES.each_ref().map(|it| it.is_touched_by(&moving));
        for (name, value) in moving {
            if value.is_null() {
                kept.attributes.remove(&name);
            } else {
                kept.attributes.insert(name, value);
            }
        }
        limits::admit_size(&kept.attributes);
        kept.show(touched, visible_at);
        Put::Done
    }

    /// One page of the keys in one partition of the due index with a time up to `until`, the
    /// longest overdue first, as the index shows them `at` that time.
    pub fn due(
        &self,
        shard: &str,
        until: i64,
        limit: i32,
        after: Option<&DueCursor>,
        at: i64,
    ) -> DuePage {
        let index = &INDEXES[Index::DUE];
        let after = after.map(|it| {
            let (partition, place) = index.place(&it.0).expect("a cursor holds a row's keys");
            assert!(partition == shard && place.sort <= until, "DynamoDB refuses a cursor outside");
            place
        });
        let mut found: Vec<_> = self
            .rows(Index::DUE, shard, at)
            .filter(|it| it.sort <= until && after.as_ref().is_none_or(|after| it > after))
            .collect();
        found.sort_unstable();
        let (items, is_cut) = index.page(shard, &found, limit);
        let next = items.last().filter(|_| is_cut).cloned().map(DueCursor);
        DuePage { items, next }
    }

    /// Moves the timer of an item that has one, and adds to its `n_errors`. Returns the sum, or 0
    /// if the item has no timer.
    pub fn postpone(&mut self, key: &Key, until: i64, n_errors: u32, visible_at: i64) -> u32 {
        limits::admit_key(key);
        let Some(kept) = self.items.get_mut(key) else { return 0 };
        if !kept.attributes.contains_key("due_at") {
            return 0;
        }
        let n_errors = n_errors
            + match kept.attributes.get("n_errors") {
                None => 0_u32,
                Some(_) => kept.number("n_errors").expect("only this function sets it"),
            };
        kept.set("due_at", AttributeValue::N(until.to_string()));
        kept.set("n_errors", AttributeValue::N(n_errors.to_string()));
        kept.show(Index::ONLY_DUE, visible_at);
        n_errors
    }

    /// Adds `by` to the counter in the item at `key` unless it would be more than `max`. Creates the
    /// item if it is missing. Returns whether it counted. No index shows it.
    pub fn count_up(&mut self, key: &Key, by: u32, max: u32, expires_at: i64) -> Counted {
        if by > max {
            return Counted::Full;
        }
        limits::admit_key(key);
        let first = || Kept { attributes: key.clone().into_attributes(), ..Kept::default() };
        let kept = self.items.entry(key.clone()).or_insert_with(first);
        let n: Option<u32> = kept.number("n");
        if n.is_some_and(|it| it + by > max) {
            return Counted::Full;
        }
        kept.set("n", AttributeValue::N((n.unwrap_or(0) + by).to_string()));
        kept.set("ttl", AttributeValue::N(expires_at.to_string()));
        Counted::Counted
    }

    /// Removes the timer of an item, unless it differs from `due_at`.
    pub fn quarantine(&mut self, key: &Key, due_at: i64, visible_at: i64) {
        limits::admit_key(key);
        let Some(kept) = self.items.get_mut(key) else { return };
        if kept.number("due_at") == Some(due_at) {
            kept.attributes.remove("due_shard");
            kept.attributes.remove("due_at");
            kept.show(Index::ONLY_DUE, visible_at);
        }
    }

    /// One page of the keys in one partition of a listing index, the latest first, as the index
    /// shows them `at` that time.
    pub fn list(
        &self,
        index: &str,
        partition: &str,
        limit: i32,
        start: Option<&ListStart>,
        at: i64,
    ) -> Page {
        let number = Index::called(index);
        let index = &INDEXES[number];
        let is_listed = |it: &Place<'_>| match start {
            None => true,
            Some(ListStart::AtOrBefore(at)) => it.sort <= at.as_millisecond(),
            Some(ListStart::After(Cursor { key, created_at })) => {
                let at = created_at.expect("DynamoDB refuses a cursor outside");
                *it < Place { sort: at.as_millisecond(), pk: &key.pk, sk: &key.sk }
            }
        };
        let mut found: Vec<_> = self.rows(number, partition, at).filter(is_listed).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        let (items, is_cut) = index.page(partition, &found, limit);
        let next = found.get(items.len().wrapping_sub(1)).filter(|_| is_cut).map(|it| Cursor {
            key: Key { pk: it.pk.to_owned(), sk: it.sk.to_owned() },
            created_at: Timestamp::from_millisecond(it.sort).ok(),
        });
        Page { items, next }
    }

    /// The number of items in one partition of a listing index, as the index shows them `at` that
    /// time, at most `max`.
    pub fn n_listed(&self, index: &str, partition: &str, max: u32, at: i64) -> u32 {
        let n = self.rows(Index::called(index), partition, at).count();
        u32::try_from(n).map_or(max, |it| it.min(max))
    }

    /// One page of the items under one partition key with this sort key prefix, the greatest first.
    pub fn under(&self, pk: &str, beginning: &str, limit: i32, after: Option<&str>) -> Page {
        let is_inside = after.is_none_or(|it| it.starts_with(beginning));
        assert!(is_inside, "DynamoDB refuses a cursor outside");
        limits::admit_partition(pk);
        let limit = limits::admit_limit(limit);
        let (mut items, mut next, mut n_bytes) = (Vec::new(), None, 0);
        for (key, kept) in self.items.iter().rev() {
            let is_here = key.pk == pk && key.sk.starts_with(beginning);
            if !is_here || after.is_some_and(|it| &*key.sk >= it) {
                continue;
            }
            n_bytes += limits::size(&kept.attributes);
            if items.len() == limit || n_bytes > limits::PAGE_BYTES_MAX {
                return Page { items, next };
            }
            items.push(kept.attributes.clone());
            next = Some(Cursor { key: key.clone(), created_at: None });
        }
        let is_cut = items.len() == limit;
        Page { items, next: next.filter(|_| is_cut) }
    }

    /// The keys of all items, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.items.keys()
    }

    /// The values of all attributes of all items.
    pub fn values(&self) -> impl Iterator<Item = (&Key, &AttributeValue)> {
        self.items.iter().flat_map(|(key, it)| it.attributes.values().map(move |it| (key, it)))
    }

    /// The earliest time in a current or future row of the due index. Rows that no longer show
    /// count until [`settle`](Self::settle) drops them.
    pub fn next_due(&self) -> Option<i64> {
        self.items.values().filter_map(|it| it.rows[Index::DUE].first_number()).min()
    }

    /// Drops the index rows that no query from `at` on can see.
    pub fn settle(&mut self, at: i64) {
        for kept in self.items.values_mut() {
            for rows in &mut kept.rows {
                rows.settle(at);
            }
        }
    }

    /// The rows in one partition of an index, as it shows them `at` that time, in no order.
    fn rows<'a>(
        &'a self,
        index: usize,
        partition: &'a str,
        at: i64,
    ) -> impl Iterator<Item = Place<'a>> {
        limits::admit_partition(partition);
        self.items.iter().filter_map(move |(key, kept)| {
            let row = kept.rows[index].at(at).filter(|it| it.partition == partition)?;
            Some(Place { sort: row.sort, pk: &key.pk, sk: &key.sk })
        })
    }
}

impl Kept {
    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attributes.get(name)?.as_n().ok()?.parse().ok()
    }

    fn set(&mut self, name: &str, value: AttributeValue) {
        match self.attributes.get_mut(name) {
            Some(place) => *place = value,
            None => drop(self.attributes.insert(name.to_owned(), value)),
        }
    }

    /// Updates the item's rows in the indexes that a write has `touched`.
    fn show(&mut self, touched: [bool; INDEXES.len()], visible_at: i64) {
        for ((rows, index), _) in self.rows.iter_mut().zip(&INDEXES).zip(touched).filter(|it| it.1)
        {
            rows.write(index.row(&self.attributes), visible_at);
        }
    }
}
