//! Errors as our HTTP callers see them: RFC 9457 problem details.

mod code;
mod errors;

pub use code::Code;
pub use errors::FieldErrors;

use std::{borrow::Cow, collections::BTreeMap, error, fmt, sync::Arc};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    api::pointer,
    domain::question::Misfit,
    platform::vault::VaultError,
    store::{self, AdvanceError},
};

/// Seconds after which a caller may retry when other writers were faster.
const CONTENDED_RETRY_SECONDS: u32 = 1;
/// Marks the response of a repeated call.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An error response.
///
/// `code` is part of the API: clients branch on it, so it never changes. `cause` is for operators:
/// it is logged once and never sent. The layer around all routes writes the body, because only that
/// layer knows the identifier of the call.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: FieldErrors,
    more: BTreeMap<String, Box<RawValue>>,
    retry_after_seconds: Option<u32>,
    is_replayed: bool,
    cause: Option<Arc<dyn error::Error + Send + Sync>>,
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
        Self::pointer(pointer, misfit.fault.to_string())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (FieldLocation::Pointer(location) | FieldLocation::Parameter(location)) =
            &self.location;
        write!(f, "`{location}` {}", self.detail)
    }
}

impl Problem {
    /// A problem with this code; `detail` describes this occurrence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: FieldErrors::default(),
            more: BTreeMap::new(),
            retry_after_seconds: (code == Code::TooBusy).then_some(CONTENDED_RETRY_SECONDS),
            is_replayed: false,
            cause: None,
        }
    }

    /// The call breaks these rules.
    pub fn invalid(errors: impl Into<FieldErrors>) -> Self {
        Self::of_errors(Code::InvalidRequest, errors.into())
    }

    /// The callback URL at `pointer` is refused.
    pub fn callback_url_not_allowed(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError::pointer(pointer, detail);
        Self::of_errors(Code::CallbackUrlNotAllowed, FieldErrors::from_iter([error]))
    }

    fn of_errors(code: Code, errors: FieldErrors) -> Self {
        let detail = match errors.as_slice() {
            [] => Cow::Borrowed("the call breaks a rule"),
            [only] => only.to_string().into(),
            [first, ..] => format!("{first}, and {} more", errors.len() - 1).into(),
        };
        Self { errors, ..Self::new(code, detail) }
    }

    /// The same problem with other pointers, for a body that was translated.
    #[must_use]
    pub fn map_pointers(mut self, map: impl Fn(&str) -> String) -> Self {
        let first = self.errors.as_slice().first().map(ToString::to_string);
        for error in self.errors.as_mut_slice() {
            if let FieldLocation::Pointer(pointer) = &mut error.location {
                *pointer = map(pointer);
            }
        }
        // The detail begins with the first error.
        if let (Some(old), Some(new)) = (first, self.errors.as_slice().first())
            && let Some(rest) = self.detail.strip_prefix(&*old)
        {
            self.detail = format!("{new}{rest}").into();
        }
        self
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

    /// Marks the response of a repeated call.
    #[must_use]
    pub fn replayed(self) -> Self {
        Self { is_replayed: true, ..self }
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        // Not as a `Value`, which would change numbers.
        let value = to_raw_value(&value).expect("plain data serializes");
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

    /// The seconds after which a caller may retry, if it says so.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// The description of this occurrence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The rules that the call breaks.
    pub fn errors(&self) -> &FieldErrors {
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
            #[serde(skip_serializing_if = "Option::is_none")]
            errors_truncated: Option<bool>,
            #[serde(flatten)]
            more: &'a BTreeMap<String, Box<RawValue>>,
        }
        let body = Body {
            r#type: format!("urn:answerback:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            errors: self.errors.as_slice(),
            errors_truncated: self.errors.are_truncated().then_some(true),
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
        if self.is_replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
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
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_problem_lists_at_most_100_errors_and_says_so() {
        for (n_errors, detail, truncated) in [
            (100, "`/0` is wrong, and 99 more", Value::Null),
            (101, "`/0` is wrong, and 100 more", Value::Bool(true)),
        ] {
            let errors = (0..n_errors).map(|it| FieldError::pointer(format!("/{it}"), "is wrong"));
            let problem = Problem::invalid(errors.collect::<FieldErrors>());
            let body: Value = serde_json::from_slice(&problem.body("call")).expect("JSON");
            assert_eq!(body["errors"].as_array().map(Vec::len), Some(100));
            assert_eq!(
                (body["detail"].as_str(), &body["errors_truncated"]),
                (Some(detail), &truncated)
            );
        }
    }
}
