//! The hosts and ports that a callback may name.

use std::net::IpAddr;

use super::{CallbackUrl, CallbackUrlError};
use crate::domain::address::is_public;

/// Longest host name (RFC 1035, section 2.3.4, without the root's length byte).
const NAME_BYTES_MAX: usize = 253;
/// Longest label of a host name (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Last labels without servers on the public Internet: IANA's registry of special-use domain names
/// (`arpa` covers all names below it), the private names of RFC 6762, appendix G, the names that
/// ICANN withholds because networks use them, and `localdomain` from old host files.
const SPECIAL_LAST_LABELS: [&str; 17] = [
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "test",
    "workgroup",
];

/// Ports from 1024 on that belong to other protocols: the Fetch standard's "bad ports", Redis
/// (6379), and the Lambda runtime's own API (9001).
const BLOCKED_PORTS: [u16; 21] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 9001, 10080,
];

/// The rules for callback URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackRules {
    /// Allows `http` and loopback addresses. For the local stack only.
    pub is_development: bool,
    /// The host name of this API, which must not be called.
    pub own_host: Option<String>,
}

impl CallbackRules {
    /// The rules of a deployed stack.
    pub fn strict() -> Self {
        Self { is_development: false, own_host: None }
    }

    /// The rules of a local stack, whose receivers listen on the same machine.
    pub fn development() -> Self {
        Self { is_development: true, own_host: None }
    }

    /// Connections to `address` are allowed.
    pub fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || (self.is_development && address.is_loopback())
    }

    pub(super) fn check_name(&self, name: &str) -> Result<(), CallbackUrlError> {
        if self.is_development && name == "localhost" {
            return Ok(());
        }
        let own = self.own_host.as_deref().map(str::to_ascii_lowercase);
        if own.is_some_and(|own| is_within(name, &own)) {
            return Err(CallbackUrlError::OwnHost);
        }
        let (_, last) = name.rsplit_once('.').ok_or(CallbackUrlError::HostName)?;
        let is_public_name = name.len() <= NAME_BYTES_MAX
            && name.split('.').all(is_label)
            && !last.bytes().all(|byte| byte.is_ascii_digit());
        if !is_public_name {
            return Err(CallbackUrlError::HostName);
        }
        if SPECIAL_LAST_LABELS.contains(&last) {
            return Err(CallbackUrlError::SpecialName);
        }
        Ok(())
    }

    pub(super) fn check_address(&self, address: IpAddr) -> Result<(), CallbackUrlError> {
        if self.allows(address) { Ok(()) } else { Err(CallbackUrlError::Address(address)) }
    }

    pub(super) fn check_port(&self, url: &CallbackUrl) -> Result<(), CallbackUrlError> {
        let is_allowed = match url.port() {
            0 => false,
            443 => true,
            _ if !url.is_https() => self.is_development,
            port => port >= 1_024 && !BLOCKED_PORTS.contains(&port),
        };
        if is_allowed { Ok(()) } else { Err(CallbackUrlError::Port) }
    }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `name` is `own` or a subdomain of it.
fn is_within(name: &str, own: &str) -> bool {
    name.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
