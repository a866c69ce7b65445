//! Why SQS refuses, in its own words and under both of its names for each reason.

use axum::http::StatusCode;

use crate::error::AwsError;

/// Why an operation on a queue was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such queue.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// There is one of this name, with other settings.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    /// A queue has no attribute of this name, or none that can be set.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// A parameter has a value that it cannot have.
    #[error("Value {value} for parameter {name} is invalid. Reason: {reason}")]
    InvalidParameterValue {
        /// The parameter.
        name: &'static str,
        /// What it was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The message, or what a batch's messages make together, is too long.
    #[error("One or more parameters are invalid. Reason: Message must be shorter than {0} bytes.")]
    MessageTooLong(u32),
    /// The body has a character that XML does not allow.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    InvalidMessageContents,
    /// That is no receipt of this queue.
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    /// The message is visible, so there is no time-out to change.
    #[error("The message referred to isn't in flight.")]
    MessageNotInflight,
    /// A batch without entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    /// A batch with more than ten.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of a batch go by one name.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// The messages of a batch are too long together.
    #[error("Batch requests cannot be longer than {0} bytes.")]
    BatchRequestTooLong(usize),
    /// This operation is not emulated.
    #[error("the operation `{0}` is not emulated")]
    UnknownOperation(String),
    /// The body could not be read.
    #[error("the body is not the JSON of this operation")]
    Malformed(#[source] serde_json::Error),
    /// What happened could not be written down, so it did not happen.
    #[error("the queues could not be written to disk")]
    Disk(#[source] anyhow::Error),
    /// The queues were stopped.
    #[error("the local stack was stopped")]
    Stopped,
}

impl Error {
    /// The name of the reason in SQS's model, and the one that it had before SQS spoke JSON.
    pub(super) fn names(&self) -> (&'static str, &'static str) {
        match self {
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
        }
    }
}

impl From<Error> for AwsError {
    fn from(err: Error) -> Self {
        let status = match &err {
            Error::Disk(_) | Error::Stopped => {
                tracing::error!(error = &err as &dyn std::error::Error, "a queue failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_REQUEST,
        };
        let (kind, query_code) = err.names();
        Self { status, kind, query_code: Some(query_code), message: err.to_string() }
    }
}
