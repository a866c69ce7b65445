//! Callbacks that callers ask for: the receiver's settings, and the check of its URL.

mod credentials;
mod probe;
mod update;

pub(crate) use credentials::NewCredentials;
pub(crate) use update::{CredentialsUpdate, Previous, origin};

use answerback::{
    api::{
        Problem,
        body::{Object, must_be_one_of},
        http::{CalledHost, header},
    },
    domain::{
        AccountId, CallbackUrl, Profile, RequestEvent, Source,
        delivery::{Credentials, Receiver},
        request::Callback,
        retry::{
            DELAY_SECONDS_MAX, DELAY_SECONDS_MIN, RETRIES_MAX, RetryPolicy,
            TIMEOUT_SECONDS_MAX as ATTEMPT_SECONDS_MAX,
        },
    },
    egress::{Checked, Failure},
};
use axum::http::HeaderMap;
use serde_json::Value;

use crate::App;
pub use probe::Probes;
use probe::Refusal;
pub(crate) use probe::{PendingProbe, Probe};

/// The member with a callback's URL.
pub(crate) const URL: &str = "callback_url";
/// The member with its other settings.
const SETTINGS: &str = "callback";

/// A callback as its sender describes it.
pub(crate) struct CallbackBody {
    /// Without its credentials.
    pub(crate) receiver: Receiver,
    pub(crate) credentials: NewCredentials,
    /// The events to send, if not those of the profile.
    events: Option<Vec<RequestEvent>>,
    pub(crate) probe: Probe,
}

impl CallbackBody {
    /// The callback of a request.
    pub(crate) fn into_callback(self) -> Callback {
        let usual = || self.receiver.profile.spec().events.to_vec();
        Callback { events: self.events.unwrap_or_else(usual), receiver: self.receiver }
    }
}

/// Reads the callback of an object from this source.
pub(crate) fn read(body: &mut Object<'_>, source: Source) -> Option<CallbackBody> {
    let url = url(body);
    if body.has(SETTINGS) && url.is_none() {
        body.error(URL, "is required with `callback`");
    }
    let callback = body.object_or_empty(SETTINGS, |settings| {
        let events = match source {
            Source::Requests => events(settings),
            Source::Events => None,
        };
        let probe = probe(settings);
        let receiver = receiver(settings, url.clone().unwrap_or_default());
        if !receiver.spec().serves(source) {
            settings.error(body_member(&receiver), must_serve(source));
        }
        let credentials = NewCredentials::read(settings);
        CallbackBody { receiver, credentials, events, probe }
    });
    url.map(|_| callback)
}

/// The member that decides the body of a receiver.
pub(crate) fn body_member(receiver: &Receiver) -> &'static str {
    if receiver.body.is_some() { "body" } else { "profile" }
}

fn must_serve(source: Source) -> &'static str {
    match source {
        Source::Requests => "must have a body for requests; this one is for posted events only",
        Source::Events => "must have a body for posted events; this one is for requests only",
    }
}

/// Reads the URL; [`check`] applies the rules for URLs.
fn url(body: &mut Object<'_>) -> Option<String> {
    let item = body.item(URL)?;
    if let Value::String(url) = item.value {
        return Some(url);
    }
    item.error("must be a string");
    Some(String::new())
}

/// Reads the kind of probe.
pub(crate) fn probe(settings: &mut Object<'_>) -> Probe {
    settings.word("probe", &Probe::WORDS).unwrap_or(Probe::Report)
}

/// Reads the settings of the receiver at `url`, except its credentials.
pub(crate) fn receiver(settings: &mut Object<'_>, url: String) -> Receiver {
    let profiles = Profile::ALL.map(|it| (it.spec().name, it));
    let profile = settings.word("profile", &profiles).unwrap_or(Profile::Standard);
    let spec = profile.spec();
    let timeout = settings.integer("timeout_seconds", 1..=ATTEMPT_SECONDS_MAX);
    Receiver {
        url,
        profile,
        timeout_seconds: timeout.unwrap_or(spec.timeout_seconds),
        body: settings.word("body", &profiles),
        signature: settings.word("signature", &profiles),
        retry: retry(settings, spec.retry()),
        credentials: Credentials::default(),
    }
}

