//! How accounts and API keys are spelled in the table.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    item::{DecodeError, Item, Layout, Reader, Spelling},
    keys::{self, Key},
};
use crate::domain::{
    Account, ApiKey, OpId, Scope,
    account::{IdKey, Secret},
    request::Fingerprint,
};

#[derive(Serialize, Deserialize)]
struct SecretItem {
    text: String,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl Item for Account {
    const NAME: &'static str = "an account";

    fn key(&self) -> Key {
        keys::account(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn fixed(&self, _: &Layout) -> Spelling {
        Spelling::default()
            .time("created_at", self.created_at)
            .bytes("id_key", self.id_key.0.to_vec())
    }

    fn moving(&self, _: &Layout) -> Spelling {
        let secrets: Vec<SecretItem> = self
            .secrets
            .iter()
            .map(|it| SecretItem {
                text: it.text.expose_secret().to_owned(),
                created_at: it.created_at.as_millisecond(),
                expires_at: it.expires_at.map(Timestamp::as_millisecond),
            })
            .collect();
        Spelling::default()
            .number("revision", self.revision.cast_signed())
            .json("secrets", &secrets)
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let time = |it| Timestamp::from_millisecond(it).map_err(|_| DecodeError::of("secrets"));
        Ok(Self {
            id: item.parsed("pk")?,
            created_at: item.time("created_at")?,
            id_key: IdKey(item.array("id_key")?.ok_or(DecodeError::of("id_key"))?),
            secrets: item
                .json::<Vec<SecretItem>>("secrets")?
                .into_iter()
                .map(|it| {
                    Ok(Secret {
                        text: SecretString::from(it.text),
                        created_at: time(it.created_at)?,
                        expires_at: it.expires_at.map(time).transpose()?,
                    })
                })
                .collect::<Result<_, DecodeError>>()?,
            revision: item.number("revision")?,
        })
    }
}

impl Item for ApiKey {
    const NAME: &'static str = "an API key";

    fn key(&self) -> Key {
        keys::api_key(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn fixed(&self, _: &Layout) -> Spelling {
        let scopes: Vec<&str> = self.scopes.iter().map(|it| it.as_str()).collect();
        Spelling::default()
            .text("account", self.account.to_string())
            .flag("livemode", self.livemode)
            .json("scopes", &scopes)
            .bytes("hash", self.hash.to_vec())
            .text("name", self.name.clone())
            .time("created_at", self.created_at)
            .number("created_by", self.created_by.0.cast_signed())
            .bytes("fingerprint", self.fingerprint.map(|it| it.0.to_vec()))
            .text("list_pk", keys::list(self.account, self.livemode, keys::Listed::Keys))
            .text("list_sk", keys::by_time(self.created_at, self.id))
    }

    fn moving(&self, layout: &Layout) -> Spelling {
        Spelling::default()
            .number("revision", self.revision.cast_signed())
            .time("revoked_at", self.revoked_at)
            .ttl(self.revoked_at.map(|it| it + layout.retention))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: item.parsed("pk")?,
            account: item.parsed("account")?,
            livemode: item.flag("livemode")?,
            // A scope that this version does not know opens nothing here.
            scopes: item
                .json::<Vec<String>>("scopes")?
                .iter()
                .filter_map(|it| Scope::parse(it))
                .collect(),
            hash: item.array("hash")?.ok_or(DecodeError::of("hash"))?,
            name: item.optional_text("name")?,
            created_at: item.time("created_at")?,
            created_by: OpId(
                item.optional_number::<i64>("created_by")?.unwrap_or(0).cast_unsigned(),
            ),
            fingerprint: item.array("fingerprint")?.map(Fingerprint),
            revoked_at: item.optional_time("revoked_at")?,
            revision: item.number("revision")?,
        })
    }
}
