//! The proxy in the environment, as the HTTP client reads it.

use answerback::platform::config::optional;
use anyhow::{Context as _, ensure};
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// The variables that may name the proxy for https. The first one counts.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Checks that the client can use the proxy for `server`. It would ignore or never reach another.
pub(super) fn check(server: &Url) -> anyhow::Result<()> {
    let except = match optional::<String>("NO_PROXY")? {
        Some(hosts) => Some(hosts),
        None => optional::<String>("no_proxy")?,
    };
    for name in VARIABLES {
        if let Some(proxy) = optional::<String>(name)? {
            let is_usable = is_usable(server, &proxy, except.as_deref().unwrap_or_default())?;
            // The value may have a password.
            ensure!(
                is_usable,
                "`{name}` must be an http:// or https:// proxy; no other works here"
            );
            return Ok(());
        }
    }
    Ok(())
}

/// True for a proxy that the client can use, or need not use.
fn is_usable(server: &Url, proxy: &str, except: &str) -> anyhow::Result<bool> {
    let server = server.as_str().parse().context("the base URL is malformed")?;
    let any = Matcher::builder().https("http://proxy").no(except).build();
    if any.intercept(&server).is_none() {
        return Ok(true);
    }
    let this = Matcher::builder().https(proxy).build().intercept(&server);
    Ok(this.is_some_and(|it| matches!(it.uri().scheme_str(), Some("http" | "https"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_of_http_and_hosts_without_proxy_are_usable() {
        let server = Url::parse("https://work.example.com/api").expect("a URL");
        for (proxy, except, expected) in [
            ("http://proxy.example.com:3128", "", true),
            ("https://ada:secret@proxy.example.com", "", true),
            ("proxy.example.com:3128", "", true),
            ("socks5://proxy.example.com", "", false),
            ("ftp://proxy.example.com", "", false),
            ("socks5://proxy.example.com", "localhost,example.com", true),
            ("socks5://proxy.example.com", "example.org", false),
        ] {
            let is_usable = is_usable(&server, proxy, except).expect("a URL");
            assert_eq!(is_usable, expected, "{proxy} {except}");
        }
    }
}
