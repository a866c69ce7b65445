//! Advances an item: compute the next state, save it, and if another writer was faster, do both
//! again from the state that it left.
//!
//! ```text
//! write ─▶ lost? ─▶ wait ─▶ read ─▶ the same as before the wait? ─▶ write
//!                    ▲                 │ no: there are more writers
//!                    └── longer ───────┘
//! ```
//!
//! A refused write costs as much as one that succeeds, and a read costs a fraction of that. So an
//! operation that lost a race waits for a random time, and then reads before it writes. The first
//! wait is short, because most races have two writers.

use std::{convert::Infallible, future::ready, time::Duration};

use crate::{
    Promise,
    store::{self, Item, Saved, Store},
};

/// Longest waits of one operation after lost races, in milliseconds. After the last one it gives up.
/// Together they are half of the 30 s that a function has to respond.
const WAITS_MS_MAX: [u64; 12] =
    [25, 100, 400, LAST, LAST, LAST, LAST, LAST, LAST, LAST, LAST, LAST];
/// The longest wait: enough for a hundred writers to come one after another. An operation writes
/// after it in any case, because an item with that many writers always changes during the wait.
const LAST: u64 = 1_600;

/// The reason why an item was not advanced.
#[derive(Debug)]
pub enum AdvanceError<E> {
    /// The step refused the current item.
    Refused(E),
    /// The item no longer exists.
    Gone,
    /// Other writers were faster every time, and nothing was written.
    Contended,
    /// The store failed, so the result is unknown.
    Store(store::Error),
}

impl<E> AdvanceError<E> {
    /// The same error with another refusal.
    pub fn map_refused<F>(self, refusal: impl FnOnce(E) -> F) -> AdvanceError<F> {
        match self {
            Self::Refused(it) => AdvanceError::Refused(refusal(it)),
            Self::Gone => AdvanceError::Gone,
            Self::Contended => AdvanceError::Contended,
            Self::Store(err) => AdvanceError::Store(err),
        }
    }
}

/// Applies `step` to `current`, and after a lost race to the winner's item. Returns the item as it
/// is then stored. `wait` waits for a random time up to the given one.
///
/// A step returns `None` if there is nothing to do. It also does if it finds its own operation in
/// the item: then the write has succeeded before, and only its response was lost.
pub async fn advance_with<'a, T: Item, E>(
    store: &Store,
    mut current: T,
    step: impl Fn(&T) -> Result<Option<T>, E>,
    wait: impl Fn(Duration) -> Promise<'a, ()>,
) -> Result<T, AdvanceError<E>> {
    let mut waits = WAITS_MS_MAX.into_iter();
    let mut is_calm = true;
    loop {
        let Some(next) = step(&current).map_err(AdvanceError::Refused)? else { return Ok(current) };
        if is_calm {
            match store.save(&next).await.map_err(AdvanceError::Store)? {
                Saved::Saved => return Ok(next),
                Saved::Superseded(theirs) => current = theirs,
                Saved::Gone => return Err(AdvanceError::Gone),
            }
            // The winner may have left nothing to do.
            is_calm = false;
            continue;
        }
        let longest = waits.next().ok_or(AdvanceError::Contended)?;
        wait(Duration::from_millis(longest)).await;
        let found = store.get::<T>(next.key()).await.map_err(AdvanceError::Store)?;
        let found = found.ok_or(AdvanceError::Gone)?;
        is_calm = found.revision() == current.revision() || longest == LAST;
        current = found;
    }
}

/// [`advance_with`] for an item with few writers: it does not wait.
pub async fn advance<T: Item, E>(
    store: &Store,
    current: T,
    step: impl Fn(&T) -> Result<Option<T>, E>,
) -> Result<T, AdvanceError<E>> {
    advance_with(store, current, step, |_| Box::pin(ready(()))).await
}

/// The error of a step that cannot be refused.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Other writers were faster every time, and nothing was written.
    #[error("other writers were faster every time")]
    Contended,
    /// The store failed, so the result is unknown.
    #[error("the store failed")]
    Store(#[from] store::Error),
}

/// [`advance`] for a step that cannot be refused. `None` if the item no longer exists.
pub async fn step<T: Item>(
    store: &Store,
    current: T,
    step: impl Fn(&T) -> Option<T>,
) -> Result<Option<T>, StepError> {
    unless_gone(advance(store, current, |it| Ok(step(it))).await)
}

/// The result of a step that cannot be refused. `None` if the item no longer exists.
pub(crate) fn unless_gone<T>(
    advanced: Result<T, AdvanceError<Infallible>>,
) -> Result<Option<T>, StepError> {
    match advanced {
        Ok(item) => Ok(Some(item)),
        Err(AdvanceError::Gone) => Ok(None),
        Err(AdvanceError::Contended) => Err(StepError::Contended),
        Err(AdvanceError::Store(err)) => Err(err.into()),
        Err(AdvanceError::Refused(never)) => match never {},
    }
}
