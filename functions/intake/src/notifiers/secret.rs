//! Write-only members of settings.

use answerback::{
    api::{Problem, body::Object, views::MASK},
    domain::{
        limits::{BEARER_TOKEN_CHARS_MAX, CREDENTIAL_CHARS_MAX, NTFY_TOPIC_CHARS_MAX},
        secret::{Holder, Sealed},
    },
};
use secrecy::SecretString;

use crate::App;

/// A write-only member.
pub(super) enum Secret {
    /// A new value.
    New(SecretString),
    /// The stored value.
    Kept(Sealed),
}

impl Secret {
    /// Reads the member called `name`. Without one, the stored value stays.
    pub(super) fn read(
        settings: &mut Object<'_>,
        name: &str,
        rule: SecretRule,
        kept: Option<&Sealed>,
    ) -> Option<Self> {
        if !settings.has(name) {
            // Null is absent.
            drop(settings.any(name));
            return kept.cloned().map(Self::Kept);
        }
        let text = settings.text(name, 1..=rule.chars_max)?;
        if text == MASK {
            settings.error(name, "is the mask of a stored value; leave it out to keep the value");
        } else if !text.chars().all(rule.is_allowed) {
            settings.error(name, rule.detail);
        }
        Some(Self::New(text.into()))
    }

    pub(super) async fn seal(self, app: &App, holder: &Holder) -> Result<Sealed, Problem> {
        match self {
            Self::New(text) => Ok(app.core.vault.seal_credential(holder, &text).await?),
            Self::Kept(sealed) => Ok(sealed),
        }
    }
}

/// The form of a write-only member.
#[derive(Clone, Copy)]
pub(super) struct SecretRule {
    chars_max: usize,
    is_allowed: fn(char) -> bool,
    detail: &'static str,
}

/// A password.
pub(super) const PASSWORD: SecretRule = SecretRule {
    chars_max: CREDENTIAL_CHARS_MAX,
    is_allowed: |it| !it.is_control(),
    detail: "must not contain control characters",
};

/// A token in a header.
pub(super) const TOKEN: SecretRule = SecretRule {
    chars_max: BEARER_TOKEN_CHARS_MAX,
    is_allowed: |it| it.is_ascii_graphic(),
    detail: "must be ASCII without spaces",
};

/// A topic of ntfy.
pub(super) const TOPIC: SecretRule = SecretRule {
    chars_max: NTFY_TOPIC_CHARS_MAX,
    is_allowed: |it| it.is_ascii_alphanumeric() || it == '-' || it == '_',
    detail: "must consist of A-Z, a-z, 0-9, - and _",
};
