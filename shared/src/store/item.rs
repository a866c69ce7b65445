//! The encoding of items: attributes out, and attributes in.
//!
//! - An attribute may be added, but never renamed or given a new meaning. A write preserves
//!   attributes that it does not know.
//! - A change that earlier versions would misread needs a new [`Item::VERSION`]: a new word in a
//!   closed list, or an attribute that must not be ignored. Earlier versions then leave such items
//!   unchanged.
//! - Data that is only read as a whole is stored as JSON, in one attribute.

use crate::domain::{Mode, Owner};
use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::keys::Key;

/// The attribute with the version of an item's encoding.
pub(super) const VERSION: &str = "v";

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

/// An item's attributes by name.
pub type Attributes = HashMap<String, AttributeValue>;

/// Settings of the deployment that the encoding depends on.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The number of partitions of the due index.
    pub n_due_shards: u32,
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
    /// The keys of the items that have parts of it. They are loaded before it is decoded, and put
    /// into its attributes under their sort keys.
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

/// An item cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("the attribute `{attribute}` is missing or malformed{}", position.as_deref().unwrap_or_default())]
pub struct DecodeError {
    attribute: &'static str,
    /// The position in its JSON. The parser's message is left out, because it quotes content.
    position: Option<String>,
}

/// Attributes to write. A NULL removes the attribute.
#[derive(Debug, Default)]
pub struct Encoded(pub(crate) Attributes);

/// Attributes to decode.
#[derive(Debug)]
pub struct Reader(pub(crate) Attributes);

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

    /// The account and mode that an item belongs to.
    pub(crate) fn owner(self, owner: Owner) -> Self {
        self.text("account", owner.account.to_string()).text("mode", owner.mode.as_str().to_owned())
    }

    pub(crate) fn json(self, name: &str, value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("plain data serializes");
        self.set(name, Some(AttributeValue::S(text)))
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
    pub(crate) fn due(self, pk: &str, at: Option<Timestamp>, layout: &Layout) -> Self {
        let shard = at.map(|_| super::keys::due_shard(pk, layout.n_due_shards));
        self.text("due_shard", shard).time("due_at", at)
    }

    fn set(mut self, name: &str, value: Option<AttributeValue>) -> Self {
        self.0.insert(name.to_owned(), value.unwrap_or(AttributeValue::Null(true)));
        self
    }
}

impl Reader {
    /// The version of its encoding.
    pub(crate) fn version(&mut self) -> Result<u32, DecodeError> {
        Ok(self.optional_number(VERSION)?.unwrap_or(1))
    }

    /// The account and mode that the item belongs to.
    pub(crate) fn owner(&mut self) -> Result<Owner, DecodeError> {
        let mode = Mode::parse(&self.text("mode")?).ok_or(DecodeError::of("mode"))?;
        Ok(Owner { account: self.parsed("account")?, mode })
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, DecodeError> {
        self.optional_text(name)?.ok_or(DecodeError::of(name))
    }

    pub(crate) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<String>, DecodeError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(DecodeError::of(name)),
        }
    }

    /// A part that was loaded from another item, as JSON. See [`Item::parts`].
    pub(crate) fn part<T: DeserializeOwned>(
        &self,
        key: &Key,
        attribute: &'static str,
    ) -> Result<T, DecodeError> {
        let wrong = || DecodeError::of(attribute);
        // It stays, because a row and an event may share it.
        match self.0.get(&key.sk) {
            Some(AttributeValue::S(text)) => serde_json::from_str(text).map_err(|_| wrong()),
            Some(_) | None => Err(wrong()),
        }
    }

    /// A text, parsed.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
    ) -> Result<T, DecodeError> {
        self.text(name)?.parse().map_err(|_| DecodeError::of(name))
    }

    /// A text, parsed, if the attribute is present.
    pub(crate) fn optional_parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        let text = self.optional_text(name)?;
        text.map(|it| it.parse().map_err(|_| DecodeError::of(name))).transpose()
    }

    pub(crate) fn number<T: TryFrom<i64>>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        self.optional_number(name)?.ok_or(DecodeError::of(name))
    }

    pub(crate) fn optional_number<T: TryFrom<i64>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        let wrong = || DecodeError::of(name);
        match self.0.remove(name) {
            None => Ok(None),
            Some(AttributeValue::N(text)) => {
                let number: i64 = text.parse().map_err(|_| wrong())?;
                T::try_from(number).map(Some).map_err(|_| wrong())
            }
            Some(_) => Err(wrong()),
        }
    }

    pub(crate) fn optional_bytes(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(AttributeValue::B(bytes)) => Ok(Some(bytes.into_inner())),
            Some(_) => Err(DecodeError::of(name)),
        }
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<[u8; N]>, DecodeError> {
        self.optional_bytes(name)?
            .map(|it| it.try_into().map_err(|_| DecodeError::of(name)))
            .transpose()
    }

    pub(crate) fn time(&mut self, name: &'static str) -> Result<Timestamp, DecodeError> {
        self.optional_time(name)?.ok_or(DecodeError::of(name))
    }

    pub(crate) fn optional_time(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Timestamp>, DecodeError> {
        self.optional_number(name)?
            .map(|it: i64| Timestamp::from_millisecond(it).map_err(|_| DecodeError::of(name)))
            .transpose()
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, DecodeError> {
        match self.0.remove(name) {
            Some(AttributeValue::Bool(flag)) => Ok(flag),
            Some(_) | None => Err(DecodeError::of(name)),
        }
    }

    /// The attribute is present and true.
    pub(crate) fn is_flagged(&mut self, name: &'static str) -> Result<bool, DecodeError> {
        if self.0.contains_key(name) { self.flag(name) } else { Ok(false) }
    }

    pub(crate) fn json<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<T, DecodeError> {
        self.optional_json(name)?.ok_or(DecodeError::of(name))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        self.optional_text(name)?
            .map(|it| {
                serde_json::from_str(&it).map_err(|err| {
                    let position = format!(", at column {} of its JSON", err.column());
                    DecodeError { attribute: name, position: Some(position) }
                })
            })
            .transpose()
    }
}

impl DecodeError {
    pub(crate) fn of(attribute: &'static str) -> Self {
        Self { attribute, position: None }
    }
}

/// A time inside of the JSON of an attribute, in milliseconds since the epoch.
pub(super) fn time(attribute: &'static str, millisecond: i64) -> Result<Timestamp, DecodeError> {
    Timestamp::from_millisecond(millisecond).map_err(|_| DecodeError::of(attribute))
}
