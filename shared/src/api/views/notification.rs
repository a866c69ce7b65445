//! Notifications: messages that bring a request to its recipients.

use serde::Serialize;

use super::{Time, response::email};
use crate::domain::{
    Delivery, NotificationId, Request,
    delivery::{DeliveryEnd, DeliveryState, FailureReason, SkipReason, Target},
    request::FailedMessage,
};

/// A notification.
#[derive(Debug, Serialize)]
pub struct NotificationView<'a> {
    id: String,
    recipient: Option<&'a str>,
    notifier: String,
    kind: &'static str,
    purpose: &'static str,
    status: &'static str,
    attempts: u32,
    error: Option<&'static str>,
    next_attempt_at: Option<Time>,
    created_at: Time,
    at: Option<Time>,
}

/// The data of `notification.failed`.
#[derive(Debug, Serialize)]
pub(crate) struct FailedNotificationData<'a> {
    request_id: String,
    notification_id: String,
    recipient: Option<&'a str>,
    notifier_id: String,
    error: &'static str,
}

impl<'a> NotificationView<'a> {
    /// The view of `delivery`, if it is a message of `request`.
    pub fn new(request: &'a Request, delivery: &Delivery) -> Option<Self> {
        let Target::Message(message) = &delivery.target else { return None };
        let way = delivery.way()?;
        let (status, error) = status(delivery);
        let (next_attempt_at, at) = match delivery.state {
            DeliveryState::Waiting { not_before, .. } => (Some(Time(not_before)), None),
            DeliveryState::Leased { .. } => (None, None),
            DeliveryState::Done { at, .. } => (None, Some(Time(at))),
        };
        Some(Self {
            id: NotificationId(delivery.id).to_string(),
            recipient: email(request, message.row),
            notifier: way.notifier.to_string(),
            kind: way.kind.as_str(),
            purpose: message.purpose.as_str(),
            status,
            attempts: delivery.attempt,
            error,
            next_attempt_at,
            created_at: Time(delivery.created_at),
            at,
        })
    }
}

/// The status of a notification in the API, and the reason for it.
pub fn status(delivery: &Delivery) -> (&'static str, Option<&'static str>) {
    let DeliveryState::Done { end, .. } = delivery.state else { return ("queued", None) };
    match end {
        DeliveryEnd::Delivered => ("sent", None),
        DeliveryEnd::Arrived => ("delivered", None),
        DeliveryEnd::Failed(reason) | DeliveryEnd::DeadLettered(reason) => {
            ("failed", Some(failure(reason)))
        }
        DeliveryEnd::Bounced => ("bounced", None),
        DeliveryEnd::Cancelled => ("skipped", Some("not_needed")),
        DeliveryEnd::Skipped(SkipReason::TestMode) => ("skipped", Some("test_mode")),
        DeliveryEnd::Skipped(SkipReason::MessageLimit) => ("skipped", Some("message_limit")),
    }
}

fn failure(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Disabled => "disabled",
        other => super::delivery::failure(other),
    }
}

impl<'a> FailedNotificationData<'a> {
    pub(crate) fn new(request: &'a Request, failed: &FailedMessage) -> Self {
        Self {
            request_id: request.id.to_string(),
            notification_id: request.notification(failed.key).to_string(),
            recipient: email(request, failed.key.row),
            notifier_id: failed.notifier.to_string(),
            error: failure(failed.reason),
        }
    }
}
