//! Steps: reminders and escalation while a request waits for answers.
//!
//! ```text
//!   asked at first │ step 0: remind │ step 1: escalate to 2 more │ … │ deadline
//!   rows 0, 1      │                │ rows 2, 3 are asked, too   │   │
//! ```
//!
//! Everybody whom a step names has a row from the start, after those who are asked at first, in the
//! order of the steps. Such a recipient takes no part before the step ran: the link is unknown, and
//! no view shows the row.
//!
//! - **The number of answers needed never changes.** There are as many places for answers as
//!   recipients were asked at first. A substitute's answer fills a place that is open, first come. So
//!   escalation changes what no answer means, and an answer may come from whoever is asked. When all
//!   places are filled, the remaining steps are void.
//! - All overdue steps run in order and in one write, each once. Several overdue reminders are one.
//! - A step runs [`CLOCK_GUARD`] after its time, like a time-out. So it is early for no process whose
//!   clock is behind, and an answer at the same instant comes first.

use std::{ops::Range, time::Duration};

use jiff::Timestamp;

use super::{
    CLOCK_GUARD, Refusal, Request, RequestPolicy, RequestState,
    outbox::{EVENTS_MAX, EventDetail, OUTBOX_MAX},
};
use crate::domain::{IdempotentCall, OpId, PastCalls, Question, RequestEvent, Subscriptions};

pub use crate::domain::limits::STEPS_MAX;

/// Shortest time from the creation to a step, in seconds.
pub const STEP_SECONDS_MIN: u32 = 60;
/// Least time between a reminder and one that the sender asks for.
pub const REMIND_INTERVAL: Duration = Duration::from_mins(10);

/// Something to do if the request is still pending after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time from the creation to the step.
    pub after_seconds: u32,
    /// The action.
    pub action: StepAction,
}

/// The action of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// Remind those who are asked and have not answered.
    Remind,
    /// Ask further recipients, too.
    Escalate {
        /// Their number. They are the next ones of the question's recipients.
        n_recipients: usize,
    },
}

/// The steps that were taken, and the reminders that the sender asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepState {
    /// The writes that took steps.
    pub(crate) runs: Vec<StepRun>,
    /// The latest reminder that the sender asked for.
    pub(crate) reminder: Option<Reminder>,
    /// The number of reminders.
    pub(crate) n_reminders: u32,
    /// The calls with an idempotency key that asked for a reminder.
    pub(crate) calls: PastCalls,
}

/// A write that took one or more steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepRun {
    /// The number of steps that are done after it.
    pub n_done: usize,
    /// The time at which they were taken.
    pub at: Timestamp,
    /// The operation that took them.
    pub op: OpId,
    /// The number of reminders until then, with those of these steps.
    pub n_reminders: u32,
}

/// A reminder that the sender asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// The time of the call.
    pub at: Timestamp,
    /// The operation of the call.
    pub op: OpId,
}

/// The place of a recipient in the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientPlace {
    /// One of those who are asked at first.
    First {
        /// Its index among them.
        index: usize,
    },
    /// One whom a step asks.
    Step {
        /// The index of the step.
        step: usize,
        /// Its index among the step's recipients.
        index: usize,
    },
}

impl StepAction {
    /// The number of recipients that it asks.
    pub fn n_recipients(self) -> usize {
        match self {
            Self::Remind => 0,
            Self::Escalate { n_recipients } => n_recipients,
        }
    }
}

impl RequestPolicy {
    /// The number of places for answers: recipients of `question` who are asked at first. One, if
    /// that is the anonymous one.
    pub fn n_places(&self, question: &Question) -> usize {
        let n_later: usize = self.steps.iter().map(|it| it.action.n_recipients()).sum();
        question.n_rows().saturating_sub(n_later).max(1)
    }

    /// The rows of the recipients of `question` whom the step with this index asks.
    pub fn rows_of_step(&self, question: &Question, step: usize) -> Range<usize> {
        let sizes = self.steps.iter().map(|it| it.action.n_recipients());
        let first = self.n_places(question) + sizes.clone().take(step).sum::<usize>();
        first..first + sizes.clone().nth(step).unwrap_or_default()
    }

