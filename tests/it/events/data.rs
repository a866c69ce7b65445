//! Schemas of the built-in types' data.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use system_tests::World;

const ID: &str = "740e5834-3a29-46b4-9a6f-16142fde533a";
const TIME: &str = "2026-01-01T00:00:00.123456Z";

fn receipt() -> Value {
    json!({
        "id": ID, "reference": null, "to": "a@example.com", "status": "permanent-failure",
        "created_at": TIME, "completed_at": null, "sent_at": TIME, "notification_type": "email",
        "template_id": ID, "template_version": 3,
    })
}

fn message() -> Value {
    json!({
        "id": ID, "source_number": "31612345678", "destination_number": "31687654321",
        "message": "Yes", "date_received": TIME,
    })
}

fn letter() -> Value {
    json!({
        "notification_id": ID, "reference": "r", "date_sent": TIME, "sent_by": "a@example.com",
        "template_name": "Reminder", "template_id": ID, "template_version": 1,
        "spreadsheet_file_name": null, "spreadsheet_row_number": null,
        "upload_letter_file_name": null,
    })
}

async fn post(world: &World, event_type: &str, data: &Value) -> (StatusCode, Value) {
    let event = json!({ "type": event_type, "data": data });
    let answer = world.call(Method::POST, "/v1/events", event).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn built_in_types_accept_their_data_and_name_missing_members() {
    let world = World::start().await;
    for (event_type, data) in [
        ("notification.receipt", receipt()),
        ("message.received", message()),
        ("letter.returned", letter()),
        ("job.completed", json!({ "executionId": "e", "status": "succeeded" })),
        ("job.failed", json!({ "executionId": "e", "status": "failed" })),
    ] {
        let (status, event) = post(&world, event_type, &data).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{event_type}: {event}");
        assert_eq!(event["data"], data);
        for name in data.as_object().expect("an object").keys() {
            let mut less = data.clone();
            less.as_object_mut().expect("an object").remove(name);
            let (status, problem) = post(&world, event_type, &less).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
            let expected = json!([{ "pointer": format!("/data/{name}"), "detail": "is required" }]);
            assert_eq!(problem["errors"], expected);
            for wrong in [json!([]), json!(true), json!({})] {
                let mut other = data.clone();
                other[name] = wrong;
                let (status, problem) = post(&world, event_type, &other).await;
                assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
                assert_eq!(problem["errors"][0]["pointer"], format!("/data/{name}"));
            }
        }
    }
}

#[tokio::test]
async fn built_in_types_refuse_unknown_members() {
    let world = World::start().await;
    for (event_type, mut data) in [
        ("notification.receipt", receipt()),
        ("message.received", message()),
        ("letter.returned", letter()),
    ] {
        data["more"] = 1.into();
        let (status, problem) = post(&world, event_type, &data).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["errors"][0]["pointer"], "/data/more");
    }
    for event_type in ["run.status", "job.completed", "build.finished"] {
        let data = json!({ "executionId": "e", "status": "s", "more": { "a": [1, 2.5, null] } });
        assert_eq!(post(&world, event_type, &data).await.0, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn receipt_accepts_its_four_statuses_only() {
    let world = World::start().await;
    let mut data = receipt();
    for status in ["delivered", "permanent-failure", "temporary-failure", "technical-failure"] {
        data["status"] = status.into();
        assert_eq!(post(&world, "notification.receipt", &data).await.0, StatusCode::ACCEPTED);
    }
    for (name, wrong, detail) in [
        (
            "status",
            "failed",
            "must be one of delivered, permanent-failure, temporary-failure, technical-failure",
        ),
        ("notification_type", "letter", "must be one of email, sms"),
        ("id", "740e58343a2946b49a6f16142fde533a", "must be a UUID"),
        ("sent_at", "yesterday", "must be a date or time in RFC 3339"),
    ] {
        let mut data = receipt();
        data[name] = wrong.into();
        let (_, problem) = post(&world, "notification.receipt", &data).await;
        let expected = json!([{ "pointer": format!("/data/{name}"), "detail": detail }]);
        assert_eq!(problem["errors"], expected);
    }
}

#[tokio::test]
async fn event_type_has_two_to_four_words_and_is_not_reserved() {
    let world = World::start().await;
    for name in ["a.b", "a_1.b2.c.d"] {
        assert_eq!(post(&world, name, &json!({})).await.0, StatusCode::ACCEPTED, "{name}");
    }
    let words = "must be two to four words of a-z, 0-9 and _, separated by periods";
    let own = "is reserved for events of Answerback";
    for (name, detail) in [
        ("build", words),
        ("Build.finished", words),
        ("a..b", words),
        ("a.b.c.d.e", words),
        ("request.finished", own),
        ("webhook.test", own),
    ] {
        let (status, problem) = post(&world, name, &json!({})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert_eq!(problem["errors"], json!([{ "pointer": "/type", "detail": detail }]));
    }
    let (_, problem) = post(&world, "a.b", &json!([])).await;
    assert_eq!(problem["errors"][0]["pointer"], "/data");
}
