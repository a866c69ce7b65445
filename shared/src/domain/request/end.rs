//! A request ends: by its deadline, by its sender, or by an answer (see [`answer`](super::answer)).

use std::time::Duration;

use jiff::Timestamp;

use super::{
    AnswerMode, CLOCK_GUARD, OnDeadline, Refusal, Request, RequestState, outbox::EventDetail,
};
use crate::domain::{
    OpId, RequestEvent, Subscriptions, approval::Approval, consumption::Consumption,
    quorum::QuorumVerdict,
};

/// Most characters of the reason for a cancellation.
pub const CANCEL_REASON_CHARS_MAX: usize = 500;
/// An end more than this before the deadline also brings forward the expiry of a long question and long
/// answers. For less, the writes are not worth it.
const EARLY_END: Duration = Duration::from_hours(7 * 24);

/// The end of a request, and the reads of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestEnd {
    /// The outcome.
    pub outcome: Outcome,
    /// The option that decided, if one did.
    pub decision: Option<String>,
    /// The party that decided.
    pub decided_by: DecidedBy,
    /// The time of the end. For a time-out this is the deadline, however late it was noticed.
    pub at: Timestamp,
    /// The operation that ended it.
    pub op: OpId,
    /// The reads of its result.
    pub consumption: Consumption,
    /// The uses of its approval.
    pub approval: Approval,
    /// Why the sender cancelled it or withdrew its approval, in the sender's words.
    pub reason: Option<String>,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The quorum was met.
    Completed,
    /// The quorum can no longer be met.
    NotMet,
    /// A recipient chose a veto.
    Vetoed,
    /// The deadline passed.
    TimedOut,
    /// The deadline passed, and the default decided.
    Defaulted,
    /// The sender cancelled it.
    Cancelled,
}

/// The party that decided a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// The recipients.
    Recipients,
    /// The sender's rule for the deadline.
    DeadlinePolicy,
    /// The sender.
    Sender,
}

impl Request {
    /// The operation `op` ended it.
    pub fn was_ended_by(&self, op: OpId) -> bool {
        matches!(&self.state, RequestState::Ended(end) if end.op == op)
    }

    /// It is pending, and the deadline and the guard band have passed.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == RequestState::Pending && self.deadline + CLOCK_GUARD <= now
    }

    /// The request after its time-out, or `None` if it is not overdue. Steps that are overdue, too,
    /// are taken before.
    pub fn time_out(&self, subscriptions: Subscriptions, now: Timestamp, op: OpId) -> Option<Self> {
        if !self.is_overdue(now) {
            return None;
        }
        let mut next = self.next();
        next.run_steps(subscriptions, now, op);
        next.end_by_policy(self.deadline, subscriptions, op);
        next.set_timer(now);
        Some(next)
    }

    /// Ends it at `at` without waiting for more answers.
    pub(super) fn end_by_policy(&mut self, at: Timestamp, subscriptions: Subscriptions, op: OpId) {
        let verdict = match self.policy.mode {
            AnswerMode::OnTimeout => self.verdict(),
            AnswerMode::OnUserAction => QuorumVerdict::Open,
        };
        let (outcome, decision, decided_by) = match verdict {
            QuorumVerdict::Met(decision) => (Outcome::Completed, decision, DecidedBy::Recipients),
            QuorumVerdict::Unreachable(decision) => {
                (Outcome::NotMet, decision, DecidedBy::Recipients)
            }
            QuorumVerdict::Vetoed(veto) => (Outcome::Vetoed, Some(veto), DecidedBy::Recipients),
            QuorumVerdict::Open => match &self.policy.on_deadline {
                OnDeadline::Expire => (Outcome::TimedOut, None, DecidedBy::DeadlinePolicy),
                OnDeadline::Default(option) => {
                    (Outcome::Defaulted, Some(option.clone()), DecidedBy::DeadlinePolicy)
                }
            },
        };
        self.end(RequestEnd::new(outcome, decision, decided_by, at, op), subscriptions);
    }

    /// The request after its sender has cancelled it. An approval that is not used up ends; then the
    /// outcome stays. People and receivers see the reason of a cancellation.
    pub fn cancel(
        &self,
        reason: Option<&str>,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        match &self.state {
            RequestState::Erased { .. } => return Err(Refusal::Erased),
            RequestState::Ended(end) if end.op == op => return Ok(None),
            RequestState::Ended(end) if end.approval.withdrawn_by == Some(op) => return Ok(None),
            RequestState::Ended(end) => {
                let withdrawn = self.withdrawn(end, reason, now, op);
                return withdrawn.map(Some).ok_or(Refusal::AlreadyFinished);
            }
            RequestState::Pending => (),
        }
        let mut next = self.next();
        let mut end = RequestEnd::new(Outcome::Cancelled, None, DecidedBy::Sender, now, op);
        end.reason = reason.map(str::to_owned);
        next.end(end, subscriptions);
        next.set_timer(now);
        Ok(Some(next))
    }

    /// It ended at its deadline, so rows without an answer count as expired.
    pub fn ended_by_time(&self) -> bool {
        match &self.state {
            RequestState::Ended(end) => {
                matches!(end.outcome, Outcome::TimedOut | Outcome::Defaulted)
                    || self.policy.mode == AnswerMode::OnTimeout
                        && end.outcome != Outcome::Cancelled
            }
            RequestState::Pending | RequestState::Erased { .. } => false,
        }
    }

    /// It ended long before its deadline. Its long question and answers were stored with an expiry for
    /// an end at the deadline.
    pub fn ended_early(&self) -> bool {
        matches!(&self.state, RequestState::Ended(end) if self.deadline > end.at + EARLY_END)
    }

    /// Ends it, and emits the event of its end.
    pub(super) fn end(&mut self, end: RequestEnd, subscriptions: Subscriptions) {
        let (outcome, at) = (end.outcome, end.at);
        self.state = RequestState::Ended(end);
        self.has_leftovers |= self.ended_early() && self.may_have_parts();
        let kind = match outcome {
            Outcome::Cancelled => RequestEvent::RequestCancelled,
            Outcome::Completed
            | Outcome::NotMet
            | Outcome::Vetoed
            | Outcome::TimedOut
            | Outcome::Defaulted => RequestEvent::RequestFinished,
        };
        self.emit(kind, at, EventDetail::None, subscriptions);
    }
}

impl RequestEnd {
    /// An end whose result has not been read.
    pub(super) fn new(
        outcome: Outcome,
        decision: Option<String>,
        decided_by: DecidedBy,
        at: Timestamp,
        op: OpId,
    ) -> Self {
        Self {
            outcome,
            decision,
            decided_by,
            at,
            op,
            consumption: Consumption::Unread,
            approval: Approval::default(),
            reason: None,
        }
    }
}
