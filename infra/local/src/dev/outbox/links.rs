//! Links in mails: all of them for programs, and those to this stack for people to follow.

use std::borrow::Cow;

use linkify::{LinkFinder, LinkKind};
use url::{Host, Url};

/// Links that are listed of one mail.
const LINKS_MAX: usize = 1_000;
/// Character references in links that templates write.
const REFERENCES: [(&str, &str); 8] = [
    ("&#38;", "&"),
    ("&#x26;", "&"),
    ("&#34;", "\""),
    ("&#39;", "'"),
    ("&#61;", "="),
    ("&#x3D;", "="),
    ("&quot;", "\""),
    // Last: the text of a reference is no reference.
    ("&amp;", "&"),
];

/// The origin of this stack, under any name of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    port: Option<u16>,
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// True if it is a link to this stack.
    pub(super) is_link: bool,
}

impl Origin {
    /// The origin of a URL.
    pub(super) fn of(base_url: &str) -> Self {
        Self { port: Url::parse(base_url).ok().and_then(|it| it.port_or_known_default()) }
    }

    /// Splits a text into links to this stack and the rest.
    pub(super) fn pieces(self, text: &str) -> Vec<Piece<'_>> {
        let spans = finder().spans(text);
        spans.map(|it| Piece { text: it.as_str(), is_link: self.is_own(it.as_str()) }).collect()
    }

    fn is_own(self, text: &str) -> bool {
        let Some(url) = web_url(text) else { return false };
        let is_local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            // The stack listens on no IPv6 address.
            Some(Host::Ipv6(_)) | None => false,
        };
        is_local && url.username().is_empty() && url.port_or_known_default() == self.port
    }
}

/// The http and https links of a mail's parts, in order, without duplicates.
pub(super) fn of(text: Option<&str>, html: Option<&str>) -> Vec<String> {
    let in_text = text
        .into_iter()
        .flat_map(|text| finder().links(text).map(|it| it.as_str().to_owned()).collect::<Vec<_>>());
    let in_html = html.into_iter().flat_map(hrefs).map(Cow::into_owned);
    let mut links = Vec::new();
    for link in in_text.chain(in_html).filter(|it| web_url(it).is_some()) {
        if links.len() < LINKS_MAX && !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

fn finder() -> LinkFinder {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    finder
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|it| ["http", "https"].contains(&it.scheme()))
}

/// The quoted values after `href=`.
fn hrefs(html: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let (_, value) = rest.split_once("href=")?;
            rest = value;
            let Some(quote) = value.chars().next().filter(|it| "\"'".contains(*it)) else {
                continue;
            };
            if let Some((value, after)) = value[1..].split_once(quote) {
                rest = after;
                return Some(unescaped(value));
            }
        }
    })
}

fn unescaped(value: &str) -> Cow<'_, str> {
    let replace = |text: Cow<'_, str>, (reference, character): &(&str, &str)| {
        text.replace(reference, character).into()
    };
    if value.contains('&') {
        let text = REFERENCES.iter().fold(Cow::Borrowed(value), replace);
        return Cow::Owned(text.into_owned());
    }
    Cow::Borrowed(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_this_stack_are_followed() {
        let origin = Origin::of("http://127.0.0.1:8787");
        let followed = |text: &str| {
            let pieces = origin.pieces(text);
            let whole: String = pieces.iter().map(|it| it.text).collect();
            assert_eq!(whole, text);
            let links = pieces.iter().filter(|it| it.is_link);
            links.map(|it| it.text.to_owned()).collect::<Vec<_>>()
        };
        let text = "Go: http://127.0.0.1:8787/a/x?option=yes. Or <http://localhost:8787/a/y>\n\
                    (https://LOCALHOST:8787/z), http://app.localhost:8787/";
        let own = [
            "http://127.0.0.1:8787/a/x?option=yes",
            "http://localhost:8787/a/y",
            "https://LOCALHOST:8787/z",
            "http://app.localhost:8787/",
        ];
        assert_eq!(followed(text), own);
        for other in [
            "https://evil.example/a/x",
            "http://127.0.0.1:8788/",
            "http://127.0.0.1.evil.example:8787/",
            "http://127.0.0.1:8787@evil.example/",
            "http://evil@127.0.0.1:8787/",
            "http://192.168.0.1:8787/",
            "http://[::1]:8787/",
            "javascript:alert(1)//http",
            "ftp://127.0.0.1:8787/",
            "data:text/html,x",
        ] {
            assert_eq!(followed(other), [""; 0], "{other}");
        }
    }

    #[test]
    fn web_links_of_both_parts_are_listed_once() {
        let text = "See https://a.example/1 and https://a.example/1, or mailto:b@c.example.";
        let html = "<a href=\"https://a.example/2?b=1&#38;c=2&amp;lt;\">x</a> <a href='https://a.example/1'>y</a>\
                    <a href=javascript:x>z</a><a href=\"javascript:alert(1)\">z</a><a href=\"http";
        let expected = ["https://a.example/1", "https://a.example/2?b=1&c=2&lt;"];
        assert_eq!(of(Some(text), Some(html)), expected);
        assert_eq!(of(None, None), [""; 0]);
    }
}
