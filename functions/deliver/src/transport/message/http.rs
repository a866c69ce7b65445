//! Messages by one POST: to an ntfy topic, a chat program, or the account's own system.

use answerback::{
    domain::{
        CallbackUrl, Delivery, NotificationId, Profile, Source,
        attempt::ErrorKind,
        breaker::Authority,
        delivery::{AttemptVerdict, FailureReason, Receiver, message::MESSAGE_TIMEOUT},
        notifier::{ChatFormat, IncomingWebhookSettings, NtfySettings, OwnSystemSettings},
        retry,
    },
    egress::{self, Failure, FailureKind, HeaderMap, HeaderValue, Post},
    notify::Buttons,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Judgement, Outgoing, Reply};
use crate::{
    App, Error,
    transport::https::{Endpoint, callback_signer, headers},
};

/// The beginning of the error ids of Mattermost's incoming webhooks, which say with 400 that they are gone.
const MATTERMOST_GONE: &[u8] = b"web.incoming_webhook.";

/// A call to a service.
struct Call<'a> {
    url: &'a str,
    /// The URL as records show it.
    shown: &'a str,
    headers: HeaderMap,
    body: &'a Value,
}

/// Publishes the message in an ntfy topic.
pub(super) async fn send_to_topic(
    outgoing: &Outgoing<'_>,
    settings: &NtfySettings,
) -> Result<Reply, Error> {
    let topic = outgoing.open(&settings.topic).await?;
    let buttons = if settings.buttons { Buttons::Shown } else { Buttons::Hidden };
    let body = outgoing.content.ntfy(topic.expose_secret(), buttons);
    let mut headers = json_headers(outgoing.delivery);
    if let Some(token) = &settings.token {
        let token = outgoing.open(token).await?;
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| Error::Header)?;
        bearer.set_sensitive(true);
        headers.insert("authorization", bearer);
    }
    let url = &settings.url;
    let call = Call { url, shown: url, headers, body: &body };
    Ok(post(outgoing.app, call, |reply| match reply.status {
        401 | 403 | 404 => Meaning::NotifierRefused,
        400 | 413 => Meaning::MessageRefused,
        _ => Meaning::Failed,
    })
    .await)
}

/// Posts the message to an incoming webhook.
pub(super) async fn send_to_chat(
    outgoing: &Outgoing<'_>,
    settings: &IncomingWebhookSettings,
) -> Result<Reply, Error> {
    let url = outgoing.open(&settings.url).await?;
    let body = outgoing.content.chat(settings.format);
    let (url, shown) = (url.expose_secret(), &settings.origin);
    let call = Call { url, shown, headers: json_headers(outgoing.delivery), body: &body };
    let is_gone = |reply: &egress::Reply| {
        settings.format == ChatFormat::Mattermost
            && reply.body.windows(MATTERMOST_GONE.len()).any(|it| it == MATTERMOST_GONE)
    };
    Ok(post(outgoing.app, call, |reply| match reply.status {
        300..=399 | 401 | 403 | 404 | 410 => Meaning::NotifierRefused,
        400 if is_gone(reply) => Meaning::NotifierRefused,
        400 | 413 | 422 => Meaning::MessageRefused,
        _ => Meaning::Failed,
    })
    .await)
}

/// Posts the message to the account's own system, signed like a callback about a request.
pub(super) async fn send_to_system(
    outgoing: &Outgoing<'_>,
    settings: &OwnSystemSettings,
) -> Result<Reply, Error> {
    let Outgoing { app, delivery, at, .. } = *outgoing;
    let body = outgoing.content.own_system();
    let credentials = settings.credentials.clone();
    let receiver = Receiver { credentials, ..Receiver::of(&settings.url, Profile::Standard) };
    let endpoint = Endpoint {
        receiver,
        credentials_of: outgoing.holder(),
        signer: callback_signer(app, delivery, Source::Requests).await?,
        webhook: None,
    };
    let signer = &endpoint.signer;
    let keys = app.core.vault.signing_keys(&signer.holder, &signer.secrets, at).await?;
    let added = headers::open(app, &endpoint, at).await?;
    let bytes = body.to_string();
    let receiver = &endpoint.receiver;
    let headers = headers::signed(&keys, delivery, receiver, added, bytes.as_bytes(), at);
    let call = Call { url: &settings.url, shown: &settings.url, headers, body: &body };
    Ok(post(app, call, |reply| match reply.status {
        410 => Meaning::NotifierRefused,
        _ => Meaning::Failed,
    })
    .await)
}

