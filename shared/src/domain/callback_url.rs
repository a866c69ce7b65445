//! Where a callback may go, as far as the URL alone tells.
//!
//! A URL that two programs read differently is how one of them is tricked, so what is written in
//! any way but the plain one is refused, not repaired. The order is from the text to its meaning:
//!
//! ```text
//! text       length, characters, https, two slashes, no fragment
//! authority  no user info, no percent sign
//! parsed     by `url`, which will connect, and by `http::Uri`; both see one host and one port
//! host       as written: a public address, or a name for the public Internet and none of ours
//! port       443, or one that belongs to nobody else
//! ```
//!
//! That a name leads to public addresses only is asked again at every attempt, by
//! `egress`: a name that was fine at submission may lead elsewhere an hour later.

use std::{fmt, net::IpAddr};

use http::Uri;
use url::{Host, Url};

pub use error::CallbackUrlError;
pub use rules::CallbackRules;

mod error;
mod rules;

/// What browsers and proxies still carry without cutting it.
pub const URL_BYTES_MAX: usize = 2_048;

/// A URL that a callback may be sent to, in its normal form: the one that is called.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl(Url);

impl CallbackUrl {
    /// Reads a URL, and refuses one that breaks a rule.
    pub fn parse(text: &str, rules: &CallbackRules) -> Result<Self, CallbackUrlError> {
        check_text(text, rules)?;
        let url = Url::parse(text).map_err(|_| CallbackUrlError::Syntax)?;
        let uri: Uri = text.parse().map_err(|_| CallbackUrlError::Syntax)?;
        // The normal form may be the longer one, and it is what will be read again.
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(CallbackUrlError::Length);
        }
        let host = url.host().ok_or(CallbackUrlError::Syntax)?;
        // `uri` has the host as written, so that they agree means that it was canonical.
        if !uri.host().is_some_and(|written| written.eq_ignore_ascii_case(&host.to_string())) {
            return Err(CallbackUrlError::HostForm);
        }
        // `uri` knows no port but the one written.
        let known = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        if url.port_or_known_default() != Some(uri.port_u16().unwrap_or(known)) {
            return Err(CallbackUrlError::PortForm);
        }
        match host {
            Host::Domain(name) => rules.check_name(name)?,
            Host::Ipv4(address) => rules.check_address(address.into())?,
            Host::Ipv6(address) => rules.check_address(address.into())?,
        }
        let url = Self(url);
        rules.check_port(url.port(), url.is_https())?;
        Ok(url)
    }

    /// The URL as text. Its path may hold a secret of the receiver's.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host in its canonical form; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().expect("checked when it was parsed")
    }

    /// The port, written or known from the scheme.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http and https have one")
    }

    /// Whether it is `https`, as all are but in development.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address, if that is what the host is.
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}/…", self.0.scheme(), self.host(), self.port())
    }
}

/// The rules about the text, which a parser would rather repair than report.
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
        "http" if rules.development => {}
        _ => return Err(CallbackUrlError::Scheme),
    }
    let rest = rest.strip_prefix("//").ok_or(CallbackUrlError::Slashes)?;
    if rest.starts_with('/') {
        return Err(CallbackUrlError::Slashes);
    }
    if rest.contains('#') {
        return Err(CallbackUrlError::Fragment);
    }
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(CallbackUrlError::UserInfo);
    }
    if authority.contains('%') {
        return Err(CallbackUrlError::PercentInAuthority);
    }
    Ok(())
}

/// RFC 3986, section 2: unreserved and reserved characters, and whole percent-encoded bytes.
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
