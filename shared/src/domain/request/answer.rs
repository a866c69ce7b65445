//! A recipient answers.
//!
//! The answer is recorded in the recipient's row. If answers are final, it may also decide the
//! quorum and so end the request, in the same write.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    AnswerMode, Proof, Refusal, Request, RequestState,
    end::{DecidedBy, Outcome, RequestEnd},
    outbox::{EVENTS_MAX, EventDetail, OUTBOX_MAX, OutboxEvent, RecordedAnswer},
    row::{CHANGES_MAX, Row},
};
use crate::domain::{
    OpId, RequestEvent, RequestId, Subscriptions, question::Answer, quorum::QuorumVerdict,
};

/// Operations that a row remembers: more answers of one recipient than fit into the few seconds in
/// which the SDK repeats a write.
const REPLACED_MAX: usize = 8;

/// Least time between two answers of one recipient. Faster ones would only fill the table and the
/// receivers of events.
pub const CHANGE_INTERVAL: Duration = Duration::from_secs(1);

/// A long answer, which has an item next to its request's.
///
/// It is written before the step that records it, and found by the step's operation. A step that
/// replaces or clears it leaves it behind, and a worker erases it after the end of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct LongAnswer {
    /// The request.
    pub request: RequestId,
    /// The recipient's row.
    pub row: usize,
    /// The operation that records it.
    pub op: OpId,
    /// The answer. `None` after its erasure.
    pub(crate) answer: Option<Answer>,
    /// The time from which it may be deleted: at least a week after its request.
    pub expires_at: Timestamp,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

impl LongAnswer {
    /// The answer with this expiry, or `None` if it expires no later.
    pub fn expire(&self, at: Timestamp) -> Option<Self> {
        let next = Self { expires_at: at, revision: self.revision + 1, ..self.clone() };
        (at < self.expires_at).then_some(next)
    }

    /// The erased answer, or `None` if it was erased before.
    pub fn erase(&self) -> Option<Self> {
        let next = Self { answer: None, revision: self.revision + 1, ..self.clone() };
        self.answer.is_some().then_some(next)
    }
}

impl Request {
    /// Its question or answers may be in separate items.
    pub(super) fn may_have_parts(&self) -> bool {
        let mut rows = self.rows.iter().flatten();
        self.question.may_be_long() || rows.any(|it| it.answer.is_long())
    }

    /// The item for an answer that `op` is about to record. `None`: the request's item has room.
    pub fn long_answer(
        &self,
        row: usize,
        answer: &Answer,
        op: OpId,
        expires_at: Timestamp,
    ) -> Option<LongAnswer> {
        answer.is_long().then(|| LongAnswer {
            request: self.id,
            row,
            op,
            answer: Some(answer.clone()),
            expires_at,
            revision: 0,
        })
    }

    /// `answer` is one that the request or its outbox still holds.
    pub fn holds(&self, answer: &LongAnswer) -> bool {
        let is_in_row =
            self.rows.get(answer.row).and_then(Option::as_ref).is_some_and(|it| it.op == answer.op);
        let mut answered = self.outbox.iter().filter_map(OutboxEvent::answered);
        is_in_row && !self.is_cleared()
            || answered.any(|it| it.row == answer.row && it.op == answer.op)
    }

    /// The request after the long answers that it no longer holds were erased. `None` if it has
    /// changed since it was looked at, in revision `revision`.
    pub fn erased_leftovers(&self, revision: u64, now: Timestamp) -> Option<Self> {
        if !self.has_leftovers() || self.revision != revision {
            return None;
        }
        let mut next = self.next();
        next.has_leftovers = false;
        next.set_timer(now);
        Some(next)
    }

    /// The number of answers that a recipient has given.
    pub fn n_answers(&self, row: usize) -> u32 {
        let recorded = self.rows.get(row).and_then(Option::as_ref);
        recorded.map_or(0, |it| it.n_changes + 1)
    }

    /// The operation `op` recorded an answer in the row.
    pub fn was_answered_by(&self, row: usize, op: OpId) -> bool {
        let recorded = self.rows.get(row).and_then(Option::as_ref);
        recorded.is_some_and(|it| it.op == op || it.replaced.contains(&op))
    }