    /// The place of the recipient of this row.
    pub fn place_of(&self, question: &Question, row: usize) -> RecipientPlace {
        let found = (0..self.steps.len()).find_map(|step| {
            let rows = self.rows_of_step(question, step);
            rows.contains(&row).then(|| RecipientPlace::Step { step, index: row - rows.start })
        });
        found.unwrap_or(RecipientPlace::First { index: row })
    }
}

impl Request {
    /// The number of places for answers, which never changes.
    pub fn n_places(&self) -> usize {
        self.policy.n_places(&self.question)
    }

    /// The number of recipients who are asked by now. They have the first rows.
    pub fn n_asked(&self) -> usize {
        let n_asked = match self.steps.n_done() {
            0 => self.n_places(),
            n_done => self.rows_of_step(n_done - 1).end,
        };
        // An erased request has no rows.
        n_asked.min(self.rows.len())
    }

    /// The recipient of this row is asked by now.
    pub fn is_asked(&self, row: usize) -> bool {
        row < self.n_asked()
    }

    /// The number of reminders before the recipient of this row was asked.
    pub(super) fn n_reminders_before(&self, row: usize) -> u32 {
        let is_asked = |run: &&StepRun| row < self.rows_of_step(run.n_done - 1).end;
        let run = if row < self.n_places() { None } else { self.steps.runs.iter().find(is_asked) };
        run.map_or(0, |it| it.n_reminders)
    }

    /// The row of the recipient with this e-mail address, if it is asked by now.
    pub fn asked_row_of(&self, email: Option<&str>) -> Option<usize> {
        self.question.row_of(email).filter(|it| self.is_asked(*it))
    }

    /// A further answer can count.
    pub fn has_open_place(&self) -> bool {
        self.rows.iter().flatten().count() < self.n_places()
    }

    /// The rows of a step's recipients.
    pub fn rows_of_step(&self, step: usize) -> Range<usize> {
        self.policy.rows_of_step(&self.question, step)
    }

    /// The time at which the step with this index was taken, if it was.
    pub fn step_done_at(&self, step: usize) -> Option<Timestamp> {
        self.steps.runs.iter().find(|it| it.n_done > step).map(|it| it.at)
    }

    /// The time of the step with this index, from which it is due.
    pub fn step_at(&self, step: usize) -> Option<Timestamp> {
        let step = self.policy.steps.get(step)?;
        Some(self.created_at + Duration::from_secs(step.after_seconds.into()))
    }

    /// The time at which the step with this index is settled: its own, and the guard band.
    pub fn step_settles_at(&self, step: usize) -> Option<Timestamp> {
        Some(self.step_at(step)? + CLOCK_GUARD)
    }

    /// The steps that are to come.
    pub fn steps_ahead(&self) -> Range<usize> {
        let is_waiting = self.state == RequestState::Pending && self.has_open_place();
        let is_in_time = |it: &usize| self.step_at(*it).is_some_and(|it| it < self.deadline);
        let n_done = self.steps.n_done();
        let ahead = n_done..if is_waiting { self.policy.steps.len() } else { n_done };
        n_done..n_done + ahead.take_while(is_in_time).count()
    }

    /// The time at which the next step is settled, if there is one.
    pub fn step_timer(&self) -> Option<Timestamp> {
        self.steps_ahead().next().and_then(|it| self.step_settles_at(it))
    }

    /// A step is due, and so is its guard band.
    pub fn is_step_due(&self, now: Timestamp) -> bool {
        self.step_timer().is_some_and(|it| it <= now)
    }

    /// The operation `op` took steps.
    pub fn was_stepped_by(&self, op: OpId) -> bool {
        self.steps.runs.iter().any(|it| it.op == op)
    }

    /// The number of steps that the operation `op` took.
    pub fn n_steps_by(&self, op: OpId) -> usize {
        let run = self.steps.runs.iter().position(|it| it.op == op);
        run.map_or(0, |it| {
            let before = it.checked_sub(1).map_or(0, |it| self.steps.runs[it].n_done);
            self.steps.runs[it].n_done - before
        })
    }

