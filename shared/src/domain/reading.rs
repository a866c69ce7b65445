//! Who may read a result, and how often.
//!
//! ```text
//!            repeat: stays readable
//!   Unread ─ once ──────────────────────▶ Consumed
//!      │  ─ lease ─▶ Leased ─ ack ──────▶ Consumed
//!      │               └─ not acknowledged in time: as unread
//!      └─ not read within its time ─────▶ Expired
//! ```

use std::time::Duration;

use jiff::Timestamp;

use super::OpId;

/// Shortest time that a result can be kept for reading.
pub const TTL_SECONDS_MIN: u32 = 60;
/// Longest time that a result can be kept for reading: a year.
pub const TTL_SECONDS_MAX: u32 = 31_536_000;
/// Shortest lease of a result.
pub const LEASE_SECONDS_MIN: u32 = 5;
/// Longest lease of a result.
pub const LEASE_SECONDS_MAX: u32 = 900;
/// The lease of a result, unless another is asked for.
pub const LEASE_SECONDS: u32 = 60;

/// How a result may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPolicy {
    /// How often.
    pub mode: ReadMode,
    /// How long after the end it waits to be read.
    pub ttl_seconds: Option<u32>,
}

/// How often a result may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Any number of times.
    Repeat,
    /// Once, by one reader.
    Once,
    /// Until a reader acknowledges it, by one reader at a time.
    Lease {
        /// For how long a reader has it.
        seconds: u32,
    },
}

/// What has become of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nobody has read it.
    Unread,
    /// It has been read, and stays readable.
    Read,
    /// A reader has it.
    Leased {
        /// The read that took it; its receipt.
        op: OpId,
        /// When others may have it.
        until: Timestamp,
    },
    /// It was read for good.
    Consumed {
        /// The read that took it.
        op: OpId,
    },
    /// Nobody read it in time.
    Expired,
}

/// What a reader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Here is the result.
    Result {
        /// Acknowledge it with this, by this time.
        lease: Option<(OpId, Timestamp)>,
    },
    /// Another reader has it until then.
    LeasedUntil(Timestamp),
    /// It was read before.
    AlreadyRead,
    /// It was not read in time.
    Expired,
}

/// The receipt is not that of the read that has, or had, the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownReceipt;

impl ReadPolicy {
    /// Until when a result that came to be at `finished_at` waits to be read.
    pub fn expires_at(self, finished_at: Timestamp) -> Option<Timestamp> {
        self.ttl_seconds.map(|it| finished_at + Duration::from_secs(it.into()))
    }

    /// Whether only `/result` shows what was answered.
    pub fn is_private(self) -> bool {
        self.mode != ReadMode::Repeat
    }
}

impl Reading {
    /// What `op` is told when it reads at `now`, and what that makes of the reading.
    pub fn read(
        self,
        policy: ReadPolicy,
        finished_at: Timestamp,
        now: Timestamp,
        op: OpId,
    ) -> (Self, Told) {
        match self {
            Self::Leased { op: holder, until } if holder == op => {
                return (self, Told::Result { lease: Some((op, until)) });
            }
            Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once => {
                return (self, Told::Result { lease: None });
            }
            Self::Consumed { .. } => return (self, Told::AlreadyRead),
            Self::Expired => return (self, Told::Expired),
            Self::Leased { until, .. } if now < until => return (self, Told::LeasedUntil(until)),
            Self::Read => return (self, Told::Result { lease: None }),
            Self::Unread | Self::Leased { .. } => (),
        }
        if self.is_expired(policy, finished_at, now) {
            // The sweep lets go of it, when it is over by every clock.
            return (self, Told::Expired);
        }
        match policy.mode {
            // A mark is worth a write only where it stops the time.
            ReadMode::Repeat if policy.ttl_seconds.is_none() => {
                (self, Told::Result { lease: None })
            }
            ReadMode::Repeat => (Self::Read, Told::Result { lease: None }),
            ReadMode::Once => (Self::Consumed { op }, Told::Result { lease: None }),
            ReadMode::Lease { seconds } => {
                let until = now + Duration::from_secs(seconds.into());
                (Self::Leased { op, until }, Told::Result { lease: Some((op, until)) })
            }
        }
    }

