//! Every key in the table.
//!
//! | item       | `pk`       | `sk`        | `list_pk`, by `list_sk` | `related_pk`, by `related_sk` | due |
//! |------------|------------|-------------|-------------------------|-------------------------------|-----|
//! | a request  | `req_…`    | `-`         | account, mode, `req`    |                               | yes |
//! | a delivery | `dlv_…`    | `-`         | account, mode, `dlv`    | its request, or its event     | yes |
//! | an event   | `evt_…`    | `-`         | account, mode, `evt`    |                               | yes |
//! | an attempt | `dlv_…`    | `att#0000001` |                         |                               |     |
//! | an account | `acct_…`   | `-`         |                         |                               |     |
//! | an API key | `key_…`    | `-`         | account, mode, `key`    |                               |     |
//! | a breaker  | `brk#<account>#<host:port>` | `-` |                |                               |     |
//!
//! `list_sk` and `related_sk` are the time of creation and the identifier. `due_shard` and
//! `due_at` are present only while an item has a timer, so the `due` index holds exactly what
//! somebody must look after. All indexes hold keys only.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::domain::{AccountId, AttemptId, DeliveryId, EventId, KeyId, RequestId, breaker::Host};

/// Name of the index of what is due.
pub const DUE_INDEX: &str = "due";
/// Name of the index of what an account has.
pub const LIST_INDEX: &str = "list";
/// Name of the index of what belongs to something.
pub const RELATED_INDEX: &str = "related";

/// The sort key of an item that is alone under its partition key.
const ALONE: &str = "-";
/// What the sort keys of a delivery's attempts begin with.
pub const ATTEMPTS: &str = "att#";

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
}

/// What deliveries belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Related {
    /// A request: the deliveries of all its events.
    Request(RequestId),
    /// An event; those of a request are together.
    Event(EventId),
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

/// Where an account lives.
pub fn account(id: AccountId) -> Key {
    Key::alone(id.to_string())
}

/// Where an API key lives.
pub fn api_key(id: KeyId) -> Key {
    Key::alone(id.to_string())
}

/// Where it is noted what is known of an account's receiver.
pub fn breaker(account: AccountId, host: &Host) -> Key {
    Key::alone(format!("brk#{account}#{host}"))
}

/// The partition of [`LIST_INDEX`] that holds an account's things of one kind.
pub fn list(account: AccountId, livemode: bool, listed: Listed) -> String {
    let mode = if livemode { "live" } else { "test" };
    let kind = match listed {
        Listed::Requests => "req",
        Listed::Deliveries => "dlv",
        Listed::Events => "evt",
        Listed::Keys => "key",
    };
    format!("{account}#{mode}#{kind}")
}

/// The partition of [`RELATED_INDEX`] that holds what belongs to this.
pub fn related(to: Related) -> String {
    match to {
        Related::Request(id) => id.to_string(),
        Related::Event(id) => id.request().map_or_else(|| id.to_string(), |it| it.to_string()),
    }
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

    /// The key as the table spells it.
    pub fn into_attributes(self) -> HashMap<String, AttributeValue> {
        [
            ("pk".to_owned(), AttributeValue::S(self.pk)),
            ("sk".to_owned(), AttributeValue::S(self.sk)),
        ]
        .into()
    }
}
