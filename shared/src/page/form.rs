//! The form: fields become controls, and submitted controls become an answer again.
//!
//! A button is named `option` and has the option's value. A control is named `field.<key>`. The
//! prefix distinguishes a field with the key `option` from the buttons. A hidden `nonce` says which
//! page the form comes from.

use std::borrow::Cow;

use super::{
    Answered,
    words::{FaultWords, FormWords, fill},
};

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
    pub values: Option<Cow<'a, [(String, String)]>>,
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
    /// A sentence that helps to fill it in.
    pub help: Option<&'a str>,
    /// An example, shown while the control is empty.
    pub placeholder: Option<&'a str>,
    /// The answers that need a value. A required toggle must be on.
    pub required: Required<'a>,
    /// Its initial text. `true` for a toggle that is on, a line for each choice of several.
    pub default: Option<Cow<'a, str>>,
}

/// The answers that need a value of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Required<'a> {
    /// None.
    #[default]
    Never,
    /// All: the browser asks for a value.
    Always,
    /// Those with an option of these labels.
    For(Vec<&'a str>),
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
    /// Any of several choices. Its text has a line for each chosen value.
    MultiSelect {
        /// The value and label of each choice.
        choices: Vec<(&'a str, &'a str)>,
    },
    /// A day of the calendar.
    Date {
        /// The earliest, in ISO 8601.
        min: Option<String>,
        /// The latest, in ISO 8601.
        max: Option<String>,
    },
    /// Yes or no.
    Toggle,
}

/// A fault of a submitted form.
#[derive(Clone, Debug)]
pub struct FieldError<'a> {
    /// The part of the form that has it.
    pub part: FormPart<'a>,
    /// The fault in the reader's language, without subject and period: `is required`.
    pub detail: String,
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

/// The kind of a field's control, as far as a submitted form shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// It has one text.
    Single,
    /// It is a group of boxes, each with a text.
    Boxes,
}

/// Parses the names and texts that a browser submitted.
///
/// - An empty control has an empty text.
/// - A toggle is `true` or `false`. Browsers leave out a box that is not checked, so a hidden
///   `false` precedes it. The last of several texts counts.
/// - The boxes of a field with several choices have one name. Their values become the lines of its
///   text. A hidden empty text precedes them, so that a form without any is not a field left out.
/// - Browsers end lines with CR LF. They are converted to LF, so that lengths agree with what was
///   typed.
/// - A form without options submits the option `submit`. A form with options submits none if Enter
///   was pressed in a field.
/// - Only the first key that is not a field is kept, which is enough to refuse the answer. A body
///   has room for thousands.
pub fn parse_form(
    pairs: &[(String, String)],
    control: impl Fn(&str) -> Option<Control>,
) -> SubmittedForm {
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
        let known = fields.iter_mut().find(|(known, _)| known == key);
        match (known, control(key)) {
            (Some((_, lines)), Some(Control::Boxes)) if !lines.is_empty() => {
                lines.push('\n');
                lines.push_str(&text);
            }
            (Some((_, earlier)), _) => *earlier = text,
            (None, None) if has_unknown => (),
            (None, is_field) => {
                has_unknown |= is_field.is_none();
                fields.push((key.to_owned(), text));
            }
        }
    }
    form
}

impl Form<'_> {
    /// The text in a control when the page opens.
    pub(super) fn value_of<'s>(&'s self, field: &'s Field<'_>) -> &'s str {
        let Some(values) = &self.values else { return field.default.as_deref().unwrap_or("") };
        values.iter().find(|(key, _)| key == field.key).map_or("", |(_, text)| text)
    }

    /// The box of `choice` is checked when the page opens.
    pub(super) fn is_chosen(&self, field: &Field<'_>, choice: &str) -> bool {
        self.value_of(field).lines().any(|it| it == choice)
    }

    /// The faults of a field, in sentences.
    pub(super) fn field_errors(&self, key: &str, words: &FaultWords) -> Vec<String> {
        self.errors_of(FormPart::Field(key), words)
    }

    /// The faults of the option, or of the form as a whole, in sentences.
    pub(super) fn option_errors(&self, words: &FaultWords) -> Vec<String> {
        self.errors_of(FormPart::Options, words)
    }

    /// The faults of the code, in sentences.
    pub(super) fn code_errors(&self, words: &FaultWords) -> Vec<String> {
        self.errors_of(FormPart::Code, words)
    }

    fn errors_of(&self, part: FormPart<'_>, words: &FaultWords) -> Vec<String> {
        let of_part = self.errors.iter().filter(|it| it.part == part);
        of_part.map(|it| self.sentence(it, words)).collect()
    }

    /// The fault with its subject, as a sentence.
    pub(super) fn sentence(&self, error: &FieldError<'_>, words: &FaultWords) -> String {
        let detail = error.detail.as_str();
        if let FormPart::Field(key) = error.part {
            let field = self.fields.iter().find(|it| it.key == key);
            let label = isolated(field.map_or(key, |it| it.label));
            return fill(words.sentence, &[&label, detail]);
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
    /// The limits of its values, above the control.
    pub(super) fn hint(&self, words: &FormWords) -> Option<String> {
        let bounds = |min: Option<&str>, max: Option<&str>, [only_min, only_max]: [&str; 2]| {
            Some(match (min, max) {
                (Some(min), Some(max)) => fill(words.between, &[min, max]),
                (Some(min), None) => fill(only_min, &[min]),
                (None, Some(max)) => fill(only_max, &[max]),
                (None, None) => return None,
            })
        };
        match &self.kind {
            FieldKind::Text { max_length } | FieldKind::Textarea { max_length } => {
                max_length.map(|max| fill(words.at_most_characters, &[&max.to_string()]))
            }
            FieldKind::Number { min, max } => bounds(*min, *max, [words.at_least, words.at_most]),
            FieldKind::Date { min, max } => {
                bounds(min.as_deref(), max.as_deref(), [words.not_before, words.not_after])
            }
            FieldKind::Select { .. } | FieldKind::MultiSelect { .. } | FieldKind::Toggle => None,
        }
    }

    /// The browser may ask for a value, whichever button is pressed.
    pub(super) fn is_required(&self) -> bool {
        self.required == Required::Always
    }

    /// The words after the label of a field that an answer may need.
    pub(super) fn required_words(&self, words: &FormWords) -> Option<String> {
        match &self.required {
            Required::Never => None,
            Required::Always => Some(words.required.to_owned()),
            Required::For(labels) => {
                let labels: Vec<String> = labels.iter().copied().map(isolated).collect();
                Some(fill(words.required_for, &[&labels.join(", ")]))
            }
        }
    }

    /// The ids of the elements that describe the control.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(super) fn described_by(&self, id: &usize, words: &FormWords, has_errors: bool) -> String {
        let parts = [
            has_errors.then_some("error"),
            self.help.map(|_| "help"),
            self.hint(words).map(|_| "hint"),
        ];
        let ids: Vec<String> = parts.into_iter().flatten().map(|it| format!("{it}-{id}")).collect();
        ids.join(" ")
    }
}

/// A text that people wrote, between U+2068 and U+2069, so that its direction of writing does not
/// change the words around it.
pub(crate) fn isolated(text: &str) -> String {
    format!("\u{2068}{text}\u{2069}")
}
