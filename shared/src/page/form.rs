//! The form: fields become controls, and submitted controls become an answer again.
//!
//! A button is named `option` and has the option's value. A control is named `field.<key>`. The
//! prefix distinguishes a field with the key `option` from the buttons. A hidden `nonce` says which
//! page the form comes from.

use std::borrow::Cow;

use super::Answered;

/// The name of every button.
const OPTION: &str = "option";
/// The name of the hidden nonce.
const NONCE: &str = "nonce";
/// The name of the control for the code of the link.
const CODE: &str = "code";
/// The name of the button that issues a new code.
const NEW_CODE: &str = "new_code";
/// The prefix of a control's name.
const FIELD_PREFIX: &str = "field.";

/// The form for an answer.
#[derive(Clone, Debug, Default)]
pub struct Form<'a> {
    /// The buttons. Without options there is one button, "Submit".
    pub options: Vec<Choice<'a>>,
    /// The controls above the buttons.
    pub fields: Vec<Field<'a>>,
    /// The current answer, if answers may change.
    pub current: Option<Answered<'a>>,
    /// The texts in the controls, by key: those that were submitted or recorded last. `None` for the
    /// defaults.
    pub values: Option<&'a [(String, String)]>,
    /// The faults of the submitted form.
    pub errors: Vec<FieldError<'a>>,
    /// The option of the link, if it has one. Only its button is shown.
    pub chosen: Option<&'a str>,
    /// Says which page the form comes from.
    pub nonce: String,
    /// The control for the code of the link, if it has one.
    pub code: Option<CodeInput<'a>>,
}

/// The control for the code of the link.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeInput<'a> {
    /// Its initial text.
    pub value: &'a str,
}

/// A button, or a choice of a select control.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// The submitted value.
    pub value: &'a str,
    /// The text on it.
    pub label: &'a str,
    /// Its style.
    pub style: Style,
}

/// The style of a button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// The choice of most people.
    Primary,
    /// One of several choices.
    #[default]
    Secondary,
    /// A choice that must not be pressed by accident. Words and a symbol say so, not only the color.
    Destructive,
}

/// A control.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Its key in the answer.
    pub key: &'a str,
    /// The text that people see.
    pub label: &'a str,
    /// The values that it takes.
    pub kind: FieldKind<'a>,
    /// The browser asks for a value. A required toggle must be on.
    pub is_required: bool,
    /// Its initial text. `true` for a toggle that is on.
    pub default: Option<Cow<'a, str>>,
}

/// The values that a control takes.
#[derive(Clone, Debug)]
pub enum FieldKind<'a> {
    /// One line of text.
    Text {
        /// Most characters.
        max_length: Option<u32>,
    },
    /// Several lines of text.
    Textarea {
        /// Most characters.
        max_length: Option<u32>,
    },
    /// A number.
    Number {
        /// The smallest.
        min: Option<&'a str>,
        /// The largest.
        max: Option<&'a str>,
    },
    /// One of several choices.
    Select {
        /// The value and label of each choice.
        choices: Vec<(&'a str, &'a str)>,
    },
    /// Yes or no.
    Toggle,
}

/// A fault of a submitted form.
#[derive(Clone, Debug)]
pub struct FieldError<'a> {
    /// The part of the form that has it.
    pub part: FormPart<'a>,
    /// The fault, without subject and period: `is required`.
    pub detail: &'a str,
}

/// A part of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormPart<'a> {
    /// The buttons, or the form as a whole.
    Options,
    /// The field with this key.
    Field(&'a str),
    /// The code of the link.
    Code,
}

/// A submitted form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmittedForm {
    /// The value of the button that was pressed.
    pub option: Option<String>,
    /// The texts of the controls, by key.
    pub fields: Vec<(String, String)>,
    /// The nonce of the page that it comes from.
    pub nonce: Option<String>,
    /// The code of the link.
    pub code: Option<String>,
    /// The button that issues a new code was pressed.
    pub wants_new_code: bool,
}

