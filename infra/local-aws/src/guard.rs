//! Keeps web pages away from servers on a developer's machine.
//!
//! A page of any site can send requests to loopback. Browsers say so in headers that a page cannot
//! set (Fetch Metadata, `Origin`), and name the site in `Host` if its DNS name was made to point
//! here (DNS rebinding). Programs send none of these headers, apart from an honest `Host`.
//!
//! | request | is |
//! |---------|----|
//! | `Host` is neither a loopback name nor the address that the server listens on | refused |
//! | a link that a person follows, from any site | allowed: it is a GET, and the page cannot read it |
//! | `Sec-Fetch-Site` is `cross-site` or `same-site` | refused |
//! | `Origin` is not the server itself | refused |

use std::net::{IpAddr, SocketAddr};

use axum::http::{
    HeaderMap, Method, StatusCode,
    header::{HOST, ORIGIN},
    uri::Authority,
};

/// Checks the requests to one server.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// The address that the server listens on.
    listening: IpAddr,
}

/// The pages whose requests a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// The server's own pages.
    Own,
    /// Pages of every site.
    All,
}

/// A refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client used another name than those of this machine.
    #[error("Host must be localhost or the address that this server listens on")]
    Host,
    /// A page of another site sent it.
    #[error("web pages of other sites may not call this server")]
    Page,
}

impl Refusal {
    /// The status of the response.
    pub const STATUS: StatusCode = StatusCode::FORBIDDEN;
}

impl Guard {
    /// The guard of a server that listens at `listening`.
    pub fn new(listening: SocketAddr) -> Self {
        Self { listening: listening.ip() }
    }

    /// Refuses a request that a page of another site sent, unless `pages` allows it.
    pub fn check(self, method: &Method, headers: &HeaderMap, pages: Pages) -> Result<(), Refusal> {
        let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or("?"));
        let host = text(HOST.as_str()).and_then(|it| it.parse::<Authority>().ok());
        let host = host.filter(|it| self.is_own(it.host())).ok_or(Refusal::Host)?;
        if pages == Pages::All {
            return Ok(());
        }
        let site = text("sec-fetch-site");
        let is_link = text("sec-fetch-mode") == Some("navigate")
            && text("sec-fetch-dest") == Some("document")
            && [Method::GET, Method::HEAD].contains(method);
        match (site, text(ORIGIN.as_str())) {
            (Some("cross-site" | "same-site"), None) if is_link => Ok(()),
            (Some(site), _) if !["same-origin", "none"].contains(&site) => Err(Refusal::Page),
            // `null` comes from a form on a page that sends no referrer.
            (_, None) | (Some("same-origin"), Some("null")) => Ok(()),
            (_, Some(origin)) if origin == format!("http://{host}") => Ok(()),
            (_, Some(_)) => Err(Refusal::Page),
        }
    }

    /// True for names of this machine that no DNS server decides about.
    fn is_own(self, host: &str) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        // A server on all addresses is called by any of them.
        address.is_ok_and(|it| {
            it.is_loopback() || it == self.listening || self.listening.is_unspecified()
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn checked(
        listening: &str,
        method: &Method,
        headers: &[(&'static str, &'static str)],
    ) -> Result<(), Refusal> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let guard = Guard::new(format!("{listening}:80").parse().expect("an address"));
        guard.check(method, &headers.collect(), Pages::Own)
    }

    #[test]
    fn host_must_be_a_name_of_this_machine() {
        let check = |listening, host| checked(listening, &Method::GET, &[("host", host)]);
        for host in [
            "127.0.0.1:8787",
            "localhost",
            "LOCALHOST.:1",
            "a.localhost:8",
            "[::1]:8787",
            "127.9.9.9",
        ] {
            assert_eq!(check("127.0.0.1", host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8787",
            "172.17.0.1",
            "169.254.169.254",
            "[::]",
            "a b",
            "",
        ] {
            assert_eq!(check("127.0.0.1", host), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check("172.17.0.1", "172.17.0.1:9"), Ok(()));
        assert_eq!(check("0.0.0.0", "172.17.0.1:9"), Ok(()));
        assert_eq!(check("0.0.0.0", "evil.example"), Err(Refusal::Host));
        assert_eq!(checked("127.0.0.1", &Method::GET, &[]), Err(Refusal::Host));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let check = |method: &Method, headers: &[(&'static str, &'static str)]| {
            let host = [("host", "localhost:8787")];
            checked("127.0.0.1", method, &[&host[..], headers].concat())
        };
        let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        for headers in [
            &[][..],
            &[("origin", "http://localhost:8787")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), link[0], link[1]],
        ] {
            assert_eq!(check(&Method::POST, headers), Ok(()), "{headers:?}");
        }
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "http://localhost:3000")],
            &[("origin", "https://localhost:8787")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), link[0], link[1]],
            &[("sec-fetch-site", "something-new")],
            &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(check(&Method::POST, headers), Err(Refusal::Page), "{headers:?}");
        }
        let followed = [("sec-fetch-site", "cross-site"), link[0], link[1]];
        assert_eq!(check(&Method::GET, &followed), Ok(()));
        let framed = [followed[0], link[0], ("sec-fetch-dest", "iframe")];
        assert_eq!(check(&Method::GET, &framed), Err(Refusal::Page));
        assert_eq!(check(&Method::GET, &followed[..1]), Err(Refusal::Page));
    }
}
