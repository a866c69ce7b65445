//! Who asks, what an answer does, and the language in which the page says so.

use answerback::domain::Scope;
use axum::{
    body::Bytes,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use system_tests::{World, nonce_of, token};

use super::{check_page, shown};

fn question(more: &Value) -> Value {
    let mut asked = json!({
        "title": "Deploy?",
        "recipients": ["a@example.com", "b@example.com", "c@example.com"],
        "options": [
            { "value": "approve", "label": "Approve" },
            { "value": "reject", "label": "Reject" },
        ],
    });
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    asked
}

/// The page of the first recipient, for a reader of these languages.
async fn page(world: &World, request: &Value, languages: &str) -> String {
    let path = format!("/a/{}", token(request, 0));
    let headers = [("accept-language", languages)];
    let page = world.send(Method::GET, &path, &headers, Bytes::new()).await;
    check_page(&page, StatusCode::OK);
    page.text()
}

#[track_caller]
fn check_has(page: &str, sentences: &[&str]) {
    // Without the characters that isolate labels.
    let page = page.replace(['\u{2068}', '\u{2069}'], "");
    for sentence in sentences {
        assert!(page.contains(sentence), "{sentence} in {page}");
    }
}

#[tokio::test]
async fn page_says_who_asks_and_on_whose_behalf() {
    let world = World::start().await;
    let before = world.create(question(&json!({}))).await;
    let renamed = world.call(Method::PATCH, "/v1/account", json!({ "name": "Acme & Sons" })).await;
    assert_eq!(renamed.status, StatusCode::OK);
    assert_eq!(renamed.json()["name"], "Acme & Sons");
    let account = world.call(Method::GET, "/v1/account", Value::Null).await;
    assert_eq!(account.json(), renamed.json());

    let requester = json!({ "kind": "agent", "name": "Deploy <b>bot</b>", "id": "bot-7" });
    let request = world.create(question(&json!({ "requester": requester }))).await;
    assert_eq!(request["requester"]["name"], "Deploy <b>bot</b>");
    assert_eq!(request["requester"]["email"], Value::Null);
    check_has(
        &page(&world, &request, "en").await,
        &[
            "Asked by <bdi>Acme &#38; Sons",
            "On behalf of the agent <bdi>Deploy &#60;b&#62;bot&#60;/b&#62;</bdi>, a program (not verified).",
            "You received this because your answer is needed as <bdi>a@example.com</bdi>.",
        ],
    );
    let page = page(&world, &before, "en").await;
    assert!(!page.contains("Acme") && !page.contains("On behalf"), "{page}");
}

#[tokio::test]
async fn only_an_admin_renames_the_account_within_limits() {
    let world = World::start().await;
    for (name, is_allowed) in [
        (json!("x".repeat(100)), true),
        (json!("x".repeat(101)), false),
        (json!("two\nlines"), false),
        (json!("\u{3164}"), false),
        (json!(7), false),
        (Value::Null, true),
    ] {
        let answer = world.call(Method::PATCH, "/v1/account", json!({ "name": name })).await;
        let expected = if is_allowed { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        assert_eq!(answer.status, expected, "{name}");
    }
    let same = world.call(Method::PATCH, "/v1/account", json!({})).await;
    assert_eq!(same.json()["name"], Value::Null);
    let test_key = json!({ "scopes": ["admin"], "livemode": false });
    let test_key = world.call(Method::POST, "/v1/keys", test_key).await.json();
    let bearer = format!("Bearer {}", test_key["key"].as_str().expect("its text"));
    let headers = [("authorization", bearer.as_str())];
    let name = json!({ "name": "Another" });
    let refused = world.call_with(Method::PATCH, "/v1/account", &headers, name).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "live pages show the name");
    let shown = world.call_with(Method::GET, "/v1/account", &headers, Value::Null).await;
    assert_eq!(shown.json()["name"], Value::Null);
    let key = world.key_with(&[Scope::KeysWrite]).await;
    let bearer = format!("Bearer {key}");
    for method in [Method::GET, Method::PATCH] {
        let headers = [("authorization", bearer.as_str())];
        let body = if method == Method::GET { Value::Null } else { json!({}) };
        let answer = world.call_with(method, "/v1/account", &headers, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn page_says_what_an_answer_does() {
    let world = World::start().await;
    let quorum = json!({ "count": 2, "option": "approve", "veto": ["reject"] });
    let default = json!({ "kind": "default", "option": "reject" });
    let asked = question(&json!({ "quorum": quorum, "on_deadline": default }));
    let request = world.create(asked).await;
    check_has(
        &page(&world, &request, "en").await,
        &[
            "Your answer is final. You cannot change it later.",
            "People asked: 3. No answers so far.",
            "It is decided when 2 people choose “Approve”.",
            "It ends at once if anyone chooses “Reject”.",
            "If the deadline comes first, “Reject” is chosen automatically.",
        ],
    );
    world.answer(&request, 1, json!({ "option": "approve" })).await;
    check_has(&page(&world, &request, "en").await, &["People asked: 3. Answers so far: 1."]);
    world.answer(&request, 2, json!({ "option": "reject" })).await;
    let path = format!("/a/{}", token(&request, 0));
    let vetoed = world.visit(Method::GET, &path, "").await;
    check_page(&vetoed, StatusCode::GONE);
    check_has(&vetoed.text(), &["One answer was enough to end it.", "Closed <time"]);
    assert!(!vetoed.text().contains("Anyone with this link can answer"));

    let mode = json!({ "mode": "on_timeout", "recipients": [], "quorum": "any" });
    let request = world.create(question(&mode)).await;
    let page = page(&world, &request, "en").await;
    check_has(&page, &["You can change your answer until the deadline.", "Only you are asked."]);
    assert!(!page.contains("It is decided"), "{page}");
}

#[tokio::test]
async fn page_says_how_answers_that_may_change_decide() {
    let world = World::start().await;
    let ask = async |quorum: Value| {
        let default = json!({ "kind": "default", "option": "reject" });
        let more = json!({ "mode": "on_timeout", "quorum": quorum, "on_deadline": default });
        world.create(question(&more)).await
    };
    let request = ask(json!({ "count": 2, "option": "approve", "veto": ["reject"] })).await;
    let shown_page = page(&world, &request, "en").await;
    check_has(
        &shown_page,
        &[
            "Nothing is decided before the deadline. Then the answers given so far count.",
            "It is decided when 2 people choose “Approve”.",
            "It ends without approval if anyone has then chosen “Reject”.",
            "Otherwise “Reject” is chosen automatically.",
        ],
    );
    assert!(!shown_page.contains("If the deadline comes first"), "{shown_page}");
    // Both outcomes are as the page says.
    for (option, outcome) in [("approve", "completed"), ("reject", "vetoed")] {
        let quorum = json!({ "count": 1, "option": "approve", "veto": ["reject"] });
        let request = ask(quorum).await;
        world.answer(&request, 1, json!({ "option": option })).await;
        assert_eq!(shown(&world, &request).await["status"], "pending");
        world.pass(std::time::Duration::from_hours(25)).await;
        assert_eq!(shown(&world, &request).await["outcome"], outcome);
    }
}

#[tokio::test]
async fn page_speaks_the_language_of_the_reader_or_of_the_request() {
    let world = World::start().await;
    let request = world.create(question(&json!({}))).await;
    for (languages, lang, sentence) in [
        ("de-AT,de;q=0.9,en;q=0.8", "de", "Ihre Antwort"),
        ("fr,es;q=0.7", "es", "Su respuesta"),
        ("fr", "en", "Your answer"),
    ] {
        let page = page(&world, &request, languages).await;
        check_has(&page, &[sentence, &format!("<html lang=\"{lang}\"")]);
    }
    let german = world.create(question(&json!({ "locale": "de" }))).await;
    assert_eq!(german["locale"], "de");
    check_has(&page(&world, &german, "es").await, &["<html lang=\"de\"", "Ihre Antwort"]);

    let unknown = world.send(Method::GET, "/a/x", &[("accept-language", "de")], Bytes::new()).await;
    check_page(&unknown, StatusCode::NOT_FOUND);
    check_has(&unknown.text(), &["Dieser Link funktioniert nicht"]);
}

#[tokio::test]
async fn faults_of_a_form_are_in_the_language_of_the_page() {
    let world = World::start().await;
    let fields =
        json!([{ "key": "why", "type": "text", "label": "Warum", "required": ["reject"] }]);
    let request = world.create(question(&json!({ "locale": "de", "fields": fields }))).await;
    let path = format!("/a/{}", token(&request, 0));
    let form = "option=reject&field.why=";
    let refused = world.visit(Method::POST, &path, form).await;
    check_page(&refused, StatusCode::UNPROCESSABLE_ENTITY);
    check_has(&refused.text(), &["„Warum“ ist bei dieser Wahl erforderlich."]);
    // Approval needs no reason.
    let sent = world.send_form(&request, 0, "option=approve&field.why=").await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text());
    assert_eq!(shown(&world, &request).await["responses"][0]["option"], "approve");
}

#[tokio::test]
async fn days_and_several_choices_come_from_the_page() {
    let world = World::start().await;
    let choices = json!([
        { "value": "mo", "label": "Monday" }, { "value": "tu", "label": "Tuesday" },
        { "value": "we", "label": "Wednesday" },
    ]);
    let fields = json!([
        { "key": "days", "type": "multi_select", "label": "Days", "choices": choices,
          "help": "When you have time.", "default": ["we"], "required": true },
        { "key": "from", "type": "date", "label": "From", "min": "2026-01-31" },
        { "key": "by", "type": "text", "label": "By", "placeholder": "Ada" },
    ]);
    let asked = question(&json!({ "fields": fields, "assurance": "confirm" }));
    let request = world.create(asked).await;
    assert_eq!(request["fields"][0]["default"], json!(["we"]));
    assert_eq!(request["fields"][1]["min"], "2026-01-31");
    let page = page(&world, &request, "en").await;
    check_has(&page, &["When you have time.", r#"placeholder="Ada""#, r#"min="2026-01-31""#]);

    let path = format!("/a/{}", token(&request, 0));
    let form =
        "field.days=&field.days=tu&field.days=mo&field.from=2026-02-01&field.by=&option=approve";
    let nonce = nonce_of(&page).expect("a form");
    let second = world.visit(Method::POST, &path, &format!("{form}&nonce={nonce}")).await;
    check_page(&second, StatusCode::OK);
    check_has(&second.text(), &["<dd dir=\"auto\">Tuesday\nMonday</dd>", "value=\"tu\nmo\""]);
    let nonce = nonce_of(&second.text()).expect("a form");
    world.system.clock.advance(std::time::Duration::from_secs(1));
    let form = "field.days=tu%0D%0Amo&field.from=2026-02-01&field.by=&option=approve";
    let sent = world.visit(Method::POST, &path, &format!("{form}&nonce={nonce}")).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text());
    let fields = shown(&world, &request).await["responses"][0]["fields"].clone();
    assert_eq!(fields, json!({ "days": ["mo", "tu"], "from": "2026-02-01" }));
    let done = world.visit(Method::GET, &path, "").await;
    check_has(&done.text(), &["<dd dir=\"auto\">Monday\nTuesday</dd>", "2026-02-01"]);
}
