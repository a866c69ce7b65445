//! The keys of all items and indexes.
//!
//! | item       | `pk`       | `sk`        | `list_pk`               | `webhook_pk`           | due |
//! |------------|------------|-------------|-------------------------|------------------------|-----|
//! | a request  | `req_…`    | `-`         | account, mode, `req`    | pending, account, while it is and there is a cap | yes |
//! | a long question | `req_…` | `qst#<operation>` |                 |                        |     |
//! | a long answer | `req_…` | `ans#001#<operation>` |               |                        |     |
//! | an event   | `evt_…`    | `-`         | account, mode, `evt`    |                        | yes |
//! | a delivery | that of its request, or of its posted event | `dlv#<number of the event>#<tag>` | account, mode, `dlv`, shard | its webhook; or its host, while an open breaker holds a callback | yes |
//! | an attempt | that of its delivery | `att#<as its delivery>#0000001` | | its webhook, and `att` |     |
//! | a claim    | `clm#<event>` | `-`     |                         |                        |     |
//! | a webhook  | `own#<account>#<mode>` | `to#whk#…` |           |                        |     |
//! | a notifier | `own#<account>#<mode>` | `to#nfr#…` |           |                        |     |
//! | an account | `acct_…`   | `-`         |                         |                        |     |
//! | an API key | `key_…`    | `-`         | account, mode, `key`    |                        |     |
//! | calls of a key | `use#<key>#<minute>` | `-` |                |                        |     |
//! | requests of a key | `use#<key>#asks#<hour>` | `-` |          |                        |     |
//! | held calls of a key | `use#<key>#held#<window>` | `-` |      |                        |     |
//! | probes of an account | `use#<account>#probes#<minute>` | `-` | |                       |     |
//! | messages of an account | `use#<account>#messages#<hour>` | `-` | |                     |     |
//! | a channel  | `ch_…`     | `-`         | account, mode, `ch`     |                        |     |
//! | a breaker  | `brk#<account>#<host:port>` | `-` |               |                        |     |
//! | a suppressed address | `sup#<account>#<hash>` | `-` |          |                        |     |
//!
//! A request and its deliveries are in one partition, so one consistent query finds all of them. Likewise
//! the webhooks and notifiers of an account and mode.
//!
//! A partition takes 1,000 write units a second. An event writes one row of `list` for each of its
//! deliveries, so these are spread over several shards, by a hash of their ids. The account's item has
//! the number of shards. All other items are one row for a call, or few, and their lists have one
//! partition each, which is cheaper to read.
//!
//! All indexes but `due` are sorted by `created_at`. `due_shard` and `due_at` are present only while an item
//! has a timer, so the `due` index holds exactly the items with a timer. The account and mode of an
//! item that a list shows are in `list_pk` alone.
//! All indexes hold keys only.
//!
//! The prefix of `pk` names the kind of partition. The roles in `template.yaml` limit each function to
//! the kinds that it needs (`dynamodb:LeadingKeys`), so no kind begins like another.

use crate::domain::{
    AccountId, AttemptId, ChannelId, DeliveryId, EventId, KeyId, NotifierId, OpId, Owner,
    RequestId, WebhookId, WebhookRef, breaker::Authority, suppression::AddressHash,
};
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// The index of items with a timer.
pub const DUE_INDEX: &str = "due";
/// The index of an account's items.
pub const LIST_INDEX: &str = "list";
/// The attribute that sorts all indexes but [`DUE_INDEX`].
pub const CREATED_AT: &str = "created_at";
/// The index of a webhook's deliveries and attempts. Items without a webhook are in it for a while:
/// callbacks that a breaker holds, and an account's pending requests.
pub const WEBHOOK_INDEX: &str = "webhook";

/// The sort key of an item that is alone in its partition.
const ALONE: &str = "-";
/// The prefix of the sort keys of deliveries.
pub const DELIVERIES: &str = "dlv#";
/// The prefix of the sort keys of attempts.
pub const ATTEMPTS: &str = "att#";
/// The prefix of the sort keys of a request's long question.
pub const LONG_QUESTIONS: &str = "qst#";
/// The prefix of the sort keys of a request's long answers.
pub const LONG_ANSWERS: &str = "ans#";
/// The prefix, after the account and mode, of the partitions of held callbacks.
const HELD: &str = "held#";
/// The prefix, after the account and mode, of the index partitions of a webhook.
const WEBHOOK: &str = "whk#";
/// The prefix of the sort keys of an account's webhooks and notifiers.
pub const DESTINATIONS: &str = "to#";
/// The prefix of the sort keys of its webhooks.
const WEBHOOKS: &str = "to#whk#";
/// The prefix of the sort keys of its notifiers.
const NOTIFIERS: &str = "to#nfr#";

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

