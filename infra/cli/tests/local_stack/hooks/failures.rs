//! Ends of a request that are no consent, and approvals that cannot be used.

use serde_json::{Value, json};

use super::{PERMISSION, golden};
use crate::asking::{
    command::{Asking, Place},
    failures::{ID, Scripted, refuse, respond},
};

/// The body that uses the approval of the event's action up:
/// `printf '{"args":{"command":"rm -rf node_modules","description":"Remove node_modules directory"},"name":"Bash"}' | sha256sum`
const DIGEST: &str =
    r#"{"digest":"sha256:363799cd10acb2f0b592cff0aac305752aa0ccafbe9492a405d6ad0351654a49"}"#;

/// A request that people approved, with these members instead.
fn approved(other: &Value) -> Value {
    let mut request = json!({
        "id": ID, "status": "finished", "outcome": "completed", "decided_by": "recipients",
        "decision": "approve", "title": "Allow Bash in shop?", "livemode": true,
        "options": [{ "value": "approve" }, { "value": "reject" }], "recipients": [],
        "responses": [], "external_reference_id": null,
        "deadline": "2100-01-01T00:00:00.000Z", "created_at": "2026-11-27T09:00:00.000Z",
    });
    for (name, value) in other.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

/// What the hook prints if the server responds so to its calls.
async fn printed(request: &Value, consumed: String) -> String {
    let server = Scripted::start(vec![respond("201 Created", "", request), consumed]).await;
    let place = Place::with(&server.url, "ab_live_x");
    let event = golden("claude/permission");
    let ended =
        Asking::start_with(&mut place.command(&PERMISSION), &event).end().await.with_code(0);
    let calls = server.calls();
    assert!(calls[0].contains(r#""accept_api_answers":false"#), "{}", calls[0]);
    if let Some(consume) = calls.get(1) {
        let path = format!("POST /v1/requests/{ID}/consume HTTP/1.1\r\n");
        assert!(consume.starts_with(&path), "{consume}");
        assert!(consume.ends_with(DIGEST), "{consume}");
    }
    ended.stdout
}

fn used() -> String {
    respond("200 OK", "", &json!({ "consumed": 1, "remaining": 0, "livemode": true }))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_approval_of_people_allows() {
    assert_eq!(printed(&approved(&json!({})), used()).await, golden("claude/allow"));
    for other in [
        json!({ "outcome": "defaulted", "decided_by": "deadline_policy" }),
        json!({ "outcome": "timed_out", "decided_by": "deadline_policy" }),
        json!({ "outcome": "not_met" }),
        json!({ "outcome": "vetoed" }),
        json!({ "outcome": "a_new_one" }),
        json!({ "outcome": null }),
        json!({ "decided_by": "sender" }),
        json!({ "decision": null }),
        json!({ "decision": "maybe" }),
        json!({ "status": "cancelled", "outcome": "cancelled" }),
        json!({ "livemode": false }),
        json!({ "livemode": null }),
    ] {
        assert_eq!(printed(&approved(&other), used()).await, "", "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_that_cannot_be_used_allows_nothing() {
    for response in [
        refuse("409 Conflict", "", "not_approved"),
        refuse("409 Conflict", "", "digest_mismatch"),
        refuse("409 Conflict", "", "already_consumed"),
        refuse("410 Gone", "", "approval_lapsed"),
        refuse("404 Not Found", "", "not_found"),
        respond("200 OK", "", &json!({})),
        respond("200 OK", "", &json!({ "consumed": false })),
    ] {
        assert_eq!(printed(&approved(&json!({})), response.clone()).await, "", "{response}");
    }
}
