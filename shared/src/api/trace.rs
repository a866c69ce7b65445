//! Trace headers of incoming calls: `traceparent` (W3C Trace Context) and AWS X-Ray's.

use crate::domain::{Trace, text::hex};

/// The trace in a `traceparent` header (W3C Trace Context, section 3.2).
pub fn of_traceparent(text: &str) -> Option<Trace> {
    let (version, rest) = (text.get(..2)?, text.get(2..)?);
    // A later version may append fields, but begins with the same ones.
    let is_known = match version {
        "00" => rest.len() == 53,
        "ff" => false,
        _ => hex(version, 2).is_some() && matches!(rest.as_bytes().get(53), None | Some(b'-')),
    };
    let mut parts = rest.strip_prefix('-').filter(|_| is_known)?.split('-');
    let id = hex(parts.next()?, 32)?;
    let _parent = hex(parts.next()?, 16).filter(|it| *it != 0)?;
    let flags = hex(parts.next()?, 2)?;
    if flags & 1 == 1 { Trace::sampled(id) } else { Trace::unsampled(id) }
}

/// The trace in AWS X-Ray's header, such as `Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1`.
///
/// API Gateway adds this header to calls without a trace, and then leaves open whether the trace
/// is sampled. Such a header counts as no trace.
///
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
pub fn of_xray(text: &str) -> Option<Trace> {
    let part = |name| text.split(';').find_map(|it| it.trim().strip_prefix(name));
    let (second, rest) = part("Root=1-")?.split_once('-')?;
    let id = (hex(second, 8)? << 96) | hex(rest, 24)?;
    match part("Sampled=")? {
        "1" => Trace::sampled(id),
        "0" => Trace::unsampled(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::EventId;

    const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    #[track_caller]
    fn check(text: &str, expected: Option<Trace>) {
        assert_eq!(of_traceparent(text), expected, "{text}");
    }

    #[test]
    fn traceparent_is_parsed_as_w3c_specifies() {
        let rest = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        let (sampled, unsampled) = (Trace::sampled(ID), Trace::unsampled(ID));
        check(&format!("00-{rest}-01"), sampled);
        check(&format!("00-{rest}-00"), unsampled);
        check(&format!("00-{rest}-03"), sampled);
        check(&format!("cc-{rest}-01"), sampled);
        check(&format!("cc-{rest}-01-what the future brings"), sampled);
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
    fn x_ray_header_is_parsed_as_aws_writes_it() {
        let read = of_xray;
        let root = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
        assert_eq!(read(&format!("{root};Sampled=0")), Trace::unsampled(ID));
        assert_eq!(read(&format!("{root};Sampled=1")), Trace::sampled(ID));
        let long = format!("Self=1-1-2; {root}; Parent=53995c3f42cd8ad8; Sampled=0; Lineage=a:0");
        assert_eq!(read(&long), Trace::unsampled(ID));
        let open = format!("{root};Sampled=?");
        for wrong in ["", "Root=2-1-2", "Root=1-4bf92f35;Sampled=1", "Sampled=1", root, &open] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_attempt_is_its_own_span_in_the_trace() {
        let delivery = EventId::from_bits(1 << 64).delivery(0x0123_4567_89ab_cdef);
        let trace = Trace::sampled(ID).expect("not zero");
        let sent = trace.traceparent(delivery.attempt(2));
        assert_eq!(sent, "00-4bf92f3577b34da6a3ce929d0e0e4736-56789abcdef00002-01");
        assert_eq!(of_traceparent(&sent), Some(trace));
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_without_a_panic(text in ".{0,70}") {
            if let Some(trace) = of_traceparent(&text).or(of_xray(&text)) {
                prop_assert_eq!(Trace::from_bytes(trace.to_bytes()), Some(trace));
            }
        }
    }
}
