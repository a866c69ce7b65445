//! Errors as our HTTP callers see them: RFC 9457 problem details.

use std::{borrow::Cow, error, fmt, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    api::pointer,
    domain::question::Misfit,
    platform::vault::VaultError,
    store::{self, AdvanceError},
};

/// Seconds after which a caller may retry when other writers were faster.
const CONTENDED_RETRY_SECONDS: u32 = 1;
/// Most errors that one problem lists.
const ERRORS_MAX: usize = 100;

/// An error response.
///
/// `code` is part of the API: clients branch on it, so it never changes. `cause` is for operators:
/// it is logged once and never sent. The layer around all routes writes the body, because only that
/// layer knows the identifier of the call.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    more: Map<String, Value>,
    retry_after_seconds: Option<u32>,
    cause: Option<Arc<dyn error::Error + Send + Sync>>,
}

/// The kind of a problem, as a word that clients branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// The call breaks a rule.
    InvalidRequest,
    /// The callback URL breaks a rule, or its receiver did not respond.
    CallbackUrlNotAllowed,
    /// The idempotency key was used with another body.
    IdempotencyKeyReused,
    /// The API key is missing or wrong.
    Unauthorized,
    /// The API key lacks a scope.
    Forbidden,
    /// The object does not exist, or the caller may not see it.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The body is too large.
    BodyTooLarge,
    /// The request has already ended, so it cannot be canceled.
    AlreadyFinished,
    /// The recipient has already answered.
    AlreadyAnswered,
    /// The request no longer accepts answers.
    RequestEnded,
    /// The receipt does not belong to the read that holds the result.
    ReceiptUnknown,
    /// The delivery's content was erased.
    NotRedeliverable,
    /// Too many previous secrets still sign.
    TooManySecrets,
    /// A webhook with this id exists.
    WebhookExists,
    /// The account has the maximum number of webhooks.
    TooManyWebhooks,
    /// The webhook is disabled.
    WebhookDisabled,
    /// The key has exceeded its rate limit.
    RateLimited,
    /// The account has the maximum number of pending requests.
    TooManyPendingRequests,
    /// Too many concurrent changes of one object.
    TooBusy,
    /// The service failed.
    Internal,
}

/// One rule that a call breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The value that breaks it.
    #[serde(flatten)]
    pub location: FieldLocation,
    /// The rule, without subject: "must be a number".
    pub detail: String,
}

/// The location of a value in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldLocation {
    /// In the body: a JSON pointer (RFC 6901).
    Pointer(String),
    /// In the query or a header: its name.
    Parameter(String),
}

impl FieldError {
    /// The value at `pointer` of the body breaks a rule.
    pub fn pointer(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { location: FieldLocation::Pointer(pointer.into()), detail: detail.into() }
    }

    /// The query parameter or header called `name` breaks a rule.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self { location: FieldLocation::Parameter(name.to_owned()), detail: detail.into() }
    }
}

/// A part of an answer that does not fit its question, in the body of that answer.
impl From<&Misfit> for FieldError {
    fn from(misfit: &Misfit) -> Self {
        let pointer = match &misfit.field {
            None => "/option".to_owned(),
            Some(key) => pointer::member("/fields", key),
        };
        Self::pointer(pointer, &misfit.detail)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (FieldLocation::Pointer(location) | FieldLocation::Parameter(location)) =
            &self.location;
        write!(f, "`{location}` {}", self.detail)
    }
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::MalformedJson | Self::CallbackUrlNotAllowed => StatusCode::BAD_REQUEST,
            Self::InvalidRequest | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::AlreadyFinished
            | Self::AlreadyAnswered
            | Self::ReceiptUnknown
            | Self::NotRedeliverable
            | Self::TooManySecrets
            | Self::WebhookExists
            | Self::TooManyWebhooks
            | Self::WebhookDisabled => StatusCode::CONFLICT,
            Self::RequestEnded => StatusCode::GONE,
            Self::RateLimited | Self::TooManyPendingRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::TooBusy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Its spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::InvalidRequest => "invalid_request",
            Self::CallbackUrlNotAllowed => "callback_url_not_allowed",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::AlreadyFinished => "already_finished",
            Self::AlreadyAnswered => "already_answered",
            Self::RequestEnded => "request_ended",
            Self::ReceiptUnknown => "receipt_unknown",
            Self::NotRedeliverable => "not_redeliverable",
            Self::TooManySecrets => "too_many_secrets",
            Self::WebhookExists => "webhook_exists",
            Self::TooManyWebhooks => "too_many_webhooks",
            Self::WebhookDisabled => "webhook_disabled",
            Self::RateLimited => "rate_limited",
            Self::TooManyPendingRequests => "too_many_pending_requests",
            Self::TooBusy => "too_busy",
            Self::Internal => "internal",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not valid JSON",
            Self::InvalidRequest => "Invalid request",
            Self::CallbackUrlNotAllowed => "Callback URL not allowed",
            Self::IdempotencyKeyReused => "Idempotency key was used with another body",
            Self::Unauthorized => "API key missing or wrong",
            Self::Forbidden => "API key lacks a scope",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTooLarge => "Body too large",
            Self::AlreadyAnswered => "Already answered",
            Self::AlreadyFinished | Self::RequestEnded => "Request has ended",
            Self::ReceiptUnknown => "Receipt unknown",
            Self::NotRedeliverable => "Delivery cannot be redelivered",
            Self::TooManySecrets => "Too many previous secrets still sign",
            Self::WebhookExists => "Webhook exists",
            Self::TooManyWebhooks => "Too many webhooks",
            Self::WebhookDisabled => "Webhook disabled",
            Self::RateLimited => "Rate limit exceeded",
            Self::TooManyPendingRequests => "Too many pending requests",
            Self::TooBusy => "Too many concurrent changes",
            Self::Internal => "Internal error",
        }
    }
}

