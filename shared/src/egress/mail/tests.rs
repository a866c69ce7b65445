//! Mail to servers of all kinds of behavior.

mod server;

use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpListener;

use self::server::{
    MailServer,
    Step::{self, Hangs, Hears, HearsMail, StartsTls},
    TEST_TIMEOUT, says,
};
use super::{dialog::transparent, *};
use crate::{
    domain::CallbackRules,
    egress::{Client, Resolver},
};

fn mail(port: u16) -> Mail {
    Mail {
        host: "localhost".to_owned(),
        port,
        tls: SmtpTls::None,
        login: None,
        from: "answers@example.org".to_owned(),
        to: "Ada@Bücher.example".to_owned(),
        raw: b"Subject: Deploy?\r\n\r\nYes\r\n.\r\nno?\r\n".to_vec(),
        timeout: TEST_TIMEOUT,
    }
}

fn login() -> Login {
    Login { username: "ada".to_owned(), password: "s3cret-password".to_owned().into() }
}

/// The steps up to the stage `until`, without the reply that ends it.
fn up_to(until: SmtpStage) -> Vec<Step> {
    let stages = [
        (SmtpStage::Greeting, vec![says("220 mail.example.com ESMTP")]),
        (SmtpStage::Hello, vec![Hears("EHLO [127.0.0.1]\r\n"), says("250 mail.example.com")]),
        (
            SmtpStage::Sender,
            vec![Hears("MAIL FROM:<answers@example.org>\r\n"), says("250 2.1.0 ok")],
        ),
        (
            SmtpStage::Recipient,
            vec![Hears("RCPT TO:<Ada@xn--bcher-kva.example>\r\n"), says("250 2.1.5 ok")],
        ),
        (SmtpStage::Data, vec![Hears("DATA\r\n"), says("354 go on"), HearsMail, says("250")]),
    ];
    let mut steps: Vec<Step> =
        stages.into_iter().filter(|it| it.0 <= until).flat_map(|it| it.1).collect();
    steps.pop();
    steps
}

fn with(mut steps: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    steps.extend(more);
    steps
}

fn accepted(enhanced: Option<&str>) -> SmtpReply {
    SmtpReply { code: 250, enhanced: enhanced.map(str::to_owned), stage: SmtpStage::Data }
}

fn refused(code: u16, enhanced: Option<&str>, stage: SmtpStage) -> MailFailure {
    MailFailure::refused(SmtpReply { code, enhanced: enhanced.map(str::to_owned), stage })
}

#[tokio::test]
async fn mail_is_given_to_the_server_with_dots_doubled() {
    let steps = with(up_to(SmtpStage::Data), [says("250 2.6.0 queued"), Hangs]);
    let server = MailServer::start(steps).await;
    assert_eq!(server.send(|_| {}).await, Ok(accepted(Some("2.6.0"))));
    let heard = server.heard().await;
    let expected = "DATA\r\nSubject: Deploy?\r\n\r\nYes\r\n..\r\nno?\r\n.\r\nQUIT\r\n";
    assert!(heard.ends_with(expected), "{heard:?}");
}

#[tokio::test]
async fn every_stage_can_refuse_the_mail() {
    let cases = [
        (SmtpStage::Greeting, "554 5.3.2 go away", 554, Some("5.3.2")),
        (SmtpStage::Hello, "502-what\r\n502 no", 502, None),
        (SmtpStage::Sender, "451 4.7.1 greylisted, try again", 451, Some("4.7.1")),
        (SmtpStage::Recipient, "550-5.1.1 no such user\r\n550 5.1.1 bye", 550, Some("5.1.1")),
        (SmtpStage::Data, "552 5.2.2 mailbox full", 552, Some("5.2.2")),
        (SmtpStage::Data, "421 4.4.2 too late", 421, Some("4.4.2")),
        // An enhanced code of another class is text.
        (SmtpStage::Data, "550 2.0.0 odd", 550, None),
        (SmtpStage::Data, "550 5.1.1000 odd", 550, None),
    ];
    for (stage, reply, code, enhanced) in cases {
        let server = MailServer::start(with(up_to(stage), [says(reply), Hangs])).await;
        let expected = Err(refused(code, enhanced, stage));
        assert_eq!(server.send(|_| {}).await, expected, "{reply}");
        let is_open = stage > SmtpStage::Hello;
        assert_eq!(server.heard().await.ends_with("QUIT\r\n"), is_open, "{reply}");
    }
}

