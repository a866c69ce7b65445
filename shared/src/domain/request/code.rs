//! Codes: digits that a person types in addition to opening the link.
//!
//! A code is derived from the request's secret and its issue number, so that it is never stored.
//! After [`WRONG_CODES_MAX`] wrong codes the link is locked, until a new code is issued.

use jiff::Timestamp;

use super::{Refusal, Request, RequestState, outbox::EventDetail};
use crate::domain::{Assurance, OpId, RequestEvent, Subscriptions};

/// Wrong codes that lock a link.
pub const WRONG_CODES_MAX: usize = 5;
/// Most codes of one recipient. All wrong codes together guess one of 20,000 recipients' codes.
pub const CODE_ISSUES_MAX: u32 = 10;

/// The code of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeState {
    /// The number of the current code, counted from 0.
    pub issue: u32,
    /// The operations that tried a wrong one.
    pub(crate) wrong: Vec<OpId>,
    /// The operation that issued it.
    pub(crate) issued_by: Option<OpId>,
}

impl CodeState {
    fn is_locked(&self) -> bool {
        self.wrong.len() >= WRONG_CODES_MAX
    }
}

impl Request {
    /// The number of a recipient's current code, counted from 0.
    pub fn code_issue(&self, row: usize) -> u32 {
        self.codes.get(&row).map_or(0, |it| it.issue)
    }

    /// The recipient must type a code.
    pub fn needs_code(&self) -> bool {
        self.policy.assurance == Assurance::Code
    }

    /// The recipient's link is locked, because its code was wrong too often.
    pub fn is_link_locked(&self, row: usize) -> bool {
        self.codes.get(&row).is_some_and(CodeState::is_locked)
    }

    /// Wrong codes that the recipient may still try.
    pub fn n_code_tries_left(&self, row: usize) -> usize {
        let n_wrong = self.codes.get(&row).map_or(0, |it| it.wrong.len());
        WRONG_CODES_MAX.saturating_sub(n_wrong)
    }

    /// A new code can be issued for the recipient.
    pub fn can_renew_code(&self, row: usize) -> bool {
        self.code_issue(row) + 1 < CODE_ISSUES_MAX
    }

    /// The request after a wrong code. The last one locks the link, and is reported.
    pub fn try_wrong_code(
        &self,
        row: usize,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        let code = self.codes.get(&row).cloned().unwrap_or_default();
        if code.wrong.contains(&op) {
            return Ok(None);
        }
        self.check_open(now)?;
        if code.is_locked() {
            return Err(Refusal::LinkLocked);
        }
        let mut next = self.next();
        let code = next.codes.entry(row).or_default();
        code.wrong.push(op);
        if code.is_locked() {
            let kind = RequestEvent::RequestLinkLocked;
            next.emit(kind, now, EventDetail::Recipient(row), subscriptions);
            next.set_timer(now);
        }
        Ok(Some(next))
    }

    /// The request with a new code for the recipient, whose link was locked.
    pub fn renew_code(
        &self,
        row: usize,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        let Some(code) = self.codes.get(&row).filter(|it| it.is_locked()) else { return Ok(None) };
        if code.issued_by == Some(op) {
            return Ok(None);
        }
        self.check_open(now)?;
        if !self.can_renew_code(row) {
            return Err(Refusal::LinkLocked);
        }
        let mut next = self.next();
        let renewed = CodeState { issue: code.issue + 1, wrong: Vec::new(), issued_by: Some(op) };
        next.codes.insert(row, renewed);
        // Whoever sees the links sends the code, if no notifier does.
        if !self.notifiers_of(row).is_empty() {
            let detail = EventDetail::Recipient(row);
            next.emit(RequestEvent::RequestReminded, now, detail, Subscriptions::NONE);
            next.set_timer(now);
        }
        Ok(Some(next))
    }

    fn check_open(&self, now: Timestamp) -> Result<(), Refusal> {
        match &self.state {
            RequestState::Erased { .. } => Err(Refusal::Erased),
            RequestState::Ended(_) => Err(Refusal::Ended),
            RequestState::Pending if self.deadline <= now => Err(Refusal::Ended),
            RequestState::Pending => Ok(()),
        }
    }
}
