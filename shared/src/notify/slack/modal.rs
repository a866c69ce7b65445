//! The modal with the fields of an answer, and what people enter there.
//!
//! <https://docs.slack.dev/reference/views/modal-views>

use serde_json::{Map, Value, json};

use super::{Button, cut, words};
use crate::{
    domain::{
        Decimal, DeliveryId, Question, Request,
        question::{Choice, Fault, Field, FieldKind, FieldValue, Misfit, Required},
    },
    notify::{
        chat::slack::{markup, text_section},
        facts::label,
        text::units,
    },
    page::fill,
};

/// Longest title or button of a modal.
const TITLE_UNITS_MAX: usize = 24;
/// Longest text of an option in a list.
const CHOICE_UNITS_MAX: usize = 75;
/// Longest text that an input takes.
const INPUT_CHARS_MAX: u32 = 3_000;
/// The name of each input within its block.
const INPUT: &str = "value";

/// The modal for the answer by this button, as `views.open` takes it.
pub fn modal(request: &Request, button: Button, delivery: DeliveryId) -> Value {
    let words = words(request);
    let question = &request.question;
    let option = option_of(request, button);
    let mut blocks = vec![text_section(&question.title)];
    if let Some(option) = option {
        let chose = fill(words.form.you_chose, &[&label(request, option)]);
        blocks.push(text_section(&chose));
    }
    let fields = question.fields.iter().enumerate();
    blocks.extend(fields.map(|(index, field)| input(index, field, option)));
    json!({
        "type": "modal",
        "callback_id": "answer",
        "private_metadata": button.value(request, delivery),
        "title": cut(words.form.your_answer, TITLE_UNITS_MAX),
        "submit": cut(words.form.submit, TITLE_UNITS_MAX),
        "close": cut(words.form.back, TITLE_UNITS_MAX),
        "blocks": blocks,
    })
}

/// The modal can show all defaults. Nobody should answer with one that they did not see.
pub(super) fn can_prefill(question: &Question) -> bool {
    let fits = |field: &Field| match (&field.default, &field.kind) {
        (Some(FieldValue::Text(text)), _) => {
            u32::try_from(units(text)).is_ok_and(|it| it <= INPUT_CHARS_MAX)
        }
        (Some(FieldValue::Number(number)), _) => decimal(number).is_some(),
        _ => true,
    };
    question.fields.iter().all(fits)
}

/// The value of the option that a button stands for.
pub fn option_of(request: &Request, button: Button) -> Option<&str> {
    let Button::Option(index) = button else { return None };
    request.question.options.get(index).map(|it| it.value.as_str())
}

/// The texts that were entered, by the keys of the fields: as a form sends them.
pub fn read_modal(request: &Request, state: &Value) -> Vec<(String, String)> {
    let fields = request.question.fields.iter().enumerate();
    fields.filter_map(|(index, field)| entered(index, field, state)).collect()
}

/// The response that shows what is wrong in a modal. `sentence` writes a fault out.
pub fn refused_modal(
    request: &Request,
    misfits: &[Misfit],
    sentence: impl Fn(&Fault) -> String,
) -> Value {
    let mut errors = Map::new();
    for misfit in misfits {
        let fields = &request.question.fields;
        let index = fields.iter().position(|it| Some(&it.key) == misfit.field.as_ref());
        // One about the option cannot be mended here.
        errors.entry(block(index.unwrap_or(0))).or_insert_with(|| sentence(&misfit.fault).into());
    }
    json!({ "response_action": "errors", "errors": errors })
}

/// The response that replaces a modal by a text.
pub fn closed_modal(request: &Request, text: &str) -> Value {
    let words = words(request);
    let view = json!({
        "type": "modal",
        "title": cut(words.form.your_answer, TITLE_UNITS_MAX),
        "close": cut(words.form.back, TITLE_UNITS_MAX),
        "blocks": [markup(text)],
    });
    json!({ "response_action": "update", "view": view })
}

fn block(index: usize) -> String {
    format!("field{index}")
}

fn input(index: usize, field: &Field, option: Option<&str>) -> Value {
    let is_required = match &field.required {
        Required::Never => false,
        Required::Always => true,
        Required::For(options) => option.is_some_and(|it| options.iter().any(|has| has == it)),
    };
    let mut block = json!({
        "type": "input",
        "block_id": block(index),
        "label": cut(&field.label, 2_000),
        "element": element(field),
        // An unchecked box is an answer. Ours is the check of one that must be checked.
        "optional": !is_required || field.kind == FieldKind::Toggle,
    });
    if let Some(help) = &field.help {
        block["hint"] = cut(help, 2_000);
    }
    block
}

