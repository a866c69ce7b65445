//! Moves an item on: next state, then save, and again from what is there if somebody was faster.

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
