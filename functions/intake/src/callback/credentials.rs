//! Credentials: the authorization and the headers that a receiver wants in addition to ours.
//!
//! They can be set and replaced, but not read: they are sealed before they are stored.

use std::collections::BTreeMap;

use answerback::{
    api::{
        Problem,
        body::{DUPLICATED, Item, Member, Object},
    },
    domain::{
        Profile,
        delivery::{Auth, AuthKind, Credentials, SealedHeader},
        limits::{
            BEARER_TOKEN_CHARS_MAX, CREDENTIAL_CHARS_MAX, HEADER_NAME_CHARS_MAX,
            HEADER_VALUE_CHARS_MAX, HEADERS_MAX,
        },
        secret::Holder,
    },
};
use axum::http::{HeaderName, HeaderValue};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;

use crate::App;

/// Headers of one connection (RFC 9110, section 7.6.1), and headers that every delivery sets.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Prefix of the other headers that every delivery sets.
const RESERVED_PREFIX: &str = "answerback-";

/// Credentials as a caller sends them.
#[derive(Clone, Default)]
pub(crate) struct NewCredentials {
    auth: Option<NewAuth>,
    headers: Vec<NewHeader>,
}

#[derive(Clone)]
struct NewAuth {
    kind: AuthKind,
    value: SecretString,
}

#[derive(Clone)]
struct NewHeader {
    name: String,
    value: SecretString,
}

impl NewCredentials {
    /// Reads `auth` and `headers`. The names of headers are case-insensitive.
    pub(crate) fn read(settings: &mut Object<'_>) -> Self {
        let headers = headers(settings);
        let auth = settings.object("auth", auth).flatten();
        if let Some(auth) = &auth
            && headers.iter().any(|it| it.name == auth.kind.header())
        {
            settings.error("auth", "must not name a header that `headers` sets");
        }
        Self { auth, headers }
    }

    /// The credentials, sealed for `holder`.
    pub(crate) async fn seal(&self, app: &App, holder: &Holder) -> Result<Credentials, Problem> {
        let seal = async |text| app.core.vault.seal_credential(holder, text).await;
        let mut sealed = Credentials::default();
        if let Some(NewAuth { kind, value }) = &self.auth {
            sealed.auth = Some(Auth { kind: kind.clone(), value: seal(value).await? });
        }
        for NewHeader { name, value } in &self.headers {
            sealed.headers.push(SealedHeader { name: name.clone(), value: seal(value).await? });
        }
        Ok(sealed)
    }
}

fn headers(settings: &mut Object<'_>) -> Vec<NewHeader> {
    let Some(whole) = settings.item("headers") else { return Vec::new() };
    let members = whole.into_object().into_members();
    if members.len() > HEADERS_MAX {
        let n_headers = members.len();
        let detail = format!("must have at most {HEADERS_MAX} entries (got {n_headers})");
        settings.error("headers", detail);
        return Vec::new();
    }
    let mut headers = BTreeMap::new();
    for Member { name, item } in members {
        let name = name.to_ascii_lowercase();
        match check_name(&name).and_then(|()| value(&item)) {
            Ok(_) if headers.contains_key(&name) => item.error(DUPLICATED),
            Ok(value) => _ = headers.insert(name, value),
            Err(detail) => item.error(detail),
        }
    }
    headers.into_iter().map(|(name, value)| NewHeader { name, value: value.into() }).collect()
}

fn auth(auth: &mut Object<'_>) -> Option<NewAuth> {
    #[derive(Clone, Copy)]
    enum Type {
        Bearer,
        Basic,
        Header,
    }
    const TYPES: [(&str, Type); 3] =
        [("bearer", Type::Bearer), ("basic", Type::Basic), ("header", Type::Header)];
    auth.require("type");
    let (kind, value) = match auth.word("type", &TYPES)? {
        Type::Bearer => {
            let token = auth.required_text("token", 1..=BEARER_TOKEN_CHARS_MAX)?;
            if !token.bytes().all(|it| it.is_ascii_graphic()) {
                auth.error("token", "must be ASCII without spaces");
            }
            (AuthKind::Bearer, format!("Bearer {token}"))
        }
        Type::Basic => {
            let username = auth.required_text("username", 1..=CREDENTIAL_CHARS_MAX);
            let password = auth.required_text("password", 0..=CREDENTIAL_CHARS_MAX);
            let (username, password) = (username?, password?);
            if username.contains(':') {
                auth.error("username", "must not contain a colon");
            }
            for (name, text) in [("username", &username), ("password", &password)] {
                if text.chars().any(char::is_control) {
                    auth.error(name, "must not contain control characters");
                }
            }
            let pair = STANDARD.encode(format!("{username}:{password}"));
            (AuthKind::Basic, format!("Basic {pair}"))
        }
        Type::Header => {
            let name = auth.required_text("name", 1..=HEADER_NAME_CHARS_MAX);
            auth.require("value");
            let text = auth.item("value");
            let text = text.and_then(|it| value(&it).map_err(|detail| it.error(detail)).ok());
            let name = name?.to_ascii_lowercase();
            if let Err(detail) = check_name(&name) {
                auth.error("name", detail);
            }
            (AuthKind::Header(name), text?)
        }
    };
    Some(NewAuth { kind, value: value.into() })
}

/// Refuses names that are not a header's, or are set by us.
fn check_name(name: &str) -> Result<(), String> {
    if name.len() > HEADER_NAME_CHARS_MAX {
        return Err(format!("must be at most {HEADER_NAME_CHARS_MAX} characters"));
    }
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err("is not a header name".to_owned());
    }
    // Many servers pass headers on as variables, where `_` and `-` are one (RFC 3875, section 4.1.18).
    let name = &*name.replace('_', "-");
    if name == "authorization" {
        return Err("is reserved; set `auth`".to_owned());
    }
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) || Profile::reserves(name) {
        return Err("is reserved".to_owned());
    }
    Ok(())
}

/// The value of a header, or the rule that it breaks.
fn value(item: &Item<'_>) -> Result<String, String> {
    let is_value = |it: &&str| {
        it.len() <= HEADER_VALUE_CHARS_MAX
            && it.bytes().all(|it| (b' '..=b'~').contains(&it))
            && HeaderValue::from_str(it).is_ok()
    };
    item.value.as_str().filter(is_value).map(str::to_owned).ok_or_else(|| {
        format!("must be a string of at most {HEADER_VALUE_CHARS_MAX} printable ASCII characters")
    })
}