/// The kinds of items that an account can list, in one partition each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Requests.
    Requests,
    /// Posted events.
    Events,
    /// API keys.
    Keys,
    /// Channels.
    Channels,
}

/// Deliveries or attempts that an index lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Related {
    /// The deliveries to a webhook of this account and mode.
    WebhookDeliveries(Owner, WebhookRef),
    /// The attempts of those deliveries.
    WebhookAttempts(Owner, WebhookRef),
    /// The callbacks of this account and mode to a host that an open breaker holds.
    HeldCallbacks(Owner, Authority),
}

/// The key of a request.
pub fn request(id: RequestId) -> Key {
    Key::alone(id.to_string())
}

/// The key of the long question of a request that `op` creates, in the partition of the request.
pub fn long_question(request: RequestId, op: OpId) -> Key {
    Key { pk: request.to_string(), sk: format!("{LONG_QUESTIONS}{:016x}", op.0) }
}

/// The key of the long answer of a row that `op` records, in the partition of its request.
pub fn long_answer(request: RequestId, row: usize, op: OpId) -> Key {
    Key { pk: request.to_string(), sk: format!("{LONG_ANSWERS}{row:03}#{:016x}", op.0) }
}

/// The key of a delivery, in the partition of its request or posted event.
pub fn delivery(id: DeliveryId) -> Key {
    Key { pk: reporting(id.event()), sk: format!("{DELIVERIES}{}", delivery_suffix(id)) }
}

/// The delivery with this key.
pub(crate) fn delivery_at(pk: &str, sk: &str) -> Option<DeliveryId> {
    delivery_of(pk, sk.strip_prefix(DELIVERIES)?)
}

/// The partition with the deliveries of an event. The events of one request share it.
pub fn reporting(event: EventId) -> String {
    event.request().map_or_else(|| event.to_string(), |it| it.to_string())
}

/// The prefix of the sort keys of an event's deliveries.
pub fn deliveries_of(event: EventId) -> String {
    format!("{DELIVERIES}{:07}#", event.number())
}

/// The prefix of the sort keys of a delivery's attempts.
pub fn attempts_of(id: DeliveryId) -> String {
    format!("{ATTEMPTS}{}#", delivery_suffix(id))
}

/// The end of the sort keys of a delivery and its attempts.
fn delivery_suffix(id: DeliveryId) -> String {
    format!("{:07}#{:016x}", id.event().number(), id.tag())
}

fn delivery_of(pk: &str, suffix: &str) -> Option<DeliveryId> {
    let (number, tag) = suffix.split_once('#')?;
    let number: u32 = number.parse().ok()?;
    let event = match pk.parse::<RequestId>() {
        Ok(request) => request.event(number),
        Err(_) => pk.parse().ok()?,
    };
    Some(event.delivery(u64::from_str_radix(tag, 16).ok()?))
}

/// The key of a posted event.
pub fn event(id: EventId) -> Key {
    Key::alone(id.to_string())
}

/// The key of the claim on an event.
pub fn claim(event: EventId) -> Key {
    Key::alone(format!("clm#{event}"))
}

/// The key of an attempt, in the partition of its delivery.
pub fn attempt(id: AttemptId) -> Key {
    let delivery = id.delivery();
    let sk = format!("{}{:07}", attempts_of(delivery), id.number());
    Key { pk: reporting(delivery.event()), sk }
}

/// The attempt with this key.
pub(crate) fn attempt_at(pk: &str, sk: &str) -> Option<AttemptId> {
    let (delivery, number) = sk.strip_prefix(ATTEMPTS)?.rsplit_once('#')?;
    Some(delivery_of(pk, delivery)?.attempt(number.parse().ok()?))
}

/// The key of a webhook, in the partition of its account and mode.
pub fn webhook(of: Owner, id: &WebhookId) -> Key {
    Key { pk: destinations(of), sk: format!("{WEBHOOKS}{id}") }
}

/// The key of a notifier, in the partition of its account and mode.
pub fn notifier(of: Owner, id: NotifierId) -> Key {
    Key { pk: destinations(of), sk: format!("{NOTIFIERS}{id}") }
}

