//! Fields, which are filled in in a modal.

use super::*;

fn with_fields() -> Value {
    let mut question = question();
    question["fields"] = json!([
        { "key": "why", "type": "textarea", "label": "Why?", "required": ["reject"] },
        { "key": "count", "type": "number", "label": "How many?", "min": 1, "max": 10 },
        { "key": "when", "type": "date", "label": "When?" },
        { "key": "where", "type": "select", "label": "Where?", "choices": [
            { "value": "a", "label": "Here" }, { "value": "b", "label": "There" } ] },
        { "key": "who", "type": "multi_select", "label": "Who?", "choices": [
            { "value": "x", "label": "X" }, { "value": "y", "label": "Y" } ] },
        { "key": "sure", "type": "toggle", "label": "Sure?" },
    ]);
    question
}

/// Opens the modal, and returns what Slack sends when it is sent with these values.
async fn opened(it: &Workspace, label: &str, count: &str) -> Value {
    it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
    let press = it.press(&it.button(label));
    assert_eq!(it.send(&press).await.status, StatusCode::OK);
    let calls = it.calls("views.open");
    let call = calls.last().expect("a modal");
    assert_eq!(call["trigger_id"], press["trigger_id"]);
    let view = &call["view"];
    let inputs =
        view["blocks"].as_array().expect("blocks").iter().filter(|it| it["type"] == "input");
    assert_eq!(inputs.count(), 6);
    json!({
        "type": "view_submission",
        "user": { "id": ADA },
        "team": { "id": TEAM },
        "view": {
            "private_metadata": view["private_metadata"],
            "state": { "values": {
                "field0": { "value": { "type": "plain_text_input", "value": "It fails" } },
                "field1": { "value": { "type": "number_input", "value": count } },
                "field2": { "value": { "type": "datepicker", "selected_date": "2031-12-24" } },
                "field3": { "value": { "type": "static_select", "selected_option": { "value": "b" } } },
                "field4": { "value": { "type": "multi_static_select", "selected_options": [{ "value": "x" }, { "value": "y" }] } },
                "field5": { "value": { "type": "checkboxes", "selected_options": [{ "value": "true" }] } },
            } },
        },
    })
}

#[tokio::test]
async fn fields_are_filled_in_in_a_modal() {
    let it = Workspace::asked(with_fields()).await;
    let submission = opened(&it, "Reject", "2.5").await;
    let sent = it.send(&submission).await;
    assert_eq!((sent.status, sent.text().as_str()), (StatusCode::OK, ""));
    let read = it.read().await;
    assert_eq!(read["responses"][0]["option"], "reject");
    let fields = json!({ "why": "It fails", "count": 2.5, "when": "2031-12-24", "where": "b", "who": ["x", "y"], "sure": true });
    assert_eq!(read["responses"][0]["fields"], fields);
    assert_eq!(read["responses"][0]["proof"]["method"], "slack");
}

#[tokio::test]
async fn invalid_fields_are_named_in_the_modal() {
    let it = Workspace::asked(with_fields()).await;
    let mut submission = opened(&it, "Reject", "99").await;
    submission["view"]["state"]["values"]["field0"]["value"]["value"] = Value::Null;
    let sent = it.send(&submission).await;
    assert_eq!(sent.status, StatusCode::OK);
    let errors =
        json!({ "field0": "is required with this option", "field1": "must be at most 10" });
    assert_eq!(sent.json(), json!({ "response_action": "errors", "errors": errors }));
    assert_eq!(it.read().await["status"], "pending");
}

#[tokio::test]
async fn modal_of_somebody_else_or_of_the_past_does_not_count() {
    let it = Workspace::asked(with_fields()).await;
    let submission = opened(&it, "Reject", "2").await;
    let mut stolen = submission.clone();
    stolen["user"]["id"] = json!("U0MALLORY1");
    let answer = it.send(&stolen).await.json();
    assert_eq!(answer["response_action"], "update");
    assert!(answer.to_string().contains("can answer this message"), "{answer}");
    assert_eq!(it.read().await["status"], "pending");

    assert_eq!(it.send(&submission).await.text(), "");
    let mut late = submission.clone();
    late["view"]["state"]["values"]["field1"]["value"]["value"] = json!("3");
    let answer = it.send(&late).await.json();
    assert_eq!(answer["response_action"], "update");
    assert!(
        answer.to_string().contains("“\u{2068}Reject\u{2069}” by \u{2068}Ada\u{2069}"),
        "{answer}"
    );
    assert_eq!(it.read().await["responses"][0]["fields"]["count"], 2);
}

#[tokio::test]
async fn modal_that_does_not_open_asks_to_press_again() {
    let it = Workspace::asked(with_fields()).await;
    let script = it.world.egress.script();
    script.answer(Ok(says(&json!({ "ok": false, "error": "expired_trigger_id" }))));
    script.answer(reply(200));
    assert_eq!(it.send(&it.press(&it.button("Approve"))).await.status, StatusCode::OK);
    assert!(it.whispers()[0].contains("press the button again"), "{:?}", it.whispers());
}

#[tokio::test]
async fn emptied_input_does_not_record_its_default() {
    let mut asked = question();
    asked["fields"] = json!([
        { "key": "note", "type": "text", "label": "Note", "default": "Yes, everywhere" },
        { "key": "n", "type": "number", "label": "How many?", "default": 5 },
    ]);
    let it = Workspace::asked(asked).await;
    it.world.egress.script().answer(Ok(says(&json!({ "ok": true }))));
    assert_eq!(it.send(&it.press(&it.button("Approve"))).await.status, StatusCode::OK);
    let view = it.calls("views.open").pop().expect("a modal")["view"].clone();
    assert_eq!(view["blocks"][2]["element"]["initial_value"], "Yes, everywhere");
    let submission = json!({
        "type": "view_submission", "user": { "id": ADA }, "team": { "id": TEAM },
        "view": { "private_metadata": view["private_metadata"], "state": { "values": {
            "field0": { "value": { "type": "plain_text_input", "value": null } },
            "field1": { "value": { "type": "number_input", "value": null } },
        } } },
    });
    assert_eq!(it.send(&submission).await.text(), "");
    assert_eq!(it.read().await["responses"][0]["fields"], json!({}));
}

#[tokio::test]
async fn default_that_a_modal_cannot_show_is_answered_on_the_page() {
    for field in [
        json!({ "key": "t", "type": "textarea", "label": "T", "default": "x".repeat(3_001) }),
        json!({ "key": "n", "type": "number", "label": "N", "default": 1e21 }),
    ] {
        let mut asked = question();
        asked["fields"] = json!([field]);
        let it = Workspace::asked(asked).await;
        let message = it.calls("chat.postMessage")[0].to_string();
        assert!(!message.contains("\"actions\"") && message.contains("/a/"), "{message}");
    }
}
