//! The encoding of steps, and of the progress that a request has made with them.

use serde::{Deserialize, Serialize};

use super::{
    answer_item::is_zero,
    idempotency_item::{self, CallItem},
    reader::{DecodeError, time},
};
use crate::domain::{
    OpId,
    request::{
        Step, StepAction, StepState,
        steps::{Reminder, StepRun},
    },
};

/// The attribute that holds the progress.
pub(super) const STEPS: &str = "steps";

/// Seconds after the creation, and the number of recipients whom the step asks. Without one it reminds.
#[derive(Serialize, Deserialize)]
pub(super) struct StepItem(
    u32,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<usize>,
);

#[derive(Serialize, Deserialize)]
pub(super) struct StepStateItem {
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<RunItem>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    reminder: Option<ReminderItem>,
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    n_reminders: u32,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<CallItem>,
}

/// The number of steps that are done, time, operation, the number of reminders.
#[derive(Serialize, Deserialize)]
struct RunItem(usize, i64, u64, u32);

/// Time and operation.
#[derive(Serialize, Deserialize)]
struct ReminderItem(i64, u64);

impl From<&Step> for StepItem {
    fn from(step: &Step) -> Self {
        Self(
            step.after_seconds,
            match step.action {
                StepAction::Remind => None,
                StepAction::Escalate { n_recipients } => Some(n_recipients),
            },
        )
    }
}

impl From<StepItem> for Step {
    fn from(StepItem(after_seconds, n_recipients): StepItem) -> Self {
        let escalate = |n_recipients| StepAction::Escalate { n_recipients };
        Self { after_seconds, action: n_recipients.map_or(StepAction::Remind, escalate) }
    }
}

impl StepStateItem {
    /// The encoding, or `None` if there is nothing.
    pub(super) fn of(state: &StepState) -> Option<Self> {
        let run =
            |it: &StepRun| RunItem(it.n_done, it.at.as_millisecond(), it.op.0, it.n_reminders);
        (*state != StepState::default()).then(|| Self {
            runs: state.runs.iter().map(run).collect(),
            reminder: state.reminder.map(|it| ReminderItem(it.at.as_millisecond(), it.op.0)),
            n_reminders: state.n_reminders,
            calls: idempotency_item::encode(&state.calls),
        })
    }

    pub(super) fn read(self) -> Result<StepState, DecodeError> {
        let run = |RunItem(n_done, at, op, n_reminders): RunItem| {
            Ok(StepRun { n_done, at: time(STEPS, at)?, op: OpId(op), n_reminders })
        };
        let reminder = |ReminderItem(at, op): ReminderItem| {
            Ok(Reminder { at: time(STEPS, at)?, op: OpId(op) })
        };
        Ok(StepState {
            runs: self.runs.into_iter().map(run).collect::<Result<_, DecodeError>>()?,
            reminder: self.reminder.map(reminder).transpose()?,
            n_reminders: self.n_reminders,
            calls: idempotency_item::decode(self.calls)?,
        })
    }
}
