//! The encoding of items: attributes out, and attributes in.
//!
//! - An attribute may be added, but, after the first release, never renamed or given a new meaning. A write preserves
//!   attributes that it does not know.
//! - A change that earlier versions would misread needs a new [`Item::VERSION`]: a new word in a
//!   closed list, or an attribute that must not be ignored. Earlier versions then leave such items
//!   unchanged.
//! - Data that is only read as a whole is stored as JSON, in one attribute.
//! - The names here are those of the code. [`compact`] has the names in the table.

use crate::domain::{Id, OpId, Owner, Trace};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    compact::{self, Attributes, stored_name},
    keys::{self, Key, Listed},
    reader::{DecodeError, Reader, VERSION},
};

/// The version of an item's encoding that has parts with versions in files of their own: it rises
/// with each of them.
pub(super) const fn version_with(own: u32, parts: &[u32]) -> u32 {
    let mut version = own;
    let mut index = 0;
    while index < parts.len() {
        version += parts[index] - 1;
        index += 1;
    }
    version
}

/// Settings of the deployment that the encoding depends on.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The number of partitions of the due index.
    pub n_due_shards: u32,
    /// The number of partitions over which new deliveries are spread in the list of their account.
    pub n_list_shards: u32,
    /// The time for which finished items are kept.
    pub retention: std::time::Duration,
}

/// A kind of item.
pub trait Item: Sized {
    /// Its name in error messages.
    const NAME: &'static str;
    /// The version of its encoding. Version 1 is not stored.
    const VERSION: u32 = 1;
    /// Its key.
    fn key(&self) -> Key;
    /// The number of earlier writes.
    fn revision(&self) -> u64;
    /// The attributes that only the first write sets.
    #[doc(hidden)]
    fn immutable(&self, layout: &Layout) -> Encoded;
    /// The attributes that every write sets.
    #[doc(hidden)]
    fn mutable(&self, layout: &Layout) -> Encoded;
    /// Moves a part that never changes, and is too large, out of the attributes of the first write. It
    /// is written before them, as a separate item.
    #[doc(hidden)]
    fn split(&self, _: &mut Attributes, _: &Layout) -> Option<Attributes> {
        None
    }
    /// The keys of the items that have parts of it. They are loaded before it is decoded, and put
    /// into its attributes.
    #[doc(hidden)]
    fn parts(_: &Attributes) -> Vec<Key> {
        Vec::new()
    }
    /// Decodes it.
    #[doc(hidden)]
    fn read(item: Reader) -> Result<Self, DecodeError>;
}

/// All attributes of a new item.
pub(super) fn created<T: Item>(first: &T, layout: &Layout) -> Attributes {
    let mut attributes = first.key().into_attributes();
    attributes.extend(first.immutable(layout).0);
    attributes.extend(mutable(first, layout));
    attributes.retain(|_, it| !it.is_null());
    attributes
}

/// The attributes that a later write sets. A NULL removes the attribute.
pub(super) fn mutable<T: Item>(next: &T, layout: &Layout) -> Attributes {
    let Encoded(mut attributes) = next.mutable(layout);
    if T::VERSION > 1 {
        attributes.insert(VERSION.to_owned(), AttributeValue::N(T::VERSION.to_string()));
    }
    attributes
}

/// Attributes to write. A NULL removes the attribute.
#[derive(Debug, Default)]
pub struct Encoded(pub(crate) Attributes);

impl Encoded {
    pub(crate) fn text(self, name: &str, value: impl Into<Option<String>>) -> Self {
        self.set(name, value.into().map(AttributeValue::S))
    }

    pub(crate) fn number(self, name: &str, value: impl Into<Option<i64>>) -> Self {
        self.set(name, value.into().map(|it| AttributeValue::N(it.to_string())))
    }

    pub(crate) fn bytes(self, name: &str, value: impl Into<Option<Vec<u8>>>) -> Self {
        self.set(name, value.into().map(|it| AttributeValue::B(Blob::new(it))))
    }