fn element(field: &Field) -> Value {
    let text = match &field.default {
        Some(FieldValue::Text(text)) => Some(text.clone()),
        Some(FieldValue::Number(number)) => decimal(number),
        _ => None,
    };
    let mut element = match &field.kind {
        FieldKind::Text { max_length } | FieldKind::Textarea { max_length } => {
            let max = max_length.unwrap_or(INPUT_CHARS_MAX).min(INPUT_CHARS_MAX);
            let is_long = matches!(field.kind, FieldKind::Textarea { .. });
            json!({ "type": "plain_text_input", "multiline": is_long, "max_length": max })
        }
        FieldKind::Number { min, max } => {
            let mut element = json!({ "type": "number_input", "is_decimal_allowed": true });
            for (name, limit) in [("min_value", min), ("max_value", max)] {
                if let Some(limit) = limit.as_ref().and_then(decimal) {
                    element[name] = limit.into();
                }
            }
            element
        }
        FieldKind::Select { choices } => {
            json!({ "type": "static_select", "options": choices.iter().map(choice).collect::<Vec<_>>() })
        }
        FieldKind::MultiSelect { choices } => {
            json!({ "type": "multi_static_select", "options": choices.iter().map(choice).collect::<Vec<_>>() })
        }
        FieldKind::Date { .. } => json!({ "type": "datepicker" }),
        FieldKind::Toggle => json!({ "type": "checkboxes", "options": [toggle(field)] }),
    };
    element["action_id"] = INPUT.into();
    let takes_text =
        ["plain_text_input", "number_input"].map(Value::from).contains(&element["type"]);
    if takes_text && let Some(placeholder) = &field.placeholder {
        element["placeholder"] = cut(placeholder, 150);
    }
    preset(&mut element, field, text);
    element
}

/// A number in plain digits. Slack takes no exponents.
fn decimal(number: &Decimal) -> Option<String> {
    Some(number.to_string()).filter(|it| !it.contains(['e', 'E']))
}

/// Sets the value of an answer that leaves it out.
fn preset(element: &mut Value, field: &Field, text: Option<String>) {
    let chosen = |choices: &[Choice], values: &[String]| {
        let chosen = choices.iter().filter(|it| values.contains(&it.value));
        chosen.map(choice).collect::<Vec<_>>()
    };
    match (&field.kind, &field.default, text) {
        (FieldKind::Select { choices }, _, Some(text)) => {
            if let Some(only) = chosen(choices, &[text]).pop() {
                element["initial_option"] = only;
            }
        }
        (FieldKind::Date { .. }, _, Some(text)) => element["initial_date"] = text.into(),
        (FieldKind::MultiSelect { choices }, Some(FieldValue::Choices(values)), _)
            if !values.is_empty() =>
        {
            element["initial_options"] = chosen(choices, values).into();
        }
        (FieldKind::Toggle, Some(FieldValue::Toggle(true)), _) => {
            element["initial_options"] = json!([toggle(field)]);
        }
        (_, _, Some(text)) => element["initial_value"] = text.into(),
        _ => (),
    }
}

fn choice(choice: &Choice) -> Value {
    json!({ "text": cut(&choice.label, CHOICE_UNITS_MAX), "value": choice.value })
}

fn toggle(field: &Field) -> Value {
    json!({ "text": cut(&field.label, CHOICE_UNITS_MAX), "value": "true" })
}

fn entered(index: usize, field: &Field, state: &Value) -> Option<(String, String)> {
    let input = &state["values"][block(index)][INPUT];
    let values = |it: &Value| {
        let all = it.as_array().into_iter().flatten();
        all.filter_map(|it| it["value"].as_str()).collect::<Vec<_>>().join("\n")
    };
    if !input.is_object() {
        return None;
    }
    // Null is an input that was emptied.
    let text_of = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let text = match &field.kind {
        FieldKind::Text { .. } | FieldKind::Textarea { .. } | FieldKind::Number { .. } => {
            text_of(&input["value"])
        }
        FieldKind::Select { .. } => text_of(&input["selected_option"]["value"]),
        FieldKind::MultiSelect { .. } => values(&input["selected_options"]),
        FieldKind::Date { .. } => text_of(&input["selected_date"]),
        FieldKind::Toggle => (values(&input["selected_options"]) == "true").to_string(),
    };
    Some((field.key.clone(), text))
}