#[tokio::test]
async fn server_may_refuse_the_command_before_the_mail() {
    let steps =
        with(up_to(SmtpStage::Recipient), [says("250"), Hears("DATA"), says("451 no"), Hangs]);
    let server = MailServer::start(steps).await;
    assert_eq!(server.send(|_| {}).await, Err(refused(451, None, SmtpStage::Data)));
    assert!(server.heard().await.ends_with("DATA\r\nQUIT\r\n"));
}

#[tokio::test]
async fn refusal_does_not_repeat_the_words_of_the_server() {
    let reply = says("550 5.7.1 spam: https://example.org/a/secret code 123456");
    let server = MailServer::start(with(up_to(SmtpStage::Data), [reply, Hangs])).await;
    let failure = server.send(|_| {}).await.expect_err("refused");
    assert_eq!(failure.to_string(), "the server refused the mail: 550 5.7.1");
}

#[tokio::test]
async fn replies_that_are_not_smtp_are_failures_without_a_reply() {
    use FailureKind::{Protocol, TooLarge};
    let long = "x".repeat(3_000);
    let endless = "220-and\r\n".repeat(200);
    let cases = [
        ("HTTP/1.1 400 Bad Request", Protocol, "no valid SMTP reply"),
        ("2\u{661}0 hello", Protocol, "no valid SMTP reply"),
        ("+20 hello", Protocol, "no valid SMTP reply"),
        ("99", Protocol, "no valid SMTP reply"),
        ("700 hello", Protocol, "no valid SMTP reply"),
        ("220_hello", Protocol, "no valid SMTP reply"),
        ("220-hello\r\n250 hello", Protocol, "no valid SMTP reply"),
        ("", Protocol, "no valid SMTP reply"),
        ("354 hello", Protocol, "the server replied to the connection with the code 354"),
        (&long, TooLarge, "the reply is too large"),
        (&endless, TooLarge, "the reply is too large"),
    ];
    for (reply, kind, message) in cases {
        let server = MailServer::start([says(reply), Hangs]).await;
        assert_eq!(server.send(|_| {}).await, Err(MailFailure::new(kind, message)), "{reply}");
    }
}

#[tokio::test]
async fn connection_may_close_at_every_stage() {
    use SmtpStage::{Data, Greeting, Hello, Recipient, Sender};
    for stage in [Greeting, Hello, Sender, Recipient, Data] {
        for rest in ["", "250", "250-4"] {
            let rest = Step::Says(rest.to_owned());
            let server = MailServer::start(with(up_to(stage), [rest])).await;
            let closed =
                MailFailure::new(FailureKind::Protocol, "the server closed the connection");
            assert_eq!(server.send(|_| {}).await, Err(closed), "{stage}");
        }
    }
}

#[tokio::test]
async fn server_that_hangs_costs_the_timeout() {
    for stage in [SmtpStage::Greeting, SmtpStage::Data] {
        let server = MailServer::start(with(up_to(stage), [Hangs])).await;
        let limit = Duration::from_millis(300);
        let slow = MailFailure::new(FailureKind::Timeout, "no reply within 0.3 s");
        assert_eq!(server.send(|it| it.timeout = limit).await, Err(slow), "{stage}");
        // What we say next would be a part of the mail, or no one knows of what.
        assert!(!server.heard().await.contains("QUIT"), "{stage}");
    }
}

#[tokio::test]
async fn mail_is_sent_over_implicit_tls() {
    let steps = with(vec![StartsTls], up_to(SmtpStage::Data));
    let server = MailServer::start(with(steps, [says("250 ok"), Hangs])).await;
    assert_eq!(server.send(|it| it.tls = SmtpTls::Implicit).await, Ok(accepted(None)));
    assert!(server.heard().await.ends_with(".\r\nQUIT\r\n"));
}

