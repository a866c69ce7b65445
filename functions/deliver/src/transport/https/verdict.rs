//! The verdict on a receiver's response: accepted, to be retried, or failed for good.

use answerback::{
    domain::{
        CallbackUrl,
        attempt::{AttemptError, ErrorKind},
        delivery::{AttemptVerdict, FailureReason, Receiver},
        profile::Permanent,
        retry,
    },
    egress::{Failure, FailureKind, Reply},
};
use jiff::Timestamp;

/// The verdict and its evidence.
pub(super) struct Judgement {
    pub(super) verdict: AttemptVerdict,
    /// Cause, unless the receiver accepted.
    pub(super) error: Option<AttemptError>,
    /// The response, as far as it arrived.
    pub(super) reply: Option<Reply>,
}

/// The kind of host in a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKind {
    /// An address, which is blocked for ever if it is blocked once.
    Address,
    /// A name, which may resolve to another address next time.
    Name,
}

impl HostKind {
    pub(super) fn of(url: &CallbackUrl) -> Self {
        if url.literal_address().is_some() { Self::Address } else { Self::Name }
    }
}

/// Judges the response of `receiver` by the rules of its profile.
pub(super) fn judge(
    answer: Result<Reply, Failure>,
    receiver: &Receiver,
    host: HostKind,
    now: Timestamp,
) -> Judgement {
    let permanent = receiver.spec().permanent;
    let judgement = match answer {
        Ok(reply) => judge_reply(reply, permanent, now),
        // The status is what counts, and it arrived.
        Err(Failure { kind, message, reply: Some(reply) }) => {
            let judgement = judge_reply(reply, permanent, now);
            let fault = AttemptError { kind: kind.into(), message };
            Judgement { error: judgement.error.or(Some(fault)), ..judgement }
        }
        Err(failure) => judge_failure(failure, host),
    };
    // A profile without retries retries if the customer set delays.
    let is_only_attempt =
        permanent == Permanent::Everything && receiver.retry.delays_seconds.is_empty();
    match judgement.verdict {
        AttemptVerdict::Retry { .. } if is_only_attempt => Judgement {
            verdict: AttemptVerdict::Permanent(FailureReason::NotAccepted),
            ..judgement
        },
        _ => judgement,
    }
}

/// Judges a call without a status.
fn judge_failure(failure: Failure, host: HostKind) -> Judgement {
    let Failure { kind, message, reply } = failure;
    let verdict = if kind == FailureKind::BlockedAddress && host == HostKind::Address {
        AttemptVerdict::Permanent(FailureReason::BlockedAddress)
    } else {
        AttemptVerdict::Retry { retry_after: None }
    };
    Judgement { verdict, error: Some(AttemptError { kind: kind.into(), message }), reply }
}

/// Judges a response by its status. Its headers are those of the receiver, not the copy that the
/// attempt's record keeps.
fn judge_reply(reply: Reply, permanent: Permanent, now: Timestamp) -> Judgement {
    let retry_after = reply
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .and_then(|(_, value)| retry::retry_after(value, now));
    let status = reply.status;
    let error = |kind, message: String| Some(AttemptError { kind, message });
    let retry = AttemptVerdict::Retry { retry_after };
    let (verdict, error) = match status {
        200..=299 => (AttemptVerdict::Accepted, None),
        300..=399 => {
            let verdict = match permanent {
                Permanent::RedirectOrGone | Permanent::Redirect => {
                    AttemptVerdict::Permanent(FailureReason::Redirect)
                }
                Permanent::Nothing | Permanent::Everything => retry,
            };
            let message = format!("the receiver answered {status}; redirects are not followed");
            (verdict, error(ErrorKind::Redirect, message))
        }
        _ => {
            let verdict = if status == 410 && permanent == Permanent::RedirectOrGone {
                AttemptVerdict::Permanent(FailureReason::Gone)
            } else {
                retry
            };
            (verdict, error(ErrorKind::Status, format!("the receiver answered {status}")))
        }
    };
    Judgement { verdict, error, reply: Some(reply) }
}
