//! Questions and answers.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::{
    Answer, Decimal,
    question::{Choice, Field, FieldKind, FieldValue, Required, Style},
};

/// An option, or a choice of a select field.
#[derive(Debug, Serialize)]
pub struct ChoiceView<'a> {
    value: &'a str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<&'static str>,
}

/// A field.
#[derive(Debug, Serialize)]
pub struct FieldView<'a> {
    key: &'a str,
    r#type: &'static str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placeholder: Option<&'a str>,
    required: RequiredView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<ChoiceView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<FieldValueView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<BoundView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<BoundView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<u32>,
}

/// The answers that need a value of a field: all or none, or those with one of these options.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RequiredView<'a> {
    Each(bool),
    For(&'a [String]),
}

/// The smallest or largest value of a field.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum BoundView<'a> {
    Number(NumberView<'a>),
    Date(String),
}

/// The values of an answer, by key of the field.
pub type AnswerFields<'a> = BTreeMap<&'a str, FieldValueView<'a>>;

/// The value of a field.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum FieldValueView<'a> {
    /// Of a text, a textarea, a select or a date.
    Text(&'a str),
    /// Of a number.
    Number(NumberView<'a>),
    /// Of a toggle.
    Toggle(bool),
    /// Of a multi-select.
    Choices(&'a [String]),
}

/// A number with its own digits.
#[derive(Clone, Copy, Debug)]
pub struct NumberView<'a>(&'a Decimal);

impl Serialize for NumberView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: &RawValue =
            serde_json::from_str(self.0.as_str()).expect("a number's text is JSON");
        text.serialize(serializer)
    }
}

impl<'a> ChoiceView<'a> {
    /// The view of `choice`.
    pub fn new(choice: &'a Choice) -> Self {
        let style = choice.style.map(|it| match it {
            Style::Primary => "primary",
            Style::Secondary => "secondary",
            Style::Destructive => "destructive",
        });
        Self { value: &choice.value, label: &choice.label, style }
    }
}

impl<'a> FieldView<'a> {
    /// The view of `field`.
    pub fn new(field: &'a Field) -> Self {
        let mut view = Self {
            key: &field.key,
            r#type: "toggle",
            label: &field.label,
            help: field.help.as_deref(),
            placeholder: field.placeholder.as_deref(),
            required: match &field.required {
                Required::Never => RequiredView::Each(false),
                Required::Always => RequiredView::Each(true),
                Required::For(options) => RequiredView::For(options),
            },
            choices: None,
            default: field.default.as_ref().map(FieldValueView::new),
            min: None,
            max: None,
            max_length: None,
        };
        match &field.kind {
            FieldKind::Text { max_length } => {
                (view.r#type, view.max_length) = ("text", *max_length);
            }
            FieldKind::Textarea { max_length } => {
                (view.r#type, view.max_length) = ("textarea", *max_length);
            }
            FieldKind::Number { min, max } => {
                view.r#type = "number";
                let bound = |it| BoundView::Number(NumberView(it));
                (view.min, view.max) = (min.as_ref().map(bound), max.as_ref().map(bound));
            }
            FieldKind::Date { min, max } => {
                view.r#type = "date";
                let bound = |it: &Date| BoundView::Date(it.to_string());
                (view.min, view.max) = (min.as_ref().map(bound), max.as_ref().map(bound));
            }
            FieldKind::Select { choices } => {
                view.r#type = "select";
                view.choices = Some(choices.iter().map(ChoiceView::new).collect());
            }
            FieldKind::MultiSelect { choices } => {
                view.r#type = "multi_select";
                view.choices = Some(choices.iter().map(ChoiceView::new).collect());
            }
            FieldKind::Toggle => (),
        }
        view
    }
}

impl<'a> FieldValueView<'a> {
    fn new(value: &'a FieldValue) -> Self {
        match value {
            FieldValue::Text(text) => Self::Text(text),
            FieldValue::Number(number) => Self::Number(NumberView(number)),
            FieldValue::Toggle(toggle) => Self::Toggle(*toggle),
            FieldValue::Choices(values) => Self::Choices(values),
        }
    }
}

/// Field values of `answer` by key.
pub fn answer_fields(answer: &Answer) -> AnswerFields<'_> {
    answer.fields.iter().map(|(key, it)| (key.as_str(), FieldValueView::new(it))).collect()
}
