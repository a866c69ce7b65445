//! The egress client against real receivers: slow, endless, hostile, and our own.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use answerback::{
    domain::callback_url::{CallbackRules, CallbackUrl},
    egress::{Client, Failure, FailureKind, HeaderMap, HeaderValue, Post, Reply, Resolver},
};
use serde_json::{Value, json};

use receiver::{answering, assert_untouched, dripping, flooding, read_request, receiver};

mod receiver;

const TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time that an attempt may take beyond its time limit.
const OVERRUN_MAX: Duration = Duration::from_millis(500);
/// Bytes of a flood that the kernel's buffers may take after the client stopped reading.
const UNREAD_BYTES_MAX: usize = 16 << 20;
const URLS: &str = include_str!("../corpora/ssrf/urls.jsonl");

fn development() -> Client {
    Client::network(CallbackRules::development(), Resolver::System)
}

fn scripted(rules: CallbackRules, answers: &Value) -> Client {
    Client::network(rules, Resolver::from_json(&answers.to_string()).expect("well-formed"))
}

#[track_caller]
fn url(text: &str, rules: &CallbackRules) -> CallbackUrl {
    CallbackUrl::parse(text, rules).expect(text)
}

fn post_to(url: CallbackUrl) -> Post {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("dlv_1"));
    Post { url, headers, body: b"{\"a\":1}".to_vec(), timeout: TIMEOUT }
}

/// Posts over plain HTTP, and checks that the time limit is kept and errors show no secret.
async fn post(address: SocketAddr) -> Result<Reply, Failure> {
    let url = url(&format!("http://{address}/hook/s3cret"), &CallbackRules::development());
    let started = Instant::now();
    let outcome = development().post(post_to(url)).await;
    assert!(started.elapsed() < TIMEOUT + OVERRUN_MAX, "{:?}", started.elapsed());
    if let Err(failure) = &outcome {
        assert!(!failure.message.contains("s3cret"), "{failure}");
    }
    outcome
}

async fn failure(address: SocketAddr) -> (FailureKind, Option<u16>) {
    let failure = post(address).await.expect_err("it does not answer well");
    (failure.kind, failure.reply.map(|reply| reply.status))
}

#[tokio::test]
async fn receiver_gets_the_post_and_its_reply_is_returned() {
    let (address, mut served) = answering("HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\n\r\nthanks");
    let reply = post(address).await;
    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    assert_eq!(reply, Ok(Reply { status: 202, headers, body: b"thanks".to_vec() }));
    let request = served.next().await;
    assert!(request.starts_with("POST /hook/s3cret HTTP/1.1\r\n"), "{request}");
    for line in ["webhook-id: dlv_1\r\n", "accept-encoding: identity\r\n", "\r\n\r\n{\"a\":1}"] {
        assert!(request.contains(line), "{request}");
    }
}

#[tokio::test]
async fn receiver_without_response_times_out() {
    let (address, _served) = receiver(|stream| {
        read_request(&stream)?;
        (&stream).read(&mut [0])
    });
    assert_eq!(failure(address).await, (FailureKind::Timeout, None));
}

#[tokio::test]
async fn slow_response_body_times_out() {
    let (address, _served) = dripping("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", ".");
    assert_eq!(failure(address).await, (FailureKind::Timeout, Some(200)));
}

#[tokio::test]
async fn endless_interim_responses_time_out() {
    let (address, _served) = dripping("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    assert_eq!(failure(address).await, (FailureKind::Timeout, None));
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let (address, mut served) = flooding("HTTP/1.1 200 OK\r\n\r\n", "endless ");
    let failure = post(address).await.expect_err("it does not end");
    let reply = failure.reply.expect("it had begun");
    assert_eq!((failure.kind, reply.status), (FailureKind::TooLarge, 200));
    assert_eq!(reply.body, "endless ".repeat(512).into_bytes());
    let n_bytes = served.next().await;
    assert!(n_bytes < UNREAD_BYTES_MAX, "{n_bytes}");
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    for more in ["X: y\r\n", "endless"] {
        let (address, mut served) = flooding("HTTP/1.1 200 OK\r\nX: ", more);
        assert_eq!(failure(address).await, (FailureKind::TooLarge, Some(200)));
        let n_bytes = served.next().await;
        assert!(n_bytes < UNREAD_BYTES_MAX, "{n_bytes}");
    }
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let there = format!("http://{}/", elsewhere.local_addr().expect("the listener has an address"));
    for target in [there.as_str(), "http://169.254.169.254/latest/meta-data/"] {
        let (address, _served) =
            answering(format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}\r\n\r\n"));
        let reply = post(address).await.expect("a redirect is a reply");
        let headers = vec![("location".to_owned(), target.to_owned())];
        assert_eq!(reply, Reply { status: 307, headers, body: Vec::new() });
    }
    assert_untouched(&elsewhere);
}

#[tokio::test]
async fn broken_connection_is_not_retried() {
    let (address, mut served) = receiver(|_stream| Ok(()));
    assert_eq!(failure(address).await, (FailureKind::Protocol, None));
    served.next().await;
    assert!(served.is_over());
    let (address, _served) = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(failure(address).await, (FailureKind::Protocol, Some(200)));
}

#[tokio::test]
async fn non_http_response_is_a_protocol_failure() {
    let (address, _served) = answering("220 mail.example.com ESMTP\r\n");
    assert_eq!(failure(address).await, (FailureKind::Protocol, None));
}

#[tokio::test]
async fn closed_port_is_a_connection_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("the listener has an address");
    drop(listener);
    assert_eq!(failure(address).await, (FailureKind::Connect, None));
}

