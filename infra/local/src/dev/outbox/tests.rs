use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, Response, StatusCode, header::ACCEPT},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use local_aws::{Aws, Data, SystemClock};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Outbox, links::Origin, parsed::ParsedMail, router};

const MAIL: &str = "From: =?utf-8?q?Ask_=C3=84?= <a@b.example>\r\n\
To: Ada <ada@example.com>\r\n\
Subject: =?utf-8?b?RGVwbG95IMK7djLCqz8=?=\r\n\
Date: Sun, 29 Nov 2026 07:00:00 +0000\r\n\
Message-ID: <ntf_2@b.example>\r\n\
In-Reply-To: <ntf_1@b.example>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/alternative; boundary=\"x\"\r\n\r\n\
--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
Deploy =C2=BBv2=C2=AB? http://127.0.0.1:8787/a/tok=\r\nen\r\n\
--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
<p>Deploy?</p><a href=\"http://127.0.0.1:8787/a/token?option=yes\">Yes</a>\r\n--x--\r\n";

/// An emulated AWS and the pages of its mails.
struct Stack {
    aws: Aws,
    pages: Router,
}

/// A page with its policy.
struct Page {
    status: StatusCode,
    policy: String,
    frames: String,
    body: Bytes,
}

impl Stack {
    async fn start() -> Self {
        let aws = Aws::start(Data::Memory, None, Arc::new(SystemClock)).await.expect("memory");
        let origin = Origin::of("http://127.0.0.1:8787");
        let outbox = Outbox { mail: aws.mail().clone(), origin };
        Self { aws, pages: router(Arc::new(outbox)) }
    }

