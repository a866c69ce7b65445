//! A receiver: the HTTP server that callbacks go to, and what it expects.

use std::fmt;

use crate::domain::{Profile, profile::Spec, retry::RetryPolicy};

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
    /// Sent as `Authorization: Bearer …`.
    pub bearer_token: Option<BearerToken>,
    /// The profile that the body follows, if it is another one.
    pub body: Option<Profile>,
    /// The profile that the signature follows, if it is another one.
    pub signature: Option<Profile>,
    /// Headers that are sent in addition to ours.
    pub headers: Headers,
}

/// Headers that are sent in addition to ours, by name. Some values are passwords, so values cannot
/// be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

/// A receiver's bearer token. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(pub String);

impl Receiver {
    /// The receiver at `url`, with the timeout and retries of its profile.
    pub fn of(url: impl Into<String>, profile: Profile) -> Self {
        let spec = profile.spec();
        Self {
            url: url.into(),
            profile,
            timeout_seconds: spec.timeout_seconds,
            retry: spec.retry(),
            bearer_token: None,
            body: None,
            signature: None,
            headers: Headers::default(),
        }
    }

    /// The receiver without token and headers. A delivery does not store these: each attempt reads
    /// them from the request or webhook.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self { bearer_token: None, headers: Headers::default(), ..self.clone() }
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

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}