/// The notifier with this sort key.
pub(crate) fn notifier_at(sk: &str) -> Option<NotifierId> {
    sk.strip_prefix(NOTIFIERS)?.parse().ok()
}

/// The partition with the webhooks and notifiers of an account and mode.
pub fn destinations(of: Owner) -> String {
    format!("own#{}", owner(of))
}

/// The name of an account and mode, in keys and in the associated data of sealed secrets.
pub fn owner(of: Owner) -> String {
    format!("{}#{}", of.account, of.mode.as_str())
}

/// The key of an account.
pub fn account(id: AccountId) -> Key {
    Key::alone(id.to_string())
}

/// The key of an API key.
pub fn api_key(id: KeyId) -> Key {
    Key::alone(id.to_string())
}

/// The key of an API key's call count in the minute with this number.
pub fn calls(key: KeyId, minute: i64) -> Key {
    Key::alone(format!("use#{key}#{minute}"))
}

/// The key of an API key's count of held calls in the window with this number.
pub fn held_calls(key: KeyId, window: i64) -> Key {
    Key::alone(format!("use#{key}#held#{window}"))
}

/// The key of an API key's count of requests in the hour with this number.
pub fn asks(key: KeyId, hour: i64) -> Key {
    Key::alone(format!("use#{key}#asks#{hour}"))
}

/// The key of an account's count of probes in the minute with this number.
pub fn probes(account: AccountId, minute: i64) -> Key {
    Key::alone(format!("use#{account}#probes#{minute}"))
}

/// The key of an account's count of messages to recipients in the hour with this number.
pub fn messages(account: AccountId, hour: i64) -> Key {
    Key::alone(format!("use#{account}#messages#{hour}"))
}

/// The partition of [`WEBHOOK_INDEX`] with an account's pending, counted requests, live and test
/// together.
pub fn pending(account: AccountId) -> String {
    format!("pending#{account}")
}

/// The key of a channel.
pub fn channel(id: ChannelId) -> Key {
    Key::alone(id.to_string())
}

/// The key of the breaker of an account's host and port, with all endpoints there.
pub fn breaker(account: AccountId, authority: &Authority) -> Key {
    Key::alone(format!("brk#{account}#{authority}"))
}

/// The key of an address that an account sends no mail to.
pub fn suppression(account: AccountId, address: AddressHash) -> Key {
    Key::alone(format!("sup#{account}#{address}"))
}

/// The partition of [`LIST_INDEX`] with an account's items of one kind.
pub fn list(of: Owner, listed: Listed) -> String {
    let kind = match listed {
        Listed::Requests => "req",
        Listed::Events => "evt",
        Listed::Keys => "key",
        Listed::Channels => "ch",
    };
    format!("{}#{kind}", owner(of))
}

/// The partition of [`LIST_INDEX`] with the deliveries of an account in one shard.
pub fn listed_deliveries(of: Owner, shard: u32) -> String {
    format!("{}#dlv#{shard}", owner(of))
}

/// The shard of a delivery in the list of an account that has this many.
pub fn list_shard(id: DeliveryId, n_shards: u32) -> u32 {
    shard(&id.to_string(), n_shards)
}

/// The partition of [`WEBHOOK_INDEX`] with these deliveries or attempts.
pub fn related(to: &Related) -> String {
    match to {
        Related::WebhookDeliveries(of, id) => format!("{}#{WEBHOOK}{id}", owner(*of)),
        Related::WebhookAttempts(of, id) => format!("{}#{WEBHOOK}{id}#att", owner(*of)),
        Related::HeldCallbacks(of, authority) => format!("{}#{HELD}{authority}", owner(*of)),
    }
}

/// The partition of [`DUE_INDEX`] for an item with this identifier.
pub(crate) fn due_shard(id: &str, n_shards: u32) -> String {
    shard(id, n_shards).to_string()
}

fn shard(id: &str, n_shards: u32) -> u32 {
    // FNV-1a: the same in every version, and even enough.
    let hash = id
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % n_shards.max(1)
}

impl Key {
    fn alone(pk: String) -> Self {
        Self { pk, sk: ALONE.to_owned() }
    }

    /// The key of an item, or of its row in an index.
    pub(crate) fn of(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let text = |name| item.get(name).and_then(|it| it.as_s().ok()).cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    /// The key as attributes.
    pub fn into_attributes(self) -> HashMap<String, AttributeValue> {
        [
            ("pk".to_owned(), AttributeValue::S(self.pk)),
            ("sk".to_owned(), AttributeValue::S(self.sk)),
        ]
        .into()
    }
}
