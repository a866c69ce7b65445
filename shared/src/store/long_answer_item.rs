//! The encoding of long answers, which have an item next to their request's.

use jiff::Timestamp;

use super::{
    Cursor, Error, Listing, Saved, Store,
    answer_item::AnswerItem,
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    question_item,
    reader::{DecodeError, Reader},
};
use crate::domain::{Answer, OpId, Request, RequestId, request::LongAnswer};

/// The attribute with the answer.
pub(super) const ANSWER: &str = "answer";
/// Long answers in one page: at most 1 MB, as much as one query returns.
pub const LONG_ANSWERS_PAGE: i32 = 30;

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
        Encoded::default().number("row", i64::try_from(self.row).ok()).op("op", self.op)
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        let answer = self.answer.as_ref().map(AnswerItem::from);
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .optional_json(ANSWER, answer.as_ref())
            .ttl(Some(self.expires_at))
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
    /// Writes the item of a long answer that `op` is about to record in `request`. Returns it, if
    /// the answer is long.
    pub async fn keep_long_answer(
        &self,
        request: &Request,
        row: usize,
        answer: &Answer,
        op: OpId,
    ) -> Result<Option<LongAnswer>, Error> {
        let expires_at = request.parts_expire_at(request.deadline, &self.layout);
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
