//! SQS errors: their messages, and their names in both of SQS's protocols.

use axum::http::StatusCode;

use crate::error::AwsError;

/// An operation on a queue failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No queue of this name exists.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// A queue of this name exists, with other settings.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    /// No settable attribute of this name exists.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// A parameter's value is invalid.
    #[error("Value {value} for parameter {name} is invalid. Reason: {reason}")]
    InvalidParameterValue {
        /// The parameter.
        name: &'static str,
        /// The value.
        value: String,
        /// The reason why it is invalid.
        reason: String,
    },
    /// The message is too long.
    #[error("One or more parameters are invalid. Reason: Message must be shorter than {0} bytes.")]
    MessageTooLong(u32),
    /// The body contains a character that XML does not allow.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    InvalidMessageContents,
    /// The receipt handle is malformed.
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    /// The message is visible, so it has no timeout to change.
    #[error("The message referred to isn't in flight.")]
    MessageNotInflight,
    /// A batch has no entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    /// A batch has more than ten entries.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of a batch have the same id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// The messages of a batch are too long in total.
    #[error("Batch requests cannot be longer than {0} bytes.")]
    BatchRequestTooLong(usize),
    /// This operation is not emulated.
    #[error("the operation `{0}` is not emulated")]
    UnknownOperation(String),
    /// The input does not parse.
    #[error("the body is not the JSON of this operation")]
    Malformed(#[source] serde_json::Error),
    /// The change could not be written to disk, so it was not made.
    #[error("could not write the queues to disk")]
    Disk(#[source] anyhow::Error),
    /// The emulator has stopped.
    #[error("the emulated AWS has stopped")]
    Stopped,
}

/// The names of an error.
pub(super) struct ErrorNames {
    /// The shape in SQS's JSON protocol.
    pub(super) shape: &'static str,
    /// The code in SQS's older query protocol.
    pub(super) query_code: &'static str,
}

impl Error {
    /// The error's names in SQS's two protocols.
    pub(super) fn names(&self) -> ErrorNames {
        let (shape, query_code) = match self {
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            Self::QueueNameExists(_) => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            Self::InvalidAttributeName(_) => {
                ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName")
            }
            Self::InvalidParameterValue { .. } | Self::MessageTooLong(_) => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            Self::InvalidMessageContents => {
                ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents")
            }
            Self::ReceiptHandleIsInvalid => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
            }
            Self::MessageNotInflight => (
                "com.amazonaws.sqs#MessageNotInflight",
                "AWS.SimpleQueueService.MessageNotInflight",
            ),
            Self::EmptyBatchRequest => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            Self::TooManyEntriesInBatchRequest(_) => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            Self::BatchEntryIdsNotDistinct(_) => (
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            Self::BatchRequestTooLong(_) => (
                "com.amazonaws.sqs#BatchRequestTooLong",
                "AWS.SimpleQueueService.BatchRequestTooLong",
            ),
            Self::UnknownOperation(_) => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
            }
            Self::Malformed(_) => {
                ("com.amazon.coral.service#SerializationException", "MalformedInput")
            }
            Self::Disk(_) | Self::Stopped => {
                ("com.amazon.coral.service#InternalFailure", "InternalFailure")
            }
        };
        ErrorNames { shape, query_code }
    }
}

impl From<Error> for AwsError {
    fn from(err: Error) -> Self {
        let status = match &err {
            Error::Disk(_) | Error::Stopped => {
                tracing::error!(error = &err as &dyn std::error::Error, "a queue operation failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_REQUEST,
        };
        let ErrorNames { shape, query_code } = err.names();
        Self { status, kind: shape, query_code: Some(query_code), message: err.to_string() }
    }
}
