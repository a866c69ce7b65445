//! Answers and the questions that they fit.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::domain::{
    Decimal,
    text::{is_blank, is_forbidden_character},
};

fn choice(value: &str) -> Choice {
    Choice { value: value.to_owned(), label: value.to_owned(), style: None }
}

fn field(kind: FieldKind, required: Required) -> Field {
    Field {
        key: "f".into(),
        label: "F".into(),
        help: None,
        placeholder: None,
        required,
        kind,
        default: None,
    }
}

/// The value in an answer without an option.
fn fit(field: &Field, value: impl Into<Option<FieldValue>>) -> Result<Option<FieldValue>, Fault> {
    field.fit(value.into(), None)
}

fn choices(values: &[&str]) -> FieldValue {
    FieldValue::Choices(values.iter().map(|it| (*it).to_owned()).collect())
}

fn text(text: &str) -> FieldValue {
    FieldValue::Text(text.to_owned())
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).expect("a number")
}

fn number(text: &str) -> FieldValue {
    FieldValue::Number(decimal(text))
}

#[test]
fn answer_must_choose_one_of_the_options() {
    let question = Question { options: vec![choice("yes"), choice("no")], ..<_>::default() };
    let answer = |option: Option<&str>| Answer {
        option: option.map(str::to_owned),
        fields: BTreeMap::new(),
    };
    assert_eq!(question.fit(answer(Some("yes"))), Ok(answer(Some("yes"))));
    assert_eq!(
        question.fit(answer(None)).expect_err("refused")[0].fault.to_string(),
        "choose one of the options"
    );
    assert_eq!(
        question.fit(answer(Some("maybe"))).expect_err("refused")[0].fault.to_string(),
        "is not one of the options: yes, no"
    );
    assert_eq!(Question::default().fit(answer(None)), Ok(answer(Some(SUBMIT))));
}

#[test]
fn all_misfits_are_reported() {
    let question = Question {
        options: vec![choice("yes")],
        fields: vec![field(FieldKind::Text { max_length: Some(2) }, Required::Always)],
        ..<_>::default()
    };
    let fields = [("f", "long"), ("g", "?")]
        .map(|(key, value)| (key.to_owned(), FieldValue::Text(value.to_owned())));
    let misfits =
        question.fit(Answer { option: None, fields: fields.into() }).expect_err("refused");
    let fields: Vec<_> = misfits.iter().map(|it| it.field.as_deref()).collect();
    assert_eq!(fields, [None, Some("g"), Some("f")]);
}

#[test]
fn value_must_fit_its_field() {
    let (min, max) = (Some(decimal("1")), Some(decimal("9007199254740993")));
    let amount = field(FieldKind::Number { min, max }, Required::Never);
    assert_eq!(fit(&amount, None), Ok(None));
    for fitting in ["1.5", "1.0", "9007199254740993", "1e3"] {
        assert_eq!(fit(&amount, number(fitting)), Ok(Some(number(fitting))));
    }
    for outside in ["0", "0.99999999999999999999", "9007199254740994"] {
        assert!(fit(&amount, number(outside)).is_err(), "{outside}");
    }
    assert!(fit(&amount, text("1.5")).is_err());

    let select = field(FieldKind::Select { choices: vec![choice("a")] }, Required::Always);
    assert!(fit(&select, text("a")).is_ok());
    assert!(fit(&select, text("b")).is_err());
    assert_eq!(fit(&select, text("")), Err(Fault::Required));

    let lines = |kind| fit(&field(kind, Required::Never), text("a\rb"));
    let one_line = Err(Fault::NotOneLine);
    assert_eq!(lines(FieldKind::Text { max_length: None }), one_line);
    assert!(lines(FieldKind::Textarea { max_length: None }).is_ok());

    let toggle = field(FieldKind::Toggle, Required::Always);
    assert!(fit(&toggle, FieldValue::Toggle(true)).is_ok());
    assert!(fit(&toggle, FieldValue::Toggle(false)).is_err());
    assert!(fit(&toggle, None).is_err());
}

#[test]
fn date_is_a_day_of_the_calendar() {
    let (min, max) = (parse_date("2026-01-31"), parse_date("2026-12-01"));
    let day = field(FieldKind::Date { min, max }, Required::Never);
    for fitting in ["2026-01-31", "2026-02-28", "2026-12-01"] {
        assert_eq!(fit(&day, text(fitting)), Ok(Some(text(fitting))));
    }
    for wrong in ["2026-02-29", "2026-2-1", "20260201", "2026-02-01T00:00:00", " 2026-02-01", "x"] {
        assert_eq!(fit(&day, text(wrong)), Err(Fault::NotADate), "{wrong}");
    }
    assert!(matches!(fit(&day, text("2026-01-30")), Err(Fault::TooEarly { .. })));
    assert!(matches!(fit(&day, text("2026-12-02")), Err(Fault::TooLate { .. })));
    assert_eq!(fit(&day, number("20260201")), Err(Fault::NotText));
    assert_eq!(fit(&day, text("")), Ok(None));
}