/// The meaning of a status that is not 2xx.
pub(super) enum Meaning {
    /// It may work later.
    Failed,
    /// The service never takes this message.
    MessageRefused,
    /// The service knows the notifier no longer.
    NotifierRefused,
}

async fn post(app: &App, call: Call<'_>, meaning: impl Fn(&egress::Reply) -> Meaning) -> Reply {
    let Call { url, shown, headers, body } = call;
    let shown = origin(shown);
    let url = match CallbackUrl::parse(url, &app.rules) {
        Ok(url) => url,
        Err(err) => {
            let verdict = AttemptVerdict::Permanent(FailureReason::BlockedAddress);
            let judgement = Judgement::failed(verdict, ErrorKind::BlockedAddress, err.to_string());
            return Reply { url: shown, status: None, judgement, copy: None };
        }
    };
    let body = body.to_string().into_bytes();
    let answer = app.egress.post(Post { url, headers, body, timeout: MESSAGE_TIMEOUT }).await;
    let (reply, failure) = match answer {
        Ok(reply) => (reply, None),
        // The status is what counts, and it arrived.
        Err(Failure { kind, message, reply: Some(reply) }) => (reply, Some((kind, message))),
        Err(Failure { kind, message, reply: None }) => {
            let judgement = unanswered(kind, message);
            return Reply { url: shown, status: None, judgement, copy: None };
        }
    };
    let status = Some(reply.status);
    let judgement = match reply.status {
        200..=299 => Judgement::accepted(),
        _ => refused(app, &reply, meaning(&reply), failure),
    };
    Reply { url: shown, status, judgement, copy: None }
}

/// Judges a call without a status.
pub(super) fn unanswered(kind: FailureKind, message: String) -> Judgement {
    Judgement::failed(AttemptVerdict::Retry { retry_after: None }, kind.into(), message)
}

pub(super) fn refused(
    app: &App,
    reply: &egress::Reply,
    meaning: Meaning,
    failure: Option<(FailureKind, String)>,
) -> Judgement {
    let now = app.core.now();
    let mut headers = reply.headers.iter();
    let retry_after = headers
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .and_then(|(_, value)| retry::retry_after(value, now));
    let (kind, message) = failure.map_or_else(
        || (ErrorKind::Status, format!("the service answered {}", reply.status)),
        |(kind, message)| (kind.into(), message),
    );
    let failed = |verdict| Judgement::failed(verdict, kind, message);
    match (reply.status, meaning) {
        (429, _) => failed(AttemptVerdict::Throttled { retry_after }),
        (503, _) if retry_after.is_some() => failed(AttemptVerdict::Throttled { retry_after }),
        (_, Meaning::Failed) => failed(AttemptVerdict::Retry { retry_after }),
        (_, Meaning::MessageRefused) => {
            failed(AttemptVerdict::Permanent(FailureReason::NotAccepted))
        }
        (_, Meaning::NotifierRefused) => {
            failed(AttemptVerdict::Permanent(FailureReason::Refused)).of_notifier()
        }
    }
}

/// The host and port of a URL. The rest may be a secret.
pub(super) fn origin(url: &str) -> String {
    Authority::of(url).map_or_else(String::new, |it| format!("https://{it}"))
}

fn json_headers(delivery: &Delivery) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let id = NotificationId(delivery.id).to_string();
    let id = HeaderValue::from_str(&id).expect("an identifier is ASCII");
    // By it our own API refuses a message that comes back to it.
    headers.insert("answerback-delivery", id);
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("user-agent", HeaderValue::from_static(egress::USER_AGENT));
    headers
}
