//! The encoding of suppressed addresses. An address itself is not stored.

use super::{
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
};
use crate::domain::suppression::{AddressHash, Suppression};

impl Item for Suppression {
    const NAME: &'static str = "a suppressed address";

    fn key(&self) -> Key {
        keys::suppression(self.account, self.address)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .id("account", self.account)
            .bytes("address", self.address.as_bytes().to_vec())
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .time("until", self.until)
            .ttl(Some(self.until))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let address = item.array("address")?.ok_or(DecodeError::of("address"))?;
        Ok(Self {
            account: item.id("account")?,
            address: AddressHash::from_bytes(address),
            until: item.time("until")?,
            revision: item.number("revision")?,
        })
    }
}
