//! The encoding of receivers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Profile,
    delivery::{Auth, AuthKind, Credentials, Receiver, SealedHeader},
    retry::RetryPolicy,
    secret::Sealed,
};

/// The version of this encoding. A new profile raises it, and with it the items that hold receivers.
pub(super) const VERSION: u32 = 1;

/// Only settings that differ from the profile are stored. The others follow the profile.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReceiverItem {
    #[serde(rename = "u")]
    url: String,
    /// Absent: `standard`.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryItem>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    auth: Option<AuthItem>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderItem>,
}

/// The credentials of a destination that is not a receiver.
#[derive(Serialize, Deserialize)]
pub(super) struct CredentialsItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<AuthItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderItem>,
}

#[derive(Serialize, Deserialize)]
struct AuthItem {
    kind: AuthKindItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Base64.
    sealed: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthKindItem {
    Bearer,
    Basic,
    Header,
}

#[derive(Serialize, Deserialize)]
struct HeaderItem {
    name: String,
    /// Base64.
    sealed: String,
}

#[derive(Serialize, Deserialize)]
struct RetryItem {
    #[serde(rename = "d")]
    delays_seconds: Vec<u32>,
    #[serde(rename = "j")]
    jitter: f64,
}

impl From<&Receiver> for ReceiverItem {
    fn from(receiver: &Receiver) -> Self {
        let spec = receiver.profile.spec();
        let retry = Some(&receiver.retry).filter(|it| **it != spec.retry());
        let timeout_seconds = Some(receiver.timeout_seconds);
        let CredentialsItem { auth, headers } = (&receiver.credentials).into();
        Self {
            url: receiver.url.clone(),
            profile: (receiver.profile != Profile::Standard).then(|| spec.name.to_owned()),
            timeout_seconds: timeout_seconds.filter(|it| *it != spec.timeout_seconds),
            retry: retry.map(|it| RetryItem {
                delays_seconds: it.delays_seconds.clone(),
                jitter: it.jitter,
            }),
            auth,
            body: receiver.body.map(|it| it.spec().name.to_owned()),
            signature: receiver.signature.map(|it| it.spec().name.to_owned()),
            headers,
        }
    }
}

impl ReceiverItem {
    /// The receiver, or `None` if only a newer version knows its profile.
    pub(crate) fn read(self) -> Option<Receiver> {
        let profile = self.profile.map_or(Some(Profile::Standard), |it| Profile::parse(&it))?;
        let spec = profile.spec();
        let own_retry = self
            .retry
            .map(|RetryItem { delays_seconds, jitter }| RetryPolicy { delays_seconds, jitter });
        let credentials = CredentialsItem { auth: self.auth, headers: self.headers }.read()?;
        Some(Receiver {
            url: self.url,
            profile,
            timeout_seconds: self.timeout_seconds.unwrap_or(spec.timeout_seconds),
            retry: own_retry.unwrap_or_else(|| spec.retry()),
            body: self.body.map(|it| Profile::parse(&it).ok_or(())).transpose().ok()?,
            signature: self.signature.map(|it| Profile::parse(&it).ok_or(())).transpose().ok()?,
            credentials,
        })
    }
}

impl From<&Credentials> for CredentialsItem {
    fn from(credentials: &Credentials) -> Self {
        Self {
            auth: credentials.auth.as_ref().map(AuthItem::from),
            headers: credentials.headers.iter().map(HeaderItem::from).collect(),
        }
    }
}

impl CredentialsItem {
    /// The credentials, or `None` if they are malformed.
    pub(super) fn read(self) -> Option<Credentials> {
        let auth = match self.auth {
            Some(auth) => Some(auth.read()?),
            None => None,
        };
        let headers: Option<_> = self.headers.into_iter().map(HeaderItem::read).collect();
        Some(Credentials { auth, headers: headers? })
    }
}

impl From<&Auth> for AuthItem {
    fn from(auth: &Auth) -> Self {
        let (kind, name) = match &auth.kind {
            AuthKind::Bearer => (AuthKindItem::Bearer, None),
            AuthKind::Basic => (AuthKindItem::Basic, None),
            AuthKind::Header(name) => (AuthKindItem::Header, Some(name.clone())),
        };
        Self { kind, name, sealed: STANDARD.encode(&auth.value.0) }
    }
}

impl AuthItem {
    fn read(self) -> Option<Auth> {
        let kind = match self.kind {
            AuthKindItem::Bearer => AuthKind::Bearer,
            AuthKindItem::Basic => AuthKind::Basic,
            AuthKindItem::Header => AuthKind::Header(self.name?),
        };
        Some(Auth { kind, value: sealed(&self.sealed)? })
    }
}

impl From<&SealedHeader> for HeaderItem {
    fn from(header: &SealedHeader) -> Self {
        Self { name: header.name.clone(), sealed: STANDARD.encode(&header.value.0) }
    }
}

impl HeaderItem {
    fn read(self) -> Option<SealedHeader> {
        Some(SealedHeader { name: self.name, value: sealed(&self.sealed)? })
    }
}

/// The sealed text in this base64.
pub(super) fn sealed(text: &str) -> Option<Sealed> {
    STANDARD.decode(text).ok().map(Sealed)
}
