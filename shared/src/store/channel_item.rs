//! How channels are spelled in the table.

use super::{
    item::{DecodeError, Item, Layout, Reader, Spelling},
    keys::{self, Key},
    secret_item::{self, SECRETS},
};
use crate::domain::{Channel, OpId, request::Fingerprint};

impl Item for Channel {
    const NAME: &'static str = "a channel";

    fn key(&self) -> Key {
        keys::channel(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn fixed(&self, _: &Layout) -> Spelling {
        Spelling::default()
            .text("account", self.account.to_string())
            .flag("livemode", self.livemode)
            .text("name", self.name.clone())
            .time("created_at", self.created_at)
            .number("created_by", self.created_by.0.cast_signed())
            .bytes("fingerprint", self.fingerprint.map(|it| it.0.to_vec()))
            .text("list_pk", keys::list(self.account, self.livemode, keys::Listed::Channels))
            .text("list_sk", keys::by_time(self.created_at, self.id))
    }

    fn moving(&self, layout: &Layout) -> Spelling {
        let spelling = Spelling::default()
            .number("revision", self.revision.cast_signed())
            .bytes("hash", self.token_hash.to_vec())
            .json(SECRETS, &secret_item::spell(&self.secrets))
            .time("deleted_at", self.deleted_at)
            .ttl(self.deleted_at.map(|it| it + layout.retention));
        match self.deleted_at {
            None => spelling,
            Some(_) => spelling.text("list_pk", None).text("list_sk", None),
        }
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: item.parsed("pk")?,
            account: item.parsed("account")?,
            livemode: item.flag("livemode")?,
            name: item.text("name")?,
            token_hash: item.array("hash")?.ok_or(DecodeError::of("hash"))?,
            secrets: secret_item::read(item.json(SECRETS)?)?,
            created_at: item.time("created_at")?,
            created_by: OpId(item.number::<i64>("created_by")?.cast_unsigned()),
            fingerprint: item.array("fingerprint")?.map(Fingerprint),
            deleted_at: item.optional_time("deleted_at")?,
            revision: item.number("revision")?,
        })
    }
}
