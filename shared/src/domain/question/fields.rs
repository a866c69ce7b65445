//! Form fields, and the values that fit them.

use std::cmp::Ordering;

use super::{Choice, TEXT_OVERHEAD_BYTES, json_bytes};
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
    /// Answers without a value are refused.
    pub is_required: bool,
    /// The values that it takes.
    pub kind: FieldKind,
    /// The value of an answer that leaves it out.
    pub default: Option<FieldValue>,
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
    /// Yes or no. A required toggle must be yes, like terms that must be accepted.
    Toggle,
}

/// The value of a field in an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Of a text, a textarea or a select.
    Text(String),
    /// Of a number.
    Number(Decimal),
    /// Of a toggle.
    Toggle(bool),
}

impl FieldValue {
    /// Its bytes as JSON.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Text(text) => json_bytes(text),
            Self::Number(number) => number.as_str().len(),
            Self::Toggle(toggle) => toggle.to_string().len(),
        }
    }

    /// The value as it is recorded. See [`text::cleaned`](crate::domain::text::cleaned).
    pub(super) fn cleaned(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(cleaned(&text)),
            Self::Number(_) | Self::Toggle(_) => self,
        }
    }

    /// Both say the same: `5` and `5.0` do.
    pub fn is_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.compare(other) == Ordering::Equal,
            (Self::Text(_) | Self::Number(_) | Self::Toggle(_), _) => self == other,
        }
    }
}

impl Field {
    /// Its approximate bytes in the table.
    pub fn n_bytes(&self) -> usize {
        let choices = match &self.kind {
            FieldKind::Select { choices } => choices.iter().map(Choice::n_bytes).sum(),
            FieldKind::Number { min, max } => {
                min.iter().chain(max).map(|it| it.as_str().len()).sum()
            }
            FieldKind::Text { .. } | FieldKind::Textarea { .. } | FieldKind::Toggle => 0,
        };
        let default = match &self.default {
            Some(FieldValue::Text(text)) => text.len(),
            Some(FieldValue::Number(number)) => number.as_str().len(),
            Some(FieldValue::Toggle(_)) | None => 0,
        };
        self.key.len() + self.label.len() + choices + default + 6 * TEXT_OVERHEAD_BYTES
    }

    /// The value in the form in which it is recorded, or its fault.
    pub fn fit(&self, given: Option<FieldValue>) -> Result<Option<FieldValue>, String> {
        // The default is for a field that was left out. A field that was emptied stays empty.
        let given = given.or_else(|| self.default.clone());
        let Some(value) = given.filter(|it| *it != FieldValue::Text(String::new())) else {
            return match (&self.kind, self.is_required) {
                (FieldKind::Toggle, false) => Ok(Some(FieldValue::Toggle(false))),
                (_, true) => Err("is required".to_owned()),
                (_, false) => Ok(None),
            };
        };
        if self.is_required && matches!(&value, FieldValue::Text(text) if is_blank(text)) {
            return Err("is required".to_owned());
        }
        self.check(&value)?;
        Ok(Some(value))
    }

    /// Checks a value that is there.
    fn check(&self, value: &FieldValue) -> Result<(), String> {
        match (&self.kind, value) {
            (_, FieldValue::Text(text)) if text.chars().any(is_forbidden_character) => {
                Err("must not contain control characters".to_owned())
            }
            (
                FieldKind::Text { max_length: Some(max) }
                | FieldKind::Textarea { max_length: Some(max) },
                FieldValue::Text(text),
            ) if text.chars().count() > *max as usize => {
                let n_chars = text.chars().count();
                Err(format!("must be at most {max} characters (got {n_chars})"))
            }
            (FieldKind::Text { .. }, FieldValue::Text(text)) if text.contains(['\n', '\r']) => {
                Err("must be one line".to_owned())
            }
            (FieldKind::Number { min, max }, FieldValue::Number(number)) => match (min, max) {
                (Some(min), _) if number.compare(min) == Ordering::Less => {
                    Err(format!("must be at least {min}"))
                }
                (_, Some(max)) if number.compare(max) == Ordering::Greater => {
                    Err(format!("must be at most {max}"))
                }
                _ => Ok(()),
            },
            (FieldKind::Select { choices }, FieldValue::Text(text)) => {
                let is_choice = choices.iter().any(|it| it.value == *text);
                if is_choice { Ok(()) } else { Err("is not one of the choices".to_owned()) }
            }
            (FieldKind::Toggle, FieldValue::Toggle(false)) if self.is_required => {
                Err("must be accepted".to_owned())
            }
            (FieldKind::Text { .. } | FieldKind::Textarea { .. }, FieldValue::Text(_))
            | (FieldKind::Toggle, FieldValue::Toggle(_)) => Ok(()),
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
