//! Reads that concurrent tasks share: all that need the same thing wait for one call.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Mutex, MutexGuard},
};

use futures::{FutureExt as _, future::Shared};

use crate::Promise;

/// Reads by key, which are kept until they fail, are forgotten, or lose a task that waits for them.
pub struct SharedReads<K, T, E>(Mutex<HashMap<K, Read<T, E>>>);

type Read<T, E> = Shared<Promise<'static, Result<T, E>>>;

impl<K, T, E> SharedReads<K, T, E>
where
    K: Eq + Hash + Clone,
    T: Clone,
    E: Clone,
{
    /// The result of the read under `key`, which is `read` if there is none.
    pub async fn share(
        &self,
        key: K,
        read: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let begin = || (Box::pin(read) as Promise<'static, _>).shared();
        let shared = self.reads().entry(key.clone()).or_insert_with(begin).clone();
        let mut waiting = Waiting { reads: self, key: &key, has_result: false };
        let result = shared.await;
        waiting.has_result = result.is_ok();
        result
    }

    /// Forgets a read, so that the next task makes another.
    pub fn forget(&self, key: &K) {
        self.reads().remove(key);
    }

    fn reads(&self) -> MutexGuard<'_, HashMap<K, Read<T, E>>> {
        self.0.lock().expect("no holder panics")
    }
}

/// A task that waits for a read. If it is dropped, perhaps nobody polls the read until it is out of date.
struct Waiting<'a, K: Eq + Hash + Clone, T: Clone, E: Clone> {
    reads: &'a SharedReads<K, T, E>,
    key: &'a K,
    has_result: bool,
}

impl<K: Eq + Hash + Clone, T: Clone, E: Clone> Drop for Waiting<'_, K, T, E> {
    fn drop(&mut self) {
        if !self.has_result {
            self.reads.forget(self.key);
        }
    }
}

impl<K, T, E> fmt::Debug for SharedReads<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedReads").finish_non_exhaustive()
    }
}

impl<K, T, E> Default for SharedReads<K, T, E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use futures::{
        future::{self, join_all},
        poll,
    };

    use super::*;

    #[tokio::test]
    async fn concurrent_reads_are_one_and_a_failure_is_not_kept() {
        let reads = SharedReads::default();
        let n_calls = Arc::new(AtomicU32::new(0));
        let read = |fails: bool| {
            let n_calls = Arc::clone(&n_calls);
            reads.share("key", async move {
                tokio::task::yield_now().await;
                let number = n_calls.fetch_add(1, Ordering::Relaxed);
                if fails { Err(number) } else { Ok(number) }
            })
        };
        assert_eq!(join_all([read(true), read(true)]).await, [Err(0), Err(0)]);
        assert_eq!(join_all([read(false), read(false)]).await, [Ok(1), Ok(1)]);
        assert_eq!(read(false).await, Ok(1));
        reads.forget(&"key");
        assert_eq!(read(false).await, Ok(2));
    }

    #[tokio::test]
    async fn read_whose_task_is_dropped_is_not_kept() {
        let reads = SharedReads::<_, _, ()>::default();
        let mut dropped = Box::pin(reads.share("key", future::pending()));
        assert!(poll!(&mut dropped).is_pending());
        drop(dropped);
        assert_eq!(reads.share("key", async { Ok(1) }).await, Ok(1));
    }
}
