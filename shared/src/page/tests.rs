//! Whole pages.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{
    reader::{Element, read},
    *,
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a valid time")
}

fn page<'a>(text: &'a str, content: Content<'a>) -> Page<'a> {
    Page {
        words: Words::english(),
        asker: Asker {
            account: Some(text),
            requester: Some(Requester {
                kind: RequesterKind::Agent,
                name: text,
                is_verified: false,
            }),
        },
        title: text,
        action: None,
        body_markdown: Some("# Why\n\nSee [the plan](https://example.com/plan)."),
        recipient_name: Some(text),
        is_test: true,
        deadline: at("2026-11-21T10:46:00Z"),
        closed_at: Some(at("2026-11-21T07:40:00Z")),
        effects: vec![text.to_owned()],
        coming: Vec::new(),
        now: at("2026-11-21T07:46:00Z"),
        content,
    }
}

fn answered(text: &str) -> Answered<'_> {
    let fields = vec![(text, text.into())];
    Answered { option: Some(text), fields, at: at("2026-11-21T07:45:00Z") }
}

/// A form with all kinds of controls, and `text` in place of all texts that people write.
fn full_form<'a>(text: &'a str, errors: &[FieldError<'a>]) -> Form<'a> {
    let option = |style| Choice { value: text, label: text, style };
    let field = |key, kind| Field {
        key,
        label: text,
        help: Some(text),
        placeholder: Some(text),
        kind,
        required: Required::Always,
        default: Some(text.into()),
    };
    let choices = || vec![("a", "A"), (text, text)];
    let for_some = Required::For(vec![text]);
    Form {
        options: [Style::Primary, Style::Secondary, Style::Destructive].map(option).into(),
        fields: vec![
            field(text, FieldKind::Text { max_length: Some(200) }),
            field("several", FieldKind::Textarea { max_length: None }),
            field(
                "number",
                FieldKind::Number { min: Some("0.5"), max: Some("1000000000000000000000") },
            ),
            field("choice", FieldKind::Select { choices: choices() }),
            Field {
                required: for_some,
                ..field("choices", FieldKind::MultiSelect { choices: choices() })
            },
            field("day", FieldKind::Date { min: Some("2026-01-31".to_owned()), max: None }),
            field("toggle", FieldKind::Toggle),
        ],
        current: None,
        values: None,
        errors: errors.to_vec(),
        chosen: None,
        nonce: "0".repeat(44),
        code: None,
    }
}

/// Every key is a field with one text.
#[expect(clippy::unnecessary_wraps, reason = "as `parse_form` wants it")]
fn single(_: &str) -> Option<Control> {
    Some(Control::Single)
}

fn written(text: &str) -> Written<'_> {
    Written { option: Some(text), fields: vec![(text, text.into())] }
}

/// The second step for an answer with `text` in place of all texts that people write.
fn confirmation<'a>(text: &'a str, values: &'a [(String, String)]) -> Confirmation<'a> {
    Confirmation {
        written: written(text),
        style: Style::Destructive,
        option: text,
        values,
        current: Some(answered(text)),
        is_outdated: true,
        nonce: "0".repeat(44),
        code: Some(text),
        approval: Some(text),
    }
}