impl Problem {
    /// A problem with this code; `detail` describes this occurrence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            more: Map::new(),
            retry_after_seconds: (code == Code::TooBusy).then_some(CONTENDED_RETRY_SECONDS),
            cause: None,
        }
    }

    /// The call breaks these rules. The body lists the first [`ERRORS_MAX`].
    pub fn invalid(mut errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => Cow::Borrowed("the call breaks a rule"),
            [only] => only.to_string().into(),
            [first, rest @ ..] => format!("{first}, and {} more", rest.len()).into(),
        };
        errors.truncate(ERRORS_MAX);
        Self { errors, ..Self::new(Code::InvalidRequest, detail) }
    }

    /// The object does not exist, or the caller may not see it.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "not found")
    }

    /// The service failed; `cause` is logged.
    pub fn internal(cause: impl error::Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..Self::new(Code::Internal, "the error was logged; retrying is safe")
        }
    }

    /// Other writers were faster every time, and nothing was written.
    pub fn too_busy() -> Self {
        Self::new(Code::TooBusy, "too many concurrent changes; nothing was written, try again")
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("plain data serializes");
        self.more.insert(name.to_owned(), value);
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The description of this occurrence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The rules that the call breaks.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Logs the refused call, or the cause of an internal error.
    pub fn log(&self) {
        let (code, status) = (self.code.as_str(), self.status().as_u16());
        let Some(cause) = &self.cause else {
            tracing::info!(code, status, "refused a call");
            return;
        };
        // `dyn Error` makes the subscriber walk the chain of sources.
        let error: &(dyn error::Error + 'static) = cause.as_ref();
        tracing::error!(error, "a call failed");
    }

    /// The body, for the call with this identifier.
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'static str,
            status: u16,
            detail: &'a str,
            code: &'static str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
            errors: &'a [FieldError],
            #[serde(flatten)]
            more: &'a Map<String, Value>,
        }
        let body = Body {
            r#type: format!("urn:answerback:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            errors: &self.errors,
            more: &self.more,
        };
        serde_json::to_vec(&body).expect("plain data serializes")
    }
}

impl From<VaultError> for Problem {
    fn from(err: VaultError) -> Self {
        Self::internal(err)
    }
}

impl From<store::Error> for Problem {
    fn from(err: store::Error) -> Self {
        Self::internal(err)
    }
}

/// For steps that refuse with a problem.
impl From<AdvanceError<Problem>> for Problem {
    fn from(err: AdvanceError<Problem>) -> Self {
        match err {
            AdvanceError::Refused(problem) => problem,
            AdvanceError::Gone => Self::not_found(),
            AdvanceError::Contended => Self::too_busy(),
            AdvanceError::Store(err) => err.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_lists_at_most_100_errors() {
        let errors = (0..150).map(|it| FieldError::pointer(format!("/{it}"), "is wrong"));
        let problem = Problem::invalid(errors.collect());
        assert_eq!(problem.errors().len(), ERRORS_MAX);
        assert_eq!(problem.detail(), "`/0` is wrong, and 149 more");
    }
}
