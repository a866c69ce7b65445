//! Advances an item: compute the next state, save it, and if another writer was faster, do both
//! again from the state that it left.

use std::convert::Infallible;

use crate::store::{self, Item, Saved, Store};

/// Races that one operation loses before it gives up. Each race has a winner, so that takes more
/// than this number of writers of one item at once.
const RACES_MAX: u32 = 40;

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
/// is then stored.
///
/// A step returns `None` if there is nothing to do. It also does if it finds its own operation in
/// the item: then the write has succeeded before, and only its response was lost.
pub async fn advance<T, E>(
    store: &Store,
    mut current: T,
    step: impl Fn(&T) -> Result<Option<T>, E>,
) -> Result<T, AdvanceError<E>>
where
    T: Item,
{
    for _ in 0..RACES_MAX {
        let Some(next) = step(&current).map_err(AdvanceError::Refused)? else { return Ok(current) };
        match store.save(&next).await.map_err(AdvanceError::Store)? {
            Saved::Saved => return Ok(next),
            Saved::Superseded(theirs) => current = theirs,
            Saved::Gone => return Err(AdvanceError::Gone),
        }
    }
    Err(AdvanceError::Contended)
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
    match advance(store, current, |it| Ok::<_, Infallible>(step(it))).await {
        Ok(item) => Ok(Some(item)),
        Err(AdvanceError::Gone) => Ok(None),
        Err(AdvanceError::Contended) => Err(StepError::Contended),
        Err(AdvanceError::Store(err)) => Err(err.into()),
        Err(AdvanceError::Refused(never)) => match never {},
    }
}
