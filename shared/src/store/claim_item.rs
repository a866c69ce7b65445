//! The encoding of claims on events.

use std::time::Duration;

use super::{
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
};
use crate::domain::claim::Claim;

/// Time for which an expired claim is kept. Without it, the event could be claimed again, which does
/// no harm.
const RETENTION: Duration = Duration::from_hours(1);

impl Item for Claim {
    const NAME: &'static str = "a claim";

    fn key(&self) -> Key {
        keys::claim(self.event)
    }

    /// A claim is written once.
    fn revision(&self) -> u64 {
        0
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .op("created_by", self.op)
            .id("event", self.event)
            .time("until", self.until)
            .ttl(Some(self.until + RETENTION))
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            event: item.id("event")?,
            op: item.op("created_by")?,
            until: item.time("until")?,
        })
    }
}
