//! The encoding of accounts and API keys.

use super::{
    idempotency_item::{self, CALLS},
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    question_item::RequesterItem,
    reader::{DecodeError, Reader},
    secret_item::{self, SECRETS, SecretItem},
};
use crate::domain::{
    Account, ApiKey, BodyHash, EmailPattern, Requester, Scope,
    account::{
        AccountSecrets, AskLimit, CallLimit, IdKey, LIST_SHARDS, MESSAGES_PER_HOUR, SourceSecrets,
    },
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct SecretsItem {
    live: SourceSecretsItem,
    test: SourceSecretsItem,
}

#[derive(Serialize, Deserialize)]
struct SourceSecretsItem {
    requests: Vec<SecretItem>,
    events: Vec<SecretItem>,
}

impl Item for Account {
    const NAME: &'static str = "an account";

    fn key(&self) -> Key {
        keys::account(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .time("created_at", self.created_at)
            .bytes("id_key", self.id_key.0.to_vec())
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        let max_messages = Some(self.max_messages_per_hour).filter(|it| *it != MESSAGES_PER_HOUR);
        let more_shards = Some(self.n_list_shards).filter(|it| *it != LIST_SHARDS);
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .json(SECRETS, &SecretsItem::from(&self.secrets))
            .json(CALLS, &idempotency_item::encode(&self.calls))
            .text("name", self.name.clone())
            .number("max_pending", self.max_pending_requests.map(i64::from))
            .number("max_messages", max_messages.map(i64::from))
            .number("list_shards", more_shards.map(i64::from))
            .json_list("senders", &texts(&self.allowed_senders))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            id: item.parsed("pk")?,
            created_at: item.time("created_at")?,
            id_key: IdKey(item.array("id_key")?.ok_or(DecodeError::of("id_key"))?),
            secrets: item.json::<SecretsItem>(SECRETS)?.read()?,
            calls: idempotency_item::decode(item.json(CALLS)?)?,
            name: item.optional_text("name")?,
            max_pending_requests: item.optional_number("max_pending")?,
            max_messages_per_hour: item
                .optional_number("max_messages")?
                .unwrap_or(MESSAGES_PER_HOUR),
            n_list_shards: item.optional_number("list_shards")?.unwrap_or(LIST_SHARDS),
            allowed_senders: item
                .optional_json::<Vec<String>>("senders")?
                .unwrap_or_default()
                .iter()
                .map(|it| EmailPattern::parse(it).ok_or(DecodeError::of("senders")))
                .collect::<Result<_, _>>()?,
            revision: item.number("revision")?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct LimitItem {
    key: String,
    per_minute: u32,
}

impl From<&CallLimit> for LimitItem {
    fn from(limit: &CallLimit) -> Self {
        Self { key: limit.key.to_string(), per_minute: limit.per_minute }
    }
}

impl LimitItem {
    fn read(self) -> Result<CallLimit, DecodeError> {
        let key = self.key.parse().map_err(|_| DecodeError::of("limits"))?;
        Ok(CallLimit { key, per_minute: self.per_minute })
    }
}

#[derive(Serialize, Deserialize)]
struct AskLimitItem {
    key: String,
    per_hour: u32,
}

impl From<&AskLimit> for AskLimitItem {
    fn from(limit: &AskLimit) -> Self {
        Self { key: limit.key.to_string(), per_hour: limit.per_hour }
    }
}

impl AskLimitItem {
    fn read(self) -> Result<AskLimit, DecodeError> {
        let key = self.key.parse().map_err(|_| DecodeError::of("ask_limits"))?;
        Ok(AskLimit { key, per_hour: self.per_hour })
    }
}

impl From<&AccountSecrets> for SecretsItem {
    fn from(secrets: &AccountSecrets) -> Self {
        Self { live: (&secrets.live).into(), test: (&secrets.test).into() }
    }
}

impl SecretsItem {
    fn read(self) -> Result<AccountSecrets, DecodeError> {
        Ok(AccountSecrets { live: self.live.read()?, test: self.test.read()? })
    }
}

impl From<&SourceSecrets> for SourceSecretsItem {
    fn from(secrets: &SourceSecrets) -> Self {
        Self {
            requests: secret_item::encode(&secrets.requests),
            events: secret_item::encode(&secrets.events),
        }
    }
}

impl SourceSecretsItem {
    fn read(self) -> Result<SourceSecrets, DecodeError> {
        Ok(SourceSecrets {
            requests: secret_item::decode(self.requests)?,
            events: secret_item::decode(self.events)?,
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

    fn immutable(&self, _: &Layout) -> Encoded {
        let makers: Vec<String> = self.makers.iter().map(ToString::to_string).collect();
        let limits: Vec<LimitItem> = self.limits.iter().map(LimitItem::from).collect();
        let ask_limits: Vec<AskLimitItem> =
            self.ask_limits.iter().map(AskLimitItem::from).collect();
        let recipients = self.recipients_allowed.as_deref().map(texts);
        let family = Some(self.family).filter(|it| *it != self.id);
        let scopes: Vec<&str> = self.scopes.iter().map(|it| it.as_str()).collect();
        Encoded::default()
            .listed(self.owner, keys::Listed::Keys)
            .json("scopes", &scopes)
            .bytes("hash", self.hash.to_vec())
            .text("name", self.name.clone())
            .time("created_at", self.created_at)
            .op("created_by", self.created_by)
            .bytes("body_hash", self.body_hash.map(|it| it.0.to_vec()))
            .optional_json("makers", Some(&makers).filter(|it| !it.is_empty()))
            .optional_json("limits", Some(&limits).filter(|it| !it.is_empty()))
            .optional_json("ask_limits", Some(&ask_limits).filter(|it| !it.is_empty()))
            .optional_json("recipients", recipients.as_ref())
            .optional_json("requester", self.requester.as_ref().map(RequesterItem::from).as_ref())
            .id("family", family)
            .time("expires_at", self.expires_at)
    }

    fn mutable(&self, layout: &Layout) -> Encoded {
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .time("revoked_at", self.revoked_at)
            .ttl(self.revoked_at.or(self.expires_at).map(|it| it + layout.retention))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let id = item.parsed("pk")?;
        Ok(Self {
            id,
            owner: item.owner()?,
            // A scope that only a newer version knows gives no right here.
            scopes: item
                .json::<Vec<String>>("scopes")?
                .iter()
                .filter_map(|it| Scope::parse(it))
                .collect(),
            hash: item.array("hash")?.ok_or(DecodeError::of("hash"))?,
            name: item.optional_text("name")?,
            created_at: item.time("created_at")?,
            created_by: item.op("created_by")?,
            body_hash: item.array("body_hash")?.map(BodyHash),
            makers: item
                .optional_json::<Vec<String>>("makers")?
                .unwrap_or_default()
                .iter()
                .map(|it| it.parse().map_err(|_| DecodeError::of("makers")))
                .collect::<Result<_, _>>()?,
            limits: item
                .optional_json::<Vec<LimitItem>>("limits")?
                .unwrap_or_default()
                .into_iter()
                .map(LimitItem::read)
                .collect::<Result<_, _>>()?,
            family: item.optional_id("family")?.unwrap_or(id),
            ask_limits: item
                .optional_json::<Vec<AskLimitItem>>("ask_limits")?
                .unwrap_or_default()
                .into_iter()
                .map(AskLimitItem::read)
                .collect::<Result<_, _>>()?,
            recipients_allowed: item
                .optional_json::<Vec<String>>("recipients")?
                .map(|it| it.iter().map(|it| pattern(it)).collect::<Result<_, _>>())
                .transpose()?,
            requester: item.optional_json::<RequesterItem>("requester")?.map(Requester::from),
            expires_at: item.optional_time("expires_at")?,
            revoked_at: item.optional_time("revoked_at")?,
            revision: item.number("revision")?,
        })
    }
}

fn texts(patterns: &[EmailPattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

fn pattern(text: &str) -> Result<EmailPattern, DecodeError> {
    EmailPattern::parse(text).ok_or(DecodeError::of("recipients"))
}
