//! The steps: reminders, and escalations with further recipients.

use std::time::Duration;

use answerback::{
    api::body::{Item, Object},
    domain::{
        question::RECIPIENTS_MAX,
        request::{
            Step, StepAction, TIMEOUT_SECONDS_MAX,
            steps::{STEP_SECONDS_MIN, STEPS_MAX},
        },
    },
};
use jiff::Timestamp;

use super::question::{self, NamedRecipient, QuestionBody, Seen};

#[derive(Clone, Copy)]
enum Action {
    Remind,
    Escalate,
}

const ACTIONS: [(&str, Action); 2] = [("remind", Action::Remind), ("escalate", Action::Escalate)];

/// The steps read so far, and what the next ones are checked against.
struct Reader<'q> {
    question: &'q mut QuestionBody,
    seen: Seen,
    now: Timestamp,
    deadline: Timestamp,
    /// The time of the step before.
    before: u32,
    /// The question asks nobody by name, and no error says why.
    is_anonymous: bool,
}

/// Reads the steps of a request that is created at `now`, and adds the recipients that they name to
/// the question.
pub(super) fn read(
    body: &mut Object<'_>,
    question: &mut QuestionBody,
    now: Timestamp,
    deadline: Timestamp,
) -> Vec<Step> {
    let entries = body.list("steps", 0..=STEPS_MAX).unwrap_or_default();
    if entries.is_empty() {
        return Vec::new();
    }
    let recipients = &question.question.recipients;
    let seen = Seen::of(recipients);
    let is_anonymous = recipients.is_empty() && body.errors().is_empty();
    let mut reader = Reader { question, seen, now, deadline, before: 0, is_anonymous };
    entries.into_iter().filter_map(|it| it.object(|step| reader.step(step))).collect()
}

impl Reader<'_> {
    fn step(&mut self, step: &mut Object<'_>) -> Option<Step> {
        step.require("after_seconds");
        step.require("do");
        let after_seconds = self.after_seconds(step);
        let action = match step.word("do", &ACTIONS) {
            Some(Action::Remind) => Some(StepAction::Remind),
            Some(Action::Escalate) => self.escalation(step),
            None => {
                // Without an action, nothing says whether recipients belong to the step.
                step.take("to");
                None
            }
        };
        if !step.has("to") {
            step.take("to");
        }
        Some(Step { after_seconds: after_seconds?, action: action? })
    }

    fn after_seconds(&mut self, step: &mut Object<'_>) -> Option<u32> {
        let seconds = step.integer("after_seconds", STEP_SECONDS_MIN..=TIMEOUT_SECONDS_MAX)?;
        if seconds <= self.before {
            let before = self.before;
            step.error("after_seconds", format!("must be after the step before it ({before})"));
        }
        if self.now + Duration::from_secs(seconds.into()) >= self.deadline {
            step.error("after_seconds", "must be before the deadline");
        }
        self.before = seconds.max(self.before);
        Some(seconds)
    }

    fn escalation(&mut self, step: &mut Object<'_>) -> Option<StepAction> {
        if self.is_anonymous {
            step.error("do", "must not be `escalate` without `recipients`");
        }
        step.require("to");
        let entries = step.list("to", 1..=RECIPIENTS_MAX)?;
        let mut recipient = |it: Item<'_>| question::recipient(it, &mut self.seen);
        let found: Vec<NamedRecipient> = entries.into_iter().filter_map(&mut recipient).collect();
        let n_recipients = found.len();
        for NamedRecipient { recipient, via } in found {
            self.question.question.recipients.push(recipient);
            self.question.via.push(via);
        }
        let n_all = self.question.question.recipients.len();
        if n_all > RECIPIENTS_MAX {
            let detail = format!(
                "must leave at most {RECIPIENTS_MAX} recipients of the request and its steps (got {n_all})"
            );
            step.error("to", detail);
        }
        Some(StepAction::Escalate { n_recipients })
    }
}
