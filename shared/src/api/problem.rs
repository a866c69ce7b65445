//! Errors as our HTTP callers see them: RFC 9457 problem details.

use std::{borrow::Cow, error, fmt, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    platform::vault::VaultError,
    store::{self, AdvanceError},
};

/// How long somebody should wait for others to be done, in seconds.
const BUSY_RETRY_SECONDS: u32 = 1;

/// An error response.
///
/// `code` is part of the API: clients branch on it, so it never changes. `cause` is for us: it is
/// logged, once, and never sent. The layer around all routes writes the body, since only there the
/// identifier of the call is known.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    faults: Vec<FieldError>,
    more: Map<String, Value>,
    retry_after_seconds: Option<u32>,
    cause: Option<Arc<dyn error::Error + Send + Sync>>,
}

/// What went wrong, as a word that clients branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// The request breaks a rule.
    InvalidRequest,
    /// A callback may not go there.
    CallbackUrlNotAllowed,
    /// The idempotency key stands for another body.
    IdempotencyKeyReused,
    /// There is no such key.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// There is nothing here, or nothing that the caller may see.
    NotFound,
    /// There is something here, but not to be used so.
    MethodNotAllowed,
    /// The body is too large.
    BodyTooLarge,
    /// The request has ended before.
    AlreadyFinished,
    /// The recipient has answered before.
    AlreadyAnswered,
    /// The request takes no answers any more.
    RequestEnded,
    /// The receipt is not that of the read that has the result.
    ReceiptUnknown,
    /// The delivery is being attempted, or was erased.
    NotRedeliverable,
    /// Too many previous secrets sign already.
    TooManySecrets,
    /// There is such a webhook already.
    WebhookExists,
    /// The account has as many webhooks as it may.
    TooManyWebhooks,
    /// The webhook is disabled.
    WebhookDisabled,
    /// The key has made as many calls as it may.
    RateLimited,
    /// The account has as many pending requests as it may.
    TooManyPendingRequests,
    /// Too many did the same at once.
    TooBusy,
    /// Something on our side failed.
    Internal,
}

/// One rule that a request breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where.
    #[serde(flatten)]
    pub place: FieldLocation,
    /// What is wrong there.
    pub detail: String,
}

/// Where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldLocation {
    /// In the body: a JSON pointer (RFC 6901).
    Pointer(String),
    /// In the query or a header: its name.
    Parameter(String),
}

impl FieldError {
    /// The query parameter or header called `name` breaks a rule.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self { place: FieldLocation::Parameter(name.to_owned()), detail: detail.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (FieldLocation::Pointer(place) | FieldLocation::Parameter(place)) = &self.place;
        write!(f, "`{place}` {}", self.detail)
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

    /// As it is written in the API.
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
            Self::InvalidRequest => "The request breaks a rule",
            Self::CallbackUrlNotAllowed => "Callbacks may not go to this URL",
            Self::IdempotencyKeyReused => "The idempotency key was used for another body",
            Self::Unauthorized => "No valid API key",
            Self::Forbidden => "The API key lacks a scope",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTooLarge => "The body is too large",
            Self::AlreadyFinished => "The request has already ended",
            Self::AlreadyAnswered => "Already answered",
            Self::RequestEnded => "The request takes no more answers",
            Self::ReceiptUnknown => "The receipt is not known",
            Self::NotRedeliverable => "The delivery cannot be redelivered now",
            Self::TooManySecrets => "Too many previous secrets sign already",
            Self::WebhookExists => "There is such a webhook already",
            Self::TooManyWebhooks => "Too many webhooks",
            Self::WebhookDisabled => "The webhook is disabled",
            Self::RateLimited => "Too many calls",
            Self::TooManyPendingRequests => "Too many pending requests",
            Self::TooBusy => "Too busy",
            Self::Internal => "Something went wrong on our side",
        }
    }
}

impl Problem {
    /// A problem with this code, and what to say about this case of it.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            faults: Vec::new(),
            more: Map::new(),
            retry_after_seconds: (code == Code::TooBusy).then_some(BUSY_RETRY_SECONDS),
            cause: None,
        }
    }

    /// The request breaks these rules.
    pub fn invalid(faults: Vec<FieldError>) -> Self {
        Self::of_errors(Code::InvalidRequest, faults)
    }

    /// The callback URL at `pointer` is refused, because of `detail`.
    pub fn callback_url_not_allowed(pointer: String, detail: String) -> Self {
        let error = FieldError { place: FieldLocation::Pointer(pointer), detail };
        Self::of_errors(Code::CallbackUrlNotAllowed, vec![error])
    }

    fn of_errors(code: Code, faults: Vec<FieldError>) -> Self {
        let detail = match faults.as_slice() {
            [] => Cow::Borrowed("the request breaks a rule"),
            [only] => only.to_string().into(),
            [first, rest @ ..] => format!("{first}, and {} more", rest.len()).into(),
        };
        Self { faults, ..Self::new(code, detail) }
    }

    /// The same problem with other pointers, for a body that was translated.
    #[must_use]
    pub fn map_pointers(mut self, map: impl Fn(&str) -> String) -> Self {
        if self.faults.is_empty() {
            return self;
        }
        for error in &mut self.faults {
            if let FieldLocation::Pointer(pointer) = &mut error.place {
                *pointer = map(pointer);
            }
        }
        let detail = Self::of_errors(self.code, self.faults.clone()).detail;
        Self { detail, ..self }
    }

    /// There is nothing here, or nothing that the caller may see.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing, or it is not yours")
    }

    /// Something on our side failed; `cause` is logged.
    pub fn internal(cause: impl error::Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..Self::new(Code::Internal, "the failure has been recorded; trying again is safe")
        }
    }

    /// Too many did the same at once, and what was asked was not done.
    pub fn too_busy() -> Self {
        Self::new(Code::TooBusy, "too many changes at once; nothing was recorded, try again")
    }

    /// Says in how many seconds to come back.
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

    /// What it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// What to say about this case of it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The rules that are broken.
    pub fn faults(&self) -> &[FieldError] {
        &self.faults
    }

    /// Notes that a call was refused, or what went wrong on our side.
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
            errors: &self.faults,
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

/// For steps that refuse with a problem of their own.
impl From<AdvanceError<Problem>> for Problem {
    fn from(lost: AdvanceError<Problem>) -> Self {
        match lost {
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
