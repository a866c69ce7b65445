//! Whose turn a hint counts as, on a queue that is fair.

use crate::{
    domain::{AccountId, Delivery, breaker::Authority},
    signing,
};

/// Whose turn a hint counts as: of those who have many on the queue nobody else waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// An account.
    Account(AccountId),
    /// One receiver of an account.
    Receiver(AccountId, Authority),
}

impl Group {
    /// The group of hints at a delivery.
    pub fn of(delivery: &Delivery) -> Self {
        delivery.authority().map_or(Self::Account(delivery.owner.account), |authority| {
            Self::Receiver(delivery.owner.account, authority)
        })
    }

    /// As SQS takes it: up to 128 letters, digits and signs, whatever the host is called.
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
