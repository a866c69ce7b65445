//! A small cache with a lifetime, for items that every call would otherwise read from the table.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;

/// At most `max` values by key, each for `ttl`. Clones share the values.
pub struct Cache<K, V> {
    entries: Arc<Mutex<HashMap<K, Entry<V>>>>,
    ttl: Duration,
    max: usize,
}

struct Entry<V> {
    value: V,
    read_at: Timestamp,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache.
    pub fn new(ttl: Duration, max: usize) -> Self {
        Self { entries: Arc::default(), ttl, max }
    }

    /// The value under `key`, unless it is older than the lifetime at `now`.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let entries = self.entries();
        let entry = entries.get(key)?;
        self.is_fresh(entry, now).then(|| entry.value.clone())
    }

    /// Stores `value`, read at `now`. A full cache drops expired values first, then everything.
    pub fn insert(&self, key: K, value: V, now: Timestamp) {
        let mut entries = self.entries();
        if entries.len() >= self.max {
            entries.retain(|_, it| self.is_fresh(it, now));
        }
        if entries.len() >= self.max {
            entries.clear();
        }
        entries.insert(key, Entry { value, read_at: now });
    }

    /// Drops the value under `key`, so that this process sees a change at once.
    pub fn remove(&self, key: &K) {
        self.entries().remove(key);
    }

    fn is_fresh(&self, entry: &Entry<V>, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(entry.read_at)).unwrap_or_default() < self.ttl
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().expect("no holder panics")
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { entries: Arc::clone(&self.entries), ..*self }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("ttl", &self.ttl)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("within a few millennia")
    }

    #[test]
    fn value_is_returned_until_its_lifetime_ends() {
        let cache = Cache::new(TTL, 9);
        cache.insert("a", 1, at(0));
        assert_eq!([0, 4, 5].map(|it| cache.get(&"a", at(it))), [Some(1), Some(1), None]);
        cache.remove(&"a");
        assert_eq!(cache.get(&"a", at(0)), None);
    }

    #[test]
    fn full_cache_drops_old_values_first() {
        let cache = Cache::new(TTL, 2);
        cache.insert("old", 1, at(0));
        cache.insert("new", 2, at(4));
        cache.insert("newest", 3, at(6));
        let found = ["old", "new", "newest"].map(|it| cache.get(&it, at(6)));
        assert_eq!(found, [None, Some(2), Some(3)]);
        cache.insert("one too many", 4, at(6));
        assert_eq!(cache.get(&"new", at(6)), None);
    }
}