/// The steps from the greeting to the reply to a second EHLO, over TLS.
fn starts_tls(offers: &str) -> Vec<Step> {
    vec![
        says("220 hello"),
        Hears("EHLO"),
        // A login may be offered only over TLS.
        says("250-hello\r\n250-AUTH PLAIN\r\n250 StartTLS"),
        Hears("STARTTLS\r\n"),
        says("220 go on"),
        StartsTls,
        Hears("EHLO"),
        says(offers),
    ]
}

#[tokio::test]
async fn starttls_comes_before_login_and_mail() {
    let mut steps = starts_tls("250-hello\r\n250-SIZE 1000000\r\n250 AUTH XOAUTH2 LOGIN PLAIN");
    // The base64 form of `\0ada\0s3cret-password`.
    steps.push(Hears("AUTH PLAIN AGFkYQBzM2NyZXQtcGFzc3dvcmQ=\r\n"));
    steps.push(says("235 2.7.0 welcome"));
    steps.push(Hears("MAIL FROM:<answers@example.org> SIZE=33\r\n"));
    steps.extend([says("250"), Hears("RCPT"), says("251"), Hears("DATA"), says("354"), HearsMail]);
    let server = MailServer::start(with(steps, [says("250 2.0.0 ok"), Hangs])).await;
    let change = |it: &mut Mail| (it.tls, it.login) = (SmtpTls::StartTls, Some(login()));
    assert_eq!(server.send(change).await, Ok(accepted(Some("2.0.0"))));
}

#[tokio::test]
async fn old_servers_have_a_login_in_three_steps() {
    let mut steps = up_to(SmtpStage::Hello);
    steps.extend([
        says("250-hello\r\n250 AUTH=LOGIN"),
        Hears("AUTH LOGIN\r\n"),
        says("334 VXNlcg=="),
    ]);
    steps.extend([Hears("YWRh\r\n"), says("334"), Hears("czNjcmV0LXBhc3N3b3Jk\r\n")]);
    let server = MailServer::start(with(steps, [says("535 5.7.8 no"), Hangs])).await;
    let failure = server.send(|it| it.login = Some(login())).await;
    assert_eq!(failure, Err(refused(535, Some("5.7.8"), SmtpStage::Login)));
    assert!(server.heard().await.ends_with("\r\nQUIT\r\n"));
}

#[tokio::test]
async fn login_that_the_server_does_not_offer_fails() {
    let steps = with(up_to(SmtpStage::Hello), [says("250-hello\r\n250 AUTH XOAUTH2"), Hangs]);
    let server = MailServer::start(steps).await;
    let message = "the server offers neither AUTH PLAIN nor AUTH LOGIN";
    let failure = MailFailure::new(FailureKind::Protocol, message);
    assert_eq!(server.send(|it| it.login = Some(login())).await, Err(failure));
    assert!(!server.heard().await.contains("MAIL"));
}

#[tokio::test]
async fn server_without_starttls_gets_nothing_in_clear() {
    let steps = with(up_to(SmtpStage::Hello), [says("250-hello\r\n250 AUTH PLAIN"), Hangs]);
    let server = MailServer::start(steps).await;
    let change = |it: &mut Mail| (it.tls, it.login) = (SmtpTls::StartTls, Some(login()));
    let failure = MailFailure::new(FailureKind::Tls, "the server does not offer STARTTLS");
    assert_eq!(server.send(change).await, Err(failure));
    assert_eq!(server.heard().await, "EHLO [127.0.0.1]\r\n");
}

#[tokio::test]
async fn refused_starttls_ends_the_conversation() {
    let mut steps = starts_tls("");
    steps.truncate(4);
    let server = MailServer::start(with(steps, [says("454 4.3.0 not now"), Hangs])).await;
    let failure = server.send(|it| it.tls = SmtpTls::StartTls).await;
    assert_eq!(failure, Err(refused(454, Some("4.3.0"), SmtpStage::Tls)));
    assert_eq!(server.heard().await, "EHLO [127.0.0.1]\r\nSTARTTLS\r\n");
}

#[tokio::test]
async fn replies_from_before_tls_do_not_count() {
    let mut steps = starts_tls("250 hello");
    steps[4] = says("220 go on\r\n250-injected\r\n250 AUTH PLAIN");
    let server = MailServer::start(steps).await;
    let message = "the server sent more than a reply before TLS";
    let failure = MailFailure::new(FailureKind::Tls, message);
    assert_eq!(server.send(|it| it.tls = SmtpTls::StartTls).await, Err(failure));
}

