//! A receiver: the HTTP server that callbacks go to, and what it expects.

use crate::domain::{Profile, profile::Spec, retry::RetryPolicy, secret::Sealed};

/// A receiver of the sender's choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its URL. It was checked when it was submitted, and is checked again before every attempt.
    pub url: String,
    /// Its profile.
    pub profile: Profile,
    /// The time limit of one attempt.
    pub timeout_seconds: u32,
    /// The retries of a failed attempt.
    pub retry: RetryPolicy,
    /// The profile that the body follows, if it is another one.
    pub body: Option<Profile>,
    /// The profile that the signature follows, if it is another one.
    pub signature: Option<Profile>,
    /// Headers that are sent in addition to ours, and authorize us.
    pub credentials: Credentials,
}

/// Headers that are sent in addition to ours. Some are passwords, so all values are sealed: they can
/// be written, but not read by anybody except a worker that sends them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The authorization.
    pub auth: Option<Auth>,
    /// Other headers.
    pub headers: Vec<SealedHeader>,
}

/// An authorization: one header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Its kind.
    pub kind: AuthKind,
    /// The value of the header, sealed.
    pub value: Sealed,
}

/// The kind of an authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …` (RFC 7617).
    Basic,
    /// A header with this name, in lower case.
    Header(String),
}

/// A header whose value is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    /// Its name, in lower case.
    pub name: String,
    /// Its value.
    pub value: Sealed,
}

impl Receiver {
    /// The receiver at `url`, with the timeout and retries of its profile.
    pub fn of(url: impl Into<String>, profile: Profile) -> Self {
        let spec = profile.spec();
        Self {
            url: url.into(),
            profile,
            timeout_seconds: spec.timeout_seconds,
            retry: spec.retry(),
            body: None,
            signature: None,
            credentials: Credentials::default(),
        }
    }

    /// The receiver without credentials. The delivery of a webhook does not store these: each attempt
    /// reads them from the webhook.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        Self { credentials: Credentials::default(), ..self.clone() }
    }

    /// The rules for its callbacks: those of its profile, with the other body and signature.
    pub fn spec(&self) -> Spec {
        let usual = *self.profile.spec();
        let body = self.body.map_or(usual, |it| *it.spec());
        let signature = self.signature.map_or(usual, |it| *it.spec());
        Spec {
            body: body.body,
            event_names: body.event_names,
            signature: signature.signature,
            ..usual
        }
    }
}

impl AuthKind {
    /// The name of the header.
    pub fn header(&self) -> &str {
        match self {
            Self::Bearer | Self::Basic => "authorization",
            Self::Header(name) => name,
        }
    }
}
