//! Outside input through the whole service: bodies here (broken by [`damage`]), names in [`names`],
//! events that invoke the workers in [`events`].
//!
//! The rules are the same everywhere: no input causes a server error, a refusal names the place,
//! and the harness checks every response against the OpenAPI document.

mod damage;
mod events;
mod names;

use answerback::{api::http::BODY_BYTES_MAX, domain::text::cleaned};
use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestCaseResult, TestRunner},
};
use serde_json::{Value, json};
use system_tests::{Answer, World, token};

use damage::{damaged, damages};

/// One service for all cases: the items of one case must not affect another.
fn run<T: Strategy>(
    n_cases: u32,
    what_comes: &T,
    law: impl AsyncFn(&World, T::Value) -> TestCaseResult,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let world = runtime.block_on(World::start());
    let config = Config { cases: n_cases, failure_persistence: None, ..<_>::default() };
    let done = TestRunner::new(config).run(what_comes, move |it| runtime.block_on(law(&world, it)));
    done.unwrap_or_else(|err| panic!("{err}"));
}

/// A request with all members.
fn everything() -> Value {
    let choices = json!([{ "value": "u", "label": "U" }]);
    json!({
        "title": "Deploy?",
        "body": "**Now**?",
        "recipients": ["a@example.com", { "email": "b@example.com", "name": "B" }],
        "options": [
            { "value": "yes", "label": "Yes", "style": "primary" },
            { "value": "no", "label": "No", "style": "destructive" },
            { "value": "never", "label": "Never" },
        ],
        "fields": [
            { "key": "a", "type": "text", "label": "A", "max_length": 5, "default": "x" },
            { "key": "b", "type": "number", "label": "B", "min": 0, "max": 9.5, "required": false },
            { "key": "c", "type": "select", "label": "C", "choices": choices },
            { "key": "d/~", "type": "toggle", "label": "D", "default": true },
            { "key": "e", "type": "textarea", "label": "E", "help": "H", "placeholder": "P" },
            { "key": "f", "type": "multi_select", "label": "F", "choices": choices, "default": ["u"] },
            { "key": "g", "type": "date", "label": "G", "min": "2026-01-31", "max": "2026-12-31" },
            { "key": "h", "type": "text", "label": "H", "required": ["never"] },
        ],
        "requester": { "kind": "service", "name": "CI", "email": "ci@example.com", "id": "7" },
        "locale": "de",
        "external_reference_id": "r-1",
        "metadata": { "a": { "b": [1, null, "c"] } },
        "timeout_seconds": 31_536_000,
        "mode": "on_timeout",
        "quorum": { "count": 1, "option": "yes", "veto": ["no"] },
        "on_deadline": { "kind": "default", "option": "no" },
        "read": { "mode": "lease", "ttl_seconds": 60, "lease_seconds": 5 },
        "callback_url": "https://hooks.example.com/a",
        "callback": {
            "profile": "standard",
            "events": ["request.finished"],
            "probe": "skip",
            "timeout_seconds": 5,
            "retry": { "delays_seconds": [1, 2], "jitter": 0.5 },
            "auth": { "type": "bearer", "token": "t" },
        },
    })
}

/// An answer to the request.
fn full_answer() -> Value {
    let fields = json!({ "a": "x", "b": 1.5, "c": "u", "d/~": true, "e": "two\nlines" });
    json!({ "option": "yes", "fields": fields })
}

/// Checks that a call was refused for a value in its body, or a missing one.
fn check_refused(answer: &Answer, body: &Value) -> TestCaseResult {
    let is_too_large = body.to_string().len() > BODY_BYTES_MAX;
    prop_assert_eq!(answer.status == StatusCode::PAYLOAD_TOO_LARGE, is_too_large);
    if is_too_large {
        return Ok(());
    }
    if answer.status == StatusCode::BAD_REQUEST {
        prop_assert_eq!(answer.code(), "callback_url_not_allowed");
        return Ok(());
    }
    prop_assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
    let problem = answer.json();
    let faults = problem["errors"].as_array().expect("every fault");
    prop_assert!(!faults.is_empty());
    for fault in faults {
        let place = fault["pointer"].as_str().expect("it is in the body");
        let whole = place.rsplit_once('/').map_or("", |(whole, _)| whole);
        // An answer without fields lacks required fields.
        let whole = if whole == "/fields" && body.get("fields").is_none_or(Value::is_null) {
            ""
        } else {
            whole
        };
        let is_there = body.pointer(place).or_else(|| body.pointer(whole)).is_some();
        prop_assert!(is_there, "{} in {}", fault, body);
    }
    Ok(())
}

#[test]
fn damaged_request_is_stored_exactly_or_refused_with_its_place() {
    run(192, &damages(), async |world, damages| {
        let is_whole = damages.is_empty();
        let body = damaged(everything(), damages);
        let answer = world.call(Method::POST, "/v1/requests", body.clone()).await;
        if answer.status != StatusCode::CREATED {
            prop_assert!(!is_whole, "{}", answer.text());
            return check_refused(&answer, &body);
        }
        let made = answer.json();
        let path = format!("/v1/requests/{}", made["id"].as_str().expect("an id"));
        let shown = world.call(Method::GET, &path, Value::Null).await.json();
        // Only the call that probes shows the result of the probe.
        let mut made = made;
        if let Some(callback) = made["callback"].as_object_mut() {
            callback.insert("probe".to_owned(), Value::Null);
        }
        prop_assert_eq!(&shown, &made);
        prop_assert_eq!(&made["title"], &body["title"]);
        let metadata = body.get("metadata").filter(|it| !it.is_null()).cloned();
        prop_assert_eq!(&made["metadata"], &metadata.unwrap_or(json!({})));
        let page = world.visit(Method::GET, &format!("/a/{}", token(&made, 0)), "").await;
        prop_assert_eq!(page.status, StatusCode::OK);
        Ok(())
    });
}

