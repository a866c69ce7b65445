//! Message and event ids.

use jiff::Timestamp;

/// An identifier in the form of a UUID that no other has: its instant, then the `n`th of all.
pub(crate) fn unique_id(now: Timestamp, n: u64) -> String {
    let milliseconds = now.as_millisecond();
    format!("{:08x}-{:04x}-7000-8000-{n:012x}", milliseconds >> 16, milliseconds & 0xffff)
}
