//! What is asked, of whom, and what counts as an answer to it.
//!
//! A question never changes once it is asked. Its parts are checked where they come in (`intake`);
//! here stand the limits and the one rule that is applied again and again: whether an answer fits.

use std::collections::{BTreeMap, BTreeSet};

/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest body, in characters.
pub const BODY_CHARS_MAX: usize = 10_000;
/// Most recipients of one request; with their answers they must fit one item.
pub const RECIPIENTS_MAX: usize = 100;
/// Most options to choose from; more do not fit a page of buttons.
pub const OPTIONS_MAX: usize = 10;
/// Longest value of an option or choice, in characters.
pub const VALUE_CHARS_MAX: usize = 100;
/// Longest label of an option, field or choice, in characters.
pub const LABEL_CHARS_MAX: usize = 75;
/// Most fields of a form.
pub const FIELDS_MAX: usize = 20;
/// Longest key of a field, in characters.
pub const KEY_CHARS_MAX: usize = 50;
/// Most choices of a select field.
pub const CHOICES_MAX: usize = 50;
/// Longest reference of the sender's own, in characters.
pub const REFERENCE_CHARS_MAX: usize = 200;
/// Most metadata, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Largest answer, in bytes of JSON: a hundred of them leave a request far under the table's
/// limit of 400 KB an item.
pub const ANSWER_BYTES_MAX: usize = 2 * 1024;
/// Largest question as a whole, in bytes of JSON, for the same reason.
pub const QUESTION_BYTES_MAX: usize = 64 * 1024;

/// The option that a form without options is submitted with.
pub const SUBMIT: &str = "submit";

/// What is asked, and of whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// The question in a line.
    pub title: String,
    /// The question at length, in Markdown.
    pub body: Option<String>,
    /// Who is asked, in the sender's order. Empty: whoever holds the one link.
    pub recipients: Vec<Recipient>,
    /// What can be chosen. Empty: the form is only submitted.
    pub options: Vec<Choice>,
    /// What can be filled in.
    pub fields: Vec<Field>,
    /// The sender's own name for this.
    pub external_reference_id: Option<String>,
    /// The sender's own data: a JSON object, as text. Never shown to recipients.
    pub metadata: Option<String>,
}

/// Someone who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Case-folded, and unique within the request.
    pub email: String,
    /// How to address them.
    pub name: Option<String>,
}

/// A value that can be chosen, and what people see of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is recorded.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// How its button looks. Choices of a select field have none.
    pub style: Option<Style>,
}

/// How an option's button looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The expected choice.
    Primary,
    /// Another choice.
    Secondary,
    /// A choice that breaks something.
    Destructive,
}

/// Something to fill in.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What its value is recorded under.
    pub key: String,
    /// What is shown.
    pub label: String,
    /// Whether an answer without it is refused.
    pub required: bool,
    /// What may be filled in.
    pub kind: FieldKind,
    /// What it holds unless something else is filled in.
    pub default: Option<FieldValue>,
}

/// What may be filled into a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// One line.
    Text {
        /// Most characters.
        max_length: Option<u32>,
    },
    /// Several lines.
    Textarea {
        /// Most characters.
        max_length: Option<u32>,
    },
    /// A number.
    Number {
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
    /// One of several.
    Select {
        /// The several.
        choices: Vec<Choice>,
    },
    /// Yes or no. One that is required must be yes, like a box that must be ticked.
    Toggle,
}

/// What was filled into a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Into a text, a textarea or a select.
    Text(String),
    /// Into a number.
    Number(f64),
    /// Into a toggle.
    Toggle(bool),
}

/// What somebody answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What they chose.
    pub option: Option<String>,
    /// What they filled in.
    pub fields: BTreeMap<String, FieldValue>,
}

/// A part of an answer that does not fit the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which part: `None` is the option.
    pub field: Option<String>,
    /// What is wrong with it, as a sentence without a full stop.
    pub detail: String,
}

