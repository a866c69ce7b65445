//! What each operation takes, when it is called often enough that keys, accounts and webhooks are
//! cached.

use super::*;

/// Results by the method and route of a call, or by what a function does.
struct Rows<'a> {
    bench: &'a Bench,
    rows: Vec<(String, Usage)>,
}

impl Rows<'_> {
    /// Calls, and keeps the result under the method and route.
    async fn call(&mut self, method: Method, route: &str, path: &str, body: Value) -> Value {
        self.call_with(method, route, path, &[], body).await
    }

    async fn call_with(
        &mut self,
        method: Method,
        route: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Value {
        let name = format!("{method} {route}");
        self.bench.take();
        let answer = self.bench.call(method, path, headers, body).await;
        self.keep(&name);
        answer
    }

    /// A call whose path is its route.
    async fn plain(&mut self, method: Method, path: &str, body: Value) -> Value {
        let route = path.split('?').next().unwrap_or(path);
        self.call(method, route, path, body).await
    }

    /// A call about one item.
    async fn one(
        &mut self,
        method: Method,
        list: &str,
        id: &str,
        rest: &str,
        body: Value,
    ) -> Value {
        let (route, path) = (format!("{list}/{{id}}{rest}"), format!("{list}/{id}{rest}"));
        self.call(method, &route, &path, body).await
    }

    async fn follow(&mut self, name: &str) {
        self.bench.take();
        self.bench.follow_hints().await;
        self.keep(name);
    }

    fn keep(&mut self, name: &str) {
        let units = self.bench.take();
        self.rows.push((name.to_owned(), units));
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Every operation. The second of two passes, because the first one fills caches.
pub(super) async fn all() -> Vec<(String, Usage)> {
    let bench = Bench::start(false).await;
    let mut rows = Vec::new();
    for _ in 0..2 {
        let mut pass = Rows { bench: &bench, rows: Vec::new() };
        Box::pin(requests(&mut pass)).await;
        Box::pin(other_requests(&mut pass)).await;
        Box::pin(fronts(&mut pass)).await;
        Box::pin(events(&mut pass)).await;
        Box::pin(webhooks(&mut pass)).await;
        Box::pin(account(&mut pass)).await;
        rows = pass.rows;
    }
    drop(bench);
    rows.extend(over_time().await);
    rows
}

async fn requests(rows: &mut Rows<'_>) {
    use Method as M;
    let list = "/v1/requests";
    let request = rows.plain(M::POST, list, question(2)).await;
    let id = text(&request["id"]);
    rows.one(M::GET, list, &id, "", Value::Null).await;
    let link = format!("/v1/answers/{}", token(&request, 0));
    rows.bench.visit(M::GET, &link, "text/plain", "").await;
    rows.keep("GET /v1/answers/{token}");
    let page = rows.bench.open_page(&request, 0).await;
    rows.keep("GET /a/{token}");
    rows.bench.send_form(&page).await;
    rows.keep("POST /a/{token}");
    let link = format!("/v1/answers/{}", token(&request, 1));
    rows.bench.visit(M::POST, &link, "application/json", r#"{"option": "approve"}"#).await;
    rows.keep("POST /v1/answers/{token}, the last answer");
    rows.follow("deliver: a callback").await;
    rows.one(M::GET, list, &id, "/result", Value::Null).await;
    rows.plain(M::GET, list, Value::Null).await;
    rows.plain(M::GET, "/v1/deliveries", Value::Null).await;
    let path = format!("/v1/deliveries?request_id={id}");
    let found = rows.call(M::GET, "/v1/deliveries?request_id=", &path, Value::Null).await;
    let delivery = text(&found["data"][0]["id"]);
    rows.one(M::GET, "/v1/deliveries", &delivery, "", Value::Null).await;
    let path = format!("/v1/attempts?delivery_id={delivery}");
    let attempts = rows.call(M::GET, "/v1/attempts?delivery_id=", &path, Value::Null).await;
    let attempt = text(&attempts["data"][0]["id"]);
    rows.one(M::GET, "/v1/attempts", &attempt, "", Value::Null).await;
    rows.one(M::POST, "/v1/deliveries", &delivery, "/redeliver", Value::Null).await;
    rows.follow("deliver: a redelivery").await;
    rows.one(M::DELETE, list, &id, "", Value::Null).await;
    rows.follow("deliver: an erasure").await;
}

async fn other_requests(rows: &mut Rows<'_>) {
    use Method as M;
    let list = "/v1/requests";
    let request = rows.bench.call(M::POST, list, &[], question(1)).await;
    rows.one(M::POST, list, &text(&request["id"]), "/cancel", Value::Null).await;
    rows.bench.follow_hints().await;

    let mut asked = question(0);
    asked["action"] = json!({ "name": "deploy", "args": { "version": "2.4.1" } });
    asked["consume"] = json!({ "option": "approve" });
    asked["recipients"] = json!(["ada@example.com"]);
    let request = rows.bench.call(M::POST, list, &[], asked).await;
    let link = format!("/v1/answers/{}", token(&request, 0));
    rows.bench.visit(M::POST, &link, "application/json", r#"{"option": "approve"}"#).await;
    let digest = json!({ "digest": request["action"]["digest"] });
    let (route, path) = ("/v1/requests/{id}/consume", text(&request["id"]));
    let path = format!("{list}/{path}/consume");
    rows.call_with(M::POST, route, &path, &[("idempotency-key", "a")], digest).await;
    rows.bench.follow_hints().await;

    let mut asked = question(1);
    asked["read"] = json!({ "mode": "lease" });
    let request = rows.bench.call(M::POST, list, &[], asked).await;
    let link = format!("/v1/answers/{}", token(&request, 0));
    rows.bench.visit(M::POST, &link, "application/json", r#"{"option": "approve"}"#).await;
    rows.bench.follow_hints().await;
    rows.bench.take();
    let path = format!("{list}/{}/result", text(&request["id"]));
    let leased = rows.bench.call(M::GET, &path, &[], Value::Null).await;
    rows.keep("GET /v1/requests/{id}/result, mode lease");
    let receipt = json!({ "receipt": leased["receipt"] });
    rows.one(M::POST, list, &text(&request["id"]), "/result/ack", receipt).await;
}

async fn fronts(rows: &mut Rows<'_>) {
    use Method as M;
    let channels = "/v1/channels";
    let channel = rows.plain(M::POST, channels, json!({ "name": "Deploys" })).await;
    let (id, secret) = (text(&channel["id"]), text(&channel["token"]));
    rows.plain(M::GET, channels, Value::Null).await;
    let message = json!({
        "title": "Hello", "actions": [{ "type": "button", "label": "Yes", "key": "yes" }],
    });
    let sent = rows.call(M::POST, "/v1/send/{token}", &format!("/v1/send/{secret}"), message).await;
    let path = format!("/v1/callback/{secret}/{}", text(&sent["id"]));
    rows.call(M::GET, "/v1/callback/{token}/{message_id}", &path, Value::Null).await;
    rows.one(M::DELETE, channels, &id, "", Value::Null).await;
}

async fn events(rows: &mut Rows<'_>) {
    use Method as M;
    let event = json!({ "type": "deploy.done", "data": { "version": "2.4.1" } });
    rows.call(M::POST, "/v1/events, without a receiver", "/v1/events", event.clone()).await;
    let mut event = event;
    event["callback_url"] = "https://hooks.example.com/answerback".into();
    let event = rows.plain(M::POST, "/v1/events", event).await;
    rows.follow("deliver: an event").await;
    rows.plain(M::GET, "/v1/events", Value::Null).await;
    rows.one(M::GET, "/v1/events", &text(&event["id"]), "", Value::Null).await;
}

async fn webhooks(rows: &mut Rows<'_>) {
    use Method as M;
    let list = "/v1/webhooks";
    let hook = |id: &str| json!({ "id": id, "event_types": ["job.failed"], "url": "https://hooks.example.com/1" });
    rows.plain(M::POST, list, hook("jobs")).await;
    rows.plain(M::GET, list, Value::Null).await;
    rows.one(M::GET, list, "jobs", "", Value::Null).await;
    let mut settings = hook("jobs");
    settings.as_object_mut().expect("an object").remove("id");
    rows.one(M::PUT, list, "jobs", "", settings).await;
    rows.one(M::PATCH, list, "jobs", "", json!({ "description": "Jobs" })).await;
    rows.one(M::POST, list, "jobs", "/trigger", Value::Null).await;
    rows.follow("deliver: a triggered webhook").await;
    rows.one(M::GET, list, "jobs", "/attempts", Value::Null).await;
    rows.one(M::GET, list, "jobs", "/secret", Value::Null).await;
    rows.one(M::POST, list, "jobs", "/secret/rotate", Value::Null).await;
    rows.one(M::POST, list, "jobs", "/secret/expire-previous", Value::Null).await;
    let since = json!({ "since": "2025-12-31T00:00:00Z" });
    rows.one(M::POST, list, "jobs", "/recover", since).await;
    rows.one(M::DELETE, list, "jobs", "", Value::Null).await;
    rows.bench.follow_hints().await;
}

async fn account(rows: &mut Rows<'_>) {
    use Method as M;
    rows.plain(M::GET, "/v1/account", Value::Null).await;
    rows.plain(M::PATCH, "/v1/account", json!({ "name": "Release" })).await;
    rows.plain(M::GET, "/v1/key", Value::Null).await;
    let key = json!({ "name": "CI", "scopes": ["requests:read"] });
    let key = rows.plain(M::POST, "/v1/keys", key).await;
    rows.plain(M::GET, "/v1/keys", Value::Null).await;
    rows.one(M::DELETE, "/v1/keys", &text(&key["id"]), "", Value::Null).await;
    for path in ["/v1/secret", "/v1/events/secret"] {
        rows.plain(M::GET, path, Value::Null).await;
        rows.plain(M::POST, &format!("{path}/rotate"), Value::Null).await;
        rows.plain(M::POST, &format!("{path}/expire-previous"), Value::Null).await;
    }
    rows.plain(M::GET, "/v1/health", Value::Null).await;
    rows.plain(M::GET, "/openapi.json", Value::Null).await;
}

/// What only time causes: time-outs, retries and lost hints.
async fn over_time() -> Vec<(String, Usage)> {
    const N: u32 = 10;
    let bench = Bench::start(false).await;
    let mut rows = Rows { bench: &bench, rows: Vec::new() };
    for _ in 0..N {
        let mut asked = question(1);
        asked["timeout_seconds"] = 3_600.into();
        bench.call(Method::POST, "/v1/requests", &[], asked).await;
    }
    bench.world.system.clock.advance(Duration::from_secs(3_602));
    bench.take();
    bench.sweep().await;
    rows.keep(&format!("sweep: {N} time-outs"));
    rows.follow(&format!("deliver: {N} callbacks of one batch")).await;
    bench.sweep().await;
    rows.keep("sweep: nothing due");

    bench.world.egress.script().answer(reply(500));
    let event = json!({
        "type": "deploy.done", "data": {}, "callback_url": "https://ill.example.com/",
    });
    bench.call(Method::POST, "/v1/events", &[], event).await;
    rows.follow("deliver: an attempt that fails").await;
    bench.world.system.clock.advance(Duration::from_secs(30));
    rows.follow("deliver: a retry that succeeds").await;
    rows.rows
}