    /// The request after all overdue steps, or `None` if none is due.
    pub fn take_steps(
        &self,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Option<Self> {
        if !self.is_step_due(now) {
            return None;
        }
        let mut next = self.next();
        next.run_steps(subscriptions, now, op);
        next.set_timer(now);
        Some(next)
    }

    /// Takes all overdue steps.
    pub(super) fn run_steps(&mut self, subscriptions: Subscriptions, now: Timestamp, op: OpId) {
        let is_due = |it: &usize| self.step_settles_at(*it).is_some_and(|it| it <= now);
        let due: Vec<usize> = self.steps_ahead().take_while(is_due).collect();
        let Some(last) = due.last() else { return };
        // Who is asked by these steps needs no reminder at the same time.
        let unanswered = self.unanswered_rows();
        let is_reminder = |it: &usize| self.policy.steps[*it].action == StepAction::Remind;
        let reminder = due.iter().copied().rfind(is_reminder);
        let n_reminders = self.steps.n_reminders + u32::from(reminder.is_some());
        self.steps.runs.push(StepRun { n_done: last + 1, at: now, op, n_reminders });
        for step in due {
            let (kind, rows) = match self.policy.steps[step].action {
                StepAction::Remind if reminder == Some(step) => {
                    (RequestEvent::RequestReminded, unanswered.clone())
                }
                StepAction::Remind => continue,
                StepAction::Escalate { .. } => {
                    (RequestEvent::RequestEscalated, self.rows_of_step(step).collect())
                }
            };
            let n_reminders = self.steps.n_reminders;
            if kind == RequestEvent::RequestReminded {
                self.steps.n_reminders += 1;
            }
            let detail = EventDetail::Step { step: Some(step), n_reminders, rows };
            self.emit(kind, now, detail, subscriptions);
        }
        self.note_unreachable(subscriptions, now, op);
    }

    /// The request after its sender has asked for a reminder. `None`: `op` or `call` did before, or
    /// there is nobody to remind.
    pub fn remind(
        &self,
        call: Option<IdempotentCall>,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        let is_repeated = call.is_some_and(|it| self.steps.calls.find(it).is_some());
        if is_repeated || self.was_reminded_by(op) {
            return Ok(None);
        }
        match self.state {
            RequestState::Erased { .. } => return Err(Refusal::Erased),
            RequestState::Ended(_) => return Err(Refusal::AlreadyFinished),
            RequestState::Pending if self.deadline <= now => return Err(Refusal::AlreadyFinished),
            RequestState::Pending => (),
        }
        if !self.has_open_place() {
            return Ok(None);
        }
        if let Some(at) = self.reminded_at().filter(|it| now < *it + REMIND_INTERVAL) {
            let left = Duration::try_from((at + REMIND_INTERVAL).duration_since(now));
            return Err(Refusal::RemindedTooSoon { left: left.unwrap_or_default() });
        }
        if self.outbox.len() >= OUTBOX_MAX || self.n_events > EVENTS_MAX {
            return Err(Refusal::TooBusy);
        }
        let mut next = self.next();
        next.steps.reminder = Some(Reminder { at: now, op });
        next.steps.calls = self.steps.calls.with(call, now);
        let n_reminders = self.steps.n_reminders;
        next.steps.n_reminders += 1;
        let rows = self.unanswered_rows();
        let detail = EventDetail::Step { step: None, n_reminders, rows };
        next.emit(RequestEvent::RequestReminded, now, detail, subscriptions);
        next.set_timer(now);
        Ok(Some(next))
    }

    /// The operation `op` is the latest with which the sender asked for a reminder.
    pub fn was_reminded_by(&self, op: OpId) -> bool {
        self.steps.reminder.is_some_and(|it| it.op == op)
    }

    /// The calls with an idempotency key that asked for a reminder.
    pub fn reminder_calls(&self) -> &PastCalls {
        &self.steps.calls
    }

    /// The time of the latest reminder, by a step or by the sender.
    pub fn reminded_at(&self) -> Option<Timestamp> {
        let mut steps = self.policy.steps.iter().take(self.steps.n_done());
        let by_step = steps.rposition(|it| it.action == StepAction::Remind);
        let by_step = by_step.and_then(|it| self.step_done_at(it));
        by_step.max(self.steps.reminder.map(|it| it.at))
    }

    /// The rows of those who are asked and have not answered.
    pub(super) fn unanswered_rows(&self) -> Vec<usize> {
        (0..self.n_asked()).filter(|it| self.rows[*it].is_none()).collect()
    }
}

impl StepState {
    /// The number of steps that are done.
    pub fn n_done(&self) -> usize {
        self.runs.last().map_or(0, |it| it.n_done)
    }
}
