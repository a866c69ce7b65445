//! Form fields, and the values that fit them.

use std::cmp::Ordering;

use jiff::civil::Date;

use super::{Choice, Fault, TEXT_OVERHEAD_BYTES, json_bytes};
use crate::domain::{
    Decimal,
    text::{cleaned, is_blank, is_forbidden_character},
};

/// A form field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The key of its value in an answer.
    pub key: String,
    /// The text that people see.
    pub label: String,
    /// A sentence that helps to fill it in.
    pub help: Option<String>,
    /// An example, which the page shows in an empty control.
    pub placeholder: Option<String>,
    /// The answers that need a value.
    pub required: Required,
    /// The values that it takes.
    pub kind: FieldKind,
    /// The value of an answer that leaves it out.
    pub default: Option<FieldValue>,
}

/// The answers that need a value of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Required {
    /// None.
    #[default]
    Never,
    /// All.
    Always,
    /// Those that choose one of these options.
    For(Vec<String>),
}

/// The values that a field takes.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
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
        min: Option<Decimal>,
        /// The largest.
        max: Option<Decimal>,
    },
    /// One of several choices.
    Select {
        /// The choices.
        choices: Vec<Choice>,
    },
    /// Any of several choices.
    MultiSelect {
        /// The choices.
        choices: Vec<Choice>,
    },
    /// A day of the calendar, such as `2026-01-31`.
    Date {
        /// The earliest.
        min: Option<Date>,
        /// The latest.
        max: Option<Date>,
    },
    /// Yes or no. A required toggle must be yes, like terms that must be accepted.
    Toggle,
}

/// The value of a field in an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Of a text, a textarea, a select or a date.
    Text(String),
    /// Of a number.
    Number(Decimal),
    /// Of a toggle.
    Toggle(bool),
    /// Of a multi-select: the values of the choices, in the order of the field.
    Choices(Vec<String>),
}

impl Required {
    /// An answer with this option needs a value.
    pub fn is_for(&self, option: Option<&str>) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::For(options) => option.is_some_and(|it| options.iter().any(|value| value == it)),
        }
    }

    fn n_bytes(&self) -> usize {
        match self {
            Self::Never | Self::Always => 0,
            Self::For(options) => options.iter().map(|it| it.len() + TEXT_OVERHEAD_BYTES).sum(),
        }
    }
}

/// The day that `text` is in ISO 8601 (`YYYY-MM-DD`), or `None` if it is none.
pub fn parse_date(text: &str) -> Option<Date> {
    // The parser also takes other forms, and times.
    text.parse::<Date>().ok().filter(|it| text.len() == 10 && it.to_string() == text)
}

impl FieldValue {
    /// Its bytes as JSON.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Text(text) => json_bytes(text),
            Self::Number(number) => number.as_str().len(),
            Self::Toggle(toggle) => toggle.to_string().len(),
            Self::Choices(values) => {
                let values = values.iter().map(|it| json_bytes(it) + ",".len()).sum::<usize>();
                // The last comma counts as one of the brackets.
                "[".len() + values.max("]".len())
            }
        }
    }

    /// The value as it is recorded. See [`text::cleaned`](crate::domain::text::cleaned).
    pub(super) fn cleaned(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(cleaned(&text)),
            Self::Number(_) | Self::Toggle(_) | Self::Choices(_) => self,
        }
    }

    /// Both say the same: `5` and `5.0` do.
    pub fn is_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.compare(other) == Ordering::Equal,
            (Self::Text(_) | Self::Number(_) | Self::Toggle(_) | Self::Choices(_), _) => {
                self == other
            }
        }
    }
}

impl Field {
    /// Its approximate bytes in the table.
    pub fn n_bytes(&self) -> usize {
        let kind = match &self.kind {
            FieldKind::Select { choices } | FieldKind::MultiSelect { choices } => {
                choices.iter().map(Choice::n_bytes).sum()
            }
            FieldKind::Number { min, max } => {
                min.iter().chain(max).map(|it| it.as_str().len()).sum()
            }
            FieldKind::Date { .. } => 2 * "2026-01-31".len(),
            FieldKind::Text { .. } | FieldKind::Textarea { .. } | FieldKind::Toggle => 0,
        };
        let default = self.default.as_ref().map_or(0, FieldValue::n_bytes);
        let texts =
            [Some(&self.key), Some(&self.label), self.help.as_ref(), self.placeholder.as_ref()];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        texts + kind + default + self.required.n_bytes() + 8 * TEXT_OVERHEAD_BYTES
    }

