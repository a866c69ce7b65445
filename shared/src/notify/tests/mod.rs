//! Whole messages, and the marks that people's texts must not make in them.

mod chats;
mod emails;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    AccountId, Assurance, EmailAddress, Locale, Mode, OpId, Owner, RequestId, Requester,
    RequesterKind, Subscriptions,
    approval::ConsumePolicy,
    consumption::{ReadMode, ReadPolicy},
    delivery::Delivery,
    json::{Double, Json},
    notifier::ChatFormat,
    question::{Choice, Field, FieldKind, Question, Recipient, Required, Style},
    quorum::Quorum,
    request::{AnswerMode, LinkSecret, NewRequest, OnDeadline, OnUnreachable, RequestPolicy},
};

const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);
const LINK: &str = "https://ask.example.com/a/TOKEN";

/// Texts with a meaning in some markup.
const PIECES: &str = "<!channel>¦<@U123>¦<users/all>¦@everyone¦@all¦@channel ¦<https://evil.example|Open>¦\
    [Open](https://evil.example)¦https://evil.example/a_b¦![x](https://evil.example/x.png)¦```¦`¦**¦*¦_¦\
    ~~¦||¦# ¦\n# ¦\n---¦\n===\n¦> ¦\n- ¦\n1. ¦\\¦&¦&lt;¦\"¦'¦|¦<b>¦</div>¦<script>x</script>¦<!--¦\
    {{DATE(2026-01-01T00:00:00Z)}}¦:fire:¦\n¦\n\n¦\r\n¦\u{202e}¦\u{2069}¦\u{2028}¦é¦😀¦    ¦x¦ ";

/// These texts in any order.
fn mischief(n_max: usize) -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.split('¦').collect::<Vec<_>>());
    prop::collection::vec(piece, 0..n_max).prop_map(|pieces| pieces.concat())
}

fn request(change: impl FnOnce(&mut NewRequest)) -> Request {
    let mut new = NewRequest {
        id: RequestId::from_bits(1 << 100),
        owner: Owner { account: AccountId::from_bits(2 << 100), mode: Mode::Live },
        channel: None,
        family: None,
        trace: None,
        created_by: OpId(1),
        body_hash: None,
        created_at: NOW,
        deadline: NOW + std::time::Duration::from_hours(3),
        question: Question {
            title: "Deploy 1.4 to production?".to_owned(),
            recipients: vec![recipient(Some("Ada"))],
            ..<_>::default()
        },
        policy: RequestPolicy {
            mode: AnswerMode::OnUserAction,
            quorum: Quorum::ALL,
            on_deadline: OnDeadline::Expire,
            callback: None,
            read: ReadPolicy { mode: ReadMode::Repeat, ttl_seconds: None },
            assurance: Assurance::Link,
            allows_self: false,
            accepts_api_answers: true,
            consume: None,
            notify: Vec::new(),
            on_unreachable: OnUnreachable::Wait,
            slack_channel: None,
            steps: Vec::new(),
        },
        link_secret: LinkSecret([9; 16]),
        is_counted: false,
        base_url: "https://ask.example.com".to_owned(),
        is_published: false,
    };
    change(&mut new);
    Request::begin(new, Subscriptions::NONE)
}

fn recipient(name: Option<&str>) -> Recipient {
    let email = EmailAddress::parse("ada@example.com").expect("an address");
    Recipient { email, name: name.map(str::to_owned), via: Vec::new(), slack_user: None }
}

fn option(value: &str, label: &str, style: Option<Style>) -> Choice {
    Choice { value: value.to_owned(), label: label.to_owned(), style }
}

fn action(name: &str, args: &[(&str, &str)]) -> crate::domain::Action {
    let members =
        args.iter().map(|(key, value)| ((*key).to_owned(), Json::Text((*value).to_owned())));
    let mut members: std::collections::BTreeMap<_, _> = members.collect();
    members.insert("count".to_owned(), Json::Number(Double::parse("3").expect("a number")));
    let value = Json::Object(members);
    crate::domain::Action::new(name.to_owned(), value.canonical(), value)
}

