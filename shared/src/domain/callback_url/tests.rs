//! Callback URLs of the corpus, and random ones.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const CORPUS: &str = include_str!("../../../../tests/corpora/ssrf/urls.jsonl");

#[derive(Deserialize)]
struct Row {
    url: String,
    expect: String,
    #[serde(default)]
    dns: Vec<IpAddr>,
}

#[track_caller]
fn check(text: &str, rules: &CallbackRules, expected: Result<&str, CallbackUrlError>) {
    let actual = CallbackUrl::parse(text, rules).map(|url| url.as_str().to_owned());
    assert_eq!(actual, expected.map(str::to_owned), "{text}");
}

#[track_caller]
fn check_strict(text: &str, expected: Result<&str, CallbackUrlError>) {
    check(text, &CallbackRules::strict(), expected);
}

#[track_caller]
fn check_development(text: &str, expected: Result<&str, CallbackUrlError>) {
    check(text, &CallbackRules::development(), expected);
}

#[test]
fn urls_of_the_corpus_are_judged_as_marked() {
    let rules = CallbackRules::strict();
    let mut n_rows = 0;
    for line in CORPUS.lines() {
        let row: Row = serde_json::from_str(line).expect("the corpus is well-formed");
        let verdict = match CallbackUrl::parse(&row.url, &rules) {
            Err(_) => "reject",
            Ok(_) if row.dns.iter().all(|address| rules.allows(*address)) => "accept",
            Ok(_) => "reject-at-dns",
        };
        assert_eq!(verdict, row.expect, "{}", row.url);
        n_rows += 1;
    }
    assert_eq!(n_rows, 295);
}

#[test]
fn accepted_url_is_called_as_it_was_written() {
    for (text, host, target) in [
        ("https://example.com", "example.com", "/"),
        ("https://example.com?a", "example.com", "/?a"),
        ("HTTPS://Hooks.Example.COM:443/A/B", "hooks.example.com", "/A/B"),
        ("https://example.com:8443/?q='%27", "example.com:8443", "/?q='%27"),
        ("https://example.com/a//b;c='d'?q='e'&//?", "example.com", "/a//b;c='d'?q='e'&//?"),
        ("https://8.8.8.8/%7e~", "8.8.8.8", "/%7e~"),
    ] {
        let url = CallbackUrl::parse(text, &CallbackRules::strict()).expect(text);
        assert_eq!(
            (url.as_str(), url.target(), url.host_and_port()),
            (text, target.to_owned(), host.to_owned())
        );
    }
}

#[test]
fn path_that_a_parser_would_change_is_refused() {
    for path in ["/a/../b", "/a/./b", "/..", "/.", "/a/%2e%2E/b", "/%2e", "/a/.%2e?x"] {
        check_strict(&format!("https://example.com{path}"), Err(CallbackUrlError::PathForm));
    }
    for path in ["/a..b", "/...", "/a?/../b", "/a%2fb", "/.well-known/x"] {
        let url = format!("https://example.com{path}");
        check_strict(&url, Ok(&url));
    }
}

#[test]
fn each_rule_about_the_text_refuses_a_url_that_breaks_it() {
    let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
    check_strict(&long, Err(CallbackUrlError::Length));
    check_strict("https://example.com/a b", Err(CallbackUrlError::Characters));
    check_strict("https://example.com\\@example.org/", Err(CallbackUrlError::Characters));
    check_strict("https://example.com/100%", Err(CallbackUrlError::Characters));
    check_strict("https://bücher.example.com/", Err(CallbackUrlError::Characters));
    check_strict("http://example.com/", Err(CallbackUrlError::Scheme));
    check_strict("example.com", Err(CallbackUrlError::Scheme));
    check_strict("https:/example.com/", Err(CallbackUrlError::Slashes));
    check_strict("https:///example.com/", Err(CallbackUrlError::Slashes));
    check_strict("https://example.com/#", Err(CallbackUrlError::Fragment));
    check_strict("https://me@example.com/", Err(CallbackUrlError::UserInfo));
    check_strict("https://:@example.com/", Err(CallbackUrlError::UserInfo));
    check_strict("https://example%2ecom/", Err(CallbackUrlError::PercentInAuthority));
    check_strict("https://", Err(CallbackUrlError::Syntax));
    check_strict("https://example.com:65536/", Err(CallbackUrlError::Syntax));
}

#[test]
fn each_rule_about_host_and_port_refuses_a_url_that_breaks_it() {
    check_strict("https://0x08080808/", Err(CallbackUrlError::HostForm));
    check_strict("https://8.8.2056/", Err(CallbackUrlError::HostForm));
    check_strict("https://[2606:4700:4700:0::1111]/", Err(CallbackUrlError::HostForm));
    check_strict("https://intranet/", Err(CallbackUrlError::HostName));
    check_strict("https://example.com./", Err(CallbackUrlError::HostName));
    check_strict("https://my_hook.example.com/", Err(CallbackUrlError::HostName));
    check_strict("https://-hook.example.com/", Err(CallbackUrlError::HostName));
    check_strict("https://hook.example/", Err(CallbackUrlError::SpecialName));
    check_strict("https://printer.home.arpa/", Err(CallbackUrlError::SpecialName));
    let private = IpAddr::from([10, 0, 0, 1]);
    check_strict("https://10.0.0.1/", Err(CallbackUrlError::Address(private)));
    check_strict("https://example.com:/", Err(CallbackUrlError::PortForm));
    check_strict("https://example.com:0443/", Err(CallbackUrlError::PortForm));
    check_strict("https://[2606:4700:4700::1111]:08443/", Err(CallbackUrlError::PortForm));
    check_strict("https://example.com:80/", Err(CallbackUrlError::Port));
    check_strict("https://example.com:1023/", Err(CallbackUrlError::Port));
    check_strict("https://example.com:9001/", Err(CallbackUrlError::Port));
    check_strict("https://example.com:1024/", Ok("https://example.com:1024/"));
}

