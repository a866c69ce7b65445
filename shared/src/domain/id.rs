//! Typed identifiers such as `req_01jd…`: a prefix and 128 bits in 26 characters of lower-case
//! Crockford base32, as in [TypeID](https://github.com/jetify-com/typeid).
//!
//! An identifier is no secret: it gives no access to anything. So identifiers are *derived* from each
//! other, which saves an index. The events of a request have the request's bits, with a number in the
//! low bits. The id of a delivery contains that of its event, and the id of an attempt that of its
//! delivery, each followed by hexadecimal digits.
//!
//! ```text
//! req_  48 bits of time · 60 random bits · 20 zeros     or 108 bits of HMAC · 20 zeros
//! evt_  ── the request's ──────────────── · number      a posted event: number 0
//! dlv_  ── the event's ────────────────────────── · 64 bits of SHA-256 over event, maker and target
//! att_  ── the delivery's ──────────────────────────────────────────────────────────────── · number
//! ntf_  ── the delivery's ──────────────────────────   a delivery that is a message to a person
//! ```

use std::{cmp::Ordering, fmt, marker::PhantomData, str::FromStr};

use jiff::Timestamp;
use ulid::Ulid;

use super::text::hex;

/// Characters of an [`Id`] after its prefix.
const ID_CHARS: usize = 26;
/// Low bits that number the parts of a whole.
const NUMBER_BITS: u32 = 20;
/// The bits of the number.
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;
/// Most parts of a whole: a million events of one request.
pub const NUMBER_MAX: u32 = (1 << NUMBER_BITS) - 1;

/// The identifier of an object.
///
/// `Id<RequestKind>` and `Id<DeliveryKind>` are different types, so one cannot be passed in place
/// of the other.
pub struct Id<K> {
    bits: u128,
    kind: PhantomData<fn() -> K>,
}

/// The identifier of a delivery: its event, and its place among the event's deliveries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    event: EventId,
    tag: u64,
}

/// The identifier of a notification: a delivery that is a message to a person, under another prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationId(pub DeliveryId);

/// The identifier of an attempt: its delivery, and its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId {
    delivery: DeliveryId,
    number: u32,
}

/// The kind of object that an [`Id`] identifies.
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
    /// A request, under its name in the Ping front.
    MessageKind "msg" MessageId;
    /// An event.
    EventKind "evt" EventId;
    /// An API key.
    KeyKind "key" KeyId;
    /// A webhook whose owner chose no name for it.
    WebhookKind "wh" MintedWebhookId;
    /// A channel.
    ChannelKind "ch" ChannelId;
    /// An account.
    AccountKind "acct" AccountId;
    /// A way to reach people.
    NotifierIdKind "nfr" NotifierId;
}

/// The text is not an identifier of the expected kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an identifier that looks like `{expected}_…`")]
pub struct ParseIdError {
    expected: &'static str,
}

impl<K> Id<K> {
    /// A new identifier for an object created at `now`. Such identifiers sort by time.
    ///
    /// It uses 60 bits of `entropy`.
    pub fn mint(now: Timestamp, entropy: u128) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self::from_bits(Ulid::from_parts(millis, entropy).0)
    }

    /// The identifier with these 108 bits, which were drawn or derived elsewhere.
    ///
    /// The low 20 bits are cleared, because they number the parts of a whole.
    pub fn from_bits(bits: u128) -> Self {
        Self { bits: bits & !NUMBER_MASK, kind: PhantomData }
    }

    /// The identifier with these 128 bits, which were [`Self::bits`] of one.
    pub fn from_stored(bits: u128) -> Self {
        Self { bits, kind: PhantomData }
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
    /// Its number among the events of its request, counted from 1. A posted event has 0.
    pub fn number(self) -> u32 {
        self.number_bits()
    }

    /// The identifier of this event's delivery with the given tag.
    pub fn delivery(self, tag: u64) -> DeliveryId {
        DeliveryId { event: self, tag }
    }

    /// The request of this event, if it comes from a request.
    pub fn request(self) -> Option<RequestId> {
        (self.number_bits() > 0).then(|| RequestId::from_bits(self.bits))
    }
}

impl DeliveryId {
    const PREFIX: &'static str = "dlv";
    /// Hexadecimal digits of the tag.
    const TAG_DIGITS: usize = 16;

    /// The event.
    pub fn event(self) -> EventId {
        self.event
    }

    /// The bits that distinguish the deliveries of the event.
    pub fn tag(self) -> u64 {
        self.tag
    }

    /// The identifier of this delivery's attempt with the given number, counted from 1.
    pub fn attempt(self, number: u32) -> AttemptId {
        AttemptId { delivery: self, number: number.min(NUMBER_MAX) }
    }

    /// 128 of its bits in the form of a UUID (RFC 9562), for receivers that expect one.
    pub fn to_uuid(self) -> String {
        let hex = format!("{:016x}{:016x}", self.event.bits >> 64, self.tag);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    fn text(self) -> String {
        format!("{}{:016x}", self.event.text(), self.tag)
    }

    /// The identifier without its prefix.
    fn parse(text: &str) -> Option<Self> {
        let (event, tag) = text.split_at_checked(ID_CHARS)?;
        let tag = hex(tag, Self::TAG_DIGITS).and_then(|it| u64::try_from(it).ok())?;
        Some(Self { event: Id::parse(event)?, tag })
    }
}

impl NotificationId {
    const PREFIX: &'static str = "ntf";
}

impl AttemptId {
    const PREFIX: &'static str = "att";
    /// Hexadecimal digits of the number.
    const NUMBER_DIGITS: usize = NUMBER_BITS as usize / 4;

