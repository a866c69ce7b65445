//! `answerback hook permission`: people allow or deny one use of a tool.

use serde_json::{Value, json};

use super::{
    HookFlags,
    asking::{Asking, Question},
    event::Event,
    question::ASK_USER_QUESTION,
};
use crate::{
    action::ActionFile,
    exit::Failure,
    request::{Request, Response},
    wait::Accepted,
};

const EVENT: &str = "PermissionRequest";
const APPROVE: &str = "approve";
const REJECT: &str = "reject";
/// The field for the reason of a denial.
const REASON: &str = "reason";
/// Longest reason, in characters. The agent reads it.
const REASON_CHARS_MAX: usize = 500;
/// The tool by which Claude Code leaves plan mode. Claude Code ignores an approval without its input.
const EXIT_PLAN_MODE: &str = "ExitPlanMode";
/// Time in which an approval can be used, in seconds: the shortest that the API takes.
const CONSUME_SECONDS: u32 = 60;

/// Asks whether the agent may use the tool. Returns the hook's output.
pub(super) async fn decide(flags: &HookFlags, input: &str) -> Result<Option<Value>, Failure> {
    let event = Event::read(input, EVENT)?;
    if event.tool_name == ASK_USER_QUESTION {
        // An approval of a question answers nothing. It has its own hook.
        return Ok(None);
    }
    let action = ActionFile::of(&event.tool_name, event.tool_input)?;
    let question = Question {
        title: format!("Allow {} in {}?", event.tool(), event.folder()),
        body: format!("An agent asks for permission. {}", event.place()),
        action: Some(action.text()),
        consume: Some(json!({ "option": APPROVE, "within_seconds": CONSUME_SECONDS })),
        options: vec![
            json!({ "value": APPROVE, "label": "Approve", "style": "primary" }),
            json!({ "value": REJECT, "label": "Reject", "style": "destructive" }),
        ],
        fields: vec![json!({
            "key": REASON, "type": "text", "label": "Reason", "max_length": REASON_CHARS_MAX,
            "help": "Optional. The agent reads it if you reject.",
        })],
    };
    let approval = approval(&event)?;
    let accepted = Accepted::of(&[], &[APPROVE.to_owned(), REJECT.to_owned()])?;
    let mut asking = Asking::new(flags)?;
    let Some(shown) = asking.ask(&question, &accepted).await? else { return Ok(None) };
    let request = &shown.request;
    match request.decision.as_deref() {
        Some(APPROVE) => {
            let is_used = asking.consume(request.id, action.digest()).await;
            Ok(is_used.then(|| output(&approval)))
        }
        Some(REJECT) => {
            Ok(Some(output(&json!({ "behavior": "deny", "message": denial(request) }))))
        }
        _ => Ok(None),
    }
}

/// The decision that allows the use as it was asked for.
fn approval(event: &Event<'_>) -> anyhow::Result<Value> {
    if event.tool_name == EXIT_PLAN_MODE {
        let input: Value = serde_json::from_str(event.tool_input.get())?;
        return Ok(json!({ "behavior": "allow", "updatedInput": input }));
    }
    // Codex refuses `updatedInput`.
    Ok(json!({ "behavior": "allow" }))
}

/// The hook's output. Codex refuses members that it does not know.
fn output(decision: &Value) -> Value {
    json!({ "hookSpecificOutput": { "hookEventName": EVENT, "decision": decision } })
}

/// The message of a denial, for the agent.
fn denial(request: &Request) -> String {
    let is_denial = |it: &&Response| it.option.as_deref() == Some(REJECT);
    let Some(response) = request.responses.iter().find(is_denial) else {
        return "Rejected.".to_owned();
    };
    let who = response.recipient.as_deref().unwrap_or("a person");
    match response.fields.get(REASON).and_then(Value::as_str).map(str::trim) {
        None | Some("") => format!("Rejected by {who}."),
        Some(reason) => format!("Rejected by {who}: {reason}"),
    }
}
