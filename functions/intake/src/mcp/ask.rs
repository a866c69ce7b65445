//! `ask_human` and `request_approval`: they make a request, or find the one that an equal call made.

use answerback::{
    api::{
        Code, FieldError, FieldErrors, Problem,
        body::{Source, moved},
        pointer,
        views::APPROVE,
    },
    domain::{Request, RequestId, Scope, question::TITLE_CHARS_MAX, request::RequestState},
    signing,
    store::keys,
};
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::{
    Call, PATH,
    message::Message,
    result::{Done, WAIT_SECONDS_MAX, shown, wait_for},
};
use crate::{
    fronts::Translation,
    idempotency,
    requests::{CreateCall, CreatedRequest, body::NewRequestBody, create_from},
};

/// Time in which an equal question is not asked twice, in seconds.
const SAME_SECONDS: i64 = 10 * 60;
/// Equal questions in that time, each after the end of the one before.
const SAME_MAX: u32 = 100;
/// The place of the arguments in a message.
const ARGUMENTS: &str = "/params/arguments";

/// The names of the arguments of `ask_human`, and of the members of our body.
const QUESTION: [(&str, &str); 7] = [
    ("question", "title"),
    ("details", "body"),
    ("to", "recipients"),
    ("options", "options"),
    ("fields", "fields"),
    ("deadline_seconds", "timeout_seconds"),
    ("reference", "external_reference_id"),
];
/// The same of `request_approval`.
const APPROVAL: [(&str, &str); 5] = [
    ("action", "action"),
    ("reason", "body"),
    ("to", "recipients"),
    ("deadline_seconds", "timeout_seconds"),
    ("quorum", "quorum"),
];

/// Asks a question.
pub(super) async fn ask_human(
    call: &Call<'_>,
    message: &Message,
    arguments: Map<String, Value>,
) -> Result<Done, Problem> {
    let mut asked = Asked::of(&arguments, &QUESTION, &["question"]);
    // The first answer is enough.
    asked.ours.put("quorum", Some("any".into()), ARGUMENTS);
    if let Some(Value::Array(options)) = arguments.get("options") {
        let options = options.iter().map(|option| match option {
            Value::String(text) => json!({ "value": text, "label": text }),
            other => other.clone(),
        });
        let options = Value::Array(options.collect());
        asked.ours.put("options", Some(options), &format!("{ARGUMENTS}/options"));
    }
    if !has(&arguments, "options") && !has(&arguments, "fields") {
        let field =
            json!([{ "key": "answer", "type": "textarea", "label": "Answer", "required": true }]);
        asked.ours.put("fields", Some(field), ARGUMENTS);
    }
    Box::pin(asked.ask(call, message, "ask_human", &arguments)).await
}

/// Asks for the approval of an action.
pub(super) async fn request_approval(
    call: &Call<'_>,
    message: &Message,
    arguments: Map<String, Value>,
) -> Result<Done, Problem> {
    let mut asked = Asked::of(&arguments, &APPROVAL, &["action", "reason"]);
    let name = arguments.get("action").and_then(|it| it.get("name")).and_then(Value::as_str);
    let title = title(name.unwrap_or_default());
    asked.ours.put("title", Some(title.into()), &format!("{ARGUMENTS}/action/name"));
    let options = json!([
        { "value": APPROVE, "label": "Approve", "style": "primary" },
        { "value": "reject", "label": "Reject", "style": "destructive" },
    ]);
    asked.ours.put("options", Some(options), ARGUMENTS);
    Box::pin(asked.ask(call, message, "request_approval", &arguments)).await
}

/// The argument is there, and not empty.
fn has(arguments: &Map<String, Value>, name: &str) -> bool {
    arguments.get(name).is_some_and(|it| *it != Value::Null && *it != json!([]))
}

/// The title of an approval. The action stands below it, in full.
fn title(name: &str) -> String {
    let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let room = TITLE_CHARS_MAX - "Approve …?".chars().count();
    let is_whole = name.chars().count() <= room;
    let shown: String = name.chars().take(room).collect();
    format!("Approve {shown}{}?", if is_whole { "" } else { "…" })
}

/// Arguments in the words of `POST /v1/requests`.
struct Asked {
    ours: Translation,
    errors: FieldErrors,
}

