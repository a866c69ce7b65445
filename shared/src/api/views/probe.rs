//! The result of probing a receiver at submission.

use serde::Serialize;

use crate::domain::attempt::ErrorKind;

/// The result of a probe, for the client that submitted the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeView {
    /// `None`: the receiver was not called.
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl ProbeView {
    /// The receiver responded.
    pub const OK: Self = Self { ok: Some(true), kind: None };
    /// The account's probes of this minute are used up.
    pub const RATE_LIMITED: Self = Self { ok: None, kind: Some("rate_limited") };

    /// The probe failed in this way.
    pub fn failed(kind: ErrorKind) -> Self {
        Self { ok: Some(false), kind: Some(kind.as_str()) }
    }
}
