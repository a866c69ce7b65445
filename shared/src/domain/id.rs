//! Typed identifiers such as `req_01jd…`: a prefix and 128 bits in 26 characters of lower-case
//! Crockford base32, as in [TypeID](https://github.com/jetify-com/typeid).
//!
//! Identifiers are not capabilities: knowing one opens nothing. That allows them to be *related*,
//! which saves an index: the events of a request carry the request's bits and a number in the low
//! bits, and so do the attempts of a delivery.
//!
//! ```text
//! req_  48 bits of time · 60 random bits · 20 zeros     or 108 bits of HMAC · 20 zeros
//! evt_  ── the request's ──────────────── · number      an event that was posted: number 0
//! dlv_  108 bits of SHA-256 over event, maker and target · 20 zeros
//! att_  ── the delivery's ─────────────── · number
//! ```

use std::{fmt, marker::PhantomData, str::FromStr};

use jiff::Timestamp;
use ulid::Ulid;

/// How many low bits number the parts of a whole.
const NUMBER_BITS: u32 = 20;
/// Masks the number out.
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;
/// The most parts that a whole may have: a million events of one request.
pub const NUMBER_MAX: u32 = (1 << NUMBER_BITS) - 1;

/// The identifier of one kind of thing.
///
/// `Id<Request>` and `Id<Delivery>` are different types, so one can never be passed where the
/// other is meant.
pub struct Id<K> {
    bits: u128,
    kind: PhantomData<fn() -> K>,
}

/// What an [`Id`] identifies, and the prefix that says so in text.
pub trait Kind {
    /// The text before the underscore, for example `req`.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $marker:ident $prefix:literal $alias:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $marker {}
        impl Kind for $marker {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $alias = Id<$marker>;
    )*};
}

kinds! {
    /// A question to people.
    RequestKind "req" RequestId;
    /// A request, as the Ping front names it.
    MessageKind "msg" MessageId;
    /// Something that happened.
    EventKind "evt" EventId;
    /// The duty to tell one receiver of one event.
    DeliveryKind "dlv" DeliveryId;
    /// One HTTP exchange of a delivery.
    AttemptKind "att" AttemptId;
    /// An API key.
    KeyKind "key" KeyId;
    /// A webhook whose owner has chosen no name for it.
    WebhookKind "wh" MintedWebhookId;
    /// A channel.
    ChannelKind "ch" ChannelId;
    /// An account.
    AccountKind "acct" AccountId;
}

/// The text is not an identifier of the expected kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an identifier that looks like `{expected}_…`")]
pub struct ParseIdError {
    expected: &'static str,
}

impl<K> Id<K> {
    /// Makes an identifier for something created at `now`; identifiers made so sort by time.
    ///
    /// 60 bits of `entropy` are used.
    pub fn mint(now: Timestamp, entropy: u128) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self::from_bits(Ulid::from_parts(millis, entropy).0)
    }

    /// Makes an identifier of 108 bits that were drawn or derived elsewhere.
    ///
    /// The low 20 bits are cleared: they number the parts of a whole.
    pub fn from_bits(bits: u128) -> Self {
        Self { bits: bits & !NUMBER_MASK, kind: PhantomData }
    }

    /// The 128 bits in the form of a UUID (RFC 9562), for those who expect one.
    pub fn to_uuid(self) -> String {
        let hex = format!("{:032x}", self.bits);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The 128 bits.
    pub fn bits(self) -> u128 {
        self.bits
    }

    fn part<P>(self, number: u32) -> Id<P> {
        let number = u128::from(number.min(NUMBER_MAX));
        Id { bits: (self.bits & !NUMBER_MASK) | number, kind: PhantomData }
    }

    fn number_bits(self) -> u32 {
        u32::try_from(self.bits & NUMBER_MASK).expect("20 bits fit")
    }
}

impl RequestId {
    /// The identifier of this request's event with the given number, counted from 1.
    pub fn event(self, number: u32) -> EventId {
        self.part(number)
    }
}

impl MessageId {
    /// The other name of this request.
    pub fn of(request: RequestId) -> Self {
        Self::from_bits(request.bits)
    }
}

impl EventId {
    /// Which of its request's events this is, counted from 1; 0 of one that was posted.
    pub fn number(self) -> u32 {
        self.number_bits()
    }

    /// The request that this event is of, if it is a request's.
    pub fn request(self) -> Option<RequestId> {
        (self.number_bits() > 0).then(|| RequestId::from_bits(self.bits))
    }
}

impl DeliveryId {
    /// The identifier of this delivery's attempt with the given number, counted from 1.
    pub fn attempt(self, number: u32) -> AttemptId {
        self.part(number)
    }
}

impl AttemptId {
    /// The delivery that this attempt belongs to.
    pub fn delivery(self) -> DeliveryId {
        DeliveryId::from_bits(self.bits)
    }

    /// Which of the delivery's attempts it is, counted from 1.
    pub fn number(self) -> u32 {
        self.number_bits()
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, Ulid(self.bits).to_string().to_ascii_lowercase())
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = ParseIdError { expected: K::PREFIX };
        let Some(rest) = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'))
        else {
            return Err(wrong);
        };
        let id = match Ulid::from_string(rest) {
            Ok(ulid) => Self { bits: ulid.0, kind: PhantomData },
            Err(_) => return Err(wrong),
        };
        // One spelling only: what is not written as we write it is somebody else's.
        if id.to_string() == text { Ok(id) } else { Err(wrong) }
    }
}

// Derives would demand `K: Clone` and so on; the kind is never stored.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<K> Eq for Id<K> {}

impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_identifier_is_read_back_as_it_was_written(bits: u128) {
            let id = RequestId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().len(), 30);
        }

        #[test]
        fn a_part_leads_back_to_its_whole(bits: u128, number in 1..=NUMBER_MAX) {
            let request = RequestId::from_bits(bits);
            prop_assert_eq!(request.event(number).request(), Some(request));
            let delivery = DeliveryId::from_bits(bits);
            prop_assert_eq!(delivery.attempt(number).delivery(), delivery);
            prop_assert_eq!(delivery.attempt(number).number(), number);
        }

        /// What is accepted is spelled as we spell it, so that no two texts name one thing.
        #[test]
        fn an_identifier_has_one_spelling(
            text in r"\PC*|(req|evt|REQ)?_[0-9a-zA-Z]{25,27}|req_[0-9a-hjkmnp-tv-z]{26}|req_[0-7][0-9a-z]{24}[ -~é]",
        ) {
            if let Ok(id) = text.parse::<RequestId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn identifiers_sort_by_the_time_of_their_making(
            millis in prop::array::uniform2(0_i64..253_402_207_200_000),
            entropy: [u128; 2],
        ) {
            let id = |n: usize| {
                let now = Timestamp::from_millisecond(millis[n]).expect("in range");
                RequestId::mint(now, entropy[n]).to_string()
            };
            if millis[0] != millis[1] {
                prop_assert_eq!(id(0) < id(1), millis[0] < millis[1]);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let id = RequestId::from_bits(u128::MAX).to_string();
        assert!(id.parse::<RequestId>().is_ok());
        assert!(id.to_uppercase().parse::<RequestId>().is_err());
        assert!(id.replace("req_", "evt_").parse::<RequestId>().is_err());
        assert!(format!("{id}0").parse::<RequestId>().is_err());
        assert!("".parse::<RequestId>().is_err());
    }
}