/// All kinds of pages, with `text` in them.
fn all_pages(text: &str) -> Vec<String> {
    let fields = [text, "toggle", "unknown"].map(FormPart::Field);
    let errors: Vec<_> = fields
        .into_iter()
        .chain([FormPart::Options, FormPart::Code])
        .map(|part| FieldError { part, detail: text.to_owned() })
        .collect();
    let values = [(text.to_owned(), text.to_owned())];
    let code = Some(CodeInput { value: text });
    let endings = [
        Ending::Decided,
        Ending::Vetoed,
        Ending::NotMet,
        Ending::Enough,
        Ending::Cancelled { reason: None },
        Ending::Cancelled { reason: Some(text) },
        Ending::TimedOut,
        Ending::Defaulted { option: text },
    ];
    let mut contents = vec![
        Content::Form(full_form(text, &[])),
        Content::Form(full_form(text, &errors)),
        Content::Form(Form { current: Some(answered(text)), ..Form::default() }),
        Content::Form(Form { code, ..full_form(text, &errors) }),
        Content::Form(Form { code, chosen: Some(text), ..full_form(text, &[]) }),
        Content::Confirmation(confirmation(text, &values)),
        Content::Confirmation(Confirmation { current: None, ..confirmation(text, &[]) }),
        Content::Locked { can_renew: true },
        Content::Locked { can_renew: false },
        Content::Answered(answered(text)),
        Content::AlreadyAnswered { own: answered(text), written: Some(written(text)) },
    ];
    for ending in endings {
        let written = Some(written(text));
        contents.push(Content::Ended { ending: ending.clone(), own: None, written });
        contents.push(Content::Ended { ending, own: Some(answered(text)), written: None });
    }
    let mut pages: Vec<_> =
        contents.into_iter().map(|content| render(&page(text, content))).collect();
    pages.push(render_problem(Words::english(), ProblemKind::UnknownLink));
    pages
}

fn form_page(form: Form<'_>) -> Vec<Element> {
    read(&render(&page("Deploy?", Content::Form(form))))
}

fn named<'a>(elements: &'a [Element], name: &str) -> Vec<&'a Element> {
    elements.iter().filter(|element| element.name == name).collect()
}

/// The elements and attribute names of a page, without texts.
fn skeleton(page: &str) -> Vec<(String, Vec<String>)> {
    let parts = |it: Element| (it.name, it.attributes.into_keys().collect());
    read(page).into_iter().map(parts).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn texts_of_people_never_become_markup(
        text in r#"[<>"'&/=a-z\\ {}%#;!-]{1,40}|</(title|textarea|style|form)><script>x|" autofocus onfocus="x"#
    ) {
        // The letter at the end makes it different from all values of the form.
        let text = format!("{text}Z");
        for (page, calm) in all_pages(&text).iter().zip(all_pages("calmZ")) {
            prop_assert_eq!(skeleton(page), skeleton(&calm));
        }
        let elements = form_page(full_form(&text, &[]));
        let keys = elements.iter().filter(|it| it.attribute("name") == Some(&format!("field.{text}")));
        prop_assert_eq!(keys.count(), 1);
        let values = elements.iter().filter(|it| it.attribute("value") == Some(&text));
        prop_assert_eq!(values.count(), 8, "three options, three inputs, two choices");
        prop_assert_eq!(&named(&elements, "textarea")[0].text.trim_start_matches('\n'), &text);
    }

    #[test]
    fn submitted_form_is_parsed(texts in prop::collection::btree_map("[a-z.]{1,9}", "[a-z\n]{0,9}", 0..9)) {
        let pairs = texts.iter().map(|(key, text)| (format!("field.{key}"), text.replace('\n', "\r\n")));
        let pairs: Vec<_> = pairs.chain([("option".to_owned(), "approve".to_owned())]).collect();
        let SubmittedForm { option, fields, .. } = parse_form(&pairs, single);
        prop_assert_eq!(option.as_deref(), Some("approve"));
        prop_assert_eq!(fields, texts.into_iter().collect::<Vec<_>>());
    }
}

