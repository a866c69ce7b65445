//! The encoding of long answers, which have an item next to their request's.

use jiff::Timestamp;

use super::{
    item::{Attributes, DecodeError, Encoded, Item, Layout, Reader},
    keys::{self, Key},
    question_item::{self, AnswerItem},
};
use crate::domain::{OpId, request::LongAnswer};

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
            .number("op", self.op.0.cast_signed())
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
            op: OpId(item.number::<i64>("op")?.cast_unsigned()),
            answer,
            expires_at: Timestamp::from_second(item.number("ttl")?)
                .map_err(|_| DecodeError::of("ttl"))?,
            revision: item.number("revision")?,
        })
    }
}

/// Puts long answers that were loaded into the item of their request. False: one of them was erased
/// or deleted.
pub(super) fn insert(request: &mut Attributes, key: Key, answer: Option<Attributes>) -> bool {
    let answer = answer.and_then(|mut it| it.remove(ANSWER));
    answer.map(|it| request.insert(key.sk, it)).is_some()
}
