//! The encoding of claims on events.

use super::{
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
};
use crate::domain::claim::Claim;

impl Item for Claim {
    const NAME: &'static str = "a claim";

    fn key(&self) -> Key {
        keys::claim(self.event)
    }

    /// A claim is written once.
    fn revision(&self) -> u64 {
        0
    }

    // Without it, a delivery that is stored could be attempted again under another claim.
    fn immutable(&self, layout: &Layout) -> Encoded {
        Encoded::default()
            .op("created_by", self.op)
            .id("event", self.event)
            .time("created_at", self.made_at)
            .time("until", self.until)
            .ttl(Some(self.made_at + layout.retention))
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            event: item.id("event")?,
            op: item.op("created_by")?,
            made_at: item.time("created_at")?,
            until: item.optional_time("until")?,
        })
    }
}
