//! The error shape that all emulated services share.

use axum::http::StatusCode;

/// The error response of a failed call, in AWS's policy.
#[derive(Debug)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    /// The shape's full name, for `__type`.
    pub(crate) kind: &'static str,
    /// What SQS called it before it spoke JSON; its clients still go by that name.
    pub(crate) query_code: Option<&'static str>,
    pub(crate) message: String,
}
