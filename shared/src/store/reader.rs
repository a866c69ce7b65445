//! The decoding of items: attributes in. [`Encoded`](super::item::Encoded) is the other direction.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::{
    compact::{self, Attributes, stored_name},
    keys::Key,
};
use crate::domain::{AccountId, Id, Mode, OpId, Owner, Trace};

/// The attribute with the version of an item's encoding.
pub(super) const VERSION: &str = "v";

/// Attributes to decode.
#[derive(Debug)]
pub struct Reader(pub(crate) Attributes);

/// An item cannot be decoded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the attribute `{attribute}` is missing or malformed{}", position.as_deref().unwrap_or_default())]
pub struct DecodeError {
    attribute: &'static str,
    /// The position in its JSON. The parser's message is left out, because it quotes content.
    position: Option<String>,
}

impl Reader {
    /// The version of its encoding.
    pub(crate) fn version(&mut self) -> Result<u32, DecodeError> {
        Ok(self.optional_number(VERSION)?.unwrap_or(1))
    }

    /// The account and mode that the item belongs to.
    pub(crate) fn owner(&mut self) -> Result<Owner, DecodeError> {
        let listed = self.optional_text("list_pk")?;
        let owner = self.optional_text("owner")?;
        let text = listed.or(owner).ok_or(DecodeError::of("owner"))?;
        let mut parts = text.split('#');
        let account: Option<AccountId> = parts.next().and_then(|it| it.parse().ok());
        let mode = parts.next().and_then(Mode::parse);
        let (account, mode) = account.zip(mode).ok_or(DecodeError::of("owner"))?;
        Ok(Owner { account, mode })
    }

    /// The attribute with this name, removed.
    pub(crate) fn take(&mut self, name: &str) -> Option<AttributeValue> {
        self.0.remove(stored_name(name))
    }

    /// A number that is left out if it is 0.
    pub(crate) fn count(&mut self, name: &'static str) -> Result<u32, DecodeError> {
        Ok(self.optional_number(name)?.unwrap_or(0))
    }

    /// An operation.
    pub(crate) fn op(&mut self, name: &'static str) -> Result<OpId, DecodeError> {
        self.optional_op(name)?.ok_or(DecodeError::of(name))
    }

    /// An operation, if the attribute is present.
    pub(crate) fn optional_op(&mut self, name: &'static str) -> Result<Option<OpId>, DecodeError> {
        Ok(self.array(name)?.map(|it| OpId(u64::from_be_bytes(it))))
    }

    /// An identifier.
    pub(crate) fn id<K>(&mut self, name: &'static str) -> Result<Id<K>, DecodeError> {
        self.optional_id(name)?.ok_or(DecodeError::of(name))
    }

    /// An identifier, if the attribute is present.
    pub(crate) fn optional_id<K>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Id<K>>, DecodeError> {
        Ok(self.array(name)?.map(|it| Id::from_stored(u128::from_be_bytes(it))))
    }

    /// A trace, if there is one.
    pub(crate) fn trace(&mut self) -> Result<Option<Trace>, DecodeError> {
        let wrong = || DecodeError::of("trace");
        self.array("trace")?.map(|it| Trace::from_bytes(it).ok_or_else(wrong)).transpose()
    }

    /// A text that may be long.
    pub(crate) fn long_text(&mut self, name: &'static str) -> Result<String, DecodeError> {
        self.optional_long_text(name)?.ok_or(DecodeError::of(name))
    }

    fn optional_long_text(&mut self, name: &'static str) -> Result<Option<String>, DecodeError> {
        let value = self.take(name);
        value.map(|it| compact::read_text(it).ok_or(DecodeError::of(name))).transpose()
    }

    /// Bytes that may be many.
    pub(crate) fn inflated(&mut self, name: &'static str) -> Result<Option<Vec<u8>>, DecodeError> {
        let value = self.take(name);
        value.map(|it| compact::read_bytes(it).ok_or(DecodeError::of(name))).transpose()
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, DecodeError> {
        self.optional_text(name)?.ok_or(DecodeError::of(name))
    }

    pub(crate) fn optional_text(
        &mut self,
        name: &'static str,
    ) -> Result<Option<String>, DecodeError> {
        match self.take(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(DecodeError::of(name)),
        }
    }

    /// A part that was loaded from another item, as JSON. See [`Item::parts`](super::Item::parts).
    pub(crate) fn part<T: DeserializeOwned>(
        &self,
        key: &Key,
        attribute: &'static str,
    ) -> Result<T, DecodeError> {
        let wrong = || DecodeError::of(attribute);
        // It stays, because a row and an event may share it.
        let text = self.0.get(&key.sk).cloned().and_then(compact::read_text);
        serde_json::from_str(&text.ok_or_else(wrong)?).map_err(|_| wrong())
    }

    /// A text, parsed.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
    ) -> Result<T, DecodeError> {
        self.text(name)?.parse().map_err(|_| DecodeError::of(name))
    }

    pub(crate) fn number<T: TryFrom<i64>>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        self.optional_number(name)?.ok_or(DecodeError::of(name))
    }

    pub(crate) fn optional_number<T: TryFrom<i64>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        let wrong = || DecodeError::of(name);
        match self.take(name) {
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
        match self.take(name) {
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
        match self.take(name) {
            Some(AttributeValue::Bool(flag)) => Ok(flag),
            Some(_) | None => Err(DecodeError::of(name)),
        }
    }

    /// The attribute is present and true.
    pub(crate) fn is_flagged(&mut self, name: &'static str) -> Result<bool, DecodeError> {
        if self.0.contains_key(stored_name(name)) { self.flag(name) } else { Ok(false) }
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
        self.optional_long_text(name)?
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