impl Asked {
    fn of(arguments: &Map<String, Value>, names: &[(&str, &str)], required: &[&str]) -> Self {
        let mut ours = Translation::default();
        let mut errors = FieldErrors::default();
        for (theirs, name) in names {
            let value = arguments.get(*theirs).filter(|it| !it.is_null());
            let place = format!("{ARGUMENTS}/{theirs}");
            if value.is_none() && required.contains(theirs) {
                errors.add(|| FieldError::pointer(&place, "is required"));
            }
            let value = match value {
                // One person is as good as a list of one.
                Some(Value::String(to)) if *theirs == "to" => Some(json!([to])),
                value => value.cloned(),
            };
            ours.put(name, value, &place);
        }
        for name in arguments.keys().filter(|it| !names.iter().any(|(theirs, _)| theirs == it)) {
            let place = pointer::member(ARGUMENTS, name);
            errors.add(|| FieldError::pointer(place, "is not a known argument"));
        }
        Self { ours, errors }
    }

    /// Makes the request, and waits for its end or returns the task.
    async fn ask(
        self,
        call: &Call<'_>,
        message: &Message,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Done, Problem> {
        call.caller.require(Scope::RequestsRead)?;
        let request =
            Box::pin(self.find_or_make(call, message.source.clone(), tool, arguments)).await?;
        if message.has_tasks {
            return Ok(Done::Task(Box::new(request)));
        }
        let request = wait_for(call, &request.id.to_string(), WAIT_SECONDS_MAX).await?;
        Ok(shown(call, &request))
    }

    async fn find_or_make(
        self,
        call: &Call<'_>,
        source: Source,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Request, Problem> {
        let core = &call.app.core;
        // The text, in which numbers are as they were sent: each is another action.
        let text = source.text_at(ARGUMENTS).unwrap_or_default();
        let hash = signing::to_base32(&signing::sha256(format!("{tool} {text}").as_bytes()));
        let window = core.now().as_second().div_euclid(SAME_SECONDS);
        let mut n_ended = 0;
        for window in [window - 1, window] {
            n_ended = 0;
            while n_ended < SAME_MAX {
                let equal = headers(call, &hash, window, n_ended);
                let Some(found) = find(call, &equal).await? else { break };
                let age = core.now().duration_since(found.created_at).as_secs();
                if *found.state() == RequestState::Pending && age < SAME_SECONDS {
                    return Ok(found);
                }
                n_ended += 1;
            }
        }
        if n_ended == SAME_MAX {
            // An answer to an earlier one must not pass for an answer to this one.
            let detail = format!("limit of {SAME_MAX} equal questions in 10 minutes exceeded");
            let wait = u32::try_from(SAME_SECONDS).unwrap_or(u32::MAX);
            return Err(Problem::new(Code::RateLimited, detail).retry_after(wait));
        }
        let headers = headers(call, &hash, window, n_ended);
        let Self { ours, errors } = self;
        let moves = ours.moves().to_vec();
        let read = |_, now| -> Result<NewRequestBody, Problem> { ours.read(source, errors, now) };
        let path = path(call);
        let create = CreateCall {
            owner: call.caller.owner(),
            asker: Some(call.caller),
            path: &path,
            host: call.host,
            headers: &headers,
            channel: None,
        };
        let body = json!(arguments);
        let created = Box::pin(create_from(call.app, create, body, read)).await;
        let CreatedRequest { request, .. } = created.map_err(|problem| {
            if problem.code() == Code::NoWayToReach && !has(arguments, "to") {
                let detail = "must name a person: no notifier reaches people without an address";
                return Problem::invalid(vec![FieldError::pointer("/to", detail)]);
            }
            // Some rules are checked after the translation.
            problem.map_pointers(|it| moved(&moves, it))
        })?;
        Ok(request)
    }
}

/// The request that an equal call made under this key, if it still exists.
async fn find(call: &Call<'_>, headers: &HeaderMap) -> Result<Option<Request>, Problem> {
    let (app, owner) = (call.app, call.caller.owner());
    let path = path(call);
    let place = call.caller.family().map_or_else(|| path.clone(), |it| format!("{path}#{it}"));
    let equal = idempotency::of_call(app, owner, headers, &place, &Value::Null).await?;
    let id = equal.map(|it| RequestId::from_bits(it.id_bits));
    let Some(id) = id else { return Ok(None) };
    match app.core.store.get::<Request>(keys::request(id)).await? {
        Some(request) => Ok(app.core.settled(request).await?),
        None => Ok(None),
    }
}

/// The path that separates the questions of each key.
fn path(call: &Call<'_>) -> String {
    format!("{PATH}/{}", call.caller.key())
}

/// The headers of the call, with an idempotency key for a question with this hash.
fn headers(call: &Call<'_>, hash: &str, window: i64, number: u32) -> HeaderMap {
    let key = HeaderValue::from_str(&format!("{hash}-{window}-{number}")).expect("it is ASCII");
    let mut headers = call.headers.clone();
    headers.insert("idempotency-key", key);
    headers
}