    /// The value in the form in which it is recorded in an answer with this option, or its fault.
    pub fn fit(
        &self,
        given: Option<FieldValue>,
        option: Option<&str>,
    ) -> Result<Option<FieldValue>, Fault> {
        let is_required = self.required.is_for(option);
        // The default is for a field that was left out. A field that was emptied stays empty.
        let given = given.or_else(|| self.default.clone());
        let Some(value) = given.filter(|it| !self.is_emptied(it)) else {
            return match (&self.kind, is_required) {
                (FieldKind::Toggle, false) => Ok(Some(FieldValue::Toggle(false))),
                (_, true) => Err(self.missing()),
                (_, false) => Ok(None),
            };
        };
        if is_required && matches!(&value, FieldValue::Text(text) if is_blank(text)) {
            return Err(self.missing());
        }
        if is_required
            && matches!((&self.kind, &value), (FieldKind::Toggle, FieldValue::Toggle(false)))
        {
            return Err(Fault::NotAccepted);
        }
        self.check(value).map(Some)
    }

    /// The value is that of a control that was emptied.
    fn is_emptied(&self, value: &FieldValue) -> bool {
        match (&self.kind, value) {
            (_, FieldValue::Text(text)) => text.is_empty(),
            (FieldKind::MultiSelect { .. }, FieldValue::Choices(values)) => values.is_empty(),
            _ => false,
        }
    }

    /// The fault of an answer that lacks a value.
    fn missing(&self) -> Fault {
        match self.required {
            Required::Never | Required::Always => Fault::Required,
            Required::For(_) => Fault::RequiredWithOption,
        }
    }

    /// Checks a value that is there.
    fn check(&self, value: FieldValue) -> Result<FieldValue, Fault> {
        match (&self.kind, &value) {
            (_, FieldValue::Text(text)) if text.chars().any(is_forbidden_character) => {
                Err(Fault::ControlCharacters)
            }
            (
                FieldKind::Text { max_length: Some(max) }
                | FieldKind::Textarea { max_length: Some(max) },
                FieldValue::Text(text),
            ) if text.chars().count() > *max as usize => {
                Err(Fault::TooLong { max: *max, n_chars: text.chars().count() })
            }
            (FieldKind::Text { .. }, FieldValue::Text(text)) if text.contains(['\n', '\r']) => {
                Err(Fault::NotOneLine)
            }
            (FieldKind::Number { min, max }, FieldValue::Number(number)) => match (min, max) {
                (Some(min), _) if number.compare(min) == Ordering::Less => {
                    Err(Fault::TooSmall { min: min.clone() })
                }
                (_, Some(max)) if number.compare(max) == Ordering::Greater => {
                    Err(Fault::TooLarge { max: max.clone() })
                }
                _ => Ok(value),
            },
            (FieldKind::Date { min, max }, FieldValue::Text(text)) => {
                let date = parse_date(text).ok_or(Fault::NotADate)?;
                match (min, max) {
                    (Some(min), _) if date < *min => Err(Fault::TooEarly { min: *min }),
                    (_, Some(max)) if date > *max => Err(Fault::TooLate { max: *max }),
                    _ => Ok(value),
                }
            }
            (FieldKind::Select { choices }, FieldValue::Text(text)) => {
                let is_choice = choices.iter().any(|it| it.value == *text);
                if is_choice { Ok(value) } else { Err(Fault::NotAChoice) }
            }
            (FieldKind::MultiSelect { choices }, FieldValue::Choices(given)) => {
                chosen(choices, given).map(FieldValue::Choices)
            }
            (FieldKind::Text { .. } | FieldKind::Textarea { .. }, FieldValue::Text(_))
            | (FieldKind::Toggle, FieldValue::Toggle(_)) => Ok(value),
            (kind, _) => Err(match kind {
                FieldKind::Number { .. } => Fault::NotANumber,
                FieldKind::Toggle => Fault::NotATruthValue,
                FieldKind::MultiSelect { .. } => Fault::NotAList,
                FieldKind::Text { .. }
                | FieldKind::Textarea { .. }
                | FieldKind::Select { .. }
                | FieldKind::Date { .. } => Fault::NotText,
            }),
        }
    }
}

/// The given values in the order of the choices, or their fault.
fn chosen(choices: &[Choice], given: &[String]) -> Result<Vec<String>, Fault> {
    if let Some(value) = given.iter().find(|it| choices.iter().all(|choice| choice.value != **it)) {
        return Err(Fault::UnknownChoice { value: value.clone() });
    }
    let mut chosen: Vec<String> = Vec::new();
    for choice in choices {
        match given.iter().filter(|it| **it == choice.value).count() {
            0 => (),
            1 => chosen.push(choice.value.clone()),
            _ => return Err(Fault::ChosenTwice { value: choice.value.clone() }),
        }
    }
    Ok(chosen)
}