    /// The reading once `receipt` is acknowledged. A late acknowledgement counts, unless another
    /// reader took the result meanwhile.
    pub fn acknowledge(self, receipt: OpId) -> Result<Self, UnknownReceipt> {
        match self {
            Self::Leased { op, .. } | Self::Consumed { op } if op == receipt => {
                Ok(Self::Consumed { op })
            }
            Self::Leased { .. }
            | Self::Consumed { .. }
            | Self::Unread
            | Self::Read
            | Self::Expired => Err(UnknownReceipt),
        }
    }

    /// Whether the time to read has passed, and nobody has, or is reading.
    pub fn is_expired(self, policy: ReadPolicy, finished_at: Timestamp, now: Timestamp) -> bool {
        let over = policy.expires_at(finished_at).is_some_and(|it| it <= now);
        match self {
            Self::Unread => over,
            Self::Leased { until, .. } => over && until <= now,
            Self::Expired => true,
            Self::Read | Self::Consumed { .. } => false,
        }
    }

    /// When somebody must look whether it has expired.
    pub fn timer(self, policy: ReadPolicy, finished_at: Timestamp) -> Option<Timestamp> {
        let expires_at = policy.expires_at(finished_at)?;
        match self {
            Self::Unread => Some(expires_at),
            Self::Leased { until, .. } => Some(expires_at.max(until)),
            Self::Read | Self::Consumed { .. } | Self::Expired => None,
        }
    }

    /// Whether the content is of no more use to any reader.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Consumed { .. } | Self::Expired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: OpId = OpId(1);
    const OTHER: OpId = OpId(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn policy(mode: ReadMode, ttl_seconds: Option<u32>) -> ReadPolicy {
        ReadPolicy { mode, ttl_seconds }
    }

    #[test]
    fn once_is_for_one_reader_even_if_the_write_is_repeated() {
        let once = policy(ReadMode::Once, None);
        let (reading, told) = Reading::Unread.read(once, at(0), at(1), ME);
        assert_eq!(told, Told::Result { lease: None });
        assert_eq!(reading.read(once, at(0), at(1), ME).1, Told::Result { lease: None });
        assert_eq!(reading.read(once, at(0), at(1), OTHER).1, Told::AlreadyRead);
    }

    #[test]
    fn a_lease_goes_round_until_it_is_acknowledged() {
        let lease = policy(ReadMode::Lease { seconds: 5 }, None);
        let (mine, told) = Reading::Unread.read(lease, at(0), at(0), ME);
        assert_eq!(told, Told::Result { lease: Some((ME, at(5))) });
        assert_eq!(mine.read(lease, at(0), at(4), OTHER).1, Told::LeasedUntil(at(5)));

        assert_eq!(mine.acknowledge(OTHER), Err(UnknownReceipt));
        let consumed = mine.acknowledge(ME).expect("my receipt");
        assert_eq!(consumed.acknowledge(ME), Ok(consumed));
        assert_eq!(consumed.read(lease, at(0), at(9), OTHER).1, Told::AlreadyRead);

        let (theirs, told) = mine.read(lease, at(0), at(5), OTHER);
        assert_eq!(told, Told::Result { lease: Some((OTHER, at(10))) });
        assert_eq!(theirs.acknowledge(ME), Err(UnknownReceipt));
    }

    #[test]
    fn a_result_that_nobody_reads_expires_and_one_that_was_read_does_not() {
        let repeat = policy(ReadMode::Repeat, Some(60));
        assert_eq!(Reading::Unread.read(repeat, at(0), at(60), ME).1, Told::Expired);
        let (read, _) = Reading::Unread.read(repeat, at(0), at(59), ME);
        assert_eq!(read.read(repeat, at(0), at(600), ME).1, Told::Result { lease: None });
        assert_eq!(read.timer(repeat, at(0)), None);
        assert_eq!(Reading::Unread.timer(repeat, at(0)), Some(at(60)));
    }
}
