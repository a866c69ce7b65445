//! The exit code of a request that has ended.

use anyhow::bail;

use crate::{
    exit::Exit,
    request::{Outcome, Request, Status},
};

/// The option of a request that has fields and no options.
const SUBMIT: &str = "submit";

/// The decisions that count as a yes.
#[derive(Clone, Debug)]
pub(crate) struct Accepted(Vec<String>);

impl Accepted {
    /// The decisions that the flags name, of a question with these options. By default the first.
    pub(crate) fn of(flags: &[String], options: &[String]) -> anyhow::Result<Self> {
        let submit = [SUBMIT.to_owned()];
        let options = if options.is_empty() { &submit } else { options };
        if let Some(other) = flags.iter().find(|it| !options.contains(it)) {
            let known = options.join(", ");
            bail!("--accept: `{other}` is not one of the options: {known}");
        }
        let accepted = if flags.is_empty() { &options[..1] } else { flags };
        Ok(Self(accepted.to_vec()))
    }

    /// The values.
    pub(crate) fn values(&self) -> &[String] {
        &self.0
    }

    /// The exit code for `request`. `None` while it is pending.
    pub(crate) fn judge(&self, request: &Request) -> Option<Exit> {
        let is_accepted = request.decision.as_ref().is_some_and(|it| self.0.contains(it));
        match request.status {
            Status::Pending => None,
            Status::Cancelled => Some(Exit::Cancelled),
            Status::Finished => Some(match request.outcome {
                Some(Outcome::Completed) if is_accepted => Exit::Accepted,
                // Silence approves no action: `consume` would refuse it.
                Some(Outcome::Defaulted) if is_accepted && request.action.is_none() => {
                    Exit::Accepted
                }
                Some(Outcome::Defaulted | Outcome::TimedOut) => Exit::DeadlinePassed,
                Some(Outcome::Cancelled) => Exit::Cancelled,
                Some(Outcome::Completed | Outcome::NotMet | Outcome::Vetoed | Outcome::Unknown)
                | None => Exit::Otherwise,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::Shown;

    fn judged(status: &str, outcome: &str, decision: Option<&str>) -> Option<Exit> {
        judged_with(&Value::Null, status, outcome, decision)
    }

    fn judged_with(
        action: &Value,
        status: &str,
        outcome: &str,
        decision: Option<&str>,
    ) -> Option<Exit> {
        let request = json!({
            "action": action,
            "id": "req_00000000000000000000000001", "status": status, "outcome": outcome, "decided_by": null,
            "decision": decision, "title": "", "options": [], "recipients": [], "responses": [],
            "deadline": "2026-11-27T12:00:00Z", "created_at": "2026-11-27T10:00:00Z",
            "external_reference_id": null,
        });
        let options = ["approve", "reject"].map(str::to_owned);
        let accepted = Accepted::of(&[], &options).expect("the first option");
        accepted.judge(&Shown::read(request).expect("a request").request)
    }

    #[test]
    fn only_an_accepted_decision_is_a_yes() {
        let (yes, no) = (Some("approve"), Some("reject"));
        for (outcome, decision, expected) in [
            ("completed", yes, Exit::Accepted),
            ("completed", no, Exit::Otherwise),
            ("completed", None, Exit::Otherwise),
            ("not_met", yes, Exit::Otherwise),
            ("vetoed", no, Exit::Otherwise),
            ("vetoed", yes, Exit::Otherwise),
            ("timed_out", None, Exit::DeadlinePassed),
            ("timed_out", yes, Exit::DeadlinePassed),
            ("defaulted", yes, Exit::Accepted),
            ("defaulted", no, Exit::DeadlinePassed),
            ("a_new_one", yes, Exit::Otherwise),
        ] {
            assert_eq!(judged("finished", outcome, decision), Some(expected), "{outcome}");
        }
        assert_eq!(judged("cancelled", "cancelled", None), Some(Exit::Cancelled));
        assert_eq!(judged("pending", "completed", yes), None);
    }

    #[test]
    fn silence_approves_no_action() {
        let action = json!({ "name": "deploy", "digest": "sha256:0" });
        let judged = |outcome| judged_with(&action, "finished", outcome, Some("approve"));
        assert_eq!(judged("completed"), Some(Exit::Accepted));
        assert_eq!(judged("defaulted"), Some(Exit::DeadlinePassed));
    }

    #[test]
    fn accepted_values_must_be_options() {
        let options = ["yes", "no"].map(str::to_owned);
        let error = Accepted::of(&["maybe".to_owned()], &options).expect_err("not an option");
        assert_eq!(error.to_string(), "--accept: `maybe` is not one of the options: yes, no");
        assert_eq!(Accepted::of(&[], &[]).expect("fields only").values(), [SUBMIT]);
    }
}