    /// The delivery of this attempt.
    pub fn delivery(self) -> DeliveryId {
        self.delivery
    }

    /// Its number among the attempts of its delivery, counted from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// 64 of its bits, that almost no other attempt shares.
    pub fn short(self) -> u64 {
        (self.delivery.tag << NUMBER_BITS) | u64::from(self.number)
    }

    /// The identifier without its prefix.
    fn parse(text: &str) -> Option<Self> {
        let (delivery, number) = text.split_at_checked(ID_CHARS + DeliveryId::TAG_DIGITS)?;
        let number = hex(number, Self::NUMBER_DIGITS).and_then(|it| u32::try_from(it).ok())?;
        Some(Self { delivery: DeliveryId::parse(delivery)?, number })
    }
}

impl<K> Id<K> {
    fn text(self) -> String {
        Ulid(self.bits).to_string().to_ascii_lowercase()
    }

    /// The identifier without its prefix. One identifier has one text: upper case, for example, is
    /// refused.
    fn parse(text: &str) -> Option<Self> {
        let id = Self::from_stored(Ulid::from_string(text).ok()?.0);
        (id.text() == text).then_some(id)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.text())
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", Self::PREFIX, self.text())
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", Self::PREFIX, self.0.text())
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}{:05x}", Self::PREFIX, self.delivery.text(), self.number)
    }
}

/// What `parse` makes of `text` after the prefix.
fn parse_after<T>(
    expected: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, ParseIdError> {
    let rest = text.strip_prefix(expected).and_then(|it| it.strip_prefix('_'));
    rest.and_then(parse).ok_or(ParseIdError { expected })
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_after(K::PREFIX, text, Self::parse)
    }
}

impl FromStr for DeliveryId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_after(Self::PREFIX, text, Self::parse)
    }
}

impl FromStr for NotificationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_after(Self::PREFIX, text, DeliveryId::parse).map(Self)
    }
}

impl FromStr for AttemptId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_after(Self::PREFIX, text, Self::parse)
    }
}

// Derives would demand `K: Clone` and so on, although no `K` is stored.
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

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bits.cmp(&other.bits)
    }
}

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

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for AttemptId {
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
        fn identifier_is_parsed_as_it_was_formatted(bits: u128) {
            let id = RequestId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().len(), 30);
        }

        #[test]
        fn part_leads_back_to_its_whole(bits: u128, number in 1..=NUMBER_MAX) {
            let request = RequestId::from_bits(bits);
            prop_assert_eq!(request.event(number).request(), Some(request));
        }

        #[test]
        fn delivery_and_attempt_are_parsed_as_they_were_formatted(
            bits: u128, tag: u64, event in 0..=NUMBER_MAX, number in 1..=NUMBER_MAX,
        ) {
            let event = RequestId::from_bits(bits).event(event);
            let delivery = event.delivery(tag);
            prop_assert_eq!(delivery.event(), event);
            prop_assert_eq!(delivery.to_string().parse(), Ok(delivery));
            prop_assert_eq!(delivery.to_string().len(), 46);
            prop_assert_eq!(delivery.to_uuid().len(), 36);
            let attempt = delivery.attempt(number);
            prop_assert_eq!((attempt.delivery(), attempt.number()), (delivery, number));
            prop_assert_eq!(attempt.to_string().parse(), Ok(attempt));
            prop_assert_eq!(attempt.to_string().len(), 51);
        }

        /// No two texts are the same delivery or attempt.
        #[test]
        fn delivery_and_attempt_have_one_text(
            text in r"\PC*|(dlv|att)_[0-9a-zA-Z]{42}([0-9a-zA-Z]{5})?|(dlv|att)_[0-7][0-9a-hjkmnp-tv-z]{25}[0-9a-f]{16}([0-9a-f]{5})?|dlv_[0-7][0-9a-z]{24}[ -~é]{17}",
        ) {
            if let Ok(id) = text.parse::<DeliveryId>() {
                prop_assert_eq!(id.to_string(), text.as_str());
            }
            if let Ok(id) = text.parse::<AttemptId>() {
                prop_assert_eq!(id.to_string(), text.as_str());
            }
        }

        /// No two texts are the same identifier.
        #[test]
        fn identifier_has_one_text(
            text in r"\PC*|(req|evt|REQ)?_[0-9a-zA-Z]{25,27}|req_[0-9a-hjkmnp-tv-z]{26}|req_[0-7][0-9a-z]{24}[ -~é]",
        ) {
            if let Ok(id) = text.parse::<RequestId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn identifiers_sort_by_the_time_of_creation(
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
    fn other_texts_of_an_identifier_are_refused() {
        let id = RequestId::from_bits(u128::MAX).to_string();
        assert!(id.parse::<RequestId>().is_ok());
        assert!(id.to_uppercase().parse::<RequestId>().is_err());
        assert!(id.replace("req_", "evt_").parse::<RequestId>().is_err());
        assert!(format!("{id}0").parse::<RequestId>().is_err());
        assert!("".parse::<RequestId>().is_err());
    }
}
