use std::sync::LazyLock;

use mail_parser::{Addr, MessageParser};
use proptest::prelude::*;

use super::*;
use crate::domain::MailboxError;

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

static SENDER: LazyLock<Mailbox> =
    LazyLock::new(|| mailbox("Answerback <answers@example.org>").expect("a mailbox"));

fn mailbox(text: &str) -> Result<Mailbox, MailboxError> {
    Mailbox::parse(text)
}

fn letter(to: &EmailAddress) -> Letter<'_> {
    Letter {
        from: &SENDER,
        reply_to: None,
        to,
        to_name: None,
        subject: "Deploy?",
        text: "Yes or no?",
        html: "<p>Yes or no?</p>",
        message_id: "<ntf_1@example.org>",
        in_reply_to: None,
        date: "2026-03-01T09:05:07.5Z".parse().expect("a time"),
    }
}

fn text(letter: Letter<'_>) -> String {
    String::from_utf8(letter.to_bytes().expect("well-formed")).expect("UTF-8")
}

#[test]
fn letter_has_headers_and_both_forms_of_the_message() {
    let (to, reply_to) = (address("Ada@Bücher.example"), address("ops@example.org"));
    let letter = Letter {
        reply_to: Some(&reply_to),
        to_name: Some("Ada \"Countess\" Lovelace"),
        subject: "Löschen?",
        text: "a = b \n.\n",
        in_reply_to: Some("<ntf_0@example.org>"),
        ..letter(&to)
    };
    let expected = "\
Date: Sun, 01 Mar 2026 09:05:07 +0000
From: \"Answerback\"
 <answers@example.org>
Reply-To: ops@example.org
To: \"Ada \\\"Countess\\\" Lovelace\"
 <Ada@xn--bcher-kva.example>
Subject: =?UTF-8?B?TMO2c2NoZW4/?=
Message-ID: <ntf_1@example.org>
In-Reply-To: <ntf_0@example.org>
References: <ntf_0@example.org>
Auto-Submitted: auto-generated
X-Auto-Response-Suppress: All
MIME-Version: 1.0
Content-Type: multipart/alternative;
 boundary=\"=_ntf1exampleorg\"

--=_ntf1exampleorg
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

a =3D b=20
.

--=_ntf1exampleorg
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Yes or no?</p>
--=_ntf1exampleorg--
";
    assert_eq!(text(letter), expected.replace('\n', "\r\n"));
}

#[test]
fn long_subject_of_plain_words_is_folded() {
    let to = address("ada@example.com");
    let subject =
        "Deploy version 2026.3.1 of the payment service to all regions of production now?";
    let mail = text(Letter { subject, ..letter(&to) });
    let expected = "Subject: Deploy version 2026.3.1 of the payment service to all\r\n \
                    regions of production now?\r\n";
    assert!(mail.contains(expected), "{mail}");
}

#[test]
fn malformed_identifiers_are_refused() {
    let to = address("ada@example.com");
    let refused = |it: Letter<'_>| it.to_bytes().expect_err("malformed");
    for id in
        ["", "<a>", "a@b", "<a@>", "<a@b> <c@d>", "<a@b\r\n>", "<a@b>\r\nBcc: eve@example.com"]
    {
        let error = refused(Letter { message_id: id, ..letter(&to) });
        assert_eq!(error, LetterError::MessageId, "{id}");
        let error = refused(Letter { in_reply_to: Some(id), ..letter(&to) });
        assert_eq!(error, LetterError::MessageId, "{id}");
    }
}

/// What a reader sees of a subject or a name.
fn shown(text: &str) -> String {
    encoding::one_line(text)
}

fn with_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Texts of all kinds, among them such as attack headers, encodings and boundaries.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[ -~]{0,90}",
        "[ -~\r\n\t.=]{0,30}",
        "\\PC{0,40}",
        Just("\r\nBcc: eve@example.com\r\n\r\n".to_owned()),
        Just("\n.\r\n".to_owned()),
        Just("=?UTF-8?B?YQ==?=".to_owned()),
        Just("\r\n--=_ntf1exampleorg--\r\n".to_owned()),
        "[a-z]{1000}",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn any_words_arrive_as_they_were_written(
        subject in any_text(), name in any_text(), text in any_text(), html in any_text(),
    ) {
        let to = address("ada@example.com");
        let letter = Letter {
            subject: &subject, to_name: Some(&name), text: &text, html: &html, ..letter(&to)
        };
        let bytes = letter.to_bytes().expect("well-formed");
        prop_assert!(bytes.is_ascii());
        let mail = str::from_utf8(&bytes).expect("ASCII");
        for line in mail.split("\r\n") {
            prop_assert!(line.len() <= 128 && !line.contains(['\r', '\n']), "{:?}", line);
        }

        let parsed = MessageParser::default().parse(&bytes).expect("a mail");
        let names: Vec<_> = parsed.headers().iter().map(mail_parser::Header::name).collect();
        let expected = [
            "Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted",
            "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
        ];
        prop_assert_eq!(names, expected);
        prop_assert_eq!(parsed.subject().unwrap_or_default(), shown(&subject));
        let to = parsed.to().and_then(|it| it.first()).cloned();
        let name = Some(shown(&name)).filter(|it| !it.is_empty()).map(Into::into);
        prop_assert_eq!(to, Some(Addr { name, address: Some("ada@example.com".into()) }));
        prop_assert_eq!(parsed.parts.len(), 3);
        prop_assert_eq!(parsed.body_text(0).unwrap_or_default(), with_crlf(&text));
        prop_assert_eq!(parsed.body_html(0).unwrap_or_default(), with_crlf(&html));
    }

    #[test]
    fn any_sender_arrives(name in any_text()) {
        let Ok(from) = mailbox(&format!("{name} <answers@example.org>")) else { return Ok(()) };
        let to = address("ada@example.com");
        let bytes = Letter { from: &from, ..letter(&to) }.to_bytes().expect("well-formed");
        let parsed = MessageParser::default().parse(&bytes).expect("a mail");
        let sender = parsed.from().and_then(|it| it.first()).expect("a sender");
        prop_assert_eq!(sender.name(), from.name());
        prop_assert_eq!(sender.address(), Some("answers@example.org"));
    }
}
