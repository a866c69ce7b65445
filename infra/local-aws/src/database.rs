//! The database: dynoxide's storage, whose one connection the queues' journal shares.
//!
//! `SQLite` writes a commit to its write-ahead log. Here it does not sync the log as well
//! (`synchronous = NORMAL`): [`crate::disk`] does, once for all commits of a group, before any of
//! them is acknowledged.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use dynoxide::{actions::vector_lifecycle::VectorIndexLifecycle, storage::Storage};

/// Prepared statements that the connection keeps. Each index of a table needs more.
const STATEMENTS_MAX: usize = 128;

/// An open database. Clones share it.
#[derive(Clone)]
pub(super) struct Database(Arc<Inner>);

struct Inner {
    storage: Mutex<Storage>,
    /// The state of vector indexes, which four of dynoxide's actions take. We create none.
    vectors: VectorIndexLifecycle,
}

impl Database {
    /// Opens the database in a file.
    pub(super) fn open(path: &str) -> dynoxide::Result<Self> {
        let storage = Storage::new(path)?;
        storage.conn().execute_batch("PRAGMA synchronous = NORMAL")?;
        Ok(Self::new(storage))
    }

    /// A database in memory.
    pub(super) fn memory() -> dynoxide::Result<Self> {
        Ok(Self::new(Storage::memory()?))
    }

    fn new(storage: Storage) -> Self {
        storage.conn().set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Self(Arc::new(Inner { storage: Mutex::new(storage), vectors: VectorIndexLifecycle::new() }))
    }

    /// The storage, for this caller alone.
    pub(super) fn storage(&self) -> MutexGuard<'_, Storage> {
        // A panic leaves at most an open transaction, which `undo` ends.
        self.0.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn vectors(&self) -> &VectorIndexLifecycle {
        &self.0.vectors
    }

    /// Rows that were written since the database was opened.
    pub(super) fn n_changes(&self) -> u64 {
        self.storage().conn().total_changes()
    }

    /// Ends a transaction that a panic left open.
    pub(super) fn undo(&self) {
        let storage = self.storage();
        if !storage.conn().is_autocommit()
            && let Err(err) = storage.rollback()
        {
            tracing::error!(error = %err, "could not end a transaction");
        }
    }
}

/// The output of one of dynoxide's actions. On `SQLite` they never wait.
pub(super) fn output<T>(action: impl Future<Output = T>) -> T {
    match pin!(action).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("SQLite answers at once"),
    }
}
