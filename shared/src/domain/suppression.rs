//! Addresses that mail is not sent to for a while, because an earlier mail came back.
//!
//! Mail servers trust a sender less with each mail to a mailbox that does not exist, or to a person who
//! reported its mail as spam. So an account sends no mail to such an address for [`SUPPRESSED_FOR`].

use std::{fmt, time::Duration};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{AccountId, EmailAddress};

/// Time from a bounce until the account sends mail to the address again.
pub const SUPPRESSED_FOR: Duration = Duration::from_hours(24 * 30);

/// An address that an account sends no mail to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// The account.
    pub account: AccountId,
    /// The address.
    pub address: AddressHash,
    /// The end.
    pub until: Timestamp,
    /// Counts the writes.
    pub revision: u64,
}

/// The hash of an address in its canonical form. Each account has other hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHash([u8; 32]);

impl Suppression {
    /// The suppression of an address that had none.
    pub fn new(account: AccountId, address: AddressHash, now: Timestamp) -> Self {
        Self { account, address, until: now + SUPPRESSED_FOR, revision: 0 }
    }

    /// The suppression after one more bounce, or `None` if it lasts as long already.
    pub fn extend(&self, now: Timestamp) -> Option<Self> {
        let until = now + SUPPRESSED_FOR;
        (self.until < until).then(|| Self { until, revision: self.revision + 1, ..self.clone() })
    }

    /// Mail is not sent.
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl AddressHash {
    /// The hash of `address` for `account`.
    pub fn of(account: AccountId, address: &EmailAddress) -> Self {
        let mut hash = Sha256::new();
        hash.update(account.bits().to_be_bytes());
        hash.update(address.canonical());
        Self(hash.finalize().into())
    }

    /// The hash with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In lower-case hexadecimal.
impl fmt::Display for AddressHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    #[test]
    fn spellings_of_a_mailbox_share_a_hash_within_an_account() {
        let (ours, theirs) = (AccountId::from_bits(1 << 100), AccountId::from_bits(2 << 100));
        let hash = AddressHash::of(ours, &address("Ada@B\u{fc}cher.example"));
        assert_eq!(hash, AddressHash::of(ours, &address("ada@xn--bcher-kva.example")));
        assert_ne!(hash, AddressHash::of(ours, &address("bob@xn--bcher-kva.example")));
        assert_ne!(hash, AddressHash::of(theirs, &address("ada@xn--bcher-kva.example")));
        assert_eq!(hash.to_string().len(), 64);
    }

    #[test]
    fn suppression_ends_30_days_after_the_latest_bounce() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let account = AccountId::from_bits(1);
        let first =
            Suppression::new(account, AddressHash::of(account, &address("a@b.example")), at(0));
        assert!(first.is_active(at(30 * 86_400 - 1)));
        assert!(!first.is_active(at(30 * 86_400)));
        assert_eq!(first.extend(at(0)), None);
        let extended = Suppression { until: at(30 * 86_400 + 5), revision: 1, ..first.clone() };
        assert_eq!(first.extend(at(5)), Some(extended));
    }
}
