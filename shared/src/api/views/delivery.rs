//! Deliveries and attempts.

use serde::Serialize;

use super::Time;
use crate::domain::{
    Attempt, Delivery,
    delivery::{DeliveryEnd, DeliveryState, FailureReason, Target, waiting::WaitReason},
};

/// Shown instead of a body that is for its receiver only.
const MASK: &str = "***";

/// A delivery.
#[derive(Debug, Serialize)]
pub struct DeliveryView<'a> {
    id: String,
    event_id: String,
    event_type: &'a str,
    request_id: Option<String>,
    webhook_id: Option<String>,
    target: TargetView<'a>,
    status: &'static str,
    state_reason: Option<&'static str>,
    attempts: u32,
    failures: u32,
    next_attempt_at: Option<Time>,
    livemode: bool,
    created_at: Time,
    finished_at: Option<Time>,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    kind: &'static str,
    url: Option<&'a str>,
    profile: Option<&'static str>,
}

/// An attempt: one exchange with a receiver.
#[derive(Debug, Serialize)]
pub struct AttemptView<'a> {
    id: String,
    delivery_id: String,
    webhook_id: Option<String>,
    event_id: String,
    attempt: u32,
    request: AttemptRequestView<'a>,
    response: Option<AttemptResponseView<'a>>,
    error: Option<AttemptErrorView<'a>>,
    started_at: Time,
    duration_ms: u32,
}

#[derive(Debug, Serialize)]
struct AttemptRequestView<'a> {
    url: Option<&'a str>,
    headers: serde_json::Map<String, serde_json::Value>,
    body: Option<String>,
}

#[derive(Debug, Serialize)]
struct AttemptResponseView<'a> {
    status: u16,
    headers: serde_json::Map<String, serde_json::Value>,
    body: &'a str,
}

#[derive(Debug, Serialize)]
struct AttemptErrorView<'a> {
    kind: &'static str,
    message: &'a str,
}

impl<'a> DeliveryView<'a> {
    /// The view of `delivery`.
    pub fn new(delivery: &'a Delivery) -> Self {
        let (next_attempt_at, finished_at) = match delivery.state {
            DeliveryState::Waiting { not_before, .. } => (Some(Time(not_before)), None),
            DeliveryState::Leased { .. } => (None, None),
            DeliveryState::Done { at, .. } => (None, Some(Time(at))),
        };
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event().to_string(),
            event_type: delivery.event_type.as_str(),
            request_id: delivery.request().map(|it| it.to_string()),
            webhook_id: delivery.webhook.as_ref().map(|it| it.id.to_string()),
            target: match &delivery.target {
                Target::Https(receiver) => TargetView {
                    kind: "https",
                    url: Some(&receiver.url),
                    profile: Some(receiver.profile.spec().name),
                },
                Target::Bus => TargetView { kind: "bus", url: None, profile: None },
                // Shown as a notification instead.
                Target::Message(_) | Target::Update(_) => {
                    TargetView { kind: "message", url: None, profile: None }
                }
                Target::Test(_) => TargetView { kind: "notifier", url: None, profile: None },
                Target::Erased => TargetView { kind: "https", url: None, profile: None },
            },
            status: status(delivery),
            state_reason: reason(delivery),
            attempts: delivery.attempt,
            failures: delivery.failures,
            next_attempt_at,
            livemode: delivery.owner.mode.is_live(),
            created_at: Time(delivery.created_at),
            finished_at,
        }
    }
}

impl<'a> AttemptView<'a> {
    /// The view of `attempt` at `delivery`. The bodies of a private delivery are masked.
    pub fn new(attempt: &'a Attempt, delivery: Option<&Delivery>) -> Self {
        let exchange = attempt.exchange.as_ref();
        let is_private = delivery.is_some_and(|it| it.is_private);
        let body = delivery.and_then(|it| it.body.as_deref());
        Self {
            id: attempt.id.to_string(),
            delivery_id: attempt.id.delivery().to_string(),
            webhook_id: attempt.webhook.as_ref().map(|it| it.id.to_string()),
            event_id: attempt.event().to_string(),
            attempt: attempt.id.number(),
            request: AttemptRequestView {
                url: exchange.map(|it| it.url.as_str()),
                headers: exchange.map(|it| headers(&it.headers)).unwrap_or_default(),
                body: body.map(|it| {
                    if is_private {
                        MASK.to_owned()
                    } else {
                        String::from_utf8_lossy(it).into_owned()
                    }
                }),
            },
            response: exchange.and_then(|it| it.response.as_ref()).map(|it| AttemptResponseView {
                status: it.status,
                headers: headers(&it.headers),
                body: if is_private { MASK } else { &it.body },
            }),
            error: attempt
                .error
                .as_ref()
                .map(|it| AttemptErrorView { kind: it.kind.as_str(), message: &it.message }),
            started_at: Time(attempt.started_at),
            duration_ms: attempt.duration_ms,
        }
    }
}

/// Status of `delivery`.
pub fn status(delivery: &Delivery) -> &'static str {
    match delivery.state {
        DeliveryState::Waiting { .. } | DeliveryState::Leased { .. } => "pending",
        DeliveryState::Done { end, .. } => match end {
            DeliveryEnd::Delivered | DeliveryEnd::Arrived => "delivered",
            DeliveryEnd::Failed(_) => "failed",
            DeliveryEnd::DeadLettered(_) => "dead_lettered",
            DeliveryEnd::Cancelled => "cancelled",
            DeliveryEnd::Skipped(_) => "skipped",
            DeliveryEnd::Bounced => "bounced",
        },
    }
}

fn reason(delivery: &Delivery) -> Option<&'static str> {
    let reason = match delivery.state {
        DeliveryState::Waiting { reason, .. } => {
            return reason.map(|it| match it {
                WaitReason::BreakerOpen => "breaker_open",
                WaitReason::SlowLane => "slow_lane",
            });
        }
        DeliveryState::Done {
            end: DeliveryEnd::Failed(reason) | DeliveryEnd::DeadLettered(reason),
            ..
        } => reason,
        DeliveryState::Done {
            end:
                DeliveryEnd::Delivered
                | DeliveryEnd::Arrived
                | DeliveryEnd::Cancelled
                | DeliveryEnd::Skipped(_)
                | DeliveryEnd::Bounced,
            ..
        }
        | DeliveryState::Leased { .. } => {
            return None;
        }
    };
    Some(failure(reason))
}

/// The name of a reason for a failure.
pub(super) fn failure(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::Redirect => "redirect",
        FailureReason::Gone => "gone",
        FailureReason::BlockedAddress => "blocked_address",
        FailureReason::RetriesSpent => "retries_spent",
        FailureReason::CrashLoop => "crash_loop",
        FailureReason::NotAccepted => "not_accepted",
        FailureReason::Disabled => "webhook_disabled",
        FailureReason::Refused => "refused",
        FailureReason::Bounced => "bounced",
    }
}

/// Headers by name. Repeated ones are joined, as RFC 9110 allows.
fn headers(headers: &[(String, String)]) -> serde_json::Map<String, serde_json::Value> {
    let mut map = serde_json::Map::new();
    for (name, value) in headers {
        match map.get_mut(name) {
            Some(serde_json::Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value);
            }
            _ => _ = map.insert(name.clone(), value.as_str().into()),
        }
    }
    map
}
