//! The list that is merged from shards, over an index that orders rows of equal times by chance.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt as _;

use super::*;
use crate::{Promise, domain::AccountId};

/// The rows of an index, by partition and time. No other operation is used.
#[derive(Debug)]
struct Rows {
    rows: Vec<(String, i64, Key)>,
    /// Rows of equal times have another order after each change of this number.
    order: AtomicU64,
}

impl Rows {
    fn place(&self, created_at: i64, key: &Key) -> (i64, u64) {
        let mut hasher = DefaultHasher::new();
        (self.order.load(Ordering::Relaxed), key).hash(&mut hasher);
        (-created_at, hasher.finish())
    }
}

impl Table for Rows {
    fn list(
        &self,
        index: &'static str,
        partition: String,
        limit: i32,
        start: Option<ListStart>,
    ) -> Promise<'_, Result<Page, Error>> {
        assert_eq!(index, keys::LIST_INDEX);
        let limit = usize::try_from(limit).expect("positive");
        let after = match &start {
            Some(ListStart::After(Cursor { key, created_at: Some(at) })) => {
                Some(self.place(at.as_millisecond(), key))
            }
            _ => None,
        };
        let is_listed = |(of, at, key): &&(String, i64, Key)| {
            let is_before = match &start {
                Some(ListStart::AtOrBefore(until)) => *at <= until.as_millisecond(),
                Some(ListStart::After(_)) | None => true,
            };
            *of == partition && is_before && after.is_none_or(|it| self.place(*at, key) > it)
        };
        let mut rows: Vec<_> = self.rows.iter().filter(is_listed).collect();
        rows.sort_by_cached_key(|(_, at, key)| self.place(*at, key));
        let is_cut = rows.len() >= limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| is_cut)
            .map(|(_, at, key)| Cursor::after(key.clone(), time(*at)));
        let row = |(_, at, key): &&(String, i64, Key)| {
            let mut row = key.clone().into_attributes();
            row.insert(keys::CREATED_AT.to_owned(), AttributeValue::N(at.to_string()));
            row
        };
        let page = Page { items: rows.iter().map(row).collect(), next };
        Box::pin(async move { Ok(page) })
    }

    fn get(&self, _: Key) -> Promise<'_, Result<Option<Attributes>, Error>> {
        unused()
    }

    fn get_many(&self, _: Vec<Key>) -> Promise<'_, Result<HashMap<Key, Attributes>, Error>> {
        unused()
    }

    fn put_new(&self, _: Attributes) -> Promise<'_, Result<Put, Error>> {
        unused()
    }

    fn update(&self, _: Key, _: Attributes, _: u64) -> Promise<'_, Result<Put, Error>> {
        unused()
    }

    fn due(
        &self,
        _: String,
        _: Timestamp,
        _: i32,
        _: Option<DueCursor>,
    ) -> Promise<'_, Result<DuePage, Error>> {
        unused()
    }

    fn postpone(&self, _: Key, _: Timestamp, _: u32) -> Promise<'_, Result<u32, Error>> {
        unused()
    }

    fn count_up(
        &self,
        _: Key,
        _: u32,
        _: u32,
        _: Timestamp,
    ) -> Promise<'_, Result<Counted, Error>> {
        unused()
    }

    fn quarantine(&self, _: Key, _: Timestamp) -> Promise<'_, Result<(), Error>> {
        unused()
    }

    fn n_listed(&self, _: &'static str, _: String, _: u32) -> Promise<'_, Result<u32, Error>> {
        unused()
    }

    fn under(
        &self,
        _: String,
        _: String,
        _: i32,
        _: Option<String>,
    ) -> Promise<'_, Result<Page, Error>> {
        unused()
    }
}

fn unused<T>() -> Promise<'static, T> {
    panic!("a list does not use this operation")
}

fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).expect("in range")
}

fn owner() -> Owner {
    Owner::live(AccountId::from_bits(1))
}

/// A table in which each of these times has this many deliveries. Each number of shards was in use for
/// some of them.
fn table(n_of_each: &[usize], n_shards: &[u32]) -> (Arc<Rows>, Vec<Key>) {
    let mut rows = Vec::new();
    for (at, n_rows) in n_of_each.iter().enumerate() {
        for number in 0..*n_rows {
            let event = RequestId::from_bits(u128::try_from(at).expect("few")).event(1);
            let id = event
                .delivery(u64::try_from(number).expect("few").wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let shard = keys::list_shard(id, n_shards[number % n_shards.len()]);
            let at = i64::try_from(at).expect("few");
            rows.push((keys::listed_deliveries(owner(), shard), at, keys::delivery(id)));
        }
    }
    let mut expected: Vec<_> = rows.iter().map(|(_, at, key)| (*at, key.clone())).collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let expected = expected.into_iter().map(|it| it.1).collect();
    (Arc::new(Rows { rows, order: AtomicU64::new(0) }), expected)
}

/// All pages. The order of rows with equal times changes between them.
fn pages(rows: &Arc<Rows>, n_shards: u32, limit: i32) -> Vec<Vec<Key>> {
    let store = Store::new(Arc::clone(rows) as _, LAYOUT);
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.page_of_shards(owner(), n_shards, limit, cursor.as_ref()).now_or_never();
        let page = page.expect("nothing waits").expect("nothing fails");
        pages.push(page.items.iter().map(|it| Key::of(it).expect("a key")).collect());
        rows.order.fetch_add(1, Ordering::Relaxed);
        cursor = page.next;
        if cursor.is_none() {
            return pages;
        }
    }
}

#[test]
fn every_limit_shows_each_delivery_once_in_order() {
    for n_shards in [1, 5, 32] {
        for n_of_each in [vec![50, 50, 50], vec![1, 0, 200, 1, 2, 50, 3]] {
            let (rows, expected) = table(&n_of_each, &[n_shards]);
            for limit in 1..=100 {
                let pages = pages(&rows, n_shards, limit);
                assert_eq!(pages.concat(), expected, "{n_shards} shards, pages of {limit}");
                let limit = usize::try_from(limit).expect("positive");
                let (last, others) = pages.split_last().expect("a page");
                assert!(last.len() <= limit);
                let is_long = |it: &Vec<Key>| it.len() <= limit && it.len() >= limit.min(10);
                assert!(others.iter().all(is_long), "{n_shards} shards, pages of {limit}");
            }
        }
    }
}

#[test]
fn growth_from_5_to_32_shards_keeps_every_delivery() {
    // Some workers still use the smaller number.
    let (rows, expected) = table(&[50, 50, 1, 50], &[5, 32]);
    for limit in [1, 7, 20, 100] {
        assert_eq!(pages(&rows, 32, limit).concat(), expected, "pages of {limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_deliveries_are_shown_once_in_order(
        n_of_each in vec(0_usize..60, 0..12),
        n_shards in vec(1..=32_u32, 1..4),
        limit in 1..=100_i32,
    ) {
        let (rows, expected) = table(&n_of_each, &n_shards);
        let most = n_shards.iter().copied().max().expect("one at least");
        prop_assert_eq!(pages(&rows, most, limit).concat(), expected);
    }
}
