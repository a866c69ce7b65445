//! E-mail.

use super::*;
use crate::page::{
    Words,
    reader::{Element, read},
};

/// The elements of an e-mail, with those that Markdown makes.
const ELEMENTS: &str = "html head meta title style body div a bdi blockquote br code del em h1 h2 h3 \
                        h4 h5 h6 hr li mark ol p pre span strong table tbody td th thead tr ul";

fn check(request: &Request) -> Result<(), TestCaseError> {
    let mail = email(&Content { code: Some("123456"), ..asks(request) });
    let is_break = |it: char| it.is_control() || matches!(it, '\u{2028}' | '\u{202e}');
    let has_break = mail.subject.contains(is_break);
    prop_assert!(!has_break);
    prop_assert!(!mail.subject.contains("123456"));
    let elements = read(&mail.html);
    for Element { name, attributes, .. } in &elements {
        prop_assert!(ELEMENTS.split_whitespace().any(|it| it == name), "{}", name);
        for (key, value) in attributes {
            let is_active = key.starts_with("on")
                || ["src", "srcset", "background", "action"].contains(&key.as_str());
            prop_assert!(!is_active, "{}={}", key, value);
            // Markdown writes no styles, so nothing else can look like the action.
            prop_assert!(key != "style" || (name == "div" && attributes.contains_key("class")));
        }
    }
    let actions = elements.iter().filter(|it| it.attribute("class") == Some("action"));
    prop_assert_eq!(actions.count(), usize::from(request.question.action.is_some()));
    // Links of a body name their relation.
    let ours = elements.iter().filter(|it| it.name == "a" && it.attribute("rel").is_none());
    for href in ours.filter_map(|it| it.attribute("href")) {
        prop_assert!(href == LINK || href.starts_with(&format!("{LINK}?option=")), "{}", href);
    }
    let lines: Vec<&str> = mail.text.lines().collect();
    prop_assert_eq!(lines.iter().filter(|it| **it == LINK).count(), 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_gives_an_email_with_our_elements_and_links(text in mischief(30)) {
        check(&hostile(&text))?;
    }

    #[test]
    fn any_characters_give_an_email_with_our_elements_and_links(text: String) {
        check(&hostile(&text))?;
    }

    /// Every line of a body is quoted, so none looks like an option, the action or a link.
    #[test]
    fn body_lines_are_quoted_in_the_text(body in mischief(20)) {
        let n_lines = |body: &str| {
            let request = request(|new| new.question.body = Some(body.to_owned()));
            email(&asks(&request)).text.lines().filter(|it| !it.starts_with("> ")).count()
        };
        prop_assert_eq!(n_lines(&format!("x{body}x")), n_lines("x"));
    }
}

#[test]
fn email_shows_everything_in_text_and_html() {
    let request = rich();
    let mail = email(&asks(&request));
    assert_eq!(mail.subject, "Deploy 1.4 to production?");
    assert_eq!(mail.message_id, format!("<{}@ask.example.com>", notification(1)));
    assert!(mail.in_reply_to.is_none());
    insta::assert_snapshot!("email_text", mail.text);
    let body = mail.html.split_once("</style>").map(|it| it.1);
    insta::assert_snapshot!("email_html", body.unwrap_or_default());
}

#[test]
fn email_of_a_form_has_one_link() {
    let request = request(|new| {
        new.owner.mode = Mode::Test;
        new.question.locale = Some(Locale::De);
        new.question.options = vec![option("approve", "Approve", None)];
        new.question.fields = vec![Field {
            key: "why".to_owned(),
            label: "Why".to_owned(),
            help: None,
            placeholder: None,
            required: Required::For(vec!["approve".to_owned()]),
            kind: FieldKind::Text { max_length: None },
            default: None,
        }];
    });
    let mail = email(&Content {
        purpose: Purpose::Code,
        in_reply_to: Some(notification(2)),
        code: Some("012345"),
        ..asks(&request)
    });
    assert_eq!((n_links(&mail.text), n_links(&mail.html)), (1, 1));
    assert_eq!(mail.in_reply_to, Some(format!("<{}@ask.example.com>", notification(2))));
    insta::assert_snapshot!(format!("Subject: {}\n\n{}", mail.subject, mail.text));
}

#[test]
fn email_says_why_it_comes_in_each_language() {
    let subjects = [Locale::En, Locale::De, Locale::Es].map(|locale| {
        let request = request(|new| new.question.locale = Some(locale));
        let words = Words::find(locale.as_str()).expect("a language");
        let reasons = [
            (Purpose::Remind, words.message.reminder),
            (Purpose::Escalate, words.message.escalated),
            (Purpose::Code, words.message.new_code),
        ];
        reasons.map(|(purpose, reason)| {
            let mail = email(&Content { purpose, ..asks(&request) });
            assert!(mail.text.contains(reason) && mail.html.contains(reason), "{reason}");
            mail.subject
        })
    });
    insta::assert_snapshot!(subjects.concat().join("\n"));
}

#[test]
fn subject_is_one_line_whatever_the_title() {
    let request =
        request(|new| new.question.title = "Hi\r\nBcc: all@example.com\u{2028}x".to_owned());
    let mail = email(&Content { purpose: Purpose::Remind, ..asks(&request) });
    assert_eq!(mail.subject, "Reminder: Hi  Bcc: all@example.com x");
}

#[test]
fn message_id_has_a_host_in_all_cases() {
    let id = |base_url: &str| {
        let request = request(|new| new.base_url = base_url.to_owned());
        email(&asks(&request)).message_id
    };
    let host = |it: &str| format!("<{}@{it}>", notification(1));
    assert_eq!(id("http://127.0.0.1:8080/x"), host("127.0.0.1"));
    assert_eq!(id("http://[::1]:8080"), host("answerback.invalid"));
    assert_eq!(id("not a URL"), host("answerback.invalid"));
}
