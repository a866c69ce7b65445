//! One value in a body: its text, its number, its object.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{Errors, Item, Object};
use crate::domain::{Decimal, NUMBER_CHARS_MAX, text::is_forbidden_character};

impl<'e> Item<'e> {
    /// Adds an error of this value.
    pub fn error(&self, detail: impl Into<String>) {
        self.errors.add_at(|| self.pointer.clone(), detail);
    }

    /// Its pointer.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The errors of the whole body.
    pub fn errors(&self) -> &'e Errors {
        self.errors
    }

    /// See [`Object::text`].
    pub fn text(self, chars: RangeInclusive<usize>) -> Option<String> {
        let Value::String(text) = self.value else {
            self.error("must be a string");
            return None;
        };
        let error = |detail: String| self.errors.add_at(|| self.pointer.clone(), detail);
        if let Some(detail) = wrong_length(text.chars().count(), &chars) {
            error(detail);
            return None;
        }
        if let Some(index) = text.chars().position(is_forbidden_character) {
            let character = text.chars().nth(index).unwrap_or_default().escape_unicode();
            let place = index + 1;
            error(format!(
                "must not contain the control character {character} (character {place})"
            ));
            return None;
        }
        Some(text)
    }

    /// The number that it is, with its own digits, or `None` if it is none.
    pub fn decimal(&self) -> Option<Decimal> {
        let Value::Number(number) = &self.value else { return None };
        // Integers have one text.
        let text = if number.is_f64() { self.text_as_sent() } else { number.to_string() };
        let decimal = Decimal::parse(&text);
        if decimal.is_none() {
            self.error(format!("must be a number of at most {NUMBER_CHARS_MAX} characters"));
        }
        decimal
    }

    /// Its text as it was sent.
    pub fn text_as_sent(&self) -> String {
        let text = self.text.or_else(|| self.errors.source.at(&self.pointer));
        text.map_or_else(|| self.value.to_string(), |it| it.get().to_owned())
    }

    /// See [`Object::integer`].
    pub fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        // 60.0 is as whole as 60, as in JSON Schema.
        let whole = self.value.as_u64().or_else(|| {
            let float = self.value.as_f64();
            let float = float.filter(|it| it.fract() == 0.0 && (0.0..1e9).contains(it))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            Some(float as u64)
        });
        let number = whole.and_then(|it| u32::try_from(it).ok()).filter(|it| range.contains(it));
        if number.is_none() {
            let (min, max) = (range.start(), range.end());
            self.error(format!("must be a whole number from {min} to {max}"));
        }
        number
    }

    /// See [`Object::object`].
    pub fn object<T>(self, read: impl FnOnce(&mut Object<'e>) -> T) -> T {
        let mut object = self.into_object();
        let value = read(&mut object);
        object.finish();
        value
    }

    /// This as an object whose other members are ignored, unless it is finished.
    pub fn into_object(self) -> Object<'e> {
        Object::of(self.value, self.pointer, self.errors)
    }
}

fn wrong_length(n_chars: usize, range: &RangeInclusive<usize>) -> Option<String> {
    let (min, max) = (*range.start(), *range.end());
    if n_chars > max {
        return Some(format!("must be at most {max} characters (got {n_chars})"));
    }
    match n_chars {
        n if n >= min => None,
        0 => Some("must not be empty".to_owned()),
        n => Some(format!("must be at least {min} characters (got {n})")),
    }
}
