//! Questions and answers.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{
    Answer,
    question::{Choice, Field, FieldKind, FieldValue, Style},
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
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<ChoiceView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<u32>,
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
            required: field.is_required,
            choices: None,
            default: field.default.as_ref().map(value),
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
                (view.min, view.max) = (min.map(number), max.map(number));
            }
            FieldKind::Select { choices } => {
                view.r#type = "select";
                view.choices = Some(choices.iter().map(ChoiceView::new).collect());
            }
            FieldKind::Toggle => (),
        }
        view
    }
}

/// Field values of `answer` by key.
pub fn answer_fields(answer: &Answer) -> Map<String, Value> {
    answer.fields.iter().map(|(key, it)| (key.clone(), value(it))).collect()
}

fn value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => text.as_str().into(),
        FieldValue::Number(float) => number(*float),
        FieldValue::Toggle(toggle) => (*toggle).into(),
    }
}

/// Whole numbers have no decimal point: `5`, not `5.0`.
fn number(float: f64) -> Value {
    /// Largest whole number below which every whole number has its own float.
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    if float.fract() == 0.0 && float.abs() <= EXACT_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "checked")]
        return (float as i64).into();
    }
    float.into()
}