#[test]
fn several_choices_are_recorded_in_the_order_of_the_field() {
    let kind = FieldKind::MultiSelect { choices: ["a", "b", "c"].map(choice).into() };
    let several = field(kind, Required::Always);
    assert_eq!(fit(&several, choices(&["c", "a"])), Ok(Some(choices(&["a", "c"]))));
    assert_eq!(fit(&several, choices(&[])), Err(Fault::Required));
    let unknown = Fault::UnknownChoice { value: "d".to_owned() };
    assert_eq!(fit(&several, choices(&["a", "d"])), Err(unknown));
    let twice = Fault::ChosenTwice { value: "a".to_owned() };
    assert_eq!(fit(&several, choices(&["a", "a"])), Err(twice));
    assert_eq!(fit(&several, text("a")), Err(Fault::NotAList));
    let one = field(FieldKind::Select { choices: vec![choice("a")] }, Required::Never);
    assert_eq!(fit(&one, choices(&["a"])), Err(Fault::NotText));
    assert_eq!(fit(&one, choices(&[])), Err(Fault::NotText));

    // Emptied, and not left out: the default does not come back.
    let default = Some(choices(&["b"]));
    let preset = Field { required: Required::Never, default, ..several };
    assert_eq!(fit(&preset, None), Ok(Some(choices(&["b"]))));
    assert_eq!(fit(&preset, choices(&[])), Ok(None));
}

#[test]
fn field_may_be_required_for_some_options_only() {
    let reason = || Required::For(vec!["reject".to_owned()]);
    let question = Question {
        options: ["approve", "reject"].map(choice).into(),
        fields: vec![
            Field { key: "why".into(), ..field(FieldKind::Text { max_length: None }, reason()) },
            Field { key: "sure".into(), ..field(FieldKind::Toggle, reason()) },
        ],
        ..<_>::default()
    };
    let answer = |option: &str, why: &str, sure| Answer {
        option: Some(option.to_owned()),
        fields: [("why".to_owned(), text(why)), ("sure".to_owned(), FieldValue::Toggle(sure))]
            .into(),
    };
    assert!(question.fit(answer("approve", "", false)).is_ok());
    assert!(question.fit(answer("reject", "late", true)).is_ok());
    let misfits = question.fit(answer("reject", "\u{200b}", false)).expect_err("refused");
    let faults: Vec<_> = misfits.into_iter().map(|it| it.fault).collect();
    assert_eq!(faults, [Fault::RequiredWithOption, Fault::NotAccepted]);
}

#[test]
fn blank_text_does_not_satisfy_required() {
    let required = |kind| field(kind, Required::Always);
    for blank in ["", "   ", "\u{200b}", "\u{3164}", "\u{2800}\n"] {
        for kind in [FieldKind::Text { max_length: None }, FieldKind::Textarea { max_length: None }]
        {
            let refused = fit(&required(kind), text(blank));
            assert_eq!(refused, Err(Fault::Required), "{blank:?}");
        }
    }
    let kept = fit(&required(FieldKind::Text { max_length: None }), text(" a "));
    assert_eq!(kept, Ok(Some(text(" a "))));
}

#[test]
fn pasted_control_characters_are_left_out_of_an_answer() {
    let textarea = field(FieldKind::Textarea { max_length: Some(9) }, Required::Always);
    let question = Question { fields: vec![textarea], ..<_>::default() };
    let answer = |it: &str| Answer {
        option: Some(SUBMIT.to_owned()),
        fields: [("f".to_owned(), text(it))].into(),
    };
    assert_eq!(question.fit(answer("1\u{b}2\r\n\t3\u{92}")), Ok(answer("12\n\t3")));
    assert!(question.fit(answer("\u{7f}\u{1b}")).is_err(), "nothing is left");
}

