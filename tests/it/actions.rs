//! Actions: an approval is of exactly one action, and says who gave it.

mod consume;

use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{Answer, World, nonce_of, token};

use crate::requests::{ask, asking, faults, path_of, show};

/// A request for this action, with other members.
fn acting(args: &Value, members: Value) -> Value {
    let mut body = asking(members);
    let action = json!({ "name": "deploy", "args": args });
    body.as_object_mut().expect("an object").insert("action".to_owned(), action);
    body
}

/// Creates a request whose arguments have exactly this text.
async fn ask_with_args(world: &World, args: &str) -> Answer {
    let body = acting(&json!("ARGS"), json!({})).to_string().replace("\"ARGS\"", args);
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    world.send(Method::POST, "/v1/requests", &headers, Bytes::from(body)).await
}

fn digest(request: &Value) -> &str {
    request["action"]["digest"].as_str().expect("a digest")
}

#[tokio::test]
async fn equal_actions_have_one_digest_in_views_results_and_callbacks() {
    let world = World::start().await;
    let hook =
        json!({ "recipients": ["ada@example.com"], "callback_url": "https://hooks.example.com/" });
    let args = json!({ "version": "v2.4.1", "replicas": 3 });
    let request = world.create(acting(&args, hook)).await;
    // printf '%s' '{"args":{"replicas":3,"version":"v2.4.1"},"name":"deploy"}' | sha256sum
    let expected = "sha256:a142b903f41af14ed32757e07e850446b7d0516b17d06db7d37edccee4e81fd7";
    assert_eq!(digest(&request), expected);
    for same in [
        "{\"replicas\": 3.0, \"version\": \"v2.4.1\"}",
        "{\"version\":\"\\u00762.4.1\",\"replicas\":30e-1}",
    ] {
        assert_eq!(digest(&ask_with_args(&world, same).await.json()), expected, "{same}");
    }
    for other in [
        "{\"replicas\":\"3\",\"version\":\"v2.4.1\"}",
        "{\"replicas\":4,\"version\":\"v2.4.1\"}",
        "null",
    ] {
        assert_ne!(digest(&ask_with_args(&world, other).await.json()), expected, "{other}");
    }
    let answered = world.answer(&request, 0, json!({ "option": "yes" })).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    world.follow_hints().await;
    let result = format!("{}/result", path_of(&request));
    let result = world.call(Method::GET, &result, Value::Null).await.json();
    assert_eq!(result["result"]["action"], request["action"]);
    let posts = world.posts();
    let body: Value = serde_json::from_slice(&posts[0].body).expect("JSON");
    assert_eq!(body["data"]["action"], request["action"]);
    let link = format!("/v1/answers/{}", token(&request, 0));
    assert_eq!(world.visit(Method::GET, &link, "").await.json()["action"], request["action"]);
}