/// A question with everything that a message shows.
fn rich() -> Request {
    request(|new| {
        let question = &mut new.question;
        let body = "## Why\n\nFixes **#12** & <b>more</b>, see [the run](https://ci.example.com/runs/1).\n\n- a\n- b";
        question.body = Some(body.to_owned());
        question.action =
            Some(action("deploy", &[("env", "production"), ("note", "`a` <b>\u{202e}")]));
        question.options = vec![
            option("approve", "Approve", Some(Style::Primary)),
            option("no & never", "Reject <it>", Some(Style::Destructive)),
        ];
        question.asked_by = Some("Acme · CI".to_owned());
        question.requester = Some(Requester {
            kind: RequesterKind::Agent,
            name: Some("release-bot".to_owned()),
            email: None,
            id: None,
        });
        new.policy.consume =
            Some(ConsumePolicy { option: "approve".to_owned(), within_seconds: 3_600, count: 1 });
        new.policy.assurance = Assurance::Confirm;
    })
}

/// A question whose requester wrote `text` everywhere.
fn hostile(text: &str) -> Request {
    request(|new| {
        let question = &mut new.question;
        question.title = text.chars().take(200).collect();
        question.body = Some(text.to_owned());
        question.action = Some(action(text, &[(text, text)]));
        question.options = vec![option("a", text, None), option(text, "B", None)];
        question.asked_by = Some(text.to_owned());
        question.requester = Some(Requester {
            kind: RequesterKind::Person,
            name: Some(text.to_owned()),
            email: None,
            id: None,
        });
        question.recipients = vec![recipient(Some(text))];
        new.owner.mode = Mode::Test;
    })
}

fn notification(tag: u32) -> NotificationId {
    let event = RequestId::from_bits(1 << 100).event(tag);
    NotificationId(Delivery::id_of(event, OpId(1), "nfr"))
}

fn asks(request: &Request) -> Content<'_> {
    Content {
        request,
        row: 0,
        purpose: Purpose::Ask,
        notification: notification(1),
        in_reply_to: None,
        link: LINK,
        code: None,
        now: NOW,
    }
}

fn json(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}

/// How often a link is in a text, whole.
fn n_links(text: &str) -> usize {
    text.matches(LINK).count()
}

#[test]
fn own_system_gets_everything_in_the_names_of_the_api() {
    let request = rich();
    let content = Content { code: Some("123456"), ..asks(&request) };
    insta::assert_snapshot!(json(&own_system(&content)));
    let plain = own_system(&asks(&request));
    assert_eq!(plain.get("code"), None);
    let purposes = [Purpose::Ask, Purpose::Remind, Purpose::Escalate, Purpose::Code];
    let names =
        purposes.map(|purpose| own_system(&Content { purpose, ..content })["purpose"].clone());
    assert_eq!(names, ["ask", "remind", "escalate", "code"]);
}

#[test]
fn anonymous_recipient_has_no_name_in_messages() {
    let request = request(|new| new.question.recipients.clear());
    let content = asks(&request);
    assert_eq!(own_system(&content)["recipient"], serde_json::Value::Null);
    assert!(email(&content).text.contains("someone gave you this link"));
    assert!(!json(&chat(&content, ChatFormat::Slack)).contains("For "));
}

#[test]
fn test_messages_ask_nothing_and_name_the_account() {
    let content =
        TestContent { account: Some("Acme <b>"), notification: notification(1), base_url: "x y" };
    let content = AnyContent::Test(content);
    let mail = content.email();
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}{}",
        mail.subject, mail.message_id, mail.text, mail.html
    ));
    let chats = ChatFormat::ALL.map(|(_, format)| json(&content.chat(format)));
    let others = [content.ntfy("topic", Buttons::Hidden), content.own_system()].map(|it| json(&it));
    insta::assert_snapshot!([&chats[..], &others[..]].concat().join("\n"));
}
