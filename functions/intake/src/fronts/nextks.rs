//! `POST /api/notify` asks as `NextKS`'s API for interactive notifications does.

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{CalledHost, Json},
    },
    domain::{
        Scope,
        question::TITLE_CHARS_MAX,
        request::{TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX},
    },
    fronts::nextks::NextKsProblem,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::Translation;
use crate::{
    App,
    create::{self, Asking, Draft, Made},
    idempotency,
};

const PATH: &str = "/api/notify";
const SECONDS_PER_MINUTE: u32 = 60;

/// Makes a request of a notification that wants an answer.
pub(crate) async fn notify(
    State(app): State<App>,
    host: Result<CalledHost, Problem>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, NextKsProblem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let (host, Json(body)) = (host?, body?);
    let asking = Asking { owner: caller.owner(), path: PATH, host: &host, headers: &headers };
    let made = create::make(&app, asking, body, read).await;
    // The URL is probed after the body was translated.
    let Made { request, is_replayed } = made.map_err(|it| it.map_pointers(our_pointer))?;
    let told = json!({ "status": "ok", "request_id": request.id.to_string() });
    let mut response = axum::Json(told).into_response();
    if is_replayed {
        idempotency::mark_replayed(&mut response);
    }
    Ok(response)
}

/// The place in a notification of what is at `pointer` in the body of `POST /v1/requests`.
fn our_pointer(pointer: &str) -> String {
    match pointer {
        "/callback_url" => "/response_request/callback_url".to_owned(),
        other => other.to_owned(),
    }
}

/// What the body asks for, or everything that is wrong with it.
pub(super) fn read(body: Value) -> Result<Draft, Problem> {
    const DISABLE: [(&str, &str); 2] =
        [("onUserAction", "on_user_action"), ("onTimeout", "on_timeout")];
    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let message = fields.take("message");
    let emails = fields.take("user_emails");
    let mut wanted = fields.object("response_request", &mut faults);
    let options = wanted.as_mut().and_then(|it| it.take("options"));
    let is_nothing = |it: &Option<Value>| it.as_ref().is_none_or(|it| *it == json!([]));
    if is_nothing(&emails) {
        fields.fault("user_emails", "must name somebody", &mut faults);
    }
    if is_nothing(&options) {
        fields.fault("response_request", "must have options: nobody is only told", &mut faults);
    }
    let Some(mut wanted) = wanted.filter(|_| faults.is_empty()) else {
        return Err(Problem::invalid(faults));
    };

    let minutes = 1..=TIMEOUT_SECONDS_MAX / SECONDS_PER_MINUTE;
    let minutes = wanted.integer("timeout_minutes", minutes, &mut faults);
    let seconds = minutes.map_or(TIMEOUT_SECONDS, |it| it * SECONDS_PER_MINUTE);
    let mode = wanted.word("disable", &DISABLE, &mut faults).unwrap_or(DISABLE[0].1);
    let url = wanted.take("callback_url");

    let mut ours = Translation::default();
    ours.put("title", message.clone().map(title), "/message");
    ours.put("body", message, "/message");
    ours.put("recipients", emails, "/user_emails");
    let options = options.map(|it| choices(it, &mut ours));
    ours.put("options", options, "/response_request/options");
    ours.put("mode", Some(mode.into()), "/response_request/disable");
    ours.put("timeout_seconds", Some(seconds.into()), "/response_request/timeout_minutes");
    let callback = url.is_some().then(|| json!({ "profile": "nextks" }));
    ours.put("callback", callback, "/response_request");
    ours.put("callback_url", url, "/response_request/callback_url");
    let reference = "external_reference_id";
    ours.put(reference, fields.take(reference), "/external_reference_id");
    ours.read(faults)
}

/// The first line of a message that says something.
fn title(message: Value) -> Value {
    let Value::String(text) = message else { return message };
    let line =
        text.split(['\n', '\r']).map(str::trim).find(|it| !it.is_empty()).unwrap_or_default();
    line.chars().take(TITLE_CHARS_MAX).collect::<String>().into()
}

/// The options, whose `text` is our `label`.
fn choices(options: Value, ours: &mut Translation) -> Value {
    let Value::Array(options) = options else { return options };
    let choice = |(number, mut option): (usize, Value)| {
        ours.moved(
            format!("/options/{number}/label"),
            format!("/response_request/options/{number}/text"),
        );
        if let Some(option) = option.as_object_mut() {
            *option = ["text", "value"]
                .into_iter()
                .zip(["label", "value"])
                .filter_map(|(theirs, ours)| Some((ours.to_owned(), option.remove(theirs)?)))
                .collect();
        }
        option
    };
    options.into_iter().enumerate().map(choice).collect()
}
