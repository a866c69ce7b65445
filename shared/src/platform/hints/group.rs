//! Message groups, by which fair queues balance accounts and receivers.

use crate::{
    domain::{AccountId, Delivery, breaker::Authority},
    signing,
};

/// The message group of a hint. A group with a backlog does not delay other groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// Hints at an account's requests and events, and at deliveries to the bus.
    Account(AccountId),
    /// Hints at deliveries to one receiver of an account.
    Receiver(AccountId, Authority),
}

impl Group {
    /// The group of a delivery's hints.
    pub fn of(delivery: &Delivery) -> Self {
        delivery.authority().map_or(Self::Account(delivery.owner.account), |authority| {
            Self::Receiver(delivery.owner.account, authority)
        })
    }

    /// The `MessageGroupId`: at most 128 ASCII characters, so the host's name is hashed.
    pub fn to_text(&self) -> String {
        match self {
            Self::Account(account) => account.to_string(),
            Self::Receiver(account, authority) => {
                let hash = signing::sha256(authority.host().as_bytes());
                let hash = u64::from_be_bytes(hash[..8].try_into().expect("8 of 32 bytes"));
                format!("{account}.{hash:016x}")
            }
        }
    }
}