impl Question {
    /// How many rows of answers there are: one for each recipient, at least one.
    pub fn n_rows(&self) -> usize {
        self.recipients.len().max(1)
    }

    /// The row of the recipient with this e-mail (`None`: the anonymous one).
    pub fn row_of(&self, email: Option<&str>) -> Option<usize> {
        match email {
            None => self.recipients.is_empty().then_some(0),
            Some(email) => {
                let email = fold_email(email);
                self.recipients.iter().position(|it| it.email == email)
            }
        }
    }

    /// Whether `value` is one of the options.
    pub fn has_option(&self, value: &str) -> bool {
        if self.options.is_empty() {
            value == SUBMIT
        } else {
            self.options.iter().any(|it| it.value == value)
        }
    }

    /// The answer as it is recorded, defaults filled in, or everything that is wrong with it.
    pub fn fit(&self, answer: Answer) -> Result<Answer, Vec<Misfit>> {
        let mut misfits = Vec::new();
        let option = self.fit_option(answer.option).unwrap_or_else(|detail| {
            misfits.push(Misfit { field: None, detail });
            None
        });

        let known: BTreeSet<&str> = self.fields.iter().map(|it| it.key.as_str()).collect();
        for key in answer.fields.keys().filter(|it| !known.contains(it.as_str())) {
            let detail = "is not a field of this request".to_owned();
            misfits.push(Misfit { field: Some(key.clone()), detail });
        }

        let mut given = answer.fields;
        let mut fields = BTreeMap::new();
        for field in &self.fields {
            match field.fit(given.remove(&field.key)) {
                Ok(Some(value)) => _ = fields.insert(field.key.clone(), value),
                Ok(None) => (),
                Err(detail) => misfits.push(Misfit { field: Some(field.key.clone()), detail }),
            }
        }
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let answer = Answer { option, fields };
        let n_bytes = answer.n_bytes();
        if n_bytes > ANSWER_BYTES_MAX {
            let detail =
                format!("the answer must be at most {ANSWER_BYTES_MAX} bytes (got {n_bytes})");
            return Err(vec![Misfit { field: None, detail }]);
        }
        Ok(answer)
    }

    fn fit_option(&self, option: Option<String>) -> Result<Option<String>, String> {
        match option.filter(|it| !it.is_empty()) {
            None if self.options.is_empty() => Ok(Some(SUBMIT.to_owned())),
            None => Err("choose one of the options".to_owned()),
            Some(option) if self.has_option(&option) => Ok(Some(option)),
            Some(_) => {
                let values: Vec<&str> = self.options.iter().map(|it| it.value.as_str()).collect();
                let values = if values.is_empty() { SUBMIT.to_owned() } else { values.join(", ") };
                Err(format!("is not one of the options: {values}"))
            }
        }
    }
}

