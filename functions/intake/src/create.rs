//! `POST /v1/requests` asks a question.

use answerback::{
    domain::{
        CallbackUrl, OpId, Request, RequestId, Scope,
        request::{Fingerprint, LinkSecret, State, Terms},
    },
    egress::Failure,
    service::{
        Caller, Code, Fault, Fields, Problem,
        fields::Faults,
        http::{CalledHost, Json, header},
        requests::{self, callback_delivery, is_visible},
    },
    signing,
    store::{Saved, keys},
};
use axum::{
    extract::State as Extension,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{HeaderName, LOCATION},
    },
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{App, question, terms};

/// Longest idempotency key, in characters.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Where idempotency keys of this call are apart from those of others.
const PATH: &str = "/v1/requests";
/// Says that nothing new was made.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Everything that a new request is made of and that the caller decides.
struct Draft {
    question: answerback::domain::Question,
    terms: Terms,
    timeout_seconds: u32,
    probe: bool,
}

/// Makes a request; or, under an idempotency key that was used before, finds it again.
pub(crate) async fn create(
    Extension(app): Extension<App>,
    host: CalledHost,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let Json(body) = body?;
    let op = OpId::new(app.entropy.next());
    let now = app.clock.now();

    // The value's own text, so that white space and the order of members do not count.
    let text = body.to_string();
    let keyed = match idempotency_key(&headers)? {
        None => None,
        Some(key) => {
            let id = keyed_id(&app, &caller, key).await?;
            let hash = signing::sha256(text.as_bytes());
            Some((id, Fingerprint(hash[..16].try_into().expect("16 of 32 bytes"))))
        }
    };
    // Looked up first: what was accepted once is not to be refused for a receiver that is down.
    if let Some((id, fingerprint)) = keyed
        && let Some(found) = app.store.get(keys::request(id)).await?
    {
        return replay(&app, &caller, &found, fingerprint, now).await;
    }

    let draft = read(body)?;
    check_callback(&app, &draft, &host).await?;
    // Only now: trying the receiver out must not eat of the time to answer.
    let now = app.clock.now();

    let base_url = app.public_base_url.clone().unwrap_or_else(|| called_base_url(&headers, &host));
    let request = Request {
        id: keyed.map_or_else(|| RequestId::mint(now, app.entropy.next()), |(id, _)| id),
        account: caller.account(),
        livemode: caller.livemode(),
        created_by: op,
        fingerprint: keyed.map(|(_, fingerprint)| fingerprint),
        created_at: now,
        deadline: now + std::time::Duration::from_secs(draft.timeout_seconds.into()),
        question: draft.question,
        terms: draft.terms,
        link_secret: LinkSecret(app.entropy.next().to_be_bytes()),
        base_url,
        published: app.publishes,
        rows: Vec::new(),
        state: State::Pending,
        outbox: Vec::new(),
        n_events: 0,
        callback_event: None,
        due_at: None,
        revision: 0,
    }
    .begin();
    match app.store.create(&request).await? {
        Saved::Saved => (),
        // A write of ours whose answer was lost, come back.
        Saved::Superseded(found) if found.created_by == op => (),
        Saved::Superseded(found) => {
            let fingerprint = keyed.map(|(_, fingerprint)| fingerprint);
            let Some(fingerprint) = fingerprint else { return Err(Problem::too_busy()) };
            return replay(&app, &caller, &found, fingerprint, now).await;
        }
        Saved::Gone => return Err(Problem::too_busy()),
    }
    app.hints.send_for_request(&request, true, app.clock.now()).await;
    tracing::info!(request.id = %request.id, account.id = %request.account, "created a request");
    Ok(created(&request, requests::view(&request, None, &caller, now), false))
}

