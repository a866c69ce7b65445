//! A program uses the approval of its action, or the sender withdraws it. See
//! [`approval`](crate::domain::approval).

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Request, RequestState,
    end::{DecidedBy, Outcome, RequestEnd},
};
use crate::domain::{
    ActionDigest, OpId,
    approval::{ApprovalUse, ConsumePolicy, ConsumeRefusal},
};

impl Request {
    /// The request after `op` has used the approval of the action with this digest for `call`. `None`:
    /// the call used it before.
    pub fn consume(
        &self,
        digest: ActionDigest,
        call: u128,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, ConsumeRefusal> {
        let end = match &self.state {
            RequestState::Erased { .. } => return Err(ConsumeRefusal::Erased),
            RequestState::Pending => return Err(ConsumeRefusal::NotDecided),
            RequestState::Ended(end) => end,
        };
        let policy = self.approved_by(end).ok_or(ConsumeRefusal::NotApproved)?;
        let is_right = self.question.action.as_ref().is_some_and(|it| it.digest == digest);
        if self.use_by(call).is_some() {
            return if is_right { Ok(None) } else { Err(ConsumeRefusal::KeyReused) };
        }
        if !is_right {
            return Err(ConsumeRefusal::DigestMismatch);
        }
        if policy.left(end) == 0 {
            return Err(ConsumeRefusal::AlreadyConsumed);
        }
        if end.approval.withdrawn_by.is_some() || policy.lapses_at(end.at) <= now {
            return Err(ConsumeRefusal::Lapsed);
        }
        let mut end = end.clone();
        end.approval.uses.push(ApprovalUse { call, op, at: now });
        let mut next = self.next();
        next.state = RequestState::Ended(end);
        next.set_timer(now);
        Ok(Some(next))
    }

    /// The use of the approval by this call.
    pub fn use_by(&self, call: u128) -> Option<ApprovalUse> {
        let RequestState::Ended(end) = &self.state else { return None };
        end.approval.uses.iter().find(|it| it.call == call).copied()
    }

    /// The uses that are left, whether or not they can still be used. `None` without an approval.
    pub fn uses_left(&self) -> Option<u32> {
        let RequestState::Ended(end) = &self.state else { return None };
        self.approved_by(end).map(|it| it.left(end))
    }

    /// The time at which the approval lapses. `None` without an approval.
    pub fn approval_lapses_at(&self) -> Option<Timestamp> {
        let RequestState::Ended(end) = &self.state else { return None };
        self.approved_by(end).map(|it| it.lapses_at(end.at))
    }

    /// The ended request after its sender has withdrawn the approval. `None` if it could not be used any
    /// more.
    pub(super) fn withdrawn(
        &self,
        end: &RequestEnd,
        reason: Option<&str>,
        now: Timestamp,
        op: OpId,
    ) -> Option<Self> {
        let policy = self.approved_by(end)?;
        let is_over = end.approval.withdrawn_by.is_some() || policy.lapses_at(end.at) <= now;
        if is_over || policy.left(end) == 0 {
            return None;
        }
        let mut end = end.clone();
        end.approval.withdrawn_by = Some(op);
        end.reason = reason.map(str::to_owned);
        let mut next = self.next();
        next.state = RequestState::Ended(end);
        next.set_timer(now);
        Some(next)
    }

    /// The policy by which this end is an approval.
    fn approved_by(&self, end: &RequestEnd) -> Option<&ConsumePolicy> {
        let is_decided =
            end.outcome == Outcome::Completed && end.decided_by == DecidedBy::Recipients;
        let policy = self.policy.consume.as_ref().filter(|_| is_decided);
        policy.filter(|it| end.decision.as_ref() == Some(&it.option))
    }
}

impl ConsumePolicy {
    fn left(&self, end: &RequestEnd) -> u32 {
        self.count.saturating_sub(u32::try_from(end.approval.uses.len()).unwrap_or(u32::MAX))
    }

    /// The time at which the approval of a request lapses that ended at this time.
    pub(crate) fn lapses_at(&self, ended_at: Timestamp) -> Timestamp {
        ended_at + Duration::from_secs(self.within_seconds.into())
    }
}