impl Field {
    /// The value as it is recorded, or what is wrong with it.
    pub fn fit(&self, given: Option<FieldValue>) -> Result<Option<FieldValue>, String> {
        // The default is for what was left out; what was emptied is to be empty.
        let given = given.or_else(|| self.default.clone());
        let Some(value) = given.filter(|it| *it != FieldValue::Text(String::new())) else {
            return match (&self.kind, self.required) {
                (FieldKind::Toggle, false) => Ok(Some(FieldValue::Toggle(false))),
                (_, true) => Err("is required".to_owned()),
                (_, false) => Ok(None),
            };
        };
        if let FieldValue::Text(text) = &value
            && text.chars().any(is_forbidden_character)
        {
            return Err("must not contain control characters".to_owned());
        }
        match (&self.kind, &value) {
            (
                FieldKind::Text { max_length } | FieldKind::Textarea { max_length },
                FieldValue::Text(text),
            ) => match max_length {
                Some(max) if text.chars().count() > *max as usize => {
                    Err(format!("may have at most {max} characters"))
                }
                _ if matches!(self.kind, FieldKind::Text { .. }) && text.contains(['\n', '\r']) => {
                    Err("must be one line".to_owned())
                }
                _ => Ok(Some(value)),
            },
            (FieldKind::Number { min, max }, FieldValue::Number(number)) => match (min, max) {
                (Some(min), _) if number < min => Err(format!("must be at least {min}")),
                (_, Some(max)) if number > max => Err(format!("must be at most {max}")),
                _ if !number.is_finite() => Err("must be a number".to_owned()),
                _ => Ok(Some(value)),
            },
            (FieldKind::Select { choices }, FieldValue::Text(text)) => {
                if choices.iter().any(|it| it.value == *text) {
                    Ok(Some(value))
                } else {
                    Err("is not one of the choices".to_owned())
                }
            }
            (FieldKind::Toggle, FieldValue::Toggle(false)) if self.required => {
                Err("must be accepted".to_owned())
            }
            (FieldKind::Toggle, FieldValue::Toggle(_)) => Ok(Some(value)),
            (FieldKind::Number { .. }, FieldValue::Text(_) | FieldValue::Toggle(_)) => {
                Err("must be a number".to_owned())
            }
            (FieldKind::Toggle, FieldValue::Text(_) | FieldValue::Number(_)) => {
                Err("must be true or false".to_owned())
            }
            (
                FieldKind::Text { .. } | FieldKind::Textarea { .. } | FieldKind::Select { .. },
                FieldValue::Number(_) | FieldValue::Toggle(_),
            ) => Err("must be text".to_owned()),
        }
    }
}

/// Whether texts must be without it. Control characters say nothing to people, and mislead terminals
/// and databases; line breaks and tabs are text.
pub fn is_forbidden_character(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

/// An e-mail address as recipients are compared: surrounding space and case do not count.
pub fn fold_email(email: &str) -> String {
    email.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn choice(value: &str) -> Choice {
        Choice { value: value.to_owned(), label: value.to_owned(), style: None }
    }

    fn field(kind: FieldKind, required: bool) -> Field {
        Field { key: "f".into(), label: "F".into(), required, kind, default: None }
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    #[test]
    fn an_answer_chooses_one_of_the_options() {
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
    fn every_misfit_is_found() {
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
    fn a_value_must_fit_its_field() {
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
        let field = (kind, any::<bool>()).prop_map(|(kind, required)| field(kind, required));
        let fields = prop::collection::vec(field, 0..4).prop_map(|mut fields| {
            for (key, field) in ["a", "b", "c"].into_iter().zip(&mut fields) {
                key.clone_into(&mut field.key);
            }
            fields
        });
        (choices(), fields).prop_map(|(options, fields)| Question {
            options,
            fields,
            ..<_>::default()
        })
    }

    /// Answers that mostly fit, part by part.
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
            let value = prop_oneof![8 => fitting.prop_map(Some), 1 => values().prop_map(Some), 1 => Just(None)];
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

    /// Whether `value` may stand in `field`, in the plainest words.
    fn may_hold(field: &Field, value: &FieldValue) -> bool {
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
            (FieldKind::Toggle, FieldValue::Toggle(toggle)) => *toggle || !field.required,
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn what_is_accepted_fits_and_what_is_refused_names_its_place(
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
            let option = fitted.option.as_deref().expect("one is always recorded");
            prop_assert!(question.has_option(option));
            let is_asked = |key: &String| question.fields.iter().any(|it| it.key == *key);
            prop_assert!(fitted.fields.keys().all(is_asked));
            prop_assert!(answer.fields.keys().all(is_asked), "something was ignored");
            for field in &question.fields {
                match fitted.fields.get(&field.key) {
                    Some(value) => {
                        prop_assert!(may_hold(field, value), "{:?} in {:?}", value, field);
                        if let FieldValue::Text(text) = value {
                            prop_assert!(!text.is_empty());
                            prop_assert!(!text.contains(is_forbidden_character));
                        }
                    }
                    None => prop_assert!(!field.required, "{} is missing", field.key),
                }
            }
            // What was recorded would be recorded so again.
            prop_assert_eq!(question.fit(fitted.clone()), Ok(fitted));
        }
    }
}
