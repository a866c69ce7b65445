//! Steps: reminders and escalations, as they were asked for and with the time at which they ran.

use serde::Serialize;

use super::{Time, request::ids};
use crate::domain::{
    Request,
    question::Recipient,
    request::{Step, StepAction},
    slack::SlackId,
};

/// A reminder or an escalation.
#[derive(Debug, Serialize)]
pub(super) struct StepView<'a> {
    after_seconds: u32,
    r#do: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Vec<SubstituteView<'a>>>,
    done_at: Option<Time>,
}

/// A recipient whom a step asks.
#[derive(Debug, Serialize)]
struct SubstituteView<'a> {
    email: &'a str,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    via: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack_user: Option<&'a str>,
}

impl<'a> StepView<'a> {
    /// The steps of `request`.
    pub(super) fn all(request: &'a Request) -> Vec<Self> {
        let steps = request.policy.steps.iter().enumerate();
        steps.map(|(index, step)| Self::new(request, index, *step)).collect()
    }

    fn new(request: &'a Request, index: usize, step: Step) -> Self {
        let substitute = |row: usize| request.question.recipients.get(row).map(SubstituteView::new);
        let (r#do, to) = match step.action {
            StepAction::Remind => ("remind", None),
            StepAction::Escalate { .. } => {
                ("escalate", Some(request.rows_of_step(index).filter_map(substitute).collect()))
            }
        };
        let done_at = request.step_done_at(index).map(Time);
        Self { after_seconds: step.after_seconds, r#do, to, done_at }
    }
}

impl<'a> SubstituteView<'a> {
    fn new(recipient: &'a Recipient) -> Self {
        Self {
            email: recipient.email.as_given(),
            name: recipient.name.as_deref(),
            via: ids(&recipient.via),
            slack_user: recipient.slack_user.as_ref().map(SlackId::as_str),
        }
    }
}
