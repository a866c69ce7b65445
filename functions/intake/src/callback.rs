//! Whom a sender wants to be told, and whether they may be.

mod headers;

use answerback::{
    api::{
        Fields, Problem,
        body::{FieldErrors, note},
        http::{CalledHost, header},
    },
    domain::{
        CallbackUrl, Profile, RequestEvent,
        delivery::{BearerToken, Receiver},
        request::Callback,
        retry::{
            DELAY_SECONDS_MAX, DELAY_SECONDS_MIN, RETRIES_MAX, RetryPolicy,
            TIMEOUT_SECONDS_MAX as ATTEMPT_SECONDS_MAX,
        },
    },
    egress::Failure,
};
use axum::http::HeaderMap;
use serde_json::Value;

use crate::App;

/// Longest bearer token, in characters.
const BEARER_TOKEN_CHARS_MAX: usize = 1_024;

/// The field that a callback's URL is in.
pub(crate) const URL: &str = "callback_url";

/// A callback that a sender wants.
pub(crate) struct Wanted {
    /// To whom.
    pub(crate) receiver: Receiver,
    /// Of what, if not of what the profile is for.
    events: Option<Vec<RequestEvent>>,
    /// Whether the URL is to be tried out.
    pub(crate) probe: bool,
}

impl Wanted {
    /// The callback of a request.
    pub(crate) fn of_request(self) -> Callback {
        let usual = || self.receiver.profile.spec().events.to_vec();
        Callback { events: self.events.unwrap_or_else(usual), receiver: self.receiver }
    }
}

/// Takes the callback out of the body's members; `takes_events` where there are several that may
/// be told.
pub(crate) fn read(
    fields: &mut Fields,
    takes_events: bool,
    faults: &mut FieldErrors,
) -> Option<Wanted> {
    let url = match fields.take("callback_url") {
        None => None,
        // Whatever is wrong with it is said by the rules for URLs.
        Some(Value::String(url)) => Some(url),
        Some(_) => {
            fields.fault("callback_url", "must be text", faults);
            Some(String::new())
        }
    };
    let settings = fields.object("callback", faults);
    if settings.is_some() && url.is_none() {
        fields.fault("callback_url", "is required where there is a callback", faults);
    }
    let mut settings = match settings {
        Some(settings) => settings,
        None => Fields::of(Value::Object(serde_json::Map::new()), "", faults),
    };
    let events = takes_events.then(|| events(&mut settings, faults)).flatten();
    let probe = settings.flag("probe", faults).unwrap_or(true);
    let receiver = receiver(&mut settings, url.clone().unwrap_or_default(), faults);
    settings.finish(faults);
    url?;
    Some(Wanted { receiver, events, probe })
}

/// How the receiver at `url` wants to be told.
pub(crate) fn receiver(settings: &mut Fields, url: String, faults: &mut FieldErrors) -> Receiver {
    let profiles = Profile::ALL.map(|it| (it.spec().name, it));
    let profile = settings.word("profile", &profiles, faults).unwrap_or(Profile::Standard);
    let spec = profile.spec();
    let body = settings.word("body", &profiles, faults);
    let signature = settings.word("signature", &profiles, faults);
    let headers = headers::read(settings, faults);
    let timeout = settings.integer("timeout_seconds", 1..=ATTEMPT_SECONDS_MAX, faults);
    let retry = retry(settings, spec.retry(), faults);
    let bearer_token = settings.text("bearer_token", 1..=BEARER_TOKEN_CHARS_MAX, faults);
    if bearer_token.as_ref().is_some_and(|it| !it.bytes().all(|it| it.is_ascii_graphic())) {
        settings.fault("bearer_token", "must be ASCII without spaces", faults);
    }
    Receiver {
        url,
        profile,
        timeout_seconds: timeout.unwrap_or(spec.timeout_seconds),
        retry,
        bearer_token: bearer_token.map(BearerToken),
        body,
        signature,
        headers,
    }
}

fn events(settings: &mut Fields, faults: &mut FieldErrors) -> Option<Vec<RequestEvent>> {
    let mut events = Vec::new();
    for (pointer, value) in settings.list("events", 1..=RequestEvent::ALL.len(), faults)? {
        match value.as_str().and_then(RequestEvent::parse) {
            Some(kind) if events.contains(&kind) => note(faults, pointer, "is there twice"),
            Some(kind) => events.push(kind),
            None => {
                let kinds = RequestEvent::ALL.map(RequestEvent::as_str).join(", ");
                note(faults, pointer, format!("must be one of {kinds}"));
            }
        }
    }
    Some(events)
}

fn retry(settings: &mut Fields, usual: RetryPolicy, faults: &mut FieldErrors) -> RetryPolicy {
    let Some(mut members) = settings.object("retry", faults) else { return usual };
    let delays = members.list("delays_seconds", 0..=RETRIES_MAX, faults);
    let delays_seconds = delays.map_or(usual.delays_seconds, |delays| {
        let range = DELAY_SECONDS_MIN..=DELAY_SECONDS_MAX;
        let delay = |(pointer, value): (String, Value)| {
            let delay = value.as_u64().and_then(|it| u32::try_from(it).ok());
            let delay = delay.filter(|it| range.contains(it));
            if delay.is_none() {
                let (min, max) = (range.start(), range.end());
                note(faults, pointer, format!("must be a whole number from {min} to {max}"));
            }
            delay
        };
        delays.into_iter().filter_map(delay).collect()
    });
    let jitter = members.number("jitter", faults).unwrap_or(usual.jitter);
    if !(0.0..=1.0).contains(&jitter) {
        members.fault("jitter", "must be from 0 to 1", faults);
    }
    members.finish(faults);
    RetryPolicy { delays_seconds, jitter }
}

/// Refuses a receiver whose URL, the field called `name`, may not be called, or where nobody
/// answers.
pub(crate) async fn check(
    app: &App,
    receiver: &Receiver,
    name: &str,
    probe: bool,
    host: &CalledHost,
) -> Result<(), Problem> {
    let refused = |why: String| Problem::callback_url_not_allowed(format!("/{name}"), why);
    let mut rules = app.rules.clone();
    if !rules.development {
        rules.own_host = Some(own_host(app, host));
    }
    let url = CallbackUrl::parse(&receiver.url, &rules);
    let url = url.map_err(|err| refused(format!("is not allowed: {err}")))?;
    if probe {
        let probed = app.egress.probe(&url).await;
        return probed.map_err(|Failure { message, .. }| {
            refused(format!("did not respond to the probe: {message}"))
        });
    }
    let checked = app.egress.check(&url).await;
    checked.map_err(|Failure { message, .. }| refused(format!("is not allowed: {message}")))
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

/// The address of the API, for links: the configured one, or the one that the caller called.
pub(crate) fn base_url(app: &App, headers: &HeaderMap, host: &CalledHost) -> String {
    // The gateway sets it, whatever the caller sent.
    let is_plain = header(headers, "x-forwarded-proto") == Some("http");
    let called = || format!("{}://{}", if is_plain { "http" } else { "https" }, host.0);
    app.public_base_url.clone().unwrap_or_else(called)
}
