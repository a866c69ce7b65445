//! Every key in the table.
//!
//! | item       | `pk`       | `sk`        | `list_pk`, by `list_sk` | `related_pk`, by `related_sk` | `webhook_pk`, by `webhook_sk` | due |
//! |------------|------------|-------------|-------------------------|-------------------------------|------------------------|-----|
//! | a request  | `req_…`    | `-`         | account, mode, `req`    | pending, account, while it is and there is a cap | | yes |
//! | a delivery | `dlv_…`    | `-`         | account, mode, `dlv`    | its request, or its event     | its webhook, if it is a webhook's | yes |
//! | an event   | `evt_…`    | `-`         | account, mode, `evt`    |                               |                        | yes |
//! | an attempt | `dlv_…`    | `att#0000001` |                       |                               | its webhook, and `att` |     |
//! | a webhook  | account, mode | `whk#…`  |                         |                               |                        |     |
//! | an account | `acct_…`   | `-`         |                         |                               |                        |     |
//! | an API key | `key_…`    | `-`         | account, mode, `key`    |                               |                        |     |
//! | calls of a key | `use#<key>#<minute>` | `-` |                |                               |                        |     |
//! | a channel  | `ch_…`     | `-`         | account, mode, `ch`     |                               |                        |     |
//! | a breaker  | `brk#<account>#<host:port>` | `-` |               |                               |                        |     |
//!
//! What things are listed by is the time of creation and the identifier. `due_shard` and
//! `due_at` are present only while an item has a timer, so the `due` index holds exactly what
//! somebody must look after. All indexes hold keys only.

use crate::domain::{
    AccountId, AttemptId, ChannelId, DeliveryId, EventId, KeyId, Owner, RequestId, WebhookId,
    breaker::Authority,
};
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

/// Name of the index of what is due.
pub const DUE_INDEX: &str = "due";
/// Name of the index of what an account has.
pub const LIST_INDEX: &str = "list";
/// Name of the index of what belongs to something.
pub const RELATED_INDEX: &str = "related";

/// Name of the index of what went to a webhook.
pub const WEBHOOK_INDEX: &str = "webhook";

/// The sort key of an item that is alone under its partition key.
const ALONE: &str = "-";
/// What the sort keys of a delivery's attempts begin with.
pub const ATTEMPTS: &str = "att#";
/// What the sort keys of an account's webhooks begin with.
pub const WEBHOOKS: &str = "whk#";

/// Where an item lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

/// The kinds of things that an account can list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Requests.
    Requests,
    /// Deliveries.
    Deliveries,
    /// Posted events.
    Events,
    /// API keys.
    Keys,
    /// Channels.
    Channels,
}

/// What deliveries, or the attempts at them, belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Related {
    /// A request: the deliveries of all its events.
    Request(RequestId),
    /// An event; those of a request are together.
    Event(EventId),
    /// The deliveries to a webhook of this account and mode.
    Webhook(Owner, WebhookId),
    /// The attempts of those deliveries.
    Attempts(Owner, WebhookId),
}

/// Where a request lives.
pub fn request(id: RequestId) -> Key {
    Key::alone(id.to_string())
}

/// Where a delivery lives.
pub fn delivery(id: DeliveryId) -> Key {
    Key::alone(id.to_string())
}

/// Where a posted event lives.
pub fn event(id: EventId) -> Key {
    Key::alone(id.to_string())
}

/// Where an attempt lives: beside its delivery.
pub fn attempt(id: AttemptId) -> Key {
    Key { pk: id.delivery().to_string(), sk: format!("{ATTEMPTS}{:07}", id.number()) }
}

/// Where a webhook lives: beside the others of its account and mode.
pub fn webhook(of: Owner, id: &WebhookId) -> Key {
    Key { pk: owner(of), sk: format!("{WEBHOOKS}{id}") }
}

/// The partition of what is together because it is of one account and mode.
pub fn owner(of: Owner) -> String {
    format!("{}#{}", of.account, of.mode.as_str())
}

/// Where an account lives.
pub fn account(id: AccountId) -> Key {
    Key::alone(id.to_string())
}

/// Where an API key lives.
pub fn api_key(id: KeyId) -> Key {
    Key::alone(id.to_string())
}

/// Where it is counted how often a key was used in the minute with this number.
pub fn calls(key: KeyId, minute: i64) -> Key {
    Key::alone(format!("use#{key}#{minute}"))
}

/// The partition of [`RELATED_INDEX`] that holds an account's requests that are counted, live and
/// test together.
pub fn pending(account: AccountId) -> String {
    format!("pending#{account}")
}

/// Where a channel lives.
pub fn channel(id: ChannelId) -> Key {
    Key::alone(id.to_string())
}

/// Where it is noted what is known of an account's receiver.
pub fn breaker(account: AccountId, host: &Authority) -> Key {
    Key::alone(format!("brk#{account}#{host}"))
}

/// The partition of [`LIST_INDEX`] that holds an account's things of one kind.
pub fn list(of: Owner, listed: Listed) -> String {
    let kind = match listed {
        Listed::Requests => "req",
        Listed::Deliveries => "dlv",
        Listed::Events => "evt",
        Listed::Keys => "key",
        Listed::Channels => "ch",
    };
    format!("{}#{kind}", owner(of))
}

/// The index that holds what belongs to this, and the partition of it.
pub fn related(to: &Related) -> (&'static str, String) {
    match to {
        Related::Request(id) => (RELATED_INDEX, id.to_string()),
        Related::Event(id) => {
            let partition = id.request().map_or_else(|| id.to_string(), |it| it.to_string());
            (RELATED_INDEX, partition)
        }
        Related::Webhook(of, id) => (WEBHOOK_INDEX, format!("{}#{WEBHOOKS}{id}", owner(*of))),
        Related::Attempts(of, id) => (WEBHOOK_INDEX, format!("{}#{WEBHOOKS}{id}#att", owner(*of))),
    }
}

/// The key of what an index lists at `at`: what stands there ends with its identifier.
pub fn listed_at(pk: String, at: &str) -> Key {
    let id = at.rsplit('#').next().and_then(|it| it.parse::<AttemptId>().ok());
    id.map_or_else(|| Key::alone(pk), attempt)
}

/// Where something made at `created_at` sorts among its like.
pub(crate) fn by_time(created_at: Timestamp, id: impl std::fmt::Display) -> String {
    format!("{:014}#{id}", created_at.as_millisecond())
}

/// The partition of [`DUE_INDEX`] that an item with this partition key belongs to.
pub(crate) fn due_shard(pk: &str, n_shards: u32) -> String {
    // FNV-1a: the same in every version, and as even as this needs.
    let hash = pk
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % n_shards.max(1)).to_string()
}

impl Key {
    fn alone(pk: String) -> Self {
        Self { pk, sk: ALONE.to_owned() }
    }

    /// The key of an item, or of the row of one in an index.
    pub(crate) fn of(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let text = |name| item.get(name).and_then(|it| it.as_s().ok()).cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    /// The key as the table spells it.
    pub fn into_attributes(self) -> HashMap<String, AttributeValue> {
        [
            ("pk".to_owned(), AttributeValue::S(self.pk)),
            ("sk".to_owned(), AttributeValue::S(self.sk)),
        ]
        .into()
    }
}
