//! A recipient answers.
//!
//! The answer is recorded in the recipient's row. If answers are final, it may also decide the
//! quorum and so end the request, in the same write.

use jiff::Timestamp;

use super::{
    AnswerMode, Refusal, Request, RequestState,
    end::{DecidedBy, Outcome, RequestEnd},
    outbox::{EVENTS_MAX, OUTBOX_MAX, RecordedAnswer},
};
use crate::domain::{
    OpId, RequestEvent, RequestId, Subscriptions, question::Answer, quorum::QuorumVerdict,
};

/// Operations that a row remembers: more answers of one recipient than fit into the few seconds in
/// which the SDK repeats a write.
const REPLACED_MAX: usize = 8;

/// One recipient's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The answer. Empty after the result was consumed or expired.
    pub answer: Answer,
    /// The time of the answer.
    pub at: Timestamp,
    /// The operation that recorded it.
    pub op: OpId,
    /// The operations whose answers it replaced, the latest last. A repeated write recognizes
    /// itself here even if another answer came in between.
    pub replaced: Vec<OpId>,
}

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
    /// The time from which it may be deleted: when its request may be.
    pub expires_at: Timestamp,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

impl LongAnswer {
    /// The erased answer, or `None` if it was erased before.
    pub fn erase(&self) -> Option<Self> {
        let next = Self { answer: None, revision: self.revision + 1, ..self.clone() };
        self.answer.is_some().then_some(next)
    }
}

impl Request {
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
        let answered = self.outbox.iter().filter_map(|it| it.answered.as_ref());
        is_in_row && !self.is_cleared()
            || answered.into_iter().any(|it| it.row == answer.row && it.op == answer.op)
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

    /// The request after the recipient of `row` has answered.
    pub fn answer(
        &self,
        row: usize,
        answer: &Answer,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        let recorded = self.rows.get(row).ok_or(Refusal::Erased)?;
        if recorded.as_ref().is_some_and(|it| it.op == op || it.replaced.contains(&op)) {
            return Ok(None);
        }
        let is_final = self.policy.mode == AnswerMode::OnUserAction;
        match (&self.state, recorded) {
            (RequestState::Erased { .. }, _) => return Err(Refusal::Erased),
            (_, Some(recorded)) if is_final => {
                return Err(Refusal::AlreadyAnswered(recorded.clone()));
            }
            (RequestState::Ended(_), _) => return Err(Refusal::Ended),
            (RequestState::Pending, _) if self.deadline <= now => return Err(Refusal::Ended),
            (RequestState::Pending, _)
                if self.outbox.len() >= OUTBOX_MAX || self.n_events > EVENTS_MAX =>
            {
                return Err(Refusal::TooBusy);
            }
            (RequestState::Pending, _) => (),
        }

        let mut next = self.next();
        let mut replaced = recorded.as_ref().map_or_else(Vec::new, |it| it.replaced.clone());
        next.has_leftovers |= recorded.as_ref().is_some_and(|it| it.answer.is_long());
        replaced.extend(recorded.as_ref().map(|it| it.op));
        replaced.drain(..replaced.len().saturating_sub(REPLACED_MAX));
        next.rows[row] = Some(Row { answer: answer.clone(), at: now, op, replaced });
        let answered = RecordedAnswer { row, op, answer: answer.clone() };
        next.emit(RequestEvent::RequestAnswered, now, Some(answered), subscriptions);
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
        next.set_timer(now);
        Ok(Some(next))
    }
}
