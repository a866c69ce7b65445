//! Changes of credentials. They never go to another server than the one that they were set for.

use answerback::domain::delivery::Credentials;
use serde_json::{Map, Value};

use super::NewCredentials;

/// A change of credentials.
#[derive(Clone)]
pub(crate) struct CredentialsUpdate {
    /// The credentials that are set.
    pub(crate) new: NewCredentials,
    keeps_auth: bool,
    kept_headers: KeptHeaders,
}

/// The earlier headers that remain, unless they are set again.
#[derive(Clone)]
enum KeptHeaders {
    None,
    AllExcept(Vec<String>),
}

/// The credentials before a change, and the URL that they are for.
#[derive(Clone, Copy)]
pub(crate) struct Previous<'a> {
    pub(crate) url: &'a str,
    pub(crate) credentials: &'a Credentials,
}

impl CredentialsUpdate {
    /// All of the credentials are replaced.
    pub(crate) fn replacing(new: NewCredentials) -> Self {
        Self { new, keeps_auth: false, kept_headers: KeptHeaders::None }
    }

    /// The same change with these new credentials.
    pub(crate) fn with(self, new: NewCredentials) -> Self {
        Self { new, ..self }
    }

    /// What `patch` keeps, with no new credentials. Takes the names that it removes out of it.
    pub(crate) fn of_patch(patch: &mut Map<String, Value>) -> Self {
        let keeps_auth = !patch.get("auth").is_some_and(Value::is_null);
        let kept_headers = match patch.get_mut("headers") {
            Some(Value::Null) => KeptHeaders::None,
            Some(Value::Object(headers)) => {
                let removed = headers.iter().filter(|it| it.1.is_null());
                let removed = removed.map(|it| it.0.to_ascii_lowercase()).collect();
                headers.retain(|_, value| !value.is_null());
                KeptHeaders::AllExcept(removed)
            }
            _ => KeptHeaders::AllExcept(Vec::new()),
        };
        Self { new: NewCredentials::default(), keeps_auth, kept_headers }
    }

    /// The credentials of the receiver at `url` after the update, of which `new` are new. It keeps
    /// none of those for another scheme, host or port.
    pub(crate) fn apply(&self, before: Previous<'_>, url: &str, new: &Credentials) -> Credentials {
        if origin(before.url) != origin(url) {
            return new.clone();
        }
        let mut after = new.clone();
        if self.keeps_auth && after.auth.is_none() {
            after.auth.clone_from(&before.credentials.auth);
        }
        if let KeptHeaders::AllExcept(removed) = &self.kept_headers {
            let is_set = |name: &str| new.headers.iter().any(|it| it.name == name);
            let kept = before.credentials.headers.iter();
            let kept = kept.filter(|it| !removed.contains(&it.name) && !is_set(&it.name));
            after.headers.extend(kept.cloned());
            after.headers.sort_by(|one, other| one.name.cmp(&other.name));
        }
        after
    }
}

/// The scheme, host and port of a URL.
pub(crate) fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |it| it + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |it| start + it);
    &url[..end]
}