#[tokio::test]
async fn plain_http_server_is_a_tls_failure() {
    let (address, _served) = receiver(|mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
    let url = url(&format!("https://{address}/"), &CallbackRules::development());
    let failure = development().post(post_to(url)).await.expect_err("it is plain HTTP");
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
}

#[tokio::test]
async fn all_response_headers_are_text() {
    let many = "X: y\r\n".repeat(400);
    let last = "Retry-After: 7\r\n";
    let (address, _served) = answering(format!("HTTP/1.1 429 E\r\n{many}{last}\r\n"));
    let reply = post(address).await.expect("hundreds are read");
    assert_eq!(reply.headers.len(), 401);
    assert_eq!(reply.headers[400], ("retry-after".to_owned(), "7".to_owned()));
    let (address, _served) = answering(b"HTTP/1.1 200 OK\r\nX: \xff!\r\n\r\n");
    assert_eq!(post(address).await.expect("any bytes are allowed").headers[0].1, "\u{fffd}!");
}

#[tokio::test]
async fn a_body_is_not_decompressed() {
    let (address, _served) =
        answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00bomb");
    assert_eq!(post(address).await.expect("a reply").body, b"\x1f\x8b\x08\x00bomb");
}

#[tokio::test]
async fn every_attempt_opens_a_new_connection() {
    let (address, mut served) = receiver(|mut stream| {
        read_request(&stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        // Ends when the connection is closed; a pooled connection would stay open.
        stream.read(&mut [0])
    });
    let client = development();
    for _ in 0..2 {
        let url = url(&format!("http://{address}/"), &CallbackRules::development());
        assert_eq!(client.post(post_to(url)).await.map(|reply| reply.status), Ok(200));
        assert_eq!(served.next().await, 0);
    }
}

#[tokio::test]
async fn probe_sends_head_and_accepts_any_status() {
    let (address, mut served) = answering("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n");
    let probed = url(&format!("http://{address}/hook"), &CallbackRules::development());
    let checked = development().check(&probed).await.expect("loopback is allowed");
    assert_eq!(development().probe(&checked, TIMEOUT).await, Ok(500));
    let request = served.next().await;
    assert!(request.starts_with("HEAD /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("user-agent: Answerback/"), "{request}");
}

/// A receiver that has sent its status has decided.
#[tokio::test]
async fn status_line_decides_whatever_follows() {
    let head = "HTTP/1.1 200 OK\r\n";
    let too_many = "X: y\r\n".repeat(2_000);
    for rest in [
        "Content-Length: 9\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        "X-A : b\r\nContent-Length: 2\r\n\r\nok",
        "PHP Warning: x\r\nContent-Length: 2\r\n\r\nok",
        "Set-Cookie: a=\x7f\r\nContent-Length: 2\r\n\r\nok",
        "no colon\r\nContent-Length: 2\r\n\r\nok",
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "Content-Length: -1\r\n\r\nok",
        "X: the head never en",
        too_many.as_str(),
        "",
    ] {
        for interim in ["", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"] {
            let response = format!("{interim}{head}{rest}");
            let (address, _served) = answering(response.clone());
            let status = match post(address).await {
                Ok(reply) => reply.status,
                Err(Failure { reply, .. }) => reply.map_or(0, |it| it.status),
            };
            assert_eq!(status, 200, "{:?}", &response[..response.len().min(99)]);
            let probed = url(&format!("http://{address}/"), &CallbackRules::development());
            let checked = development().check(&probed).await.expect("loopback is allowed");
            assert_eq!(development().probe(&checked, TIMEOUT).await, Ok(200), "{rest:?}");
        }
    }
    let (address, _served) = dripping("HTTP/1.1 204 No Content\r\nX: ", "y");
    assert_eq!(failure(address).await, (FailureKind::Timeout, Some(204)));
}

#[tokio::test]
async fn url_is_called_as_it_was_written() {
    for (path, target) in [
        ("", "/"),
        ("?a", "/?a"),
        ("/x?sig='a'&b=1", "/x?sig='a'&b=1"),
        ("/a//b;c=%7e~?%20[]'", "/a//b;c=%7e~?%20[]'"),
    ] {
        let (address, mut served) = answering("HTTP/1.1 200 OK\r\n\r\n");
        let url = url(&format!("http://{address}{path}"), &CallbackRules::development());
        assert_eq!(development().post(post_to(url)).await.map(|it| it.status), Ok(200));
        let request = served.next().await;
        assert!(request.starts_with(&format!("POST {target} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn connection_uses_the_checked_address_without_another_lookup() {
    let (address, mut served) = answering("HTTP/1.1 200 OK\r\n\r\n");
    let answers = json!({"hooks.example.com": [["127.0.0.1"], ["10.0.0.1"]]});
    let client = scripted(CallbackRules::development(), &answers);
    let text = format!("http://hooks.example.com:{}/", address.port());
    let url = url(&text, &CallbackRules::development());
    assert_eq!(client.post(post_to(url.clone())).await.map(|reply| reply.status), Ok(200));
    let request = served.next().await;
    assert!(request.contains(&format!("host: hooks.example.com:{}\r\n", address.port())));
    let failure = client.post(post_to(url)).await.expect_err("the name leads elsewhere now");
    assert_eq!(failure.kind, FailureKind::BlockedAddress);
}

#[tokio::test]
async fn name_that_moves_to_a_private_address_is_not_called() {
    let own = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = own.local_addr().expect("the listener has an address").port();
    for private in [json!(["127.0.0.1"]), json!(["93.184.216.34", "127.0.0.1"])] {
        let answers = json!({"hooks.example.com": [["93.184.216.34"], private]});
        let client = scripted(CallbackRules::strict(), &answers);
        let url = url(&format!("https://hooks.example.com:{port}/"), &CallbackRules::strict());
        assert!(client.check(&url).await.is_ok());
        let failure = client.post(post_to(url.clone())).await.expect_err("it has moved");
        assert_eq!(failure.kind, FailureKind::BlockedAddress);
        let failure = client.check(&url).await.expect_err("it has moved");
        assert_eq!(failure.kind, FailureKind::BlockedAddress);
    }
    assert_untouched(&own);
}

#[tokio::test]
async fn corpus_names_with_private_addresses_are_not_called() {
    let own = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = own.local_addr().expect("the listener has an address").port();
    let rules = CallbackRules::strict();
    let mut n_names = 0;
    for line in URLS.lines() {
        let row: Value = serde_json::from_str(line).expect("the corpus is well-formed");
        if row["expect"] != "reject-at-dns" {
            continue;
        }
        let listed = url(row["url"].as_str().expect("a text"), &rules);
        let client = scripted(rules.clone(), &json!({listed.host(): [row["dns"]]}));
        let url = url(&format!("https://{}:{port}/", listed.host()), &rules);
        let failure = client.post(post_to(url)).await.expect_err("the address is private");
        assert_eq!(failure.kind, FailureKind::BlockedAddress, "{line}");
        n_names += 1;
    }
    assert_eq!(n_names, 6);
    assert_untouched(&own);
}

#[tokio::test]
async fn strict_client_refuses_urls_allowed_in_development() {
    let own = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = own.local_addr().expect("the listener has an address");
    let client = scripted(CallbackRules::strict(), &json!({"hooks.example.com": [["192.0.3.1"]]}));
    let literal = url(&format!("https://{address}/"), &CallbackRules::development());
    let failure = client.post(post_to(literal)).await.expect_err("it is our own");
    assert_eq!(failure.kind, FailureKind::BlockedAddress);
    let plain = url("http://hooks.example.com/", &CallbackRules::development());
    let failure = client.post(post_to(plain)).await.expect_err("it is not https");
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert_untouched(&own);
}
