//! Items with parts in separate items: requests with a long question or long answers.

use futures::future::join_all;

use super::{
    Error, Item, Key, Listing, Saved, StepError, Store,
    compact::{Attributes, stored_name},
    is_newer, keys,
    long_answer_item::{ANSWER, LONG_ANSWERS_PAGE},
    long_question_item::{LongQuestion, QUESTION},
    step,
};
use crate::domain::{Request, request::RequestState};

/// Reads of an item whose parts are erased at the same time.
const READS_MAX: u32 = 5;

impl Store {
    /// An item with all its parts. `None` if it was deleted in the meantime.
    pub(super) async fn whole<T: Item>(&self, mut item: Attributes) -> Result<Option<T>, Error> {
        for _ in 0..READS_MAX {
            let parts = if is_newer::<T>(&item) { Vec::new() } else { T::parts(&item) };
            let mut is_whole = true;
            let loaded = join_all(parts.iter().map(|key| self.table.get(key.clone()))).await;
            for (key, part) in parts.into_iter().zip(loaded) {
                is_whole &= insert(&mut item, key, part?);
            }
            if is_whole {
                return super::read(item).map(Some);
            }
            // A later step has erased a part, so there is a newer item.
            let Some(key) = Key::of(&item) else { break };
            let Some(newer) = self.table.get(key).await? else { return Ok(None) };
            item = newer;
        }
        super::read(item).map(Some)
    }

    /// If a request ended early, lets its long question and answers expire soon after it.
    pub async fn expire_parts(&self, request: &Request) -> Result<(), StepError> {
        let RequestState::Ended(end) = request.state() else { return Ok(()) };
        if !request.ended_early() {
            return Ok(());
        }
        let expires_at = request.parts_expire_at(end.at, &self.layout);
        let key = keys::long_question(request.id, request.created_by);
        if let Some(question) = self.get::<LongQuestion>(key).await? {
            step(self, question, |it| it.expire(expires_at)).await?;
        }
        let mut cursor = None;
        loop {
            let Listing { items, next } =
                self.long_answers(request.id, LONG_ANSWERS_PAGE, cursor.as_ref()).await?;
            for answer in items {
                step(self, answer, |it| it.expire(expires_at)).await?;
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Erases the part of an item that another writer has created. A failure is only logged, because
    /// the part expires.
    pub(super) async fn erase_part(&self, key: Key) {
        let erased = async {
            match self.get::<LongQuestion>(key).await? {
                Some(question) => step(self, question, LongQuestion::erase).await.map(|_| ()),
                None => Ok(()),
            }
        };
        if let Err(err) = erased.await {
            let error = &err as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "could not erase the question of a call that lost a race");
        }
    }

    /// The item that another writer left, if there is one.
    pub(super) async fn superseded<T: Item>(
        &self,
        current: Option<Attributes>,
    ) -> Result<Saved<T>, Error> {
        let Some(current) = current else { return Ok(Saved::Gone) };
        Ok(self.whole(current).await?.map_or(Saved::Gone, Saved::Superseded))
    }
}

/// Puts a long question or answer that was loaded into the item of its request. False: it was erased
/// or deleted.
fn insert(request: &mut Attributes, key: Key, part: Option<Attributes>) -> bool {
    let is_question = key.sk.starts_with(keys::LONG_QUESTIONS);
    let content = stored_name(if is_question { QUESTION } else { ANSWER });
    let place = if is_question { content.to_owned() } else { key.sk };
    let content = part.and_then(|mut it| it.remove(content));
    content.map(|it| request.insert(place, it)).is_some()
}