#[tokio::test]
async fn unknown_certificate_and_other_names_are_refused() {
    let is_tls = |it: Result<SmtpReply, MailFailure>| {
        it.is_err_and(|it| it.kind == FailureKind::Tls && it.message.contains("certificate"))
    };
    for tls in [SmtpTls::Implicit, SmtpTls::StartTls] {
        let steps = || match tls {
            SmtpTls::StartTls => starts_tls("250 hello"),
            SmtpTls::Implicit | SmtpTls::None => vec![StartsTls],
        };
        let mut server = MailServer::start(steps()).await;
        let resolver = Resolver::System;
        server.client = Client::network(CallbackRules::development(), resolver);
        let sent = server.send(|it| (it.tls, it.host) = (tls, "127.0.0.1".to_owned())).await;
        assert!(is_tls(sent), "{tls:?}");
        // The certificate is for `localhost`.
        let server = MailServer::start(steps()).await;
        let sent = server.send(|it| (it.tls, it.host) = (tls, "127.0.0.1".to_owned())).await;
        assert!(is_tls(sent), "{tls:?}");
    }
}

#[tokio::test]
async fn address_in_unicode_needs_a_server_that_can() {
    let steps = with(
        up_to(SmtpStage::Hello),
        [
            says("250-hello\r\n250-8BITMIME\r\n250 SMTPUTF8"),
            Hears("MAIL FROM:<answers@example.org> BODY=8BITMIME SMTPUTF8\r\n"),
            says("250"),
            Hears("RCPT TO:<jürgen@example.com>\r\n"),
            says("550 5.1.1"),
            Hangs,
        ],
    );
    let change = |it: &mut Mail| it.to = "jürgen@example.com".to_owned();
    let server = MailServer::start(steps).await;
    let expected = Err(refused(550, Some("5.1.1"), SmtpStage::Recipient));
    assert_eq!(server.send(change).await, expected);

    let server = MailServer::start(with(up_to(SmtpStage::Hello), [says("250 hello"), Hangs])).await;
    let expected = Err(refused(553, Some("5.6.7"), SmtpStage::Recipient));
    assert_eq!(server.send(change).await, expected);
    assert_eq!(server.heard().await, "EHLO [127.0.0.1]\r\nQUIT\r\n");
}

#[tokio::test]
async fn addresses_cannot_inject_commands() {
    let client = Client::network(CallbackRules::development(), Resolver::System);
    for bad in ["a@example.com>\r\nRCPT TO:<eve@example.com", "", "a b@example.com", "ada"] {
        let failed = client.mail(Mail { to: bad.to_owned(), ..mail(1) }).await;
        assert_eq!(failed.map_err(|it| it.kind), Err(FailureKind::BlockedAddress), "{bad}");
        let failed = client.mail(Mail { from: bad.to_owned(), ..mail(1) }).await;
        assert_eq!(failed.map_err(|it| it.kind), Err(FailureKind::BlockedAddress), "{bad}");
    }
}

