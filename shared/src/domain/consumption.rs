//! Readers fetch the result of a request: any number of times, once, or under a lease.
//!
//! ```text
//!   Unread ─ mode repeat ──────▶ Read, and stays readable
//!      │ ├── mode once ────────▶ Consumed
//!      │ └── mode lease ─▶ Leased ─ acknowledged ─▶ Consumed
//!      │                     └─ not acknowledged in time: the next reader may take it
//!      └─ not read within its time to live ─▶ Expired
//! ```

use std::time::Duration;

use jiff::Timestamp;

use super::OpId;

/// Shortest time to live of a result.
pub const TTL_SECONDS_MIN: u32 = 60;
/// Longest time to live of a result: a year.
pub const TTL_SECONDS_MAX: u32 = 31_536_000;
/// Shortest lease of a result.
pub const LEASE_SECONDS_MIN: u32 = 5;
/// Longest lease of a result.
pub const LEASE_SECONDS_MAX: u32 = 900;
/// Default lease of a result.
pub const LEASE_SECONDS: u32 = 60;

/// The rules for reading a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPolicy {
    /// The number of reads.
    pub mode: ReadMode,
    /// The time to live of an unread result, from the end of the request.
    pub ttl_seconds: Option<u32>,
}

/// The number of reads that a result allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Any number.
    Repeat,
    /// One read, by one reader.
    Once,
    /// One reader at a time, until one acknowledges it.
    Lease {
        /// The length of a lease.
        seconds: u32,
    },
}

/// The reads of a result so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumption {
    /// It has not been read.
    Unread,
    /// It has been read, and stays readable.
    Read,
    /// A reader has it.
    Leased {
        /// The read that took it. It is also the receipt.
        op: OpId,
        /// The end of the lease.
        until: Timestamp,
    },
    /// It has been read, and is no longer readable.
    Consumed {
        /// The read that took it.
        op: OpId,
    },
    /// It was not read in time.
    Expired,
}

/// The answer to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The result.
    Result {
        /// The lease to acknowledge, in mode `lease`.
        lease: Option<ResultLease>,
    },
    /// Another reader has it until this time.
    LeasedUntil(Timestamp),
    /// It has been read before.
    AlreadyRead,
    /// It was not read in time.
    Expired,
}

/// A reader's lease of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultLease {
    /// The receipt that acknowledges it.
    pub receipt: OpId,
    /// The end of the lease.
    pub until: Timestamp,
}

/// One read of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The answer to the reader.
    pub outcome: ReadOutcome,
    /// The consumption after the read.
    pub next: Consumption,
}

/// The receipt belongs to no read that has, or had, the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownReceipt;

impl ReadPolicy {
    /// The time at which a result from `finished_at` expires, if it is unread.
    pub fn expires_at(self, finished_at: Timestamp) -> Option<Timestamp> {
        self.ttl_seconds.map(|it| finished_at + Duration::from_secs(it.into()))
    }

    /// Only `/result` shows the answers.
    pub fn is_private(self) -> bool {
        self.mode != ReadMode::Repeat
    }
}

impl Consumption {
    /// A read by `op`.
    pub fn read(
        self,
        policy: ReadPolicy,
        finished_at: Timestamp,
        now: Timestamp,
        op: OpId,
    ) -> Read {
        let unchanged = |outcome| Read { outcome, next: self };
        match self {
            Self::Leased { op: holder, until } if holder == op => {
                return unchanged(ReadOutcome::leased(op, until));
            }
            Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once => {
                return unchanged(ReadOutcome::Result { lease: None });
            }
            Self::Consumed { .. } => return unchanged(ReadOutcome::AlreadyRead),
            Self::Expired => return unchanged(ReadOutcome::Expired),
            Self::Leased { until, .. } if now < until => {
                return unchanged(ReadOutcome::LeasedUntil(until));
            }
            Self::Read => return unchanged(ReadOutcome::Result { lease: None }),
            Self::Unread | Self::Leased { .. } => (),
        }
        if self.is_expired(policy, finished_at, now) {
            // The sweep deletes it after the guard band, when it is expired by every clock.
            return unchanged(ReadOutcome::Expired);
        }
        match policy.mode {
            // A read is worth a write only if it keeps the result from expiring.
            ReadMode::Repeat if policy.ttl_seconds.is_none() => {
                unchanged(ReadOutcome::Result { lease: None })
            }
            ReadMode::Repeat => {
                Read { outcome: ReadOutcome::Result { lease: None }, next: Self::Read }
            }
            ReadMode::Once => {
                Read { outcome: ReadOutcome::Result { lease: None }, next: Self::Consumed { op } }
            }
            ReadMode::Lease { seconds } => {
                let until = now + Duration::from_secs(seconds.into());
                Read { outcome: ReadOutcome::leased(op, until), next: Self::Leased { op, until } }
            }
        }
    }

