//! The form: how fields become controls, and how what the browser sends becomes an answer again.
//!
//! The buttons are named `option`, with the option's value; the controls `field.<key>`. The prefix
//! keeps a field whose key is `option` apart from the buttons.

use std::borrow::Cow;

use super::Answered;

/// The name of every button.
const OPTION: &str = "option";
/// What goes before a field's key.
const FIELD_PREFIX: &str = "field.";

/// What a recipient can answer with.
#[derive(Clone, Debug, Default)]
pub struct Form<'a> {
    /// The buttons; without any there is one, "Submit".
    pub options: Vec<Choice<'a>>,
    /// The controls above the buttons.
    pub fields: Vec<Field<'a>>,
    /// What was answered so far, where answers may still change.
    pub current: Option<Answered<'a>>,
    /// What the controls hold, by key: what was sent last, in the shape of [`parse_form`]. None
    /// where nothing was, so that they hold their defaults.
    pub values: Option<&'a [(String, String)]>,
    /// Why what was sent is no answer.
    pub errors: Vec<FieldError<'a>>,
}

/// One button.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// What is sent when it is pressed.
    pub value: &'a str,
    /// What is on it.
    pub label: &'a str,
    /// How it looks.
    pub style: Style,
}

/// How much a button stands out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// What most people will want.
    Primary,
    /// One of several.
    #[default]
    Secondary,
    /// What should not be pressed lightly; said in words and by a sign, not by colour alone.
    Destructive,
}

/// One control.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Its name in the answer.
    pub key: &'a str,
    /// Its name for people.
    pub label: &'a str,
    /// What can be put in.
    pub kind: FieldKind<'a>,
    /// Whether the browser should ask for it; of a toggle, whether it must be switched on.
    pub required: bool,
    /// What it holds at first; `true` for a toggle that is on.
    pub default: Option<Cow<'a, str>>,
}

/// What can be put into a field.
#[derive(Clone, Debug)]
pub enum FieldKind<'a> {
    /// A line.
    Text {
        /// The most characters.
        max_length: Option<u32>,
    },
    /// Several lines.
    Textarea {
        /// The most characters.
        max_length: Option<u32>,
    },
    /// A number, whole or not.
    Number {
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
    /// One of several.
    Select {
        /// Value and label of each.
        choices: Vec<(&'a str, &'a str)>,
    },
    /// Yes or no.
    Toggle,
}

/// Why what was sent is no answer.
#[derive(Clone, Debug)]
pub struct FieldError<'a> {
    /// The key of the field at fault; none where it is the choice of an option.
    pub key: Option<&'a str>,
    /// What is wrong with it, without subject and full stop: "is required".
    pub detail: &'a str,
}

/// Undoes the naming of the controls: the option that was pressed, and the texts by key.
///
/// A control that was left empty has an empty text. A toggle is `true` or `false`: browsers leave
/// out a box that is not ticked, so a hidden `false` goes before it, and of several texts the last
/// counts. Browsers end lines with CR LF; here it is LF, so that lengths agree with what was typed.
/// A form without options sends the option `submit`; one with options sends none when Enter was
/// pressed in a field.
///
/// Of texts without a field, one key is kept: the first, which is enough to refuse the answer for.
/// A body has room for thousands, and each would be looked for again, and shown.
pub fn parse_form(
    pairs: &[(String, String)],
    is_field: impl Fn(&str) -> bool,
) -> (Option<String>, Vec<(String, String)>) {
    let mut option = None;
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut has_unknown = false;
    for (name, text) in pairs {
        let Some(key) = name.strip_prefix(FIELD_PREFIX) else {
            if name == OPTION && !text.is_empty() {
                option.get_or_insert_with(|| text.clone());
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
    (option, fields)
}

impl Form<'_> {
    /// What a control holds when the page opens.
    pub(super) fn value_of<'s>(&'s self, field: &'s Field<'_>) -> &'s str {
        let Some(values) = self.values else { return field.default.as_deref().unwrap_or("") };
        values.iter().find(|(key, _)| key == field.key).map_or("", |(_, text)| text)
    }

    /// What is wrong with the field, or with the choice of an option, in sentences.
    pub(super) fn errors_of(&self, key: Option<&str>) -> Vec<String> {
        self.errors.iter().filter(|it| it.key == key).map(|it| self.sentence(it)).collect()
    }

    /// The error, with what it is about.
    pub(super) fn sentence(&self, error: &FieldError<'_>) -> String {
        let detail = error.detail;
        if let Some(key) = error.key {
            let field = self.fields.iter().find(|it| it.key == key);
            // U+2068 and U+2069 keep a label that is written from right to left to itself.
            return format!("“\u{2068}{}\u{2069}” {detail}.", field.map_or(key, |it| it.label));
        }
        let mut chars = detail.chars();
        let initial = chars.next().map(char::to_uppercase);
        initial.into_iter().flatten().chain(chars).chain(['.']).collect()
    }

    /// The element to look at for an error, if the page has it. Keys may hold anything, so elements
    /// are numbered.
    pub(super) fn element_of(&self, error: &FieldError<'_>) -> Option<String> {
        let Some(key) = error.key else { return Some("options".to_owned()) };
        let index = self.fields.iter().position(|it| it.key == key)?;
        Some(format!("field-{index}"))
    }
}

impl Field<'_> {
    /// What to know before filling it in.
    pub(super) fn hint(&self) -> Option<String> {
        match self.kind {
            FieldKind::Text { max_length: Some(max) }
            | FieldKind::Textarea { max_length: Some(max) } => {
                Some(format!("At most {max} characters"))
            }
            FieldKind::Number { min: Some(min), max: Some(max) } => {
                Some(format!("From {min} to {max}"))
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