#[tokio::test]
async fn deployed_stack_calls_only_public_servers_with_tls() {
    use FailureKind::{BlockedAddress, Tls};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let answers =
        r#"{"inside.example.com": [["192.0.2.1", "127.0.0.1"]], "localhost": [["127.0.0.1"]]}"#;
    let resolver = Resolver::from_json(answers).expect("well-formed");
    let client = Client::network(CallbackRules::strict(), resolver);
    let cases = [
        ("127.0.0.1", 587, SmtpTls::StartTls, BlockedAddress),
        ("::1", 465, SmtpTls::Implicit, BlockedAddress),
        ("[::1]", 465, SmtpTls::Implicit, BlockedAddress),
        ("::ffff:127.0.0.1", 465, SmtpTls::Implicit, BlockedAddress),
        ("169.254.169.254", 2525, SmtpTls::StartTls, BlockedAddress),
        ("0x7f.1", 587, SmtpTls::StartTls, BlockedAddress),
        ("localhost", 587, SmtpTls::StartTls, BlockedAddress),
        ("inside.example.com", 587, SmtpTls::StartTls, BlockedAddress),
        ("inside.example.com", 25, SmtpTls::StartTls, BlockedAddress),
        ("inside.example.com", 6379, SmtpTls::Implicit, BlockedAddress),
        ("inside.example.com:443", 587, SmtpTls::StartTls, BlockedAddress),
        ("inside.example.com/path", 587, SmtpTls::StartTls, BlockedAddress),
        ("me@inside.example.com", 587, SmtpTls::StartTls, BlockedAddress),
        ("", 587, SmtpTls::StartTls, BlockedAddress),
        ("inside.example.com", 587, SmtpTls::None, Tls),
        ("missing.example.com", 587, SmtpTls::StartTls, FailureKind::Dns),
    ];
    for (host, port, tls, kind) in cases {
        let failed = client.mail(Mail { host: host.to_owned(), tls, ..mail(port) }).await;
        assert_eq!(failed.map_err(|it| it.kind), Err(kind), "{host}:{port}");
    }
    let port = listener.local_addr().expect("it is bound").port();
    let mail = Mail { host: "127.0.0.1".to_owned(), tls: SmtpTls::StartTls, ..mail(port) };
    let failed = client.mail(mail).await;
    assert_eq!(failed.map_err(|it| it.kind), Err(FailureKind::BlockedAddress));
    let connection = timeout(Duration::ZERO, listener.accept()).await;
    assert!(connection.is_err(), "there was a connection");
}

#[tokio::test]
async fn all_addresses_are_tried() {
    let mut server =
        MailServer::start(with(up_to(SmtpStage::Greeting), [says("554"), Hangs])).await;
    let elsewhere = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    let answers = format!(r#"{{"localhost": [["{elsewhere}", "127.0.0.1"]]}}"#);
    let resolver = Resolver::from_json(&answers).expect("well-formed");
    server.client = Client::network(CallbackRules::development(), resolver);
    assert_eq!(server.send(|_| {}).await, Err(refused(554, None, SmtpStage::Greeting)));

    let client = server.client.clone();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = closed.local_addr().expect("it is bound").port();
    drop(closed);
    let failed = client.mail(mail(port)).await;
    assert_eq!(failed.map_err(|it| it.kind), Err(FailureKind::Connect));
}

#[test]
fn every_line_of_a_mail_ends_in_crlf() {
    let cases: [(&[u8], &str); 7] = [
        (b"", ".\r\n"),
        (b"a", "a\r\n.\r\n"),
        (b"a\r\n", "a\r\n.\r\n"),
        (b".\r\n..\r\nb.\r\n", "..\r\n...\r\nb.\r\n.\r\n"),
        // Ends of lines that some servers take for such, and others not.
        (b"a\n.\nMAIL FROM:<eve@example.com>", "a\r\n..\r\nMAIL FROM:<eve@example.com>\r\n.\r\n"),
        (b"a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n\r\nb\n\n", "a\r\n\r\nb\r\n\r\n.\r\n"),
    ];
    for (raw, expected) in cases {
        assert_eq!(String::from_utf8(transparent(raw)).expect("UTF-8"), expected);
    }
}

#[tokio::test]
async fn no_debug_output_has_a_secret() {
    let client = Client::scripted([]);
    let sent = Mail { login: Some(login()), ..mail(587) };
    client.mail(sent).await.expect("accepted");
    let [mail] = &client.script().mails()[..] else { panic!("one mail") };
    let texts = format!("{mail:?} {:?} {:?}", mail.login, client);
    for secret in ["s3cret", "Subject", "Yes", "cher"] {
        assert!(!texts.contains(secret), "{texts}");
    }
}

#[tokio::test]
async fn scripted_client_replies_in_order() {
    let client = Client::scripted([]);
    let full = Err(refused(552, Some("5.2.2"), SmtpStage::Data));
    client.script().answer_mail(full.clone());
    assert_eq!(client.mail(mail(1)).await, full);
    assert_eq!(client.mail(mail(2)).await, Ok(accepted(None)));
    let ports: Vec<_> = client.script().mails().iter().map(|it| it.port).collect();
    assert_eq!(ports, [1, 2]);
}