/// Parses the names and texts that a browser submitted.
///
/// - An empty control has an empty text.
/// - A toggle is `true` or `false`. Browsers leave out a box that is not checked, so a hidden
///   `false` precedes it. The last of several texts counts.
/// - Browsers end lines with CR LF. They are converted to LF, so that lengths agree with what was
///   typed.
/// - A form without options submits the option `submit`. A form with options submits none if Enter
///   was pressed in a field.
/// - Only the first key that is not a field is kept, which is enough to refuse the answer. A body
///   has room for thousands.
pub fn parse_form(pairs: &[(String, String)], is_field: impl Fn(&str) -> bool) -> SubmittedForm {
    let mut form = SubmittedForm::default();
    let fields = &mut form.fields;
    let mut has_unknown = false;
    for (name, text) in pairs {
        let Some(key) = name.strip_prefix(FIELD_PREFIX) else {
            let slot = match name.as_str() {
                OPTION => &mut form.option,
                NONCE => &mut form.nonce,
                CODE => &mut form.code,
                NEW_CODE => {
                    form.wants_new_code = true;
                    continue;
                }
                _ => continue,
            };
            if !text.is_empty() {
                slot.get_or_insert_with(|| text.clone());
            }
            continue;
        };
        let text = text.replace("\r\n", "\n");
        match fields.iter_mut().find(|(known, _)| known == key) {
            Some((_, earlier)) => *earlier = text,
            None if is_field(key) => fields.push((key.to_owned(), text)),
            None if has_unknown => (),
            None => {
                has_unknown = true;
                fields.push((key.to_owned(), text));
            }
        }
    }
    form
}

impl Form<'_> {
    /// The text in a control when the page opens.
    pub(super) fn value_of<'s>(&'s self, field: &'s Field<'_>) -> &'s str {
        let Some(values) = self.values else { return field.default.as_deref().unwrap_or("") };
        values.iter().find(|(key, _)| key == field.key).map_or("", |(_, text)| text)
    }

    /// The faults of a field, in sentences.
    pub(super) fn field_errors(&self, key: &str) -> Vec<String> {
        self.errors_of(FormPart::Field(key))
    }

    /// The faults of the option, or of the form as a whole, in sentences.
    pub(super) fn option_errors(&self) -> Vec<String> {
        self.errors_of(FormPart::Options)
    }

    /// The faults of the code, in sentences.
    pub(super) fn code_errors(&self) -> Vec<String> {
        self.errors_of(FormPart::Code)
    }

    fn errors_of(&self, part: FormPart<'_>) -> Vec<String> {
        self.errors.iter().filter(|it| it.part == part).map(|it| self.sentence(it)).collect()
    }

    /// The fault with its subject, as a sentence.
    pub(super) fn sentence(&self, error: &FieldError<'_>) -> String {
        let detail = error.detail;
        if let FormPart::Field(key) = error.part {
            let field = self.fields.iter().find(|it| it.key == key);
            // U+2068 and U+2069 isolate a label that is written from right to left.
            return format!("“\u{2068}{}\u{2069}” {detail}.", field.map_or(key, |it| it.label));
        }
        let mut chars = detail.chars();
        let initial = chars.next().map(char::to_uppercase);
        initial.into_iter().flatten().chain(chars).chain(['.']).collect()
    }

    /// The id of the element with this fault, if the page has it. A key may contain anything, so ids
    /// are numbers.
    pub(super) fn element_of(&self, error: &FieldError<'_>) -> Option<String> {
        let key = match error.part {
            FormPart::Options => return Some("options".to_owned()),
            FormPart::Code => return self.code.map(|_| "code".to_owned()),
            FormPart::Field(key) => key,
        };
        let index = self.fields.iter().position(|it| it.key == key)?;
        Some(format!("field-{index}"))
    }
}

impl Field<'_> {
    /// The hint above the control.
    pub(super) fn hint(&self) -> Option<String> {
        match self.kind {
            FieldKind::Text { max_length: Some(max) }
            | FieldKind::Textarea { max_length: Some(max) } => {
                Some(format!("At most {max} characters"))
            }
            FieldKind::Number { min: Some(min), max: Some(max) } => {
                Some(format!("Between {min} and {max}"))
            }
            FieldKind::Number { min: Some(min), max: None } => Some(format!("At least {min}")),
            FieldKind::Number { min: None, max: Some(max) } => Some(format!("At most {max}")),
            FieldKind::Text { max_length: None }
            | FieldKind::Textarea { max_length: None }
            | FieldKind::Number { min: None, max: None }
            | FieldKind::Select { .. }
            | FieldKind::Toggle => None,
        }
    }
}
