//! The text that the local stack prints when it is ready.

use std::path::Path;

use serde_json::json;

use super::{CallbackPolicy, Ready, capacity};

/// The whole text. The example can be copied from a terminal and from a file.
pub(super) fn text(ready: &Ready, folder: Option<&Path>, policy: CallbackPolicy) -> String {
    let Ready { base_url, api_key, account_id, inbox_url, outbox_url, aws_endpoint, .. } = ready;
    let storage = match folder {
        Some(folder) => format!("stored in {}", folder.display()),
        None => "in memory, lost when this process ends".to_owned(),
    };
    // A file may disappear while the folder is read. The size is then left out.
    let size = folder.and_then(|it| capacity::of_folder(it).ok());
    let size = size.map(|it| format!("  Data     {it}\n")).unwrap_or_default();
    let load = capacity::of_build();
    let rules = match policy {
        CallbackPolicy::Production => {
            "Production rules for callbacks (--strict): https and public addresses only, so callbacks\n\
             cannot reach the inbox on this machine. The example has no callback: poll its result."
        }
        CallbackPolicy::Development => {
            "For development only: callbacks may go to http URLs and to this machine. Use --strict for\n\
             the rules of production."
        }
    };
    let last_step = match policy {
        CallbackPolicy::Production => format!(
            "3. Get the result:\n\n\
             curl -sS {base_url}/v1/requests/REQUEST_ID/result -H 'Authorization: Bearer {api_key}'"
        ),
        CallbackPolicy::Development => {
            format!(
                "3. See the signed callback in the inbox, with its signature verified: {inbox_url}"
            )
        }
    };
    let question = question(match policy {
        CallbackPolicy::Production => None,
        CallbackPolicy::Development => Some(inbox_url),
    });
    format!(
        "Answerback runs at {base_url}

  API key  {api_key}
  Account  {account_id} ({storage})
{size}  Load     {load}
  Inbox    {inbox_url}
  Outbox   {outbox_url}
  AWS      {aws_endpoint} (emulated DynamoDB, SQS, EventBridge, KMS and SES)

{rules}

1. Create a request:

curl -sS {base_url}/v1/requests \\
    -H 'Authorization: Bearer {api_key}' \\
    -H 'Content-Type: application/json' \\
  -d '{question}'

2. Answer it: open the `answer_url` of the response in a browser, or answer as a program does. TOKEN is
   the part of the URL after `/a/`:

curl -sS {base_url}/v1/answers/TOKEN \\
    -H 'Content-Type: application/json' \\
  -d '{{\"option\": \"approve\"}}'

{last_step}

Press Ctrl-C to stop.
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
