//! Signing secrets and their rotation.
//!
//! After a rotation the new secret and the previous one both sign, until the overlap ends. So a
//! receiver can switch at any time within the overlap, and no callback is refused.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    AccountId, ChannelId, EventId, IdempotentCall, NotifierId, OpId, Owner, PastCalls, RequestId,
    Source, WebhookRef,
};

/// Default overlap of a rotation: a day.
pub const OVERLAP_SECONDS: u32 = 86_400;
/// Longest overlap of a rotation: 30 days.
pub const OVERLAP_SECONDS_MAX: u32 = 2_592_000;
/// Characters at the end of a secret that people may see.
pub const SUFFIX_CHARS: usize = 4;
/// Most previous secrets that sign in addition to the current one.
pub const PREVIOUS_SECRETS_MAX: usize = 2;

/// The current secret, and then the previous ones, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(pub Vec<Secret>);

/// Bytes that only the vault can decrypt.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// A signing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its text, `whsec_` and base64, encrypted.
    pub sealed: Sealed,
    /// The last characters of its text, by which people recognize it.
    pub suffix: String,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time at which it stops signing. The current secret has none.
    pub expires_at: Option<Timestamp>,
}

/// The holder of a secret: the thing whose callbacks it signs or authorizes. A sealed secret opens for
/// its holder alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An account, for callbacks about one source.
    Account(Owner, Source),
    /// A webhook.
    Webhook(Owner, WebhookRef),
    /// A channel of the Ping front.
    Channel(Owner, ChannelId),
    /// A request, for the credentials of its callback.
    Request(Owner, RequestId),
    /// A posted event, for the credentials of its callback.
    Event(Owner, EventId),
    /// A notifier, with the operation that created it, for its credentials.
    Notifier(Owner, NotifierId, OpId),
}

impl Holder {
    /// The account that the holder belongs to.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Account(owner, _)
            | Self::Webhook(owner, _)
            | Self::Channel(owner, _)
            | Self::Request(owner, _)
            | Self::Event(owner, _)
            | Self::Notifier(owner, _, _) => owner.account,
        }
    }

    /// The holder of the credentials of a callback about `event`.
    pub fn of_callback(owner: Owner, event: EventId) -> Self {
        event.request().map_or(Self::Event(owner, event), |it| Self::Request(owner, it))
    }
}

/// A rotation of secrets.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The new secret. The rotation happens when it was created.
    pub new: Secret,
    /// The time for which the current secret keeps signing.
    pub overlap: Duration,
    /// The call, if it has an idempotency key.
    pub call: Option<IdempotentCall>,
}

impl Rotation {
    /// `secrets` after the rotation, or `None` if its call is among `calls` or the new secret among
    /// `secrets`.
    pub(super) fn of(&self, secrets: &Secrets, calls: &PastCalls) -> Option<Secrets> {
        let is_repeated = self.call.is_some_and(|it| calls.find(it).is_some());
        if is_repeated { None } else { secrets.rotate(&self.new, self.overlap) }
    }

    /// `calls` after the rotation.
    pub(super) fn remember(&self, calls: &PastCalls) -> PastCalls {
        calls.with(self.call, self.new.created_at)
    }
}

impl Secret {
    /// A secret that signs from `now` on.
    pub fn begin(sealed: Sealed, suffix: String, now: Timestamp) -> Self {
        Self { sealed, suffix, created_at: now, expires_at: None }
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl Secrets {
    /// The secrets with `new` as the current one. The one before keeps signing for `overlap`, from
    /// the creation of `new`. Of more than [`PREVIOUS_SECRETS_MAX`] previous secrets, the oldest stop
    /// signing. `None` if `new` is one of them already.
    pub fn rotate(&self, new: &Secret, overlap: Duration) -> Option<Self> {
        if self.0.iter().any(|it| it.sealed == new.sealed) {
            return None;
        }
        let now = new.created_at;
        let previous = self.live(now).map(|it| {
            let expires_at = it.expires_at.unwrap_or(now + overlap);
            Secret { expires_at: Some(expires_at), ..it.clone() }
        });
        let previous = previous.filter(|it| it.expires_at.is_some_and(|end| now < end));
        let previous = previous.take(PREVIOUS_SECRETS_MAX);
        Some(Self(std::iter::once(new.clone()).chain(previous).collect()))
    }

    /// The current secret alone, or `None` if it is alone already.
    pub fn expire_previous(&self) -> Option<Self> {
        (self.0.len() > 1).then(|| Self(self.0.iter().take(1).cloned().collect()))
    }

    /// The secrets that sign at `now`, the current one first.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.0.iter().filter(move |it| it.expires_at.is_none_or(|end| now < end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn secret(name: &str, now: i64) -> Secret {
        Secret::begin(Sealed(name.into()), name.to_owned(), at(now))
    }

    fn signing(secrets: &Secrets, now: i64) -> Vec<&str> {
        secrets.live(at(now)).map(|it| &*it.suffix).collect()
    }

    fn rotate(secrets: &Secrets, new: &str, seconds: u64, now: i64) -> Option<Secrets> {
        secrets.rotate(&secret(new, now), Duration::from_secs(seconds))
    }

    #[test]
    fn previous_secret_signs_until_its_overlap_ends() {
        let one = Secrets(vec![secret("one", 0)]);
        let two = rotate(&one, "two", 100, 10).expect("news");
        assert_eq!((signing(&two, 109), signing(&two, 110)), (vec!["two", "one"], vec!["two"]));
        // The response to the write was lost, and the write is repeated.
        assert!(rotate(&two, "two", 100, 11).is_none());

        let three = rotate(&two, "three", 100, 20).expect("news");
        assert_eq!(signing(&three, 109), ["three", "two", "one"]);
        assert_eq!(signing(&three, 110), ["three", "two"]);
        // A secret without overlap does not count.
        let four = rotate(&three, "four", 0, 109).expect("news");
        assert_eq!(signing(&four, 109), ["four", "two", "one"]);
        // The oldest makes room, so that a rotation never has to wait.
        let four = rotate(&three, "four", 100, 109).expect("news");
        assert_eq!(signing(&four, 109), ["four", "three", "two"]);
        assert_eq!(four.0.len(), 3);
        let alone = four.expire_previous().expect("news");
        assert_eq!((signing(&alone, 109), alone.expire_previous()), (vec!["four"], None));
    }
}