    /// The consumption after `receipt` was acknowledged. A late acknowledgement counts, unless
    /// another reader has taken the result.
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

    /// The time to live has passed, and no reader has it or has had it.
    pub fn is_expired(self, policy: ReadPolicy, finished_at: Timestamp, now: Timestamp) -> bool {
        let over = policy.expires_at(finished_at).is_some_and(|it| it <= now);
        match self {
            Self::Unread => over,
            Self::Leased { until, .. } => over && until <= now,
            Self::Expired => true,
            Self::Read | Self::Consumed { .. } => false,
        }
    }

    /// The first time at which it can have expired.
    pub fn timer(self, policy: ReadPolicy, finished_at: Timestamp) -> Option<Timestamp> {
        let expires_at = policy.expires_at(finished_at)?;
        match self {
            Self::Unread => Some(expires_at),
            Self::Leased { until, .. } => Some(expires_at.max(until)),
            Self::Read | Self::Consumed { .. } | Self::Expired => None,
        }
    }

    /// No reader can get the content any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Consumed { .. } | Self::Expired)
    }
}

impl ReadOutcome {
    fn leased(receipt: OpId, until: Timestamp) -> Self {
        Self::Result { lease: Some(ResultLease { receipt, until }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ME: OpId = OpId(1);
    const OTHER: OpId = OpId(2);
    const RESULT: ReadOutcome = ReadOutcome::Result { lease: None };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn policy(mode: ReadMode, ttl_seconds: Option<u32>) -> ReadPolicy {
        ReadPolicy { mode, ttl_seconds }
    }

    #[test]
    fn once_gives_one_reader_the_result_even_on_a_repeated_write() {
        let once = policy(ReadMode::Once, None);
        let read = Consumption::Unread.read(once, at(0), at(1), ME);
        assert_eq!(read.outcome, RESULT);
        let again = |op| read.next.read(once, at(0), at(1), op).outcome;
        assert_eq!([again(ME), again(OTHER)], [RESULT, ReadOutcome::AlreadyRead]);
    }

    #[test]
    fn leased_result_passes_on_until_it_is_acknowledged() {
        let lease = policy(ReadMode::Lease { seconds: 5 }, None);
        let Read { outcome, next: mine } = Consumption::Unread.read(lease, at(0), at(0), ME);
        assert_eq!(outcome, ReadOutcome::leased(ME, at(5)));
        let early = mine.read(lease, at(0), at(4), OTHER).outcome;
        assert_eq!(early, ReadOutcome::LeasedUntil(at(5)));

        assert_eq!(mine.acknowledge(OTHER), Err(UnknownReceipt));
        let consumed = mine.acknowledge(ME).expect("my receipt");
        assert_eq!(consumed.acknowledge(ME), Ok(consumed));
        let late = consumed.read(lease, at(0), at(9), OTHER).outcome;
        assert_eq!(late, ReadOutcome::AlreadyRead);

        let Read { outcome, next: theirs } = mine.read(lease, at(0), at(5), OTHER);
        assert_eq!(outcome, ReadOutcome::leased(OTHER, at(10)));
        assert_eq!(theirs.acknowledge(ME), Err(UnknownReceipt));
    }

    #[test]
    fn unread_result_expires_and_read_result_does_not() {
        let repeat = policy(ReadMode::Repeat, Some(60));
        let read_at = |second| Consumption::Unread.read(repeat, at(0), at(second), ME);
        assert_eq!(read_at(60).outcome, ReadOutcome::Expired);
        let read = read_at(59).next;
        assert_eq!(read.read(repeat, at(0), at(600), ME).outcome, RESULT);
        assert_eq!(read.timer(repeat, at(0)), None);
        assert_eq!(Consumption::Unread.timer(repeat, at(0)), Some(at(60)));
    }

    /// The reads of a result so far, as the test sees them.
    #[derive(Default)]
    struct Seen {
        readers: Vec<OpId>,
        lease: Option<ResultLease>,
        is_acknowledged: bool,
        expired_at: Option<Timestamp>,
    }

    fn policies() -> impl Strategy<Value = ReadPolicy> {
        let modes = vec![ReadMode::Repeat, ReadMode::Once, ReadMode::Lease { seconds: 5 }];
        (prop::sample::select(modes), prop::option::of(Just(60)))
            .prop_map(|(mode, ttl_seconds)| policy(mode, ttl_seconds))
    }

    proptest! {
        /// Readers come in any order. Their clocks differ by up to 2 s.
        #[test]
        fn results_obey_their_laws_for_any_sequence_of_reads(
            policy in policies(),
            steps in prop::collection::vec(
                (0_u64..20_000, 0_u64..2_000, 0_u64..4, any::<bool>()), 1..40,
            ),
        ) {
            let (mut result, mut seen, mut clock) = (Consumption::Unread, Seen::default(), at(0));
            for (wait, skew, op, acknowledges) in steps {
                clock += Duration::from_millis(wait);
                let (now, op) = (clock + Duration::from_millis(skew), OpId(op));
                if acknowledges {
                    let holder = seen.lease.map(|it| it.receipt);
                    let is_mine = holder == Some(op);
                    if let Ok(next) = result.acknowledge(op) {
                        prop_assert!(is_mine || policy.mode == ReadMode::Once, "the receipt belongs to another reader");
                        prop_assert_eq!(next.acknowledge(op), Ok(next));
                        prop_assert!(next.is_over());
                        seen.is_acknowledged |= is_mine;
                        result = next;
                    } else {
                        prop_assert!(!is_mine, "the receipt of the last reader counts");
                    }
                    continue;
                }
                let read = result.read(policy, at(0), now, op);
                let again = read.next.read(policy, at(0), now, op);
                prop_assert_eq!(again, read, "the same read, repeated");
                prop_assert!(!result.is_over() || read.next == result, "it came back");
                match read.outcome {
                    ReadOutcome::Result { lease } => {
                        prop_assert!(!seen.is_acknowledged, "it came back");
                        let is_back = seen.expired_at.is_some_and(|it| it <= now);
                        let is_held = seen.lease.is_some_and(|it| it.receipt == op);
                        prop_assert!(!is_back || is_held, "it was expired");
                        let other = seen.lease.filter(|it| it.receipt != op);
                        prop_assert!(other.is_none_or(|it| it.until <= now), "two readers have it");
                        let is_leased = matches!(policy.mode, ReadMode::Lease { .. });
                        prop_assert_eq!(lease.is_some(), is_leased);
                        prop_assert!(lease.is_none_or(|it| it.receipt == op));
                        seen.lease = lease;
                        seen.readers.push(op);
                    }
                    ReadOutcome::LeasedUntil(until) => {
                        prop_assert!(now < until);
                        prop_assert_eq!(seen.lease.map(|it| it.until), Some(until));
                    }
                    ReadOutcome::AlreadyRead => prop_assert!(!seen.readers.is_empty()),
                    ReadOutcome::Expired => {
                        let expires_at = policy.expires_at(at(0)).expect("it has a time");
                        prop_assert!(expires_at <= now, "expired too early");
                        seen.expired_at.get_or_insert(now);
                    }
                }
                result = read.next;
            }
            seen.readers.dedup();
            prop_assert!(policy.mode != ReadMode::Once || seen.readers.len() <= 1);
        }

        /// The timer fires at the first instant at which the result has expired.
        #[test]
        fn timer_is_the_time_of_expiry(
            policy in policies(),
            read_at in prop::option::of(50_i64..60),
            later in 50_i64..70,
        ) {
            let result = read_at.map_or(Consumption::Unread, |it| {
                Consumption::Unread.read(policy, at(0), at(it), ME).next
            });
            let timer = result.timer(policy, at(0));
            let now = at(later);
            let is_expired = result.is_expired(policy, at(0), now);
            prop_assert_eq!(is_expired, timer.is_some_and(|it| it <= now));
        }
    }
}
