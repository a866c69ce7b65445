//! The encoding of long answers, which have an item next to their request's.

use futures::future::join_all;
use jiff::Timestamp;

use super::{
    Cursor, Error, Listing, Saved, Store,
    answer_item::AnswerItem,
    compact::{Attributes, stored_name},
    is_newer,
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    question_item,
    reader::{DecodeError, Reader},
};
use crate::domain::{Answer, OpId, Request, RequestId, request::LongAnswer};

/// Reads of an item whose parts are erased at the same time.
const PARTS_READS_MAX: u32 = 5;
/// The attribute with the answer.
const ANSWER: &str = "answer";

impl Item for LongAnswer {
    const NAME: &'static str = "a long answer";
    const VERSION: u32 = question_item::VERSION;

    fn key(&self) -> Key {
        keys::long_answer(self.request, self.row, self.op)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .number("row", i64::try_from(self.row).ok())
            .op("op", self.op)
            .ttl(Some(self.expires_at))
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        let answer = self.answer.as_ref().map(AnswerItem::from);
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .optional_json(ANSWER, answer.as_ref())
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::of(ANSWER);
        let answer: Option<AnswerItem> = item.optional_json(ANSWER)?;
        let answer = answer.map(|it| it.read().ok_or_else(wrong)).transpose()?;
        Ok(Self {
            request: item.parsed("pk")?,
            row: item.number("row")?,
            op: item.op("op")?,
            answer,
            expires_at: Timestamp::from_second(item.number("ttl")?)
                .map_err(|_| DecodeError::of("ttl"))?,
            revision: item.number("revision")?,
        })
    }
}

impl Store {
    /// An item with all its parts. `None` if it was deleted in the meantime.
    pub(super) async fn whole<T: Item>(&self, mut item: Attributes) -> Result<Option<T>, Error> {
        for _ in 0..PARTS_READS_MAX {
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

    /// The item that another writer left, if there is one.
    pub(super) async fn superseded<T: Item>(
        &self,
        current: Option<Attributes>,
    ) -> Result<Saved<T>, Error> {
        let Some(current) = current else { return Ok(Saved::Gone) };
        Ok(self.whole(current).await?.map_or(Saved::Gone, Saved::Superseded))
    }

    /// Writes the item of a long answer that `op` is about to record in `request`. Returns it, if
    /// the answer is long.
    pub async fn keep_long_answer(
        &self,
        request: &Request,
        row: usize,
        answer: &Answer,
        op: OpId,
    ) -> Result<Option<LongAnswer>, Error> {
        // The request ends at its deadline or before.
        let expires_at = request.expires_at(request.deadline, &self.layout);
        let Some(long) = request.long_answer(row, answer, op, expires_at) else { return Ok(None) };
        // If it exists already, this is the repetition of our own write.
        let _: Saved<LongAnswer> = self.create(&long).await?;
        Ok(Some(long))
    }

    /// The long answers of a request, up to `limit`, from the position `after` on.
    pub async fn long_answers(
        &self,
        request: RequestId,
        limit: i32,
        after: Option<&Cursor>,
    ) -> Result<Listing<LongAnswer>, Error> {
        self.under(request.to_string(), keys::LONG_ANSWERS.to_owned(), limit, after).await
    }
}

/// Puts long answers that were loaded into the item of their request. False: one of them was erased
/// or deleted.
fn insert(request: &mut Attributes, key: Key, answer: Option<Attributes>) -> bool {
    let answer = answer.and_then(|mut it| it.remove(stored_name(ANSWER)));
    answer.map(|it| request.insert(key.sk, it)).is_some()
}
