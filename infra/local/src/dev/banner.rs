//! What people read when the local stack is ready.

use std::path::Path;

use serde_json::json;

use super::Ready;

/// All of it, whoever reads: the example can be copied from a file as well as from a terminal.
pub(super) fn text(ready: &Ready, folder: Option<&Path>, is_strict: bool) -> String {
    let Ready { base_url, api_key, account_id, inbox_url, aws_endpoint } = ready;
    let kept = match folder {
        Some(folder) => format!("kept in {} over restarts", folder.display()),
        None => "kept in memory, gone with this process".to_owned(),
    };
    let rules = if is_strict {
        "Callbacks go by production's rules (--strict): https and public addresses only, so none \
         can\nreach the inbox on this machine. The example has no callback: read its result."
    } else {
        "For development only: callbacks may go to http URLs and to this machine. --strict turns \
         on the\nrules of production."
    };
    let answered = if is_strict {
        format!(
            "3. Read the result:\n\n\
             curl -sS {base_url}/v1/requests/REQUEST_ID/result -H 'Authorization: Bearer {api_key}'"
        )
    } else {
        format!("3. See the signed callback arrive, its signature checked: {inbox_url}")
    };
    let question = question((!is_strict).then_some(inbox_url));
    format!(
        "Answerback runs at {base_url}

  API key  {api_key}
  Account  {account_id} ({kept})
  Inbox    {inbox_url}
  AWS      {aws_endpoint} (DynamoDB, SQS, EventBridge and KMS, emulated)

{rules}

1. Ask a question:

curl -sS {base_url}/v1/requests \\
  -H 'Authorization: Bearer {api_key}' \\
  -H 'Content-Type: application/json' \\
  -d '{question}'

2. Answer it: open the `answer_url` that came back in a browser, or put it into this:

curl -sS -o /dev/null -w '%{{http_code}}\\n' -d option=approve ANSWER_URL

{answered}

Ctrl-C stops it.
"
    )
}

/// The body of the example.
fn question(callback_url: Option<&String>) -> String {
    let callback = callback_url.map(|it| format!(",\n    \"callback_url\": {}", json!(it)));
    format!(
        r#"{{
    "title": "Deploy v2.4.1 to production?",
    "recipients": [{{"email": "you@example.com", "name": "You"}}],
    "options": [
      {{"value": "approve", "label": "Approve", "style": "primary"}},
      {{"value": "reject", "label": "Reject", "style": "destructive"}}
    ],
    "timeout_seconds": 600{}
  }}"#,
        callback.unwrap_or_default()
    )
}