fn events(settings: &mut Object<'_>) -> Option<Vec<RequestEvent>> {
    settings.distinct("events", 1..=RequestEvent::ALL.len(), |value| {
        let event = value.as_str().and_then(RequestEvent::parse);
        event.ok_or_else(|| must_be_one_of(&RequestEvent::ALL.map(RequestEvent::as_str)))
    })
}

fn retry(settings: &mut Object<'_>, usual: RetryPolicy) -> RetryPolicy {
    settings.object_or_empty("retry", |retry| {
        let delays = retry.list("delays_seconds", 0..=RETRIES_MAX);
        let delays = delays.map(|delays| {
            let range = DELAY_SECONDS_MIN..=DELAY_SECONDS_MAX;
            delays.iter().filter_map(|it| it.integer(range.clone())).collect()
        });
        let jitter = retry.number("jitter").unwrap_or(usual.jitter);
        if !(0.0..=1.0).contains(&jitter) {
            retry.error("jitter", "must be from 0 to 1");
        }
        RetryPolicy { delays_seconds: delays.unwrap_or(usual.delays_seconds), jitter }
    })
}

/// A receiver that a client submits.
pub(crate) struct Submission<'a> {
    pub(crate) receiver: &'a Receiver,
    /// The member with its URL.
    pub(crate) name: &'a str,
    pub(crate) probe: Probe,
    pub(crate) account: AccountId,
    pub(crate) host: &'a CalledHost,
}

/// Refuses a receiver if its URL or an address breaks a rule, or if a required probe fails. Returns the
/// probe that is still to be made.
pub(crate) async fn check(app: &App, it: Submission<'_>) -> Result<PendingProbe, Problem> {
    let Submission { receiver, name, probe, account, host } = it;
    let refused = |why: String| Problem::callback_url_not_allowed(format!("/{name}"), why);
    let checked = check_url(app, &receiver.url, host).await.map_err(refused)?;
    probe.begin(app, checked, account).await.map_err(|refusal| match refusal {
        Refusal::RateLimited { retry_seconds } => Refusal::rate_limited(retry_seconds),
        Refusal::Failed(Failure { message, .. }) => {
            refused(format!("did not respond to the probe: {message}"))
        }
    })
}

/// Checks a URL and its addresses. The error says which rule they break, and does not contain the URL.
pub(crate) async fn check_url(app: &App, url: &str, host: &CalledHost) -> Result<Checked, String> {
    let mut rules = app.rules.clone();
    if !rules.is_development {
        rules.own_host = Some(own_host(app, host));
    }
    let url = CallbackUrl::parse(url, &rules).map_err(|err| format!("is not allowed: {err}"))?;
    let checked = app.egress.check(&url).await;
    checked.map_err(|Failure { message, .. }| format!("is not allowed: {message}"))
}

/// Our own host name. Callbacks must not lead back to it.
fn own_host(app: &App, host: &CalledHost) -> String {
    let base = app.public_base_url.as_deref().and_then(|it| it.split_once("://"));
    let authority = base.map_or(host.0.as_str(), |(_, rest)| rest);
    let name = authority.split('/').next().unwrap_or(authority);
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    // A trailing dot means the same host. URLs of callbacks never have one.
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

/// The address of the API for links: the configured one, or the one that the caller used.
pub(crate) fn base_url(app: &App, headers: &HeaderMap, host: &CalledHost) -> String {
    // The gateway sets this header and overwrites the caller's.
    let is_plain = header(headers, "x-forwarded-proto") == Some("http");
    let called = || format!("{}://{}", if is_plain { "http" } else { "https" }, host.0);
    app.public_base_url.clone().unwrap_or_else(called)
}
