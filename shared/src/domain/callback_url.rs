//! Callback URLs: the checks of the URL itself.
//!
//! An attacker gains from a URL that two programs read differently. So a URL in any unusual form is
//! refused, and never repaired. The checks go from the text to its meaning:
//!
//! ```text
//! text       length, characters, https, two slashes, no fragment
//! authority  no user info, no percent sign
//! parsed     by `url`, which names the host, and by `http::Uri`: both see the same host and port
//! path       path and query as written: `url` has nothing to repair
//! host       a public address, or a name on the public Internet that is not this API's own
//! port       443, or from 1024 on without those of other protocols
//! ```
//!
//! `egress` checks the addresses of a name, before every attempt: a name that was fine at submission
//! may lead elsewhere an hour later.

use std::{fmt, net::IpAddr};

use http::Uri;
use url::{Host, Url};

pub use error::CallbackUrlError;
pub use rules::CallbackRules;

mod error;
mod rules;

/// Longest URL. Browsers and proxies do not cut URLs of this length.
pub const URL_BYTES_MAX: usize = 2_048;

/// A URL that callbacks may be sent to. It is called as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    written: String,
    parsed: Url,
}

impl CallbackUrl {
    /// Parses a URL, and refuses one that breaks a rule.
    pub fn parse(text: &str, rules: &CallbackRules) -> Result<Self, CallbackUrlError> {
        check_text(text, rules)?;
        let url = Url::parse(text).map_err(|_| CallbackUrlError::Syntax)?;
        let uri: Uri = text.parse().map_err(|_| CallbackUrlError::Syntax)?;
        let host = url.host().ok_or(CallbackUrlError::Syntax)?;
        // `uri` keeps the host as written, so both agree only if the host is canonical.
        if !uri.host().is_some_and(|written| written.eq_ignore_ascii_case(&host.to_string())) {
            return Err(CallbackUrlError::HostForm);
        }
        check_port_form(authority(text))?;
        // `uri` has a port only if it is written.
        let known = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        if url.port_or_known_default() != Some(uri.port_u16().unwrap_or(known)) {
            return Err(CallbackUrlError::PortForm);
        }
        match host {
            Host::Domain(name) => rules.check_name(name)?,
            Host::Ipv4(address) => rules.check_address(address.into())?,
            Host::Ipv6(address) => rules.check_address(address.into())?,
        }
        let url = Self { written: text.to_owned(), parsed: url };
        url.check_path_form()?;
        rules.check_port(&url)?;
        Ok(url)
    }

    /// The URL as it was written. Its path may contain a secret of the receiver.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The path and query as they were written: the target of an HTTP request (RFC 9112, section
    /// 3.2.1).
    pub fn target(&self) -> String {
        let target = after_authority(&self.written);
        if target.starts_with('/') { target.to_owned() } else { format!("/{target}") }
    }

    /// The host in its canonical form. An IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        self.parsed.host_str().expect("checked when it was parsed")
    }

    /// The port, as written or from the scheme.
    pub fn port(&self) -> u16 {
        self.parsed.port_or_known_default().expect("http and https have one")
    }

    /// The scheme is `https`. It always is, except in development.
    pub fn is_https(&self) -> bool {
        self.parsed.scheme() == "https"
    }

    /// Refuses a path or query that the parser changes: the HTTP client would call another URL than the
    /// one that was submitted, and servers and proxies disagree about `..`.
    fn check_path_form(&self) -> Result<(), CallbackUrlError> {
        let target = self.target();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        if self.parsed.path() != path {
            return Err(CallbackUrlError::PathForm);
        }
        if self.parsed.query() != query {
            return Err(CallbackUrlError::QueryForm);
        }
        Ok(())
    }

    /// The address, if the host is one.
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.parsed.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}/…", self.parsed.scheme(), self.host(), self.port())
    }
}

/// Checks the text. A parser would repair these faults instead of reporting them.
fn check_text(text: &str, rules: &CallbackRules) -> Result<(), CallbackUrlError> {
    if text.len() > URL_BYTES_MAX {
        return Err(CallbackUrlError::Length);
    }
    if !has_only_uri_characters(text) {
        return Err(CallbackUrlError::Characters);
    }
    let (scheme, rest) = text.split_once(':').ok_or(CallbackUrlError::Scheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" => {}
        "http" if rules.is_development => {}
        _ => return Err(CallbackUrlError::Scheme),
    }
    let rest = rest.strip_prefix("//").ok_or(CallbackUrlError::Slashes)?;
    if rest.starts_with('/') {
        return Err(CallbackUrlError::Slashes);
    }
    if rest.contains('#') {
        return Err(CallbackUrlError::Fragment);
    }
    let authority = authority(text);
    if authority.contains('@') {
        return Err(CallbackUrlError::UserInfo);
    }
    if authority.contains('%') {
        return Err(CallbackUrlError::PercentInAuthority);
    }
    Ok(())
}

/// The host and port as written, with all else before the path.
fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// The path and query as written.
fn after_authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    &rest[authority(text).len()..]
}

/// Refuses a port that is empty or begins with a zero.
fn check_port_form(authority: &str) -> Result<(), CallbackUrlError> {
    // The colons of an IPv6 address are in brackets.
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    match after_host.rsplit_once(':') {
        Some((_, port)) if port.is_empty() || (port.len() > 1 && port.starts_with('0')) => {
            Err(CallbackUrlError::PortForm)
        }
        _ => Ok(()),
    }
}

/// RFC 3986, section 2: unreserved and reserved characters, and complete escapes.
fn has_only_uri_characters(text: &str) -> bool {
    let escapes_are_whole = text
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    escapes_are_whole
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte))
}

#[cfg(test)]
mod tests;
