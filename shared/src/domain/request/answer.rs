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
use crate::domain::{OpId, RequestEvent, Subscriptions, question::Answer, quorum::QuorumVerdict};

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

impl Request {
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
        replaced.extend(recorded.as_ref().map(|it| it.op));
        replaced.drain(..replaced.len().saturating_sub(REPLACED_MAX));
        next.rows[row] = Some(Row { answer: answer.clone(), at: now, op, replaced });
        let answered = RecordedAnswer { row, answer: answer.clone() };
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