proptest! {
    /// For any bytes, each key has one text, and submitting the parsed form again changes nothing.
    #[test]
    fn any_bytes_are_parsed_into_one_text_per_key(
        bytes in prop::collection::vec(prop_oneof![
            Just(b"field.a=".to_vec()), Just(b"field.".to_vec()), Just(b"option=".to_vec()),
            Just(b"&".to_vec()), Just(b"=".to_vec()), Just(b"%0D%0A".to_vec()), Just(b"%".to_vec()),
            Just(b"+%C3".to_vec()), prop::collection::vec(any::<u8>(), 0..4),
        ], 0..24),
    ) {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(&bytes.concat()).into_owned().collect();
        let SubmittedForm { option, fields, .. } = parse_form(&pairs, single);
        let named = |it: &str| -> Vec<&str> {
            pairs.iter().filter(|pair| pair.0 == it).map(|it| it.1.as_str()).collect()
        };
        prop_assert_eq!(option.as_deref(), named("option").into_iter().find(|it| !it.is_empty()));
        let keys: HashSet<_> = fields.iter().map(|it| &it.0).collect();
        prop_assert_eq!(keys.len(), fields.len(), "a key is duplicated");
        let sent: HashSet<_> = pairs.iter().filter_map(|it| it.0.strip_prefix("field.")).collect();
        prop_assert_eq!(keys.len(), sent.len(), "a field was lost");
        for (key, text) in &fields {
            let sent = named(&format!("field.{key}"));
            prop_assert_eq!(Some(text.clone()), sent.last().map(|it| it.replace("\r\n", "\n")));
        }
        let again = fields.iter().map(|(key, text)| (format!("field.{key}"), text.clone()));
        let option_again = option.clone().map(|it| ("option".to_owned(), it));
        let again: Vec<_> = again.chain(option_again).collect();
        // A CR before a CR LF becomes another CR LF. No browser submits that.
        if !again.iter().any(|it| it.1.contains("\r\n")) {
            let parsed = SubmittedForm { option, fields, ..SubmittedForm::default() };
            prop_assert_eq!(parse_form(&again, single), parsed);
        }
    }

    /// Of any number of keys, all fields are kept, and one key that is not a field.
    #[test]
    fn one_unknown_key_is_kept(
        keys in prop::collection::vec(0_u32..60, 0..120),
        n_fields in 0_u32..20,
    ) {
        let is_field = |key: &str| {
            key.parse().is_ok_and(|it: u32| it < n_fields).then_some(Control::Single)
        };
        let pairs = keys.iter().zip(0..).map(|(key, at): (_, u32)| (format!("field.{key}"), at.to_string()));
        let SubmittedForm { fields, .. } = parse_form(&pairs.collect::<Vec<_>>(), is_field);
        let last = |key: u32| keys.iter().rposition(|it| *it == key);
        for (key, text) in &fields {
            let at = last(key.parse().expect("one of ours")).map(|it| it.to_string());
            prop_assert_eq!(at, Some(text.clone()));
        }
        let kept: HashSet<_> = fields.iter().map(|it| &*it.0).collect();
        let known = (0..n_fields).filter(|it| keys.contains(it)).map(|it| it.to_string());
        let unknown = keys.iter().find(|it| **it >= n_fields).map(ToString::to_string);
        let expected: Vec<_> = known.chain(unknown).collect();
        prop_assert_eq!(fields.len(), expected.len());
        prop_assert_eq!(kept, expected.iter().map(|it| &**it).collect());
    }
}

#[test]
fn pages_load_nothing_and_have_no_foreign_links() {
    for element in all_pages("x").iter().flat_map(|page| read(page)) {
        assert!(!["link", "img", "iframe", "object", "base"].contains(&&*element.name));
        for name in element.attributes.keys() {
            let is_active = name.starts_with("on")
                || ["src", "style", "action", "formaction", "target"].contains(&&**name);
            assert!(!is_active, "{element:?}");
        }
        if let Some(href) = element.attribute("href") {
            assert!(
                href.starts_with('#') || href == "?" || href == "https://example.com/plan",
                "{href}"
            );
        }
    }
}