#[test]
fn too_long_answer_names_its_longest_field() {
    let mut long = field(FieldKind::Textarea { max_length: None }, Required::Never);
    let short = Field { key: "a".to_owned(), ..long.clone() };
    long.key = "b".to_owned();
    let question = Question { fields: vec![short, long], ..<_>::default() };
    let answer = |n: usize| Answer {
        option: None,
        fields: [("a".to_owned(), text("x")), ("b".to_owned(), text(&"y".repeat(n)))].into(),
    };
    assert!(question.fit(answer(32_000)).is_ok_and(|it| it.is_long()));
    let refused = question.fit(answer(33_000)).expect_err("too long");
    assert_eq!(refused[0].field.as_deref(), Some("b"));
}

#[test]
fn equal_answers_have_equal_values() {
    let answer = |value: FieldValue| Answer {
        option: Some("yes".to_owned()),
        fields: [("n".to_owned(), value)].into(),
    };
    assert!(answer(number("5")).is_equal(&answer(number("5.0"))));
    assert!(!answer(number("9007199254740993")).is_equal(&answer(number("9007199254740992"))));
    assert!(!answer(number("5")).is_equal(&answer(text("5"))));
    assert!(!answer(number("5")).is_equal(&Answer { option: None, ..answer(number("5")) }));
    let more = Answer { fields: BTreeMap::new(), ..answer(number("5")) };
    assert!(!answer(number("5")).is_equal(&more));
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec!["", "a", "b", "yes", "no", SUBMIT]).prop_map(str::to_owned),
        1 => "[a-zé\n\r\t\u{0}\u{85}🦀]{0,4}",
    ]
}

fn numbers(floats: impl Strategy<Value = f64>) -> impl Strategy<Value = Decimal> {
    floats.prop_map(|it| decimal(&format!("{it:e}")))
}

fn days() -> impl Strategy<Value = String> {
    (1..13, 1..31).prop_map(|(month, day)| format!("2026-{month:02}-{day:02}"))
}

fn values() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        3 => words().prop_map(FieldValue::Text),
        2 => numbers(prop_oneof![-3.0..3.0_f64, prop::num::f64::NORMAL]).prop_map(FieldValue::Number),
        1 => any::<bool>().prop_map(FieldValue::Toggle),
        1 => prop::collection::vec(words(), 0..3).prop_map(FieldValue::Choices),
        1 => days().prop_map(FieldValue::Text),
    ]
}

fn questions() -> impl Strategy<Value = Question> {
    let length = || prop::option::of(1_u32..4);
    let bound = || prop::option::of(numbers(-2.0..2.0_f64));
    let choices = || select(vec![vec!["yes", "no"], vec!["a"], vec![]]);
    let choices = || choices().prop_map(|it| it.into_iter().map(choice).collect::<Vec<_>>());
    let kind = prop_oneof![
        length().prop_map(|max_length| FieldKind::Text { max_length }),
        length().prop_map(|max_length| FieldKind::Textarea { max_length }),
        (bound(), bound()).prop_map(|(min, max)| FieldKind::Number { min, max }),
        choices().prop_map(|choices| FieldKind::Select { choices }),
        choices().prop_map(|choices| FieldKind::MultiSelect { choices }),
        (prop::option::of(days()), prop::option::of(days())).prop_map(|(min, max)| {
            let day = |it: Option<String>| it.as_deref().and_then(parse_date);
            FieldKind::Date { min: day(min), max: day(max) }
        }),
        Just(FieldKind::Toggle),
    ];
    let for_yes = Required::For(vec!["yes".to_owned()]);
    let required = select(vec![Required::Never, Required::Always, for_yes]);
    let field = (kind, required).prop_map(|(kind, required)| field(kind, required));
    let fields = prop::collection::vec(field, 0..4).prop_map(|mut fields| {
        for (key, field) in ["a", "b", "c"].into_iter().zip(&mut fields) {
            key.clone_into(&mut field.key);
        }
        fields
    });
    (choices(), fields).prop_map(|(options, fields)| Question { options, fields, ..<_>::default() })
}

