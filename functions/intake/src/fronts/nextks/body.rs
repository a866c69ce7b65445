//! The body of `NextKS`'s notifications.

use answerback::{
    api::{
        Problem,
        body::{Errors, Item, Object, Sent},
        pointer,
    },
    domain::{
        question::TITLE_CHARS_MAX,
        request::{TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX},
        text::{cleaned, is_blank},
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{fronts::Translation, requests::body::NewRequestBody};

const SECONDS_PER_MINUTE: u32 = 60;

/// The values of `disable`, and our names of them. The first is the default.
const MODES: [(&str, &str); 2] = [("onUserAction", "on_user_action"), ("onTimeout", "on_timeout")];

/// Reads the body, or lists all errors in it.
pub(in crate::fronts) fn read(body: Sent, now: Timestamp) -> Result<NewRequestBody, Problem> {
    let (body, source) = body.into_parts();
    let errors = Errors::default();
    let mut body = Object::of(body, "", &errors);
    let message = body.take("message");
    let emails = body.take("user_emails");
    let mut wanted = body.item("response_request").map(Item::into_object);
    let options = wanted.as_mut().and_then(|it| it.take("options"));
    let is_empty = |it: &Option<Value>| it.as_ref().is_none_or(|it| *it == json!([]));
    if is_empty(&emails) {
        body.error("user_emails", "must have at least one entry");
    }
    if is_empty(&options) {
        let detail = "must have options; notifications without a response are not supported";
        body.error("response_request", detail);
    }
    let Some(mut wanted) = wanted.filter(|_| errors.is_empty()) else {
        return Err(Problem::invalid(errors.into_found()));
    };

    let minutes = 1..=TIMEOUT_SECONDS_MAX / SECONDS_PER_MINUTE;
    let minutes = wanted.integer("timeout_minutes", minutes);
    let seconds = minutes.map_or(TIMEOUT_SECONDS, |it| it * SECONDS_PER_MINUTE);
    let mode = wanted.word("disable", &MODES).unwrap_or(MODES[0].1);
    let url = wanted.take("callback_url");

    let mut ours = Translation::default();
    ours.put("title", message.clone().map(title), "/message");
    ours.put("body", message, "/message");
    ours.put("recipients", emails, "/user_emails");
    let options = options.map(|it| choices(it, &mut ours));
    ours.put("options", options, "/response_request/options");
    ours.put("mode", Some(mode.into()), "/response_request/disable");
    ours.put("timeout_seconds", Some(seconds.into()), "/response_request/timeout_minutes");
    let callback = url.is_some().then(|| json!({ "profile": "nextks", "probe": "require" }));
    ours.put("callback", callback, "/response_request");
    ours.put("callback_url", url, "/response_request/callback_url");
    let reference = "external_reference_id";
    ours.put(reference, body.take(reference), "/external_reference_id");
    ours.read(source, errors.into_found(), now)
}

/// The first line of a message that is not blank.
fn title(message: Value) -> Value {
    let Value::String(text) = message else { return message };
    // The body has the whole text, and so the error of a control character.
    let text = cleaned(&text);
    let line = text.lines().map(str::trim).find(|it| !is_blank(it)).unwrap_or_default();
    line.chars().take(TITLE_CHARS_MAX).collect::<String>().into()
}

/// The options. Their `text` is our `label`.
fn choices(options: Value, ours: &mut Translation) -> Value {
    let Value::Array(options) = options else { return options };
    let choice = |(index, mut option): (usize, Value)| {
        let member = |whole, name| pointer::member(&pointer::entry(whole, index), name);
        ours.moved(member("/options", "label"), member("/response_request/options", "text"));
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
