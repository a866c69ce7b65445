//! The encoding of channels.

use super::{
    idempotency_item::{self, CALLS},
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
    secret_item::{self, SECRETS},
};
use crate::domain::{BodyHash, Channel};

impl Item for Channel {
    const NAME: &'static str = "a channel";

    fn key(&self) -> Key {
        keys::channel(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .text("name", self.name.clone())
            .time("created_at", self.created_at)
            .op("created_by", self.created_by)
            .bytes("body_hash", self.body_hash.map(|it| it.0.to_vec()))
    }

    fn mutable(&self, layout: &Layout) -> Encoded {
        let encoded = Encoded::default()
            .number("revision", self.revision.cast_signed())
            .bytes("hash", self.token_hash.to_vec())
            .json(SECRETS, &secret_item::encode(&self.secrets))
            .json(CALLS, &idempotency_item::encode(&self.calls))
            .time("deleted_at", self.deleted_at)
            .ttl(self.deleted_at.map(|it| it + layout.retention));
        match self.deleted_at {
            None => encoded.listed(self.owner, keys::Listed::Channels),
            Some(_) => encoded.unlisted(self.owner),
        }
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: item.parsed("pk")?,
            owner: item.owner()?,
            name: item.text("name")?,
            token_hash: item.array("hash")?.ok_or(DecodeError::of("hash"))?,
            secrets: secret_item::decode(item.json(SECRETS)?)?,
            calls: idempotency_item::decode(item.json(CALLS)?)?,
            created_at: item.time("created_at")?,
            created_by: item.op("created_by")?,
            body_hash: item.array("body_hash")?.map(BodyHash),
            deleted_at: item.optional_time("deleted_at")?,
            revision: item.number("revision")?,
        })
    }
}
