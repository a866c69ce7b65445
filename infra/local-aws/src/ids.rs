//! Message and event ids.

use jiff::Timestamp;

/// A unique identifier in the form of a UUID: the time, then a sequence number.
pub(crate) fn unique_id(now: Timestamp, sequence: u64) -> String {
    let milliseconds = now.as_millisecond();
    format!("{:08x}-{:04x}-7000-8000-{sequence:012x}", milliseconds >> 16, milliseconds & 0xffff)
}
