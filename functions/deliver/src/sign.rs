//! What stands above a callback's body: who it is from, what it is, and the proof of both.

use answerback::{
    domain::{Account, Delivery, Profile, delivery::Receiver},
    egress::{HeaderMap, HeaderName, HeaderValue},
    signing::SigningKey,
};
use jiff::Timestamp;

use crate::Error;

/// Who we say that we are, unless the profile says otherwise.
const USER_AGENT: &str = concat!("Answerback/", env!("CARGO_PKG_VERSION"));

/// The headers of one attempt, signed with every secret that is live at `now`.
pub(crate) fn headers(
    account: &Account,
    delivery: &Delivery,
    receiver: &Receiver,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderMap, Error> {
    let keys = account.live_secrets(now).map(|it| SigningKey::parse(&it.text));
    let keys: Vec<SigningKey> = keys.collect::<Result<_, _>>().map_err(|_| Error::Secret)?;
    let current = keys.first().ok_or(Error::Secret)?;

    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("answerback-delivery", delivery.id.to_string()),
        ("answerback-event", delivery.event_kind.as_str().to_owned()),
        ("answerback-attempt", delivery.attempt.to_string()),
    ];
    match receiver.profile {
        Profile::Standard => {
            let second = now.as_second();
            let signatures = keys.iter().map(|it| it.sign_standard(delivery.id, second, body));
            headers.push(("webhook-id", delivery.id.to_string()));
            headers.push(("webhook-timestamp", second.to_string()));
            headers.push(("webhook-signature", signatures.collect::<Vec<_>>().join(" ")));
        }
        Profile::NextKs => {
            headers.push(("x-nextks-request-id", delivery.request.to_string()));
            headers.push(("x-nextks-signature", current.sign_nextks(body)));
        }
    }
    let mut headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(&value).expect("our own values are ASCII");
            (HeaderName::from_static(name), value)
        })
        .collect();
    if let Some(token) = &receiver.bearer_token {
        let value = format!("Bearer {}", token.0);
        let mut value = HeaderValue::from_str(&value).map_err(|_| Error::Secret)?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    Ok(headers)
}