#[test]
fn content_security_policy_allows_only_our_style_and_script() {
    let elements = form_page(full_form("x", &[]));
    let [style, script] = ["style", "script"].map(|name| {
        let [element] = named(&elements, name)[..] else { panic!("one {name}") };
        STANDARD.encode(Sha256::digest(&element.text))
    });
    let policy = headers().into_iter().find(|(name, _)| *name == "content-security-policy");
    assert_eq!(
        policy.map(|(_, value)| value.to_owned()),
        Some(format!(
            "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ))
    );
}

#[test]
fn references_have_targets_and_controls_have_labels() {
    for page in all_pages("x") {
        let elements = read(&page);
        let ids: Vec<_> = elements.iter().filter_map(|it| it.attribute("id")).collect();
        let unique: HashSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{ids:?}");

        for element in &elements {
            let references = ["for", "aria-labelledby", "aria-describedby"]
                .into_iter()
                .filter_map(|name| element.attribute(name))
                .chain(element.attribute("href").and_then(|href| href.strip_prefix('#')));
            for id in references.flat_map(str::split_whitespace) {
                assert!(unique.contains(id), "{id} of {element:?}");
            }
            let is_control = ["input", "select", "textarea"].contains(&&*element.name)
                && element.attribute("type") != Some("hidden");
            if is_control {
                let id = element.attribute("id");
                let labels = named(&elements, "label");
                assert!(labels.iter().any(|label| label.attribute("for") == id), "{element:?}");
            }
        }
        assert_eq!(named(&elements, "h1").len(), 1);
        assert_eq!(named(&elements, "main").len(), 1);
        assert_eq!(named(&elements, "html")[0].attribute("lang"), Some("en"));
    }
}

#[test]
fn enter_in_a_field_chooses_no_option() {
    let elements = form_page(full_form("x", &[]));
    let buttons = named(&elements, "button");
    // The default button of a form is its first.
    assert_eq!(buttons.len(), 4);
    assert_eq!(buttons[0].attribute("name"), Some("option"));
    assert_eq!(buttons[0].attribute("value"), Some(""));
    let is_passed_over =
        |it: &&Element| ["disabled", "hidden"].map(|name| it.attribute(name)) != [None; 2];
    assert!(!buttons.iter().any(is_passed_over));

    let submitted = parse_form(&[("option".to_owned(), String::new())], single);
    assert_eq!(submitted.option, None);
}

/// In the second step, Enter is pressed on a control only if the button has the focus.
#[test]
fn second_step_has_one_button_and_no_control() {
    let values = [("why".to_owned(), "a\nb".to_owned())];
    let content = Content::Confirmation(confirmation("x", &values));
    let elements = read(&render(&page("Deploy?", content)));
    let buttons = named(&elements, "button");
    assert_eq!(buttons.len(), 1);
    assert_eq!(buttons[0].attribute("name"), None);
    let inputs = named(&elements, "input");
    assert!(inputs.iter().all(|it| it.attribute("type") == Some("hidden")));
    let sent: Vec<_> = inputs
        .iter()
        .map(|it| {
            [it.attribute("name"), it.attribute("value")]
                .map(|it| it.expect("it is there").to_owned())
        })
        .map(|[name, value]| (name, value))
        .collect();
    let form = parse_form(&sent, single);
    assert_eq!((form.option.as_deref(), form.code.as_deref()), (Some("x"), Some("x")));
    assert_eq!(form.nonce, Some("0".repeat(44)));
    assert_eq!(form.fields, values);
}

#[test]
fn form_without_options_has_one_submit_button() {
    let elements = form_page(Form::default());
    let buttons = named(&elements, "button");
    assert_eq!(buttons.len(), 1);
    assert_eq!(buttons[0].attribute("value"), Some("submit"));
}

#[test]
fn submitted_texts_replace_the_defaults() {
    let sent = [("several", "a\nb"), ("choice", "a"), ("toggle", "false"), ("number", "")]
        .map(|(key, text)| (key.to_owned(), text.to_owned()));
    let elements = form_page(Form { values: Some((&sent[..]).into()), ..full_form("true", &[]) });
    let value = |name: &str| {
        let element = elements.iter().rfind(|it| it.attribute("name") == Some(name));
        element.and_then(|it| it.attribute("value"))
    };
    assert_eq!(named(&elements, "textarea")[0].text, "\na\nb");
    assert_eq!(value("field.true"), Some(""));
    assert_eq!(value("field.number"), Some(""));
    let selected: Vec<_> =
        elements.iter().filter(|it| it.attribute("selected").is_some()).collect();
    assert_eq!(selected.iter().map(|it| it.attribute("value")).collect::<Vec<_>>(), [Some("a")]);
    assert!(elements.iter().all(|it| it.attribute("checked").is_none()));
    let defaults = form_page(full_form("true", &[]));
    assert!(defaults.iter().any(|it| it.attribute("checked").is_some()));
}

#[test]
fn checked_box_wins_over_the_hidden_one_before_it() {
    let sent = [("field.t", "false"), ("field.t", "true"), ("field.u", "false"), ("option", "")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let SubmittedForm { option, fields, .. } = parse_form(&sent, single);
    assert_eq!(option, None);
    let fields: Vec<_> = fields.iter().map(|(key, text)| (&**key, &**text)).collect();
    assert_eq!(fields, [("t", "true"), ("u", "false")]);
}

#[test]
fn refused_form_says_what_to_correct() {
    let errors = [
        FieldError { part: FormPart::Field("several"), detail: "is required".to_owned() },
        FieldError { part: FormPart::Options, detail: "choose one of the options".to_owned() },
    ];
    let html = render(&page("Deploy?", Content::Form(full_form("Comment", &errors))));
    let main = html.split_once("<main>").and_then(|(_, rest)| rest.split_once("</main>"));
    insta::assert_snapshot!(main.map_or("", |(main, _)| main));
}

#[test]
fn checked_boxes_become_lines() {
    let boxes = |key: &str| (key == "days").then_some(Control::Boxes);
    let parse = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        parse_form(&pairs, boxes).fields
    };
    let field = |text: &str| vec![("days".to_owned(), text.to_owned())];
    assert_eq!(parse(&[("field.days", "")]), field(""));
    assert_eq!(
        parse(&[("field.days", ""), ("field.days", "mo"), ("field.days", "tu")]),
        field("mo\ntu")
    );
    // The second step sends all of them in one.
    assert_eq!(parse(&[("field.days", "mo\r\ntu")]), field("mo\ntu"));

    let values = field("b\nc");
    let choices = vec![("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")];
    let days = Field {
        key: "days",
        label: "Days",
        help: None,
        placeholder: None,
        required: Required::Never,
        kind: FieldKind::MultiSelect { choices },
        default: Some("a".into()),
    };
    let fields = vec![days];
    let elements = form_page(Form { fields, values: Some(values.into()), ..Form::default() });
    let checked = elements.iter().filter(|it| it.attribute("checked").is_some());
    assert_eq!(checked.map(|it| it.attribute("value")).collect::<Vec<_>>(), [Some("b"), Some("c")]);
}

#[test]
fn title_of_a_tab_has_no_override_of_direction() {
    let title = "Approve \u{202e}etelled\u{202c} \u{2067}all\u{2069}?";
    let html = render(&page(title, Content::Form(Form::default())));
    let elements = read(&html);
    assert_eq!(named(&elements, "title")[0].text.trim(), "Approve etelled all? · Answerback");
    assert_eq!(named(&elements, "h1")[0].text, title);
}

#[test]
fn preview_says_nothing_about_the_question() {
    let html = render(&page("Fire Ada?", Content::Form(Form::default())));
    let elements = read(&html);
    let meta = named(&elements, "meta");
    let title = meta.iter().find(|it| it.attribute("property") == Some("og:title"));
    let title = title.and_then(|it| it.attribute("content"));
    assert_eq!(title, Some("You are asked to answer a question"));
    assert!(meta.iter().all(|it| it.attribute("content").is_none_or(|it| !it.contains("Ada"))));
}

#[test]
fn page_speaks_each_language() {
    for words in Words::ALL {
        let page = Page { words, ..page("Deploy?", Content::Answered(answered("yes"))) };
        let html = render(&page);
        assert!(html.contains(words.answer.recorded), "{}", words.lang);
        let elements = read(&html);
        assert_eq!(named(&elements, "html")[0].attribute("lang"), Some(words.lang));
    }
}
