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
pub enum Consumption {
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
pub enum ReadOutcome {
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

impl Consumption {
    /// What `op` is told when it reads at `now`, and what that makes of the reading.
    pub fn read(
        self,
        policy: ReadPolicy,
        finished_at: Timestamp,
        now: Timestamp,
        op: OpId,
    ) -> (Self, ReadOutcome) {
        match self {
            Self::Leased { op: holder, until } if holder == op => {
                return (self, ReadOutcome::Result { lease: Some((op, until)) });
            }
            Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once => {
                return (self, ReadOutcome::Result { lease: None });
            }
            Self::Consumed { .. } => return (self, ReadOutcome::AlreadyRead),
            Self::Expired => return (self, ReadOutcome::Expired),
            Self::Leased { until, .. } if now < until => {
                return (self, ReadOutcome::LeasedUntil(until));
            }
            Self::Read => return (self, ReadOutcome::Result { lease: None }),
            Self::Unread | Self::Leased { .. } => (),
        }
        if self.is_expired(policy, finished_at, now) {
            // The sweep lets go of it, when it is over by every clock.
            return (self, ReadOutcome::Expired);
        }
        match policy.mode {
            // A mark is worth a write only where it stops the time.
            ReadMode::Repeat if policy.ttl_seconds.is_none() => {
                (self, ReadOutcome::Result { lease: None })
            }
            ReadMode::Repeat => (Self::Read, ReadOutcome::Result { lease: None }),
            ReadMode::Once => (Self::Consumed { op }, ReadOutcome::Result { lease: None }),
            ReadMode::Lease { seconds } => {
                let until = now + Duration::from_secs(seconds.into());
                (Self::Leased { op, until }, ReadOutcome::Result { lease: Some((op, until)) })
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
    use proptest::prelude::*;

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
        let (reading, told) = Consumption::Unread.read(once, at(0), at(1), ME);
        assert_eq!(told, ReadOutcome::Result { lease: None });
        assert_eq!(reading.read(once, at(0), at(1), ME).1, ReadOutcome::Result { lease: None });
        assert_eq!(reading.read(once, at(0), at(1), OTHER).1, ReadOutcome::AlreadyRead);
    }

    #[test]
    fn a_lease_goes_round_until_it_is_acknowledged() {
        let lease = policy(ReadMode::Lease { seconds: 5 }, None);
        let (mine, told) = Consumption::Unread.read(lease, at(0), at(0), ME);
        assert_eq!(told, ReadOutcome::Result { lease: Some((ME, at(5))) });
        assert_eq!(mine.read(lease, at(0), at(4), OTHER).1, ReadOutcome::LeasedUntil(at(5)));

        assert_eq!(mine.acknowledge(OTHER), Err(UnknownReceipt));
        let consumed = mine.acknowledge(ME).expect("my receipt");
        assert_eq!(consumed.acknowledge(ME), Ok(consumed));
        assert_eq!(consumed.read(lease, at(0), at(9), OTHER).1, ReadOutcome::AlreadyRead);

        let (theirs, told) = mine.read(lease, at(0), at(5), OTHER);
        assert_eq!(told, ReadOutcome::Result { lease: Some((OTHER, at(10))) });
        assert_eq!(theirs.acknowledge(ME), Err(UnknownReceipt));
    }

    #[test]
    fn a_result_that_nobody_reads_expires_and_one_that_was_read_does_not() {
        let repeat = policy(ReadMode::Repeat, Some(60));
        assert_eq!(Consumption::Unread.read(repeat, at(0), at(60), ME).1, ReadOutcome::Expired);
        let (read, _) = Consumption::Unread.read(repeat, at(0), at(59), ME);
        assert_eq!(read.read(repeat, at(0), at(600), ME).1, ReadOutcome::Result { lease: None });
        assert_eq!(read.timer(repeat, at(0)), None);
        assert_eq!(Consumption::Unread.timer(repeat, at(0)), Some(at(60)));
    }

    /// What has been seen of a result.
    #[derive(Default)]
    struct Seen {
        readers: Vec<OpId>,
        lease: Option<(OpId, Timestamp)>,
        is_acknowledged: bool,
        expired_at: Option<Timestamp>,
    }

    fn policies() -> impl Strategy<Value = ReadPolicy> {
        let modes = vec![ReadMode::Repeat, ReadMode::Once, ReadMode::Lease { seconds: 5 }];
        (prop::sample::select(modes), prop::option::of(Just(60)))
            .prop_map(|(mode, ttl_seconds)| policy(mode, ttl_seconds))
    }

    proptest! {
        /// Readers come in any order, by clocks that are up to 2 s apart.
        #[test]
        fn no_readers_break_the_laws(
            policy in policies(),
            steps in prop::collection::vec(
                (0_u64..20_000, 0_u64..2_000, 0_u64..4, any::<bool>()), 1..40,
            ),
        ) {
            let (mut reading, mut seen, mut clock) = (Consumption::Unread, Seen::default(), at(0));
            for (wait, skew, op, acknowledges) in steps {
                clock += Duration::from_millis(wait);
                let (now, op) = (clock + Duration::from_millis(skew), OpId(op));
                if acknowledges {
                    let holder = seen.lease.map(|it| it.0);
                    let is_mine = holder == Some(op);
                    if let Ok(next) = reading.acknowledge(op) {
                        prop_assert!(is_mine || policy.mode == ReadMode::Once, "not theirs");
                        prop_assert_eq!(next.acknowledge(op), Ok(next));
                        prop_assert!(next.is_over());
                        seen.is_acknowledged |= is_mine;
                        reading = next;
                    } else {
                        prop_assert!(!is_mine, "the last holder's receipt counts");
                    }
                    continue;
                }
                let (next, told) = reading.read(policy, at(0), now, op);
                prop_assert_eq!(next.read(policy, at(0), now, op), (next, told), "asked again");
                prop_assert!(!reading.is_over() || next == reading, "it came back");
                match told {
                    ReadOutcome::Result { lease } => {
                        prop_assert!(!seen.is_acknowledged, "it came back");
                        let is_back = seen.expired_at.is_some_and(|it| it <= now);
                        let is_held = seen.lease.is_some_and(|(holder, _)| holder == op);
                        prop_assert!(!is_back || is_held, "it was expired");
                        let other = seen.lease.filter(|(holder, _)| *holder != op);
                        prop_assert!(other.is_none_or(|(_, until)| until <= now), "two hold it");
                        let is_leased = matches!(policy.mode, ReadMode::Lease { .. });
                        prop_assert_eq!(lease.is_some(), is_leased);
                        prop_assert!(lease.is_none_or(|(holder, _)| holder == op));
                        seen.lease = lease;
                        seen.readers.push(op);
                    }
                    ReadOutcome::LeasedUntil(until) => {
                        prop_assert!(now < until);
                        prop_assert_eq!(seen.lease.map(|it| it.1), Some(until));
                    }
                    ReadOutcome::AlreadyRead => prop_assert!(!seen.readers.is_empty()),
                    ReadOutcome::Expired => {
                        let expires_at = policy.expires_at(at(0)).expect("it has a time");
                        prop_assert!(expires_at <= now, "expired too early");
                        seen.expired_at.get_or_insert(now);
                    }
                }
                reading = next;
            }
            seen.readers.dedup();
            prop_assert!(policy.mode != ReadMode::Once || seen.readers.len() <= 1);
        }

        /// The timer rings at the first instant at which there is something to let go of.
        #[test]
        fn the_timer_says_when_a_result_expires(
            policy in policies(),
            read_at in prop::option::of(50_i64..60),
            later in 50_i64..70,
        ) {
            let reading = read_at.map_or(Consumption::Unread, |it| {
                Consumption::Unread.read(policy, at(0), at(it), ME).0
            });
            let timer = reading.timer(policy, at(0));
            let now = at(later);
            let is_expired = reading.is_expired(policy, at(0), now);
            prop_assert_eq!(is_expired, timer.is_some_and(|it| it <= now));
        }
    }
}
