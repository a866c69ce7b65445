//! Reads that concurrent tasks share: all that need the same thing wait for one call.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard},
};

use futures::{FutureExt as _, future::Shared};

use crate::Promise;

/// Reads by key, which are kept until they fail or are forgotten.
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
        let result = shared.await;
        if result.is_err() {
            self.forget(&key);
        }
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

    use futures::future::join_all;

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
}
