//! The encoding of receivers.

use serde::{Deserialize, Serialize};

use crate::domain::{
    Profile,
    delivery::{BearerToken, Headers, Receiver},
    retry::RetryPolicy,
};

/// Only settings that differ from the profile are stored. The others follow the profile.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReceiverItem {
    url: String,
    profile: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct RetryItem {
    delays_seconds: Vec<u32>,
    jitter: f64,
}

impl From<&Receiver> for ReceiverItem {
    fn from(receiver: &Receiver) -> Self {
        let spec = receiver.profile.spec();
        let retry = Some(&receiver.retry).filter(|it| **it != spec.retry());
        let timeout_seconds = Some(receiver.timeout_seconds);
        Self {
            url: receiver.url.clone(),
            profile: spec.name.to_owned(),
            timeout_seconds: timeout_seconds.filter(|it| *it != spec.timeout_seconds),
            retry: retry.map(|it| RetryItem {
                delays_seconds: it.delays_seconds.clone(),
                jitter: it.jitter,
            }),
            bearer_token: receiver.bearer_token.as_ref().map(|it| it.0.clone()),
            body: receiver.body.map(|it| it.spec().name.to_owned()),
            signature: receiver.signature.map(|it| it.spec().name.to_owned()),
            headers: receiver.headers.0.clone(),
        }
    }
}

impl ReceiverItem {
    /// The receiver, or `None` if only a newer version knows its profile.
    pub(crate) fn read(self) -> Option<Receiver> {
        let profile = Profile::parse(&self.profile)?;
        let spec = profile.spec();
        let own_retry = self
            .retry
            .map(|RetryItem { delays_seconds, jitter }| RetryPolicy { delays_seconds, jitter });
        Some(Receiver {
            url: self.url,
            profile,
            timeout_seconds: self.timeout_seconds.unwrap_or(spec.timeout_seconds),
            retry: own_retry.unwrap_or_else(|| spec.retry()),
            bearer_token: self.bearer_token.map(BearerToken),
            body: self.body.map(|it| Profile::parse(&it).ok_or(())).transpose().ok()?,
            signature: self.signature.map(|it| Profile::parse(&it).ok_or(())).transpose().ok()?,
            headers: Headers(self.headers),
        })
    }
}