/// The answer to a repeated call: what it made, as it is now.
async fn replay(
    app: &App,
    caller: &Caller,
    found: &Request,
    fingerprint: Fingerprint,
    now: Timestamp,
) -> Result<Response, Problem> {
    if found.fingerprint != Some(fingerprint) {
        let detail = "this Idempotency-Key was used before, with another body";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    if !is_visible(found, caller) {
        return Err(Problem::not_found());
    }
    let delivery = callback_delivery(&app.store, found).await?;
    // The first call may have died before it sent its hint.
    app.hints.send_for_request(found, false, now).await;
    Ok(created(found, requests::view(found, delivery.as_ref(), caller, now), true))
}

fn created(request: &Request, view: impl serde::Serialize, is_replayed: bool) -> Response {
    let location = format!("{PATH}/{}", request.id);
    let location = HeaderValue::from_str(&location).expect("an identifier is ASCII");
    let mut response =
        (StatusCode::CREATED, [(LOCATION, location)], axum::Json(view)).into_response();
    if is_replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let is_printable = |it: &&str| {
        (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&it.len())
            && it.bytes().all(|it| (b' '..=b'~').contains(&it))
    };
    let key = value.to_str().ok().filter(is_printable);
    key.map(Some).ok_or_else(|| {
        let detail = format!("must have 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable characters");
        Problem::invalid(vec![Fault::parameter("Idempotency-Key", detail)])
    })
}

/// The identifier that an idempotency key stands for: nobody can foresee it, and finding it costs
/// no write.
async fn keyed_id(app: &App, caller: &Caller, key: &str) -> Result<RequestId, Problem> {
    let account = app.accounts.account_of(caller).await?;
    let mode = if caller.livemode() { "live" } else { "test" };
    let account_id = caller.account().to_string();
    let parts = [account_id.as_bytes(), mode.as_bytes(), PATH.as_bytes(), key.as_bytes()];
    Ok(RequestId::from_bits(signing::derive_bits(&account.id_key.0, &parts)))
}

/// What the body asks for, or everything that is wrong with it.
fn read(body: Value) -> Result<Draft, Problem> {
    let mut faults = Faults::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let question = question::read(&mut fields, &mut faults);
    let timeout_seconds = terms::timeout(&mut fields, &mut faults);
    let (terms, probe) = terms::read(&mut fields, &question, &mut faults);
    fields.finish(&mut faults);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    Ok(Draft { question, terms, timeout_seconds, probe })
}

/// Refuses a callback URL that may not be called, or that nobody answers at.
async fn check_callback(app: &App, draft: &Draft, host: &CalledHost) -> Result<(), Problem> {
    let Some(callback) = &draft.terms.callback else { return Ok(()) };
    let refused =
        |why: String| Problem::new(Code::CallbackUrlNotAllowed, format!("`callback_url`: {why}"));
    let mut rules = app.rules.clone();
    if !rules.development {
        rules.own_host = Some(own_host(app, host));
    }
    let url = CallbackUrl::parse(&callback.url, &rules).map_err(|err| refused(err.to_string()))?;
    let checked =
        if draft.probe { app.egress.probe(&url).await } else { app.egress.check(&url).await };
    checked.map_err(|Failure { message, .. }| refused(message))
}

/// The name that we are reached by, which callbacks must not lead back to.
fn own_host(app: &App, host: &CalledHost) -> String {
    let base = app.public_base_url.as_deref().and_then(|it| it.split_once("://"));
    let authority = base.map_or(host.0.as_str(), |(_, rest)| rest);
    let name = authority.split('/').next().unwrap_or(authority);
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    // A name may end in the dot of the root, which says nothing; those of callbacks never do.
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

/// The address that the caller called, for links.
fn called_base_url(headers: &HeaderMap, host: &CalledHost) -> String {
    // The gateway sets it, whatever the caller sent.
    let is_plain = header(headers, "x-forwarded-proto") == Some("http");
    format!("{}://{}", if is_plain { "http" } else { "https" }, host.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> Result<Draft, Problem> {
        let value: Value = serde_json::from_str(text).expect("a test's JSON");
        read(value)
    }

    #[track_caller]
    fn check_faults(text: &str, expected: &[&str]) {
        let Err(problem) = read_text(text) else { panic!("accepted {text}") };
        let faults: Vec<String> = problem.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults, expected, "{text}");
    }

    #[test]
    fn every_fault_is_listed_with_its_place() {
        check_faults(
            r#"{"timeout_second": 3, "options": [{"value": "a", "label": ""}, {"value": "a", "label": "A"}]}"#,
            &[
                "`/title` is required",
                "`/options/0/label` must have 1 to 75 characters, not 0",
                "`/options/1/value` is there twice",
                "`/timeout_second` is not a known field",
            ],
        );
        check_faults(
            "[]",
            &[
                "`` must be an object",
                "`/title` is required",
                "`/options` must not be empty where there are no fields",
            ],
        );
    }

    proptest! {
        /// Whatever JSON comes in, it is read or refused, and what is refused has a reason, which
        /// stands in the body, or is missing where it says.
        #[test]
        fn no_body_makes_the_reader_panic(body in any_json()) {
            let Err(problem) = read(body.clone()) else { return Ok(()) };
            prop_assert!(!problem.faults().is_empty());
            for fault in problem.faults() {
                let shown = serde_json::to_value(fault).expect("plain data");
                let place = shown["pointer"].as_str().expect("it is in the body");
                let whole = place.rsplit_once('/').map_or("", |(whole, _)| whole);
                let is_there = body.pointer(place).or_else(|| body.pointer(whole)).is_some();
                prop_assert!(is_there, "{} in {}", fault, body);
            }
        }

        #[test]
        fn an_idempotency_key_is_short_and_printable_or_refused(
            key in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..4),
                prop::collection::vec(b' '..=b'~', 250..260),
            ],
        ) {
            let Ok(value) = HeaderValue::from_bytes(&key) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", value);
            let is_printable = key.iter().all(|it| (b' '..=b'~').contains(it));
            let read = idempotency_key(&headers).map(|it| it.map(str::as_bytes));
            let is_wanted = is_printable && (1..=255).contains(&key.len());
            prop_assert_eq!(read.ok(), is_wanted.then_some(Some(&*key)));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "title",
            "body",
            "recipients",
            "options",
            "fields",
            "mode",
            "quorum",
            "count",
            "veto",
            "option",
            "value",
            "label",
            "style",
            "key",
            "type",
            "choices",
            "default",
            "min",
            "max",
            "callback_url",
            "callback",
            "profile",
            "events",
            "retry",
            "delays_seconds",
            "read",
            "ttl_seconds",
            "lease_seconds",
            "on_deadline",
            "kind",
            "metadata",
            "email",
            "other",
        ]);
        let words = prop::sample::select(vec![
            "",
            "a",
            "all",
            "any",
            "select",
            "number",
            "toggle",
            "text",
            "on_timeout",
            "default",
            "once",
            "lease",
            "standard",
            "nextks",
            "request.finished",
            "a@example.com",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            words.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..8).prop_map(|members| {
                    members.into_iter().map(|(name, it)| (name.to_owned(), it)).collect()
                }),
            ]
        })
    }
}
