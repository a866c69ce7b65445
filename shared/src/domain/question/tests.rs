//! Answers and the questions that they fit.

use proptest::{prelude::*, sample::select};

use super::*;

fn choice(value: &str) -> Choice {
    Choice { value: value.to_owned(), label: value.to_owned(), style: None }
}

fn field(kind: FieldKind, is_required: bool) -> Field {
    Field { key: "f".into(), label: "F".into(), is_required, kind, default: None }
}

fn text(text: &str) -> FieldValue {
    FieldValue::Text(text.to_owned())
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
        question.fit(answer(None)).expect_err("refused")[0].detail,
        "choose one of the options"
    );
    assert_eq!(
        question.fit(answer(Some("maybe"))).expect_err("refused")[0].detail,
        "is not one of the options: yes, no"
    );
    assert_eq!(Question::default().fit(answer(None)), Ok(answer(Some(SUBMIT))));
}

#[test]
fn all_misfits_are_reported() {
    let question = Question {
        options: vec![choice("yes")],
        fields: vec![field(FieldKind::Text { max_length: Some(2) }, true)],
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
    let number = field(FieldKind::Number { min: Some(1.0), max: Some(2.0) }, false);
    assert_eq!(number.fit(None), Ok(None));
    assert!(number.fit(Some(FieldValue::Number(1.5))).is_ok());
    assert!(number.fit(Some(FieldValue::Number(0.0))).is_err());
    assert!(number.fit(Some(FieldValue::Number(f64::NAN))).is_err());
    assert!(number.fit(Some(text("1.5"))).is_err());

    let select = field(FieldKind::Select { choices: vec![choice("a")] }, true);
    assert!(select.fit(Some(text("a"))).is_ok());
    assert!(select.fit(Some(text("b"))).is_err());
    assert_eq!(select.fit(Some(text(""))), Err("is required".to_owned()));

    let lines = |kind| field(kind, false).fit(Some(text("a\rb")));
    let one_line = Err("must be one line".to_owned());
    assert_eq!(lines(FieldKind::Text { max_length: None }), one_line);
    assert!(lines(FieldKind::Textarea { max_length: None }).is_ok());

    let toggle = field(FieldKind::Toggle, true);
    assert!(toggle.fit(Some(FieldValue::Toggle(true))).is_ok());
    assert!(toggle.fit(Some(FieldValue::Toggle(false))).is_err());
    assert!(toggle.fit(None).is_err());
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec!["", "a", "b", "yes", "no", SUBMIT]).prop_map(str::to_owned),
        1 => "[a-zé\n\r\t\u{0}\u{85}🦀]{0,4}",
    ]
}

fn values() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        3 => words().prop_map(FieldValue::Text),
        2 => prop_oneof![-3.0..3.0_f64, any::<f64>()].prop_map(FieldValue::Number),
        1 => any::<bool>().prop_map(FieldValue::Toggle),
    ]
}

fn questions() -> impl Strategy<Value = Question> {
    let length = || prop::option::of(1_u32..4);
    let bound = || prop::option::of(-2.0..2.0_f64);
    let choices = || select(vec![vec!["yes", "no"], vec!["a"], vec![]]);
    let choices = || choices().prop_map(|it| it.into_iter().map(choice).collect::<Vec<_>>());
    let kind = prop_oneof![
        length().prop_map(|max_length| FieldKind::Text { max_length }),
        length().prop_map(|max_length| FieldKind::Textarea { max_length }),
        (bound(), bound()).prop_map(|(min, max)| FieldKind::Number { min, max }),
        choices().prop_map(|choices| FieldKind::Select { choices }),
        Just(FieldKind::Toggle),
    ];
    let field = (kind, any::<bool>()).prop_map(|(kind, is_required)| field(kind, is_required));
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
            FieldKind::Number { .. } => (-3.0..3.0_f64).prop_map(FieldValue::Number).boxed(),
            FieldKind::Select { .. } => select(vec!["a", "yes"]).prop_map(text).boxed(),
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

/// `value` fits `field`. A second implementation, as simple as possible.
fn fits(field: &Field, value: &FieldValue) -> bool {
    match (&field.kind, value) {
        (FieldKind::Text { max_length }, FieldValue::Text(text)) => {
            !text.contains(['\n', '\r'])
                && max_length.is_none_or(|it| text.chars().count() <= it as usize)
        }
        (FieldKind::Textarea { max_length }, FieldValue::Text(text)) => {
            max_length.is_none_or(|it| text.chars().count() <= it as usize)
        }
        (FieldKind::Number { min, max }, FieldValue::Number(number)) => {
            number.is_finite()
                && min.is_none_or(|it| it <= *number)
                && max.is_none_or(|it| *number <= it)
        }
        (FieldKind::Select { choices }, FieldValue::Text(text)) => {
            choices.iter().any(|it| it.value == *text)
        }
        (FieldKind::Toggle, FieldValue::Toggle(toggle)) => *toggle || !field.is_required,
        _ => false,
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
                    prop_assert!(fits(field, value), "{:?} in {:?}", value, field);
                    if let FieldValue::Text(text) = value {
                        prop_assert!(!text.is_empty());
                        prop_assert!(!text.contains(is_forbidden_character));
                    }
                }
                None => prop_assert!(!field.is_required, "{} is missing", field.key),
            }
        }
        // A recorded answer would be recorded in the same form again.
        prop_assert_eq!(question.fit(fitted.clone()), Ok(fitted));
    }
}
