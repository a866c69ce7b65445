//! The error shape that all emulated services share.

use axum::http::StatusCode;

/// The error response of a failed call, in AWS's policy.
#[derive(Debug)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    /// The full name of the error's shape, for `__type`.
    pub(crate) kind: &'static str,
    /// The error's name in SQS's older query protocol. Its clients still use that name.
    pub(crate) query_code: Option<&'static str>,
    pub(crate) message: String,
}

impl AwsError {
    /// The call names no operation.
    pub(crate) fn unknown_operation() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "UnknownOperationException",
            query_code: None,
            message: "the header X-Amz-Target must name an operation".to_owned(),
        }
    }
}
