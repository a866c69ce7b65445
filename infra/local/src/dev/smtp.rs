//! The address of an SMTP server for development, which takes every mail and delivers none.

use std::str::FromStr;

/// An SMTP server without TLS and without a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpCatcher {
    /// Its name or IP address, an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A text is not `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be HOST:PORT, such as localhost:1025")]
pub struct NotAnSmtpCatcher;

impl FromStr for SmtpCatcher {
    type Err = NotAnSmtpCatcher;

    fn from_str(text: &str) -> Result<Self, NotAnSmtpCatcher> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnSmtpCatcher)?;
        let port = port.parse().ok().filter(|it| *it != 0).ok_or(NotAnSmtpCatcher)?;
        let host = url::Host::parse(host).map_err(|_| NotAnSmtpCatcher)?;
        let host = match host {
            url::Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catcher_has_a_host_and_a_port() {
        let of = |text: &str| text.parse::<SmtpCatcher>();
        let catcher = |host: &str, port| Ok(SmtpCatcher { host: host.to_owned(), port });
        assert_eq!(of("localhost:1025"), catcher("localhost", 1025));
        assert_eq!(of("127.0.0.1:25"), catcher("127.0.0.1", 25));
        assert_eq!(of("[::1]:1025"), catcher("::1", 1025));
        for bad in
            ["", "localhost", ":25", "localhost:", "localhost:0", "a b:25", "::1:25", "a@b:1"]
        {
            assert_eq!(of(bad), Err(NotAnSmtpCatcher), "{bad}");
        }
    }
}