    /// The answer is already recorded in the row.
    pub fn has_answer(&self, row: usize, answer: &Answer) -> bool {
        let recorded = self.rows.get(row).and_then(Option::as_ref);
        recorded.is_some_and(|it| it.answer.is_equal(answer))
    }

    /// The request after the recipient of `row` has answered. `None`: this answer is recorded.
    pub fn answer(
        &self,
        row: usize,
        answer: &Answer,
        proof: Proof,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        let recorded = self.rows.get(row).ok_or(Refusal::Erased)?;
        if self.was_answered_by(row, op) {
            return Ok(None);
        }
        self.check_answer(row, answer, proof, now)?;
        if self.has_answer(row, answer) {
            return Ok(None);
        }
        let is_final = self.policy.mode == AnswerMode::OnUserAction;
        let mut next = self.next();
        let mut replaced = recorded.as_ref().map_or_else(Vec::new, |it| it.replaced.clone());
        next.has_leftovers |= recorded.as_ref().is_some_and(|it| it.answer.is_long());
        replaced.extend(recorded.as_ref().map(|it| it.op));
        replaced.drain(..replaced.len().saturating_sub(REPLACED_MAX));
        let answered = RecordedAnswer { row, op, answer: answer.clone(), proof };
        let detail = EventDetail::Answered(answered);
        let event = next.emit(RequestEvent::RequestAnswered, now, detail, subscriptions);
        let n_changes = self.n_answers(row);
        next.rows[row] =
            Some(Row { answer: answer.clone(), at: now, op, proof, n_changes, event, replaced });
        if is_final {
            let (outcome, decision) = match next.verdict() {
                QuorumVerdict::Open => (None, None),
                QuorumVerdict::Met(decision) => (Some(Outcome::Completed), decision),
                QuorumVerdict::Unreachable(decision) => (Some(Outcome::NotMet), decision),
                QuorumVerdict::Vetoed(veto) => (Some(Outcome::Vetoed), Some(veto)),
            };
            if let Some(outcome) = outcome {
                let end = RequestEnd::new(outcome, decision, DecidedBy::Recipients, now, op);
                next.end(end, subscriptions);
            }
        }
        next.note_unreachable(subscriptions, now, op);
        next.set_timer(now);
        Ok(Some(next))
    }

    /// Refuses an answer that the row does not take, or not now.
    fn check_answer(
        &self,
        row: usize,
        answer: &Answer,
        proof: Proof,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let recorded = self.rows.get(row).and_then(Option::as_ref);
        let is_final = self.policy.mode == AnswerMode::OnUserAction;
        match (&self.state, recorded) {
            (RequestState::Erased { .. }, _) => Err(Refusal::Erased),
            _ if !self.is_asked(row) => Err(Refusal::NotAsked),
            (_, Some(recorded)) if recorded.answer.is_equal(answer) => Ok(()),
            (_, Some(recorded)) if is_final => {
                Err(Refusal::AlreadyAnswered(recorded.clone().into()))
            }
            (RequestState::Ended(_), _) => Err(Refusal::Ended),
            (RequestState::Pending, _) if self.deadline <= now => Err(Refusal::Ended),
            (RequestState::Pending, _) if proof.is_of_link() && self.is_link_locked(row) => {
                Err(Refusal::LinkLocked)
            }
            (RequestState::Pending, None) if !self.has_open_place() => Err(Refusal::NoOpenPlace),
            (RequestState::Pending, Some(recorded)) if recorded.n_changes >= CHANGES_MAX => {
                let left = Duration::try_from(self.deadline.duration_since(now));
                Err(Refusal::ChangedTooOften { left: left.unwrap_or_default() })
            }
            (RequestState::Pending, Some(recorded)) if now < recorded.at + CHANGE_INTERVAL => {
                Err(Refusal::ChangedTooSoon)
            }
            (RequestState::Pending, _)
                if self.outbox.len() >= OUTBOX_MAX && !self.reports_answer_of(row)
                    || self.n_events > EVENTS_MAX =>
            {
                Err(Refusal::TooBusy)
            }
            (RequestState::Pending, _) => Ok(()),
        }
    }
}