    /// A time, in milliseconds since the epoch.
    pub(crate) fn time(self, name: &str, value: impl Into<Option<Timestamp>>) -> Self {
        self.number(name, value.into().map(Timestamp::as_millisecond))
    }

    pub(crate) fn flag(self, name: &str, value: bool) -> Self {
        self.set(name, Some(AttributeValue::Bool(value)))
    }

    /// True, or no attribute.
    pub(crate) fn optional_flag(self, name: &str, value: bool) -> Self {
        self.set(name, value.then_some(AttributeValue::Bool(true)))
    }

    /// A number that is left out if it is 0.
    pub(crate) fn count(self, name: &str, value: u32) -> Self {
        self.number(name, (value > 0).then_some(i64::from(value)))
    }

    /// An operation.
    pub(crate) fn op(self, name: &str, value: impl Into<Option<OpId>>) -> Self {
        self.bytes(name, value.into().map(|it| it.0.to_be_bytes().to_vec()))
    }

    /// An identifier, without its prefix.
    pub(crate) fn id<K>(self, name: &str, value: impl Into<Option<Id<K>>>) -> Self {
        self.bytes(name, value.into().map(|it| it.bits().to_be_bytes().to_vec()))
    }

    /// A trace.
    pub(crate) fn trace(self, value: Option<Trace>) -> Self {
        self.bytes("trace", value.map(|it| it.to_bytes().to_vec()))
    }

    /// The account and mode that an item belongs to which no list shows.
    pub(crate) fn owner(self, owner: Owner) -> Self {
        self.text("owner", keys::owner(owner))
    }

    /// The account and mode that an item belongs to, in the key of the list that shows it.
    pub(crate) fn listed(self, owner: Owner, listed: Listed) -> Self {
        self.text("list_pk", keys::list(owner, listed)).text("owner", None)
    }

    /// The account and mode that an item belongs to, which no list shows any more, or none yet.
    pub(crate) fn unlisted(self, owner: Owner) -> Self {
        self.text("list_pk", None).owner(owner)
    }

    /// A text that may be long.
    pub(crate) fn long_text(self, name: &str, value: String) -> Self {
        self.set(name, Some(compact::text(value)))
    }

    /// Bytes that may be many.
    pub(crate) fn deflated(self, name: &str, value: Option<&[u8]>) -> Self {
        self.set(name, value.map(compact::bytes))
    }

    pub(crate) fn json(self, name: &str, value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("plain data serializes");
        self.long_text(name, text)
    }

    /// JSON, or no attribute if there is nothing.
    pub(crate) fn optional_json<T: Serialize>(self, name: &str, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.json(name, value),
            None => self.set(name, None),
        }
    }

    /// JSON, or no attribute if there is nothing.
    pub(crate) fn json_list<T: Serialize>(self, name: &str, value: &[T]) -> Self {
        if value.is_empty() { self.set(name, None) } else { self.json(name, &value) }
    }

    /// The time from which DynamoDB may delete it, in seconds, as its time to live requires.
    pub(crate) fn ttl(self, at: Option<Timestamp>) -> Self {
        self.number("ttl", at.map(Timestamp::as_second))
    }

    /// The timer: both keys of the due index, or neither.
    pub(crate) fn due(self, id: &str, at: Option<Timestamp>, layout: &Layout) -> Self {
        let shard = at.map(|_| super::keys::due_shard(id, layout.n_due_shards));
        self.text("due_shard", shard).time("due_at", at)
    }

    /// A value as it is stored.
    pub(crate) fn value(self, name: &str, value: Option<AttributeValue>) -> Self {
        self.set(name, value)
    }

    fn set(mut self, name: &str, value: Option<AttributeValue>) -> Self {
        let value = value.unwrap_or(AttributeValue::Null(true));
        self.0.insert(stored_name(name).to_owned(), value);
        self
    }
}
