//! The closed list of problem codes: name, status and title of each.

use axum::http::StatusCode;

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
    /// The signature of a call is missing, wrong or old.
    InvalidSignature,
    /// The API key lacks a scope.
    Forbidden,
    /// The object does not exist, or the caller may not see it.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The body is too large.
    BodyTooLarge,
    /// The body is compressed, or not UTF-8.
    UnsupportedMediaType,
    /// The request has already ended, so it cannot be canceled.
    AlreadyFinished,
    /// The recipient has already answered.
    AlreadyAnswered,
    /// The sender's application may not record answers of this request.
    ApiAnswersNotAccepted,
    /// The requester is one of the recipients.
    SelfApproval,
    /// No notifier reaches a recipient, and the key does not see the link.
    NoWayToReach,
    /// The request is pending, so its approval cannot be used.
    NotDecided,
    /// The recipients did not approve the action.
    NotApproved,
    /// Another action was approved.
    DigestMismatch,
    /// The approval is used up.
    AlreadyConsumed,
    /// The approval has lapsed.
    ApprovalLapsed,
    /// The answer changes too often.
    TooManyChanges,
    /// The answer needs the code of the link.
    CodeRequired,
    /// The code was wrong too often.
    LinkLocked,
    /// The request no longer accepts answers.
    RequestEnded,
    /// The receipt does not belong to the read that holds the result.
    ReceiptUnknown,
    /// The delivery's content was erased.
    NotRedeliverable,
    /// A webhook with this id exists.
    WebhookExists,
    /// The account has the maximum number of webhooks.
    TooManyWebhooks,
    /// The account has its most notifiers.
    TooManyNotifiers,
    /// The account has its most keys.
    TooManyKeys,
    /// The account has its most channels.
    TooManyChannels,
    /// The webhook is disabled.
    WebhookDisabled,
    /// The key has exceeded its rate limit.
    RateLimited,
    /// The account has the maximum number of pending requests.
    TooManyPendingRequests,
    /// A callback of Answerback called Answerback.
    LoopDetected,
    /// Too many concurrent changes of one object.
    TooBusy,
    /// The service failed.
    Internal,
}

impl Code {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::MalformedJson | Self::CallbackUrlNotAllowed => StatusCode::BAD_REQUEST,
            Self::InvalidRequest
            | Self::IdempotencyKeyReused
            | Self::SelfApproval
            | Self::NoWayToReach => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized | Self::InvalidSignature => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::CodeRequired | Self::LinkLocked => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::AlreadyFinished
            | Self::AlreadyAnswered
            | Self::ApiAnswersNotAccepted
            | Self::NotDecided
            | Self::NotApproved
            | Self::DigestMismatch
            | Self::AlreadyConsumed
            | Self::ReceiptUnknown
            | Self::NotRedeliverable
            | Self::WebhookExists
            | Self::TooManyWebhooks
            | Self::TooManyNotifiers
            | Self::TooManyKeys
            | Self::TooManyChannels
            | Self::WebhookDisabled => StatusCode::CONFLICT,
            Self::RequestEnded | Self::ApprovalLapsed => StatusCode::GONE,
            Self::TooManyChanges | Self::RateLimited | Self::TooManyPendingRequests => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
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
            Self::InvalidSignature => "invalid_signature",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::AlreadyFinished => "already_finished",
            Self::AlreadyAnswered => "already_answered",
            Self::ApiAnswersNotAccepted => "api_answers_not_accepted",
            Self::SelfApproval => "self_approval",
            Self::NoWayToReach => "no_way_to_reach",
            Self::NotDecided => "not_decided",
            Self::NotApproved => "not_approved",
            Self::DigestMismatch => "digest_mismatch",
            Self::AlreadyConsumed => "already_consumed",
            Self::ApprovalLapsed => "approval_lapsed",
            Self::TooManyChanges => "too_many_changes",
            Self::CodeRequired => "code_required",
            Self::LinkLocked => "link_locked",
            Self::RequestEnded => "request_ended",
            Self::ReceiptUnknown => "receipt_unknown",
            Self::NotRedeliverable => "not_redeliverable",
            Self::WebhookExists => "webhook_exists",
            Self::TooManyWebhooks => "too_many_webhooks",
            Self::TooManyNotifiers => "too_many_notifiers",
            Self::TooManyKeys => "too_many_keys",
            Self::TooManyChannels => "too_many_channels",
            Self::WebhookDisabled => "webhook_disabled",
            Self::RateLimited => "rate_limited",
            Self::TooManyPendingRequests => "too_many_pending_requests",
            Self::LoopDetected => "loop_detected",
            Self::TooBusy => "too_busy",
            Self::Internal => "internal",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not valid JSON",
            Self::InvalidRequest => "Invalid request",
            Self::CallbackUrlNotAllowed => "Callback URL not allowed",
            Self::IdempotencyKeyReused => "Idempotency key was used with another body",
            Self::Unauthorized => "API key missing or wrong",
            Self::InvalidSignature => "Signature missing or wrong",
            Self::Forbidden => "API key lacks a scope",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::BodyTooLarge => "Body too large",
            Self::UnsupportedMediaType => "Unsupported encoding of the body",
            Self::AlreadyAnswered => "Already answered",
            Self::AlreadyFinished | Self::RequestEnded => "Request has ended",
            Self::ApiAnswersNotAccepted => "Only recipients answer this request",
            Self::SelfApproval => "The requester is a recipient",
            Self::NoWayToReach => "No notifier reaches a recipient",
            Self::NotDecided => "Request is not decided",
            Self::NotApproved => "Action is not approved",
            Self::DigestMismatch => "Another action was approved",
            Self::AlreadyConsumed => "Approval is used up",
            Self::ApprovalLapsed => "Approval has lapsed",
            Self::TooManyChanges => "Too many changes of an answer",
            Self::CodeRequired => "Code required",
            Self::LinkLocked => "Answer link is locked",
            Self::ReceiptUnknown => "Receipt unknown",
            Self::NotRedeliverable => "Delivery cannot be redelivered",
            Self::WebhookExists => "Webhook exists",
            Self::TooManyWebhooks => "Too many webhooks",
            Self::TooManyNotifiers => "Too many notifiers",
            Self::TooManyKeys => "Too many keys",
            Self::TooManyChannels => "Too many channels",
            Self::WebhookDisabled => "Webhook disabled",
            Self::RateLimited => "Rate limit exceeded",
            Self::TooManyPendingRequests => "Too many pending requests",
            Self::LoopDetected => "Callback called Answerback",
            Self::TooBusy => "Too many concurrent changes",
            Self::Internal => "Internal error",
        }
    }
}
