//! The use of an approval: the program that acts shows the digest of its action, and each use is
//! counted.
//!
//! ```text
//!   approved ─┬─ consume, while uses are left ─▶ used, at last used up
//!             ├─ cancel ──────────────────────▶ withdrawn
//!             └─ its time is over ────────────▶ lapsed
//! ```

use jiff::Timestamp;

use super::OpId;

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

/// The uses of an approval so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// The uses, in their order.
    pub uses: Vec<ApprovalUse>,
    /// The operation that withdrew it.
    pub withdrawn_by: Option<OpId>,
}

/// One use of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalUse {
    /// The call that used it. A repeated call finds its use here, and so uses it once.
    pub call: u128,
    /// The operation that wrote it. It recognizes its own write, and every other one is a replay.
    pub op: OpId,
    /// The time of the use.
    pub at: Timestamp,
}

/// The reason why an approval cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeRefusal {
    /// The request is pending.
    #[error("the request is not decided yet")]
    NotDecided,
    /// The recipients did not choose the option that approves, or nothing can be consumed.
    #[error("the recipients did not approve an action that can be consumed")]
    NotApproved,
    /// Another action was approved.
    #[error("the digest is of another action than the approved one")]
    DigestMismatch,
    /// All uses are used up.
    #[error("the approval is used up")]
    AlreadyConsumed,
    /// Its time is over, or it was withdrawn.
    #[error("the approval has lapsed or was withdrawn")]
    Lapsed,
    /// The call was made before, with another digest.
    #[error("this Idempotency-Key was already used with another body")]
    KeyReused,
    /// The request was erased.
    #[error("this request was erased")]
    Erased,
}