/// Answers of which most parts fit.
fn answers(question: &Question) -> impl Strategy<Value = Answer> + use<> {
    let options: Vec<_> = question.options.iter().map(|it| Some(it.value.clone())).collect();
    let options = if options.is_empty() { vec![None] } else { options };
    let option = prop_oneof![9 => select(options), 1 => prop::option::of(words())];
    let value = |field: &Field| {
        let fitting = match &field.kind {
            FieldKind::Text { .. } | FieldKind::Textarea { .. } => {
                "[aé]{1,3}".prop_map(FieldValue::Text).boxed()
            }
            FieldKind::Number { .. } => numbers(-3.0..3.0_f64).prop_map(FieldValue::Number).boxed(),
            FieldKind::Select { .. } => select(vec!["a", "yes"]).prop_map(text).boxed(),
            FieldKind::MultiSelect { .. } => select(vec![vec![], vec!["a"], vec!["no", "yes"]])
                .prop_map(|it| choices(&it))
                .boxed(),
            FieldKind::Date { .. } => days().prop_map(FieldValue::Text).boxed(),
            FieldKind::Toggle => any::<bool>().prop_map(FieldValue::Toggle).boxed(),
        };
        let value =
            prop_oneof![8 => fitting.prop_map(Some), 1 => values().prop_map(Some), 1 => Just(None)];
        (Just(field.key.clone()), value)
    };
    let unknown = prop::option::weighted(0.05, values()).prop_map(|it| ("d".to_owned(), it));
    let fields: Vec<_> = question.fields.iter().map(value).collect();
    (option, fields, unknown).prop_map(|(option, mut fields, unknown)| {
        fields.push(unknown);
        let fields = fields.into_iter().filter_map(|(key, it)| Some((key, it?)));
        Answer { option, fields: fields.collect() }
    })
}

/// `value` fits `field` in an answer with this option. A second implementation, as simple as possible.
fn fits(field: &Field, value: &FieldValue, option: &str) -> bool {
    match (&field.kind, value) {
        (FieldKind::Text { max_length }, FieldValue::Text(text)) => {
            !text.contains(['\n', '\r'])
                && max_length.is_none_or(|it| text.chars().count() <= it as usize)
        }
        (FieldKind::Textarea { max_length }, FieldValue::Text(text)) => {
            max_length.is_none_or(|it| text.chars().count() <= it as usize)
        }
        (FieldKind::Number { min, max }, FieldValue::Number(number)) => {
            let float = |it: &Decimal| it.as_str().parse::<f64>().expect("a number");
            min.as_ref().is_none_or(|it| float(it) <= float(number))
                && max.as_ref().is_none_or(|it| float(number) <= float(it))
        }
        (FieldKind::Select { choices }, FieldValue::Text(text)) => {
            choices.iter().any(|it| it.value == *text)
        }
        (FieldKind::Toggle, FieldValue::Toggle(toggle)) => *toggle || !is_required(field, option),
        (FieldKind::MultiSelect { choices }, FieldValue::Choices(values)) => {
            let place = |it: &String| choices.iter().position(|choice| choice.value == *it);
            let places: Option<Vec<usize>> = values.iter().map(place).collect();
            places.is_some_and(|it| !it.is_empty() && it.is_sorted_by(|one, next| one < next))
        }
        (FieldKind::Date { min, max }, FieldValue::Text(text)) => {
            // Days in this form are ordered like their texts.
            min.is_none_or(|it| it.to_string() <= *text)
                && max.is_none_or(|it| *text <= it.to_string())
        }
        _ => false,
    }
}

fn is_required(field: &Field, option: &str) -> bool {
    match &field.required {
        Required::Never => false,
        Required::Always => true,
        Required::For(options) => options.iter().any(|it| it == option),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn accepted_answers_fit_and_refused_ones_name_the_field(
        (question, answer) in questions().prop_flat_map(|it| (Just(it.clone()), answers(&it))),
    ) {
        let fitted = match question.fit(answer.clone()) {
            Ok(fitted) => fitted,
            Err(misfits) => {
                prop_assert!(!misfits.is_empty());
                for key in misfits.iter().filter_map(|it| it.field.as_ref()) {
                    let is_asked = question.fields.iter().any(|it| it.key == *key);
                    prop_assert!(is_asked || answer.fields.contains_key(key), "{}", key);
                }
                return Ok(());
            }
        };
        let option = fitted.option.as_deref().expect("an option is always recorded");
        prop_assert!(question.has_option(option));
        let is_asked = |key: &String| question.fields.iter().any(|it| it.key == *key);
        prop_assert!(fitted.fields.keys().all(is_asked));
        prop_assert!(answer.fields.keys().all(is_asked), "a field was ignored");
        for field in &question.fields {
            match fitted.fields.get(&field.key) {
                Some(value) => {
                    prop_assert!(fits(field, value, option), "{:?} in {:?}", value, field);
                    if let FieldValue::Text(text) = value {
                        prop_assert!(!text.is_empty());
                        prop_assert!(!is_required(field, option) || !is_blank(text));
                        prop_assert!(!text.contains(is_forbidden_character));
                    }
                }
                None => prop_assert!(!is_required(field, option), "{} is missing", field.key),
            }
        }
        // A recorded answer would be recorded in the same form again.
        prop_assert_eq!(question.fit(fitted.clone()), Ok(fitted));
    }
}