#[test]
fn own_host_and_its_subdomains_are_refused() {
    let own_host = Some("Api.Example.com".to_owned());
    let rules = CallbackRules { own_host, ..CallbackRules::strict() };
    check("https://api.example.com/v1", &rules, Err(CallbackUrlError::OwnHost));
    check("https://eu.API.example.com/", &rules, Err(CallbackUrlError::OwnHost));
    check("https://myapi.example.com/", &rules, Ok("https://myapi.example.com/"));
    check("https://example.com/", &rules, Ok("https://example.com/"));
}

#[test]
fn development_allows_only_http_and_loopback_in_addition() {
    check_development("http://127.0.0.1:9/hook", Ok("http://127.0.0.1:9/hook"));
    check_development("http://localhost/", Ok("http://localhost/"));
    check_development("https://[::1]:8443/", Ok("https://[::1]:8443/"));
    check_development("http://example.com:80/", Ok("http://example.com:80/"));
    check_development("http://127.1/", Err(CallbackUrlError::HostForm));
    check_development("http://127.0.0.1:0/", Err(CallbackUrlError::Port));
    check_development("https://localhost:9001/", Err(CallbackUrlError::Port));
    check_development("http://hook.localhost/", Err(CallbackUrlError::SpecialName));
    let metadata = IpAddr::from([169, 254, 169, 254]);
    check_development("http://169.254.169.254/", Err(CallbackUrlError::Address(metadata)));
    check_development("ftp://localhost/", Err(CallbackUrlError::Scheme));
}

#[test]
fn printed_url_shows_no_path() {
    let url = CallbackUrl::parse("https://example.com/hook/s3cret", &CallbackRules::strict());
    assert_eq!(format!("{:?}", url.expect("allowed")), "https://example.com:443/…");
}

/// A URL of the corpus with characters inserted or removed.
fn damaged() -> impl Strategy<Value = String> {
    let urls: Vec<String> = CORPUS
        .lines()
        .map(|it| serde_json::from_str::<Row>(it).expect("the corpus is well-formed").url)
        .filter(|it| it.len() < 300)
        .collect();
    let piece = prop_oneof![
        r"[ -~]{0,2}",
        prop::sample::select(vec![
            "@", "\\", "%2f", "[", "]", "::", "#", "//", "。", "\t", ":443", "0x"
        ])
        .prop_map(str::to_owned),
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..3, piece);
    (prop::sample::select(urls), prop::collection::vec(edit, 1..3)).prop_map(|(url, edits)| {
        edits.into_iter().fold(url, |url, (at, n_gone, piece)| {
            let chars: Vec<char> = url.chars().collect();
            let (head, tail) = chars.split_at(at.index(chars.len() + 1));
            head.iter()
                .copied()
                .chain(piece.chars())
                .chain(tail.iter().skip(n_gone).copied())
                .collect()
        })
    })
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_a_panic(text: String) {
        let _ = CallbackUrl::parse(&text, &CallbackRules::development());
    }

    /// An accepted URL has the same host and port for every parser, and when it is split by hand.
    /// Its path and query are sent as they were written.
    #[test]
    fn accepted_url_is_the_same_for_every_parser(text in damaged()) {
        let rules = CallbackRules::strict();
        let Ok(url) = CallbackUrl::parse(&text, &rules) else { return Ok(()) };
        prop_assert!(url.is_https() && url.as_str().len() <= URL_BYTES_MAX);
        prop_assert!(url.literal_address().is_none_or(|it| rules.allows(it)));
        let target = url.target();
        let sent = http::uri::PathAndQuery::try_from(target.as_str()).expect("it can be sent");
        prop_assert_eq!(sent.as_str(), &target);
        prop_assert!(text.ends_with(&target) || target == "/" || target.starts_with("/?"));
        let uri: Uri = text.parse().expect("the second parser takes it");
        prop_assert!(uri.host().expect("a host").eq_ignore_ascii_case(url.host()));
        prop_assert_eq!(uri.port_u16().unwrap_or(443), url.port());

        let rest = &text["https://".len()..];
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
        let port = authority.rsplit_once(']').map_or(authority, |(_, it)| it).split_once(':');
        let (host, port) = match port {
            Some((_, port)) => (&authority[..authority.len() - port.len() - 1], port),
            None => (authority, "443"),
        };
        prop_assert!(host.eq_ignore_ascii_case(url.host()), "{} of {}", host, text);
        prop_assert_eq!(port.parse(), Ok(url.port()));
    }

    #[test]
    fn accepted_url_is_parsed_as_itself_again(
        text in "https?://([a-z0-9-]{1,4}\\.){0,3}[a-z0-9.:%@\\[\\]]{1,8}(:[0-9]{0,5})?[!-~]{0,12}",
    ) {
        for rules in [CallbackRules::strict(), CallbackRules::development()] {
            if let Ok(url) = CallbackUrl::parse(&text, &rules) {
                prop_assert_eq!(CallbackUrl::parse(url.as_str(), &rules), Ok(url));
            }
        }
    }

    #[test]
    fn accepted_url_has_the_host_of_its_text(
        host in "[A-Za-z0-9.:\\[\\]-]{1,20}",
        port in "(:[0-9]{1,5})?",
    ) {
        let text = format!("https://{host}{port}/");
        if let Ok(url) = CallbackUrl::parse(&text, &CallbackRules::strict()) {
            prop_assert!(text.to_ascii_lowercase()[8..].starts_with(url.host()), "{}", text);
        }
    }
}
