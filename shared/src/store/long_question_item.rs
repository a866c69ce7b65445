//! The encoding of long questions, which have an item next to their request's.
//!
//! A question never changes, and every answer writes its request's item again. So a long one is in a
//! separate item, written before its request's, and read with it. The item expires at least a week after
//! the request, and also if the request was never stored.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    Listing, StepError, Store,
    compact::{Attributes, stored_name},
    item::{self, Encoded, Item, Layout},
    keys::{self, Key},
    question_item::VERSION,
    reader::{DecodeError, Reader},
};
use crate::domain::{OpId, Request, RequestId, question::QUESTION_INLINE_BYTES_MAX};

/// The attribute with the question, here and in short ones' requests.
pub(super) const QUESTION: &str = "question";
/// Questions in one page. A request has one, and another one for each call that lost a race to create it.
const PAGE_ITEMS: i32 = 10;

/// The item of a long question.
pub(super) struct LongQuestion {
    key: Key,
    /// The question as it is stored. `None` after an erasure.
    question: Option<AttributeValue>,
    /// The time from which it may be deleted, in seconds.
    expires_at: i64,
    revision: u64,
}

impl LongQuestion {
    /// The erased question, or `None` if it was erased before.
    pub(super) fn erase(&self) -> Option<Self> {
        self.question.as_ref()?;
        Some(Self { question: None, ..self.next() })
    }

    /// The question with this expiry, or `None` if it expires no later.
    pub(super) fn expire(&self, at: Timestamp) -> Option<Self> {
        let expires_at = at.as_second();
        (expires_at < self.expires_at).then(|| Self { expires_at, ..self.next() })
    }

    fn next(&self) -> Self {
        let (key, question) = (self.key.clone(), self.question.clone());
        Self { key, question, revision: self.revision + 1, ..*self }
    }
}

impl Item for LongQuestion {
    const NAME: &'static str = "a long question";
    const VERSION: u32 = VERSION;

    fn key(&self) -> Key {
        self.key.clone()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .value(QUESTION, self.question.clone())
            .number("ttl", self.expires_at)
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            key: Key { pk: item.text("pk")?, sk: item.text("sk")? },
            question: item.take(QUESTION),
            expires_at: item.number("ttl")?,
            revision: item.number("revision")?,
        })
    }
}

/// Takes a long question out of the attributes of a new request. Returns its item.
pub(super) fn split(
    request: &Request,
    attributes: &mut Attributes,
    layout: &Layout,
) -> Option<Attributes> {
    let name = stored_name(QUESTION);
    let n_bytes = match attributes.get(name)? {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => 0,
    };
    if n_bytes <= QUESTION_INLINE_BYTES_MAX {
        return None;
    }
    let part = LongQuestion {
        key: keys::long_question(request.id, request.created_by),
        question: attributes.remove(name),
        expires_at: request.parts_expire_at(request.deadline, layout).as_second(),
        revision: 0,
    };
    Some(item::created(&part, layout))
}

impl Store {
    /// Erases the long questions of a request: its own, and those of calls that lost a race to create
    /// it.
    pub async fn erase_questions(&self, request: RequestId) -> Result<(), StepError> {
        let mut cursor = None;
        loop {
            let (pk, beginning) = (request.to_string(), keys::LONG_QUESTIONS.to_owned());
            let Listing { items, next } =
                self.under(pk, beginning, PAGE_ITEMS, cursor.as_ref()).await?;
            for part in items {
                super::step(self, part, LongQuestion::erase).await?;
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

/// The key of the long question of a request's item. `None`: the item has its question, or it was
/// erased.
pub(super) fn of_request(item: &Attributes) -> Option<Key> {
    let has = |name| item.contains_key(stored_name(name));
    if has(QUESTION) || has("erased") {
        return None;
    }
    let AttributeValue::B(op) = item.get(stored_name("created_by"))? else { return None };
    let op = OpId(u64::from_be_bytes(op.as_ref().try_into().ok()?));
    Some(keys::long_question(Key::of(item)?.pk.parse().ok()?, op))
}