#[test]
fn damaged_answer_is_stored_exactly_or_refused_with_its_place() {
    run(128, &(damages(), any::<bool>()), async |world, (damages, by_sender)| {
        let mut question = everything();
        question["read"] = Value::Null;
        let request = world.create(question).await;
        let mut body = full_answer();
        if by_sender {
            body["recipient"] = json!("A@example.com ");
        }
        body = damaged(body, damages);
        let answer = if by_sender {
            let path = format!("/v1/requests/{}/responses", request["id"].as_str().expect("an id"));
            world.call(Method::POST, &path, body.clone()).await
        } else {
            world.answer(&request, 0, body.clone()).await
        };
        if answer.status != StatusCode::OK {
            return check_refused(&answer, &body);
        }
        // The sent value is stored, or the default of an absent one; null counts as absent.
        let question = everything();
        let default = |key: &str| {
            let fields = question["fields"].as_array().expect("a list");
            fields.iter().find(|it| it["key"] == key).map_or(&Value::Null, |it| &it["default"])
        };
        let answer = answer.json();
        let recorded = if by_sender { &answer["responses"][0] } else { &answer["response"] };
        prop_assert_eq!(&recorded["option"], &body["option"]);
        let sent = body.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
        let is_something = |it: &Value| it.as_str().is_none_or(|it| !cleaned(it).is_empty());
        for (key, value) in sent.iter().filter(|it| is_something(it.1)) {
            let value = if value.is_null() { default(key) } else { value };
            let text = value.as_str().map(|it| Value::from(cleaned(it)));
            let same = recorded["fields"][key] == *value
                || text.is_some_and(|it| it == recorded["fields"][key])
                || recorded["fields"][key].as_f64().is_some_and(|it| Some(it) == value.as_f64());
            prop_assert!(same, "{} was recorded of {}", recorded, body);
        }
        Ok(())
    });
}

#[test]
fn invalid_json_is_refused_as_malformed_everywhere() {
    let cut = (any::<Index>(), prop::collection::vec(any::<u8>(), 0..3));
    let bytes = (prop::collection::vec(any::<u8>(), 0..40), prop::option::of(cut)).prop_map(
        |(bytes, cut)| {
            let Some((at, with)) = cut else { return bytes };
            let mut text = everything().to_string().into_bytes();
            let at = at.index(text.len());
            text.splice(at..at, with);
            text
        },
    );
    run(48, &bytes, async |world, bytes| {
        let request = world.create(everything()).await;
        let id = request["id"].as_str().expect("an id");
        let bearer = format!("Bearer {}", world.key);
        for path in [
            "/v1/requests".to_owned(),
            format!("/v1/requests/{id}/responses"),
            format!("/v1/requests/{id}/result/ack"),
            format!("/v1/answers/{}", token(&request, 0)),
        ] {
            let headers =
                [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let answer = world.send(Method::POST, &path, &headers, bytes.clone().into()).await;
            let is_json = serde_json::from_slice::<Value>(&bytes).is_ok();
            prop_assert!(!answer.status.is_server_error(), "{}", answer.text());
            if answer.status.is_success() || answer.status == StatusCode::UNPROCESSABLE_ENTITY {
                prop_assert!(is_json);
            } else {
                let code = answer.code();
                prop_assert!(
                    ["malformed_json", "callback_url_not_allowed"].contains(&&*code),
                    "{}",
                    code
                );
            }
        }
        Ok(())
    });
}

#[test]
fn any_form_input_is_shown_again() {
    let piece = prop_oneof![
        4 => select(vec![
            "option=yes", "option=", "field.a=", "field.a=x", "field.b=1", "field.b=inf",
            "field.c=u", "field.d%2F~=true", "field.d%2F~=false", "field.e=%0D%0A", "field.z=1",
            "field.", "%FF=%", "=",
        ]).prop_map(|it| it.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    run(96, &prop::collection::vec(piece, 0..7), async |world, pieces| {
        let request = world.create(everything()).await;
        let path = format!("/a/{}", token(&request, 0));
        let form = Request::post(&path).header("host", "answers.example.com");
        let form = form.body(Bytes::from(pieces.join(&b'&'))).expect("a valid request");
        let page = world.system.http(&form).await;
        let type_ = page.headers()["content-type"].to_str().expect("ASCII");
        prop_assert!(type_.starts_with("text/html"), "{}", type_);
        let seen =
            world.visit(Method::GET, &format!("/v1/answers/{}", token(&request, 0)), "").await;
        match page.status() {
            // Without a nonce, the second step follows.
            StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY => {
                prop_assert!(seen.json()["response"].is_null());
            }
            other => prop_assert!(false, "{}", other),
        }
        Ok(())
    });
}
