//! Which of the caller's traces something belongs to, so that a callback can be found beside the
//! call that led to it.

use std::{fmt, str::FromStr};

use super::{AttemptId, id::Id};

/// A trace (W3C Trace Context). What comes of a call belongs to the call's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    is_sampled: bool,
}

impl Trace {
    /// The trace that a `traceparent` header names (W3C Trace Context, section 3.2).
    pub fn of_traceparent(text: &str) -> Option<Self> {
        let (version, rest) = (text.get(..2)?, text.get(2..)?);
        // A later version may have more, and begins alike.
        let is_known = match version {
            "00" => rest.len() == 53,
            "ff" => false,
            _ => hex(version, 2).is_some() && matches!(rest.as_bytes().get(53), None | Some(b'-')),
        };
        let mut parts = rest.strip_prefix('-').filter(|_| is_known)?.split('-');
        let id = hex(parts.next()?, 32).filter(|it| *it != 0)?;
        let _parent = hex(parts.next()?, 16).filter(|it| *it != 0)?;
        let flags = hex(parts.next()?, 2)?;
        Some(Self { id, is_sampled: flags & 1 == 1 })
    }

    /// The trace that AWS X-Ray's header names, such as
    /// `Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1`. Of a call without a trace API Gateway
    /// makes one up, and leaves open whether anybody samples it: that is none.
    ///
    /// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
    pub fn of_xray(text: &str) -> Option<Self> {
        let part = |name| text.split(';').find_map(|it| it.trim().strip_prefix(name));
        let (second, rest) = part("Root=1-")?.split_once('-')?;
        let id = (hex(second, 8)? << 96) | hex(rest, 24)?;
        let is_sampled = match part("Sampled=")? {
            "1" => true,
            "0" => false,
            _ => return None,
        };
        (id != 0).then_some(Self { id, is_sampled })
    }

    /// The trace of what nobody named a trace for: named after it.
    pub fn named_after<K>(id: Id<K>) -> Self {
        Self { id: id.bits().max(1), is_sampled: false }
    }

    /// The `traceparent` of an attempt at a delivery: the attempt is the span.
    pub fn traceparent(self, attempt: AttemptId) -> String {
        let span = attempt.bits() & u128::from(u64::MAX);
        format!("00-{:032x}-{span:016x}-{:02x}", self.id, u8::from(self.is_sampled))
    }

    /// As it is kept: `{trace id}-{flags}`.
    pub fn to_text(self) -> String {
        format!("{self}-{:02x}", u8::from(self.is_sampled))
    }
}

/// The text is no trace.
#[derive(Debug, thiserror::Error)]
#[error("a trace is 32 and 2 hexadecimal digits")]
pub struct ParseTraceError;

impl FromStr for Trace {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, ParseTraceError> {
        let (id, flags) = text.split_once('-').ok_or(ParseTraceError)?;
        let (id, flags) = hex(id, 32).zip(hex(flags, 2)).ok_or(ParseTraceError)?;
        Ok(Self { id, is_sampled: flags & 1 == 1 })
    }
}

/// The trace's identifier, as tools that collect traces show it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

/// So many lower-case hexadecimal digits.
fn hex(text: &str, n_digits: usize) -> Option<u128> {
    let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = text.len() == n_digits && text.bytes().all(is_digit);
    u128::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::DeliveryId;

    const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn check(text: &str, expected: Option<bool>) {
        let expected = expected.map(|is_sampled| Trace { id: ID, is_sampled });
        assert_eq!(Trace::of_traceparent(text), expected, "{text}");
    }

    #[test]
    fn a_traceparent_is_read_as_w3c_says() {
        let rest = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        check(&format!("00-{rest}-01"), Some(true));
        check(&format!("00-{rest}-00"), Some(false));
        check(&format!("00-{rest}-03"), Some(true));
        check(&format!("cc-{rest}-01"), Some(true));
        check(&format!("cc-{rest}-01-what the future brings"), Some(true));
        check(&format!("cc-{rest}-01."), None);
        check(&format!("00-{rest}-01-more"), None);
        check(&format!("ff-{rest}-01"), None);
        check(&format!("00-{}-01", rest.to_uppercase()), None);
        check(&format!("00-{rest}"), None);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None);
        check("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
        check("", None);
        check("é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
    }

    #[test]
    fn an_x_ray_header_is_read_as_aws_writes_it() {
        let read = |text: &str| Trace::of_xray(text).map(Trace::to_text);
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let root = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
        assert_eq!(read(&format!("{root};Sampled=0")), Some(format!("{id}-00")));
        assert_eq!(read(&format!("{root};Sampled=1")), Some(format!("{id}-01")));
        let long = format!("Self=1-1-2; {root}; Parent=53995c3f42cd8ad8; Sampled=0; Lineage=a:0");
        assert_eq!(read(&long), Some(format!("{id}-00")));
        let open = format!("{root};Sampled=?");
        for wrong in ["", "Root=2-1-2", "Root=1-4bf92f35;Sampled=1", "Sampled=1", root, &open] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_attempt_is_a_span_of_its_own_in_one_trace() {
        let delivery = DeliveryId::from_bits(0x0123_4567_89ab_cdef_0123_4567_89a0_0000);
        let trace = Trace { id: ID, is_sampled: true };
        let told = trace.traceparent(delivery.attempt(2));
        assert_eq!(told, "00-4bf92f3577b34da6a3ce929d0e0e4736-0123456789a00002-01");
        assert_eq!(Trace::of_traceparent(&told), Some(trace));
        let named = Trace::named_after(delivery);
        assert_eq!(named.to_string(), "0123456789abcdef0123456789a00000");
    }

    proptest! {
        #[test]
        fn no_header_stops_it_and_what_it_keeps_it_reads(text in ".{0,70}", id: u128) {
            prop_assume!(id != 0);
            let read = Trace::of_traceparent(&text).or(Trace::of_xray(&text));
            let trace = read.unwrap_or(Trace { id, is_sampled: true });
            prop_assert_eq!(trace.to_text().parse().ok(), Some(trace));
        }
    }
}
