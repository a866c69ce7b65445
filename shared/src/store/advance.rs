//! Moves an item on: next state, then save, and again from what is there if somebody was faster.

use std::convert::Infallible;

use crate::store::{self, Item, Saved, Store};

/// Most races that one operation loses before it gives up. Each round somebody wins, so it takes
/// more than this many writers of one item at once.
const RACES_MAX: u32 = 40;

/// Why an item was not moved on.
#[derive(Debug)]
pub enum AdvanceError<E> {
    /// The step refused, seeing the item as it is now.
    Refused(E),
    /// It is no longer there.
    Gone,
    /// Others were faster every time; nothing was written.
    Contended,
    /// The store failed, so nobody knows.
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

/// Takes `step` from `current`, and from what another left if that one was faster.
///
/// A step says `None` when there is nothing to do; that is also how it recognizes its own write
/// come back, by the operation that the stored fact names. Gives the item as it then is.
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
    /// Other writers were faster every time; nothing was written.
    #[error("other writers were faster every time")]
    Contended,
    /// The store failed, so the outcome is unknown.
    #[error("the store failed")]
    Store(#[from] store::Error),
}

/// [`advance`] for a step that cannot be refused. `None`: the item is gone.
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