    /// Sends a mail, and returns its id.
    async fn send(&self, to: &str, raw: &[u8]) -> String {
        let call = json!({
            "FromEmailAddress": "a@b.example",
            "Destination": { "ToAddresses": [to] },
            "Content": { "Raw": { "Data": BASE64.encode(raw) } },
        });
        let request = Request::post("/v2/email/outbound-emails").body(call.to_string().into());
        let response = self.aws.call(request.expect("a request")).await.expect("it runs");
        let sent: Value = serde_json::from_slice(response.body()).expect("JSON");
        sent["MessageId"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned()
    }

    async fn get(&self, path: &str, accept: &str) -> Response<Body> {
        let request = Request::get(path).header(ACCEPT, accept).body(Body::empty());
        let response = self.pages.clone().oneshot(request.expect("a request")).await;
        response.expect("a router does not fail")
    }

    async fn json(&self, path: &str) -> Value {
        let body = self.get(path, "application/json").await.into_body();
        serde_json::from_slice(&to_bytes(body, usize::MAX).await.expect("memory")).expect("JSON")
    }

    async fn page(&self, path: &str) -> Page {
        let (parts, body) = self.get(path, "text/html").await.into_parts();
        let header = |name| parts.headers[name].to_str().expect("ASCII").to_owned();
        Page {
            status: parts.status,
            policy: header("content-security-policy"),
            frames: header("x-frame-options"),
            body: to_bytes(body, usize::MAX).await.expect("memory"),
        }
    }
}

impl Page {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

#[tokio::test]
async fn mail_is_shown_as_its_reader_sees_it() {
    let stack = Stack::start().await;
    assert!(stack.page("/outbox").await.text().contains("No mails here."));
    let id = stack.send("ada@example.com", MAIL.as_bytes()).await;
    let list = stack.page("/outbox/").await;
    assert!(list.text().contains(&format!("<a href=\"/outbox/{id}\"><bdi>Deploy »v2«?</bdi></a>")));
    let page = stack.page(&format!("/outbox/{id}")).await;
    for part in [
        "<dt>From</dt><dd><bdi>Ask Ä &#60;a@b.example&#62;</bdi></dd>",
        "<dt>To</dt><dd><bdi>Ada &#60;ada@example.com&#62;</bdi></dd>",
        "<dt>Subject</dt><dd><bdi>Deploy »v2«?</bdi></dd>",
        "<dt>Date</dt><dd><bdi>Sun, 29 Nov 2026 07:00:00 +0000</bdi></dd>",
        "<dt>In-Reply-To</dt><dd><bdi>&#60;ntf_1@b.example&#62;</bdi></dd>",
        "<pre>Deploy »v2«? <a href=\"http://127.0.0.1:8787/a/token\">http://127.0.0.1:8787/a/token</a>",
        &format!("src=\"/outbox/{id}/html\" sandbox=\"allow-popups "),
        &format!("href=\"/outbox/{id}/raw\""),
    ] {
        assert!(page.text().contains(part), "{part}\n{}", page.text());
    }
    let html = stack.page(&format!("/outbox/{id}/html")).await;
    assert_eq!(
        html.text().trim_end(),
        "<!DOCTYPE html><base target=\"_top\"><p>Deploy?</p>\
         <a href=\"http://127.0.0.1:8787/a/token?option=yes\">Yes</a>"
    );
    let raw = stack.page(&format!("/outbox/{id}/raw")).await;
    assert_eq!(raw.text(), MAIL);
}

#[tokio::test]
async fn programs_read_mails_as_json() {
    let stack = Stack::start().await;
    let id = stack.send("Ada <ada@example.com>", MAIL.as_bytes()).await;
    let sent = stack.aws.mail().get(&id).await.expect("it runs").expect("it is kept");
    let expected = json!({
        "id": id,
        "at": sent.sent_at,
        "from": "a@b.example",
        "to": ["Ada <ada@example.com>"],
        "subject": "Deploy »v2«?",
        "message_id": "ntf_2@b.example",
        "in_reply_to": "ntf_1@b.example",
        "text": "Deploy »v2«? http://127.0.0.1:8787/a/token",
        "html": "<p>Deploy?</p><a href=\"http://127.0.0.1:8787/a/token?option=yes\">Yes</a>",
        "links": ["http://127.0.0.1:8787/a/token", "http://127.0.0.1:8787/a/token?option=yes"],
    });
    assert_eq!(stack.json(&format!("/outbox/{id}")).await, expected);
    assert_eq!(stack.json("/outbox").await, json!({ "data": [expected] }));
    assert_eq!(stack.json("/outbox?to=ADA@example.com").await["data"][0]["id"], id);
    assert_eq!(stack.json("/outbox?to=da@example.com").await, json!({ "data": [] }));
    assert_eq!(stack.page("/outbox/unknown").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stack.page("/outbox/unknown/html").await.status, StatusCode::NOT_FOUND);
    let refused = stack.get("/outbox?limit=x", "application/json").await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn older_mails_are_one_link_away() {
    let stack = Stack::start().await;
    let first = stack.send("first@example.com", MAIL.as_bytes()).await;
    for _ in 0..super::LIST_MAX {
        stack.send("ada@example.com", MAIL.as_bytes()).await;
    }
    let newest = stack.page("/outbox").await;
    assert!(!newest.text().contains(&first));
    let (_, rest) = newest.text().split_once("href=\"/outbox?before=").expect("a link");
    let before = rest.split('"').next().expect("its end");
    let older = stack.page(&format!("/outbox?before={before}")).await;
    assert!(older.text().contains(&first) && !older.text().contains("Older mails"));
}

#[tokio::test]
async fn hostile_mail_is_shown_safely() {
    let evil = "</title></pre><script>alert(1)</script><img src=http://evil.example/pixel>";
    let raw = format!(
        "From: {evil} <a@b.example>\r\nSubject: {evil}\r\nDate: {evil}\r\nIn-Reply-To: {evil}\r\n\
         Content-Type: multipart/alternative; boundary=x\r\n\r\n\
         --x\r\n\r\n{evil} http://evil.example/ javascript:alert(1)\r\n\
         --x\r\nContent-Type: text/html\r\n\r\n\
         <base target=_self href=http://evil.example/><meta http-equiv=refresh content=\"0;url=http://evil.example/\">\
         {evil}<form action=http://evil.example/><a href=\"javascript:alert(1)\">x</a>\r\n--x--\r\n"
    );
    let stack = Stack::start().await;
    let id = stack.send("ada@example.com", raw.as_bytes()).await;
    for path in ["/outbox".to_owned(), format!("/outbox/{id}")] {
        let page = stack.page(&path).await;
        let text = page.text();
        assert!(text.contains("alert(1)"), "{text}");
        for markup in ["<script", "<img", "href=\"http", "href=\"javascript"] {
            assert!(!text.contains(markup), "{path}: {markup}");
        }
        assert_eq!(page.frames, "DENY");
        assert_eq!(
            page.policy,
            "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
    }
    // The mail's own document is as it was sent. Its policy keeps it in.
    let html = stack.page(&format!("/outbox/{id}/html")).await;
    assert!(html.text().starts_with("<!DOCTYPE html><base target=\"_top\"><base target=_self"));
    assert_eq!(html.frames, "SAMEORIGIN");
    assert_eq!(
        html.policy,
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'self'; sandbox allow-popups \
         allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
    );
    let source = stack.get(&format!("/outbox/{id}/raw"), "text/html").await;
    assert_eq!(source.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(source.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn large_mail_costs_no_more_than_its_shown_part() {
    const BYTES: usize = 10 * 1024 * 1024;
    let (text, html) = ("é ".repeat(BYTES / 3), "<p>".repeat(BYTES / 3));
    let raw = format!(
        "From: a@b.example\r\nSubject: {}\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n\
         --x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--x--\r\n",
        "s".repeat(100_000)
    );
    let stack = Stack::start().await;
    let id = stack.send("ada@example.com", raw.as_bytes()).await;
    let list = stack.page("/outbox").await;
    assert!(list.body.len() < 10_000, "{} bytes", list.body.len());
    let page = stack.page(&format!("/outbox/{id}")).await;
    assert!(page.body.len() < 300_000, "{} bytes", page.body.len());
    assert!(page.text().contains("… the rest is not shown"));
    let html = stack.page(&format!("/outbox/{id}/html")).await;
    assert!((2_000_000..2_100_000).contains(&html.body.len()), "{} bytes", html.body.len());
    assert_eq!(stack.page(&format!("/outbox/{id}/raw")).await.body.len(), raw.len());
}

#[tokio::test]
async fn broken_mail_is_shown_as_far_as_it_goes() {
    let nested = (0..2_000)
        .map(|it| format!("Content-Type: multipart/mixed; boundary=b{it}\r\n\r\n--b{it}\r\n"))
        .collect::<Vec<_>>()
        .concat();
    let attached = "Content-Type: message/rfc822\r\n\r\n".repeat(2_000);
    let stack = Stack::start().await;
    for body in [
        "",
        "\r\n",
        "Content-Type: multipart/alternative; boundary=x\r\n\r\n--y\r\n",
        "Content-Type: multipart/alternative\r\n\r\n--x\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\n%%%=a",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n=",
        "Content-Type: text/html; charset=nothing\r\n\r\n<p>",
        "Content-Type: ;;;\r\nSubject: =?utf-8?b?%%?= =?x?y?z\r\n\r\nx",
        "no colon\r\n\r\nx",
        &nested,
        &attached,
    ] {
        let raw = [b"From: <<a@@\xff>\r\n", body.as_bytes(), b"\xff\x00\xfe"].concat();
        let id = stack.send("ada@example.com", &raw).await;
        let page = stack.page(&format!("/outbox/{id}")).await;
        assert_eq!(page.status, StatusCode::OK, "{body}");
        assert!(page.text().contains("/raw\">Source</a>"));
        assert_eq!(stack.page(&format!("/outbox/{id}/raw")).await.body, raw, "{body}");
    }
    assert_eq!(stack.page("/outbox").await.status, StatusCode::OK);
    assert_eq!(ParsedMail::of(b""), ParsedMail::default());
}
