//! Chat programs and ntfy.

use serde_json::Value;

use super::*;

/// All strings of a message.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn units(value: &Value) -> usize {
    value.as_str().expect("a text").encode_utf16().count()
}

fn check_limits(message: &Value, format: ChatFormat) {
    let size = message.to_string().len();
    match format {
        ChatFormat::Teams => assert!(size <= 28 * 1_024, "{size}"),
        ChatFormat::Discord => {
            let embed = &message["embeds"][0];
            assert!(units(&message["content"]) <= 2_000);
            assert!(units(&embed["title"]) <= 256);
            assert!(units(&embed["description"]) <= 4_096);
        }
        ChatFormat::Mattermost => assert!(units(&message["text"]) <= 16_383),
        ChatFormat::GoogleChat => assert!(message["text"].as_str().expect("a text").len() <= 4_096),
        ChatFormat::Slack => {
            for block in message["blocks"].as_array().expect("blocks") {
                let max = if block["type"] == "header" { 150 } else { 3_000 };
                assert!(units(&block["text"]["text"]) <= max, "{block}");
            }
        }
    }
}

/// The texts of a chat message outside of verbatim text, with escapes taken away.
fn check_marks(message: &Value, format: ChatFormat) {
    for text in texts(message) {
        match format {
            ChatFormat::Slack => {
                let rest = text.replace(&format!("<{LINK}|"), "");
                assert!(
                    !rest.contains("<!") && !rest.contains("<@") && !rest.contains("<http"),
                    "{text}"
                );
            }
            ChatFormat::GoogleChat => {
                assert!(!text.contains("<users/") && !text.contains("<http"), "{text}");
                assert!(text.matches("```").count() % 2 == 0, "{text}");
            }
            ChatFormat::Mattermost => {
                let outside: Vec<_> = text.split("```").step_by(2).collect();
                for name in ["@all", "@channel", "@everyone", "](", "![x"] {
                    assert!(!outside.concat().contains(name), "{name}: {text}");
                }
            }
            ChatFormat::Discord => {
                let outside: Vec<_> = text.split("```").step_by(2).collect();
                for name in ["](", "<@", "<!", "||"] {
                    assert!(!outside.concat().contains(name), "{name}: {text}");
                }
            }
            ChatFormat::Teams => {
                for name in ["](", "![", "**", "{{"] {
                    assert!(!text.contains(name), "{name}: {text}");
                }
            }
        }
    }
    if format == ChatFormat::Discord {
        assert_eq!(message["allowed_mentions"], serde_json::json!({ "parse": [] }));
    }
}

fn check(request: &Request) {
    let content = Content { code: Some("123456"), ..asks(request) };
    for (_, format) in ChatFormat::ALL {
        let message = chat(&content, format);
        check_limits(&message, format);
        check_marks(&message, format);
        let text = texts(&message).join("\n");
        assert_eq!(n_links(&text), 1, "{text}");
        assert!(!text.contains("123456"));
    }
    let message = ntfy(&content, "topic", Buttons::Hidden);
    assert!(message["message"].as_str().expect("a text").len() <= 4_096);
    assert!(message.to_string().len() <= 8_192);
    assert_eq!(message["click"], LINK);
    assert_eq!(n_links(&json(&message["actions"])), 1);
    assert!(!json(&message).contains("123456"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_fits_and_has_no_marks(text in mischief(40)) {
        check(&hostile(&text));
    }

    #[test]
    fn long_text_fits_and_has_no_marks(text in mischief(3), n in 0_usize..9_000) {
        let n = n / text.len().max(1);
        check(&hostile(&text.repeat(n)));
    }
}

#[test]
fn chat_messages_show_everything() {
    let request = rich();
    for (name, format) in ChatFormat::ALL {
        let message = chat(&asks(&request), format);
        insta::assert_snapshot!(format!("chat_{name}"), json(&message));
    }
    insta::assert_snapshot!("ntfy", json(&ntfy(&asks(&request), "topic", Buttons::Shown)));
}

#[test]
fn action_that_does_not_fit_is_left_out_and_the_link_says_so() {
    let request = request(|new| {
        new.question.action =
            Some(action("deploy", &[("note", &"very long ******** ".repeat(860))]));
        new.question.body = Some("Ship it.".to_owned());
        new.question.options = vec![option("yes", "Yes", None)];
    });
    let content = asks(&request);
    let messages = ChatFormat::ALL.map(|(_, format)| json(&chat(&content, format)));
    for message in messages.iter().chain([&json(&ntfy(&content, "topic", Buttons::Shown))]) {
        assert!(message.contains("Open to review"), "{message}");
        assert!(message.contains("too long for this message"), "{message}");
        assert!(!message.contains("very long"), "{message}");
        assert!(message.contains("Ship it"), "{message}");
    }
}

#[test]
fn long_body_is_cut_and_the_link_is_not() {
    let request = request(|new| new.question.body = Some("One more word. ".repeat(2_000)));
    for (_, format) in ChatFormat::ALL {
        let message = json(&chat(&asks(&request), format));
        assert!(message.contains('…') && n_links(&message) == 1, "{message}");
    }
}

#[test]
fn ntfy_answers_by_a_press_only_where_a_press_may_decide() {
    let kinds = |change: &dyn Fn(&mut NewRequest), buttons| {
        let request = request(|new| {
            new.question.options = vec![option("yes", "Yes", None), option("no \"", "No", None)];
            change(new);
        });
        let message = ntfy(&asks(&request), "topic", buttons);
        let actions = message["actions"].as_array().expect("a list").clone();
        actions
            .into_iter()
            .map(|it| it["action"].as_str().expect("a kind").to_owned())
            .collect::<Vec<_>>()
    };
    let view = ["view"];
    assert_eq!(kinds(&|_| (), Buttons::Shown), ["http", "http"]);
    assert_eq!(kinds(&|_| (), Buttons::Hidden), view);
    assert_eq!(kinds(&|it| it.policy.assurance = Assurance::Confirm, Buttons::Shown), view);
    assert_eq!(kinds(&|it| it.policy.assurance = Assurance::Code, Buttons::Shown), view);
    assert_eq!(kinds(&|it| it.question.options.clear(), Buttons::Shown), view);
    assert_eq!(kinds(&|it| it.question.body = Some("long ".repeat(2_000)), Buttons::Shown), view);
    let more = |it: &mut NewRequest| {
        it.question.options.extend([option("c", "C", None), option("d", "D", None)]);
    };
    assert_eq!(kinds(&more, Buttons::Shown), view);

    let request = request(|new| new.question.options = vec![option("no \"", "No", None)]);
    let message = ntfy(&asks(&request), "topic", Buttons::Shown);
    insta::assert_snapshot!(json(&message["actions"]));
}
