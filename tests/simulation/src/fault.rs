//! Faults at calls to the outside, and their schedule.

use std::fmt;

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

/// A fault at one try of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect.
    FailsBefore,
    /// It takes effect, and its response is lost.
    AnswerLost,
    /// The caller's process dies, and the call has no effect.
    CrashBefore,
    /// It takes effect, and the caller's process dies.
    CrashAfter,
    /// It takes effect twice, the second time a little later.
    Twice,
    /// It takes effect, and the response arrives this many seconds later.
    AnswerLate(u32),
    /// It takes effect this many seconds later, and then responds.
    DoneLate(u32),
    /// Every try fails and has no effect.
    Out,
    /// It takes effect, and every try fails.
    OutAfter,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 11] = [
        Self::FailsBefore,
        Self::AnswerLost,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Twice,
        Self::AnswerLate(8),
        Self::AnswerLate(90),
        Self::DoneLate(8),
        Self::DoneLate(90),
        Self::Out,
        Self::OutAfter,
    ];

    /// Returns true if it kills a process.
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }

    /// Returns true if repeating the call does not help.
    pub fn is_outage(self) -> bool {
        matches!(self, Self::Out | Self::OutAfter)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailsBefore => f.write_str("fails before"),
            Self::AnswerLost => f.write_str("answer lost"),
            Self::CrashBefore => f.write_str("crash before"),
            Self::CrashAfter => f.write_str("crash after"),
            Self::Twice => f.write_str("done twice"),
            Self::AnswerLate(seconds) => write!(f, "answered {seconds} s late"),
            Self::DoneLate(seconds) => write!(f, "done {seconds} s late"),
            Self::Out => f.write_str("fails whenever tried"),
            Self::OutAfter => f.write_str("done, and fails whenever tried"),
        }
    }
}

/// What a call does. Some faults look the same to all involved: a read that takes effect and whose
/// response is lost is a read that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// It reads from AWS.
    Read,
    /// It changes something in AWS.
    Write,
    /// It looks a receiver up, or tries whether one answers.
    Probe,
    /// It posts a callback.
    Post,
    /// A caller's call of the product.
    Caller,
}

impl CallKind {
    /// The faults of which each has another effect on such a call.
    pub fn faults(self) -> &'static [Fault] {
        use Fault::{
            AnswerLate, AnswerLost, CrashAfter, CrashBefore, DoneLate, FailsBefore, Out, OutAfter,
            Twice,
        };
        match self {
            Self::Read => &[FailsBefore, CrashBefore, AnswerLate(8), Out],
            // No caller waits for as long as 8 s.
            Self::Write => &[
                FailsBefore,
                AnswerLost,
                CrashBefore,
                CrashAfter,
                Twice,
                AnswerLate(8),
                DoneLate(8),
                DoneLate(90),
                Out,
                OutAfter,
            ],
            Self::Probe => &[FailsBefore, CrashBefore, AnswerLate(8)],
            Self::Post => &[
                FailsBefore,
                AnswerLost,
                CrashBefore,
                CrashAfter,
                Twice,
                AnswerLate(8),
                AnswerLate(90),
                DoneLate(8),
                DoneLate(90),
            ],
            Self::Caller => &[
                FailsBefore,
                AnswerLost,
                Twice,
                AnswerLate(8),
                AnswerLate(90),
                DoneLate(8),
                DoneLate(90),
            ],
        }
    }
}

/// The schedule of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At these calls, counted from 0. An empty list means no faults.
    At(Vec<(u32, Fault)>),
    /// At any call, with this probability in a thousand.
    Random {
        /// Probability of any fault.
        per_mille: u32,
    },
}

/// The calls of one history, and their faults.
#[derive(Debug)]
pub(crate) struct Faults {
    schedule: Schedule,
    chance: Pcg64Mcg,
    /// The calls so far.
    pub(crate) calls: Vec<CallKind>,
    /// Faults that happened, by the number of the call.
    pub(crate) injected: Vec<(u32, Fault)>,
}

impl Faults {
    pub(crate) fn new(schedule: Schedule, chance: Pcg64Mcg) -> Self {
        Self { schedule, chance, calls: Vec::new(), injected: Vec::new() }
    }

    /// The number of the next call.
    pub(crate) fn next_number(&self) -> u32 {
        u32::try_from(self.calls.len()).expect("a history has an end")
    }

    /// The fault of the next call.
    pub(crate) fn next(&mut self, kind: CallKind, is_storm: bool) -> Option<Fault> {
        let number = self.next_number();
        self.calls.push(kind);
        let fault = match &self.schedule {
            Schedule::At(faults) => faults.iter().find(|it| it.0 == number).map(|it| it.1),
            Schedule::Random { per_mille } => {
                let strikes = is_storm && self.chance.random_range(0..1000) < *per_mille;
                strikes.then(|| Fault::ALL[self.chance.random_range(0..Fault::ALL.len())])
            }
        }?;
        self.injected.push((number, fault));
        Some(fault)
    }
}
