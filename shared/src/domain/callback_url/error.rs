//! The reasons why a URL is refused, in words for the client that sent it.

use std::net::IpAddr;

use super::URL_BYTES_MAX;

/// The rule that a URL breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackUrlError {
    /// It is too long.
    #[error("it must not be longer than {URL_BYTES_MAX} characters")]
    Length,
    /// It has a character that a URL must not have, or an incomplete escape.
    #[error("it must consist of the characters that RFC 3986 allows, with others percent-encoded")]
    Characters,
    /// It is not `https`.
    #[error("it must begin with https://")]
    Scheme,
    /// There are too few or too many slashes before the host.
    #[error("it must have exactly two slashes before the host")]
    Slashes,
    /// It has a fragment, which no server would see.
    #[error("it must not have a fragment")]
    Fragment,
    /// It has a user name or a password.
    #[error("it must not have user information before the host")]
    UserInfo,
    /// The host or port is percent-encoded.
    #[error("it must not have a percent sign in host or port")]
    PercentInAuthority,
    /// It is malformed, or has no host.
    #[error("it must be a well-formed URL with a host")]
    Syntax,
    /// The host is written in an unusual form, such as a decimal address.
    #[error("its host must be written in the canonical form")]
    HostForm,
    /// The port is written in an unusual form, or two parsers read different ports.
    #[error("its port must be a number without leading zeros")]
    PortForm,
    /// Servers and proxies read the path differently.
    #[error("its path must be in normal form, without the segments . and ..")]
    PathForm,
    /// The host is not the full name of a public server.
    #[error(
        "its host name must have at least two labels of letters, digits and hyphens, the last one \
         not numeric, and no trailing dot"
    )]
    HostName,
    /// The name is reserved for local or special use.
    #[error("its host name is reserved for local or special use")]
    SpecialName,
    /// The name is the API's own.
    #[error("its host must not be this API's own")]
    OwnHost,
    /// The address is not public.
    #[error("{0} is not a public address")]
    Address(IpAddr),
    /// The port belongs to another protocol.
    #[error("its port must be 443, or 1024 or above and not in use by another protocol")]
    Port,
}