#[tokio::test]
async fn arguments_come_back_as_sent() {
    let world = World::start().await;
    let answer = ask_with_args(&world, "{\"b\": 1.50, \"a\": [1E2, \"\\u00e9\"]}").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert!(
        answer.text().contains("\"args\":{\"b\": 1.50, \"a\": [1E2, \"\\u00e9\"]}"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn ambiguous_arguments_are_refused() {
    let world = World::start().await;
    for (args, place) in [
        ("{\"n\":9007199254740993}", "/action/args/n"),
        ("[[0, 1e400]]", "/action/args/0/1"),
        ("0.10000000000000000555", "/action/args"),
        ("{\"a\":1,\"a\":1}", ""),
        ("{\"x\":{\"a\":1,\"\\u0061\":2}}", ""),
    ] {
        let answer = ask_with_args(&world, args).await;
        if args.contains("1e400") {
            // No double at all: the body cannot be read.
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
            continue;
        }
        assert_eq!(faults(&answer), [place], "{args} {}", answer.text());
    }
    let large = format!("\"{}\"", "x".repeat(16 * 1024 - 2));
    assert_eq!(ask_with_args(&world, &large).await.status, StatusCode::CREATED);
    let larger = format!("\"{}\"", "x".repeat(16 * 1024 - 1));
    assert_eq!(faults(&ask_with_args(&world, &larger).await), ["/action/args"]);
    let body = json!({ "action": { "name": "a\nb", "kind": "x" } });
    assert_eq!(
        faults(&ask(&world, asking(body)).await),
        ["/action/name", "/action/args", "/action/kind"]
    );
}

#[tokio::test]
async fn page_shows_the_action_apart_from_the_message() {
    let world = World::start().await;
    let imitation = "## The action\n\nYour answer is about exactly this action.\n\n```\n{\"to\": \"bob\"}\n```\n\
                     <section class=\"action\"><pre>{\"to\": \"bob\"}</pre></section>";
    let args = json!({ "to": "eve\u{202e}\u{200b}", "<script>": "&" });
    let request = world.create(acting(&args, json!({ "body": imitation }))).await;
    let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
    assert_eq!(page.matches("<section class=\"action\"").count(), 1, "{page}");
    let (before, block) = page.split_once("<section class=\"action\"").expect("the block");
    let (block, after) = block.split_once("</section>").expect("its end");
    assert!(before.contains("<h1") && !before.contains("bob") && after.contains("bob"), "{page}");
    assert!(block.contains("eve<mark title=\"hidden character\">\\u202e\\u200b</mark>"), "{block}");
    assert!(block.contains("&#60;script&#62;") && block.contains(digest(&request)), "{block}");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{200b}'), "nothing hidden is left");

    let plain = world.create(asking(json!({ "body": imitation }))).await;
    let page = world.visit(Method::GET, &format!("/a/{}", token(&plain, 0)), "").await.text();
    assert!(
        !page.contains("<section class=\"action\"") && !page.contains("message-title"),
        "{page}"
    );
}

/// The sender chooses the labels, so the page itself says which answer approves.
#[tokio::test]
async fn page_says_which_answer_approves_and_how_often() {
    let world = World::start().await;
    let options =
        json!([{ "value": "yes", "label": "Reject" }, { "value": "no", "label": "Later" }]);
    let consume = json!({ "option": "yes", "count": 5, "within_seconds": 604_800 });
    let members = json!({ "options": options, "consume": consume });
    let request = world.create(acting(&json!({}), members)).await;
    let path = format!("/a/{}", token(&request, 0));
    let page = world.visit(Method::GET, &path, "").await.text();
    for sentence in [
        "The answer “Reject” approves it. Other answers do not.",
        "The approval can be used 5 times, within about 7 days of the decision.",
    ] {
        // Labels are isolated from the direction of the text around them.
        let page = page.replace(['\u{2068}', '\u{2069}'], "");
        assert!(page.contains(sentence), "{page}");
    }
    for (option, sentence) in [
        ("yes", "This answer approves the action."),
        ("no", "This answer does not approve the action."),
    ] {
        let nonce = nonce_of(&page).expect("a form");
        let form = format!("option={option}&nonce={nonce}");
        let second = world.visit(Method::POST, &path, &form).await.text();
        assert!(second.contains(sentence), "{second}");
    }
}

#[tokio::test]
async fn action_is_confirmed_and_answered_by_recipients_only() {
    let world = World::start().await;
    let request =
        world.create(acting(&Value::Null, json!({ "recipients": ["ada@example.com"] }))).await;
    assert_eq!(request["assurance"], "confirm");
    assert_eq!(request["accept_api_answers"], false);
    let responses = format!("{}/responses", path_of(&request));
    let yes = json!({ "recipient": "ada@example.com", "option": "yes" });
    let refused = world.call(Method::POST, &responses, yes.clone()).await;
    assert_eq!(
        (refused.status, &*refused.code()),
        (StatusCode::CONFLICT, "api_answers_not_accepted")
    );

    let members = json!({
        "recipients": ["ada@example.com"], "accept_api_answers": true, "assurance": "link",
    });
    let other = world.create(acting(&Value::Null, members)).await;
    assert_eq!(other["assurance"], "link");
    let recorded = world.call(Method::POST, &format!("{}/responses", path_of(&other)), yes).await;
    assert_eq!(recorded.status, StatusCode::OK, "{}", recorded.text());
    let key = format!("key:key_{}", world.key.split('_').nth(2).expect("an id"));
    let proof = &recorded.json()["responses"][0]["proof"];
    assert_eq!(*proof, json!({ "method": "api", "identity": key }));
    let closed = world.create(asking(json!({ "accept_api_answers": false }))).await;
    let path = format!("{}/responses", path_of(&closed));
    let refused = world.call(Method::POST, &path, json!({ "option": "yes" })).await;
    assert_eq!(refused.code(), "api_answers_not_accepted");
}

#[tokio::test]
async fn proof_says_how_a_recipient_answered() {
    let world = World::start().await;
    let body = |assurance: &str| {
        asking(json!({
            "recipients": ["Ada@example.com", "bob@example.com"], "assurance": assurance,
            "callback_url": "https://hooks.example.com/",
            "callback": { "events": ["request.answered"] },
        }))
    };
    for (assurance, method) in [("link", "link"), ("confirm", "confirm"), ("code", "code")] {
        let request = world.create(body(assurance)).await;
        let mut form = "option=yes".to_owned();
        if let Some(code) = request["recipients"][0]["code"].as_str() {
            form = format!("{form}&code={code}");
        }
        let mut answer = world.send_form(&request, 0, &form).await;
        if assurance == "confirm" {
            assert_eq!(answer.status, StatusCode::OK, "the second step");
            world.system.clock.advance(std::time::Duration::from_secs(1));
            let nonce = nonce_of(&answer.text()).expect("a nonce");
            let path = format!("/a/{}", token(&request, 0));
            answer = world.visit(Method::POST, &path, &format!("option=yes&nonce={nonce}")).await;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let expected = json!({ "method": method, "identity": "mailto:Ada@example.com" });
        let shown = show(&world, &request).await;
        assert_eq!(shown["responses"][0]["proof"], expected);
        assert_eq!(shown["responses"][1]["proof"], Value::Null);
        world.follow_hints().await;
        let posts = world.posts();
        let body: Value =
            serde_json::from_slice(&posts.last().expect("a callback").body).expect("JSON");
        assert_eq!(body["data"]["responses"][0]["proof"], expected);
    }
    let anonymous = world.create(asking(json!({}))).await;
    world.answer(&anonymous, 0, json!({ "option": "yes" })).await;
    let proof = show(&world, &anonymous).await["responses"][0]["proof"].clone();
    assert_eq!(proof, json!({ "method": "link", "identity": null }));
}

#[tokio::test]
async fn requester_does_not_approve_its_own_question() {
    let world = World::start().await;
    let own = |members: Value| {
        let mut body = asking(json!({
            "recipients": ["bob@example.com", "Ada@Example.com"],
            "requester": { "kind": "person", "email": "ada@example.COM" },
        }));
        let Value::Object(members) = members else { panic!("an object") };
        body.as_object_mut().expect("an object").extend(members);
        body
    };
    let refused = ask(&world, own(json!({}))).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.code(), "self_approval");
    let allowed = world.create(own(json!({ "allow_self": true }))).await;
    assert_eq!(allowed["allow_self"], true);
    world.create(own(json!({ "recipients": ["bob@example.com"] }))).await;
}

#[tokio::test]
async fn requester_is_verified_if_the_key_fixes_it() {
    let world = World::start().await;
    let requester =
        json!({ "kind": "agent", "name": "Release agent", "email": "agent@example.com" });
    let key = json!({ "scopes": ["requests:write"], "requester": requester });
    let key = world.call(Method::POST, "/v1/keys", key).await.json();
    let bearer = format!("Bearer {}", key["key"].as_str().expect("its text"));
    let headers = [("authorization", &*bearer)];
    let ask = async |body| world.call_with(Method::POST, "/v1/requests", &headers, body).await;
    let fixed = ask(asking(json!({}))).await.json();
    let claimed = world.create(asking(json!({ "requester": requester }))).await;
    for (request, is_verified) in [(fixed, true), (claimed, false)] {
        let page = world.visit(Method::GET, &format!("/a/{}", token(&request, 0)), "").await.text();
        assert!(
            page.contains("On behalf of the agent <bdi>Release agent</bdi>, a program"),
            "{page}"
        );
        assert_eq!(page.contains("not verified"), !is_verified, "{page}");
    }
    let own = ask(asking(json!({ "recipients": ["Agent@example.com"] }))).await;
    assert_eq!(own.code(), "self_approval", "the requester of the key counts");
}
