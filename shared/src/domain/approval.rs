//! The use of an approval: the program that acts shows the digest of its action, and each use is
//! counted.

/// Shortest life of an approval.
pub const APPROVAL_SECONDS_MIN: u32 = 60;
/// Longest life of an approval: a week.
pub const APPROVAL_SECONDS_MAX: u32 = 604_800;
/// Default life of an approval: an hour.
pub const APPROVAL_SECONDS: u32 = 3_600;
/// Most uses of an approval. Each is stored with its request.
pub const APPROVAL_USES_MAX: u32 = 100;

/// The way in which an approval may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumePolicy {
    /// The option that approves.
    pub option: String,
    /// The time after the end in which the approval may be used.
    pub within_seconds: u32,
    /// The number of uses.
    pub count: u32,
}
