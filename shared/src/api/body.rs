//! Reads a JSON body member by member, and collects every error instead of stopping at the first.
//!
//! Serde stops at the first type error. A caller with five mistakes would need six calls, so bodies
//! are read by hand: [`read`] owns the list of errors, and each [`Object`] in the body adds to it.
//! A member that is null counts as absent, and a member that nothing reads is an error.
//!
//! A value with an error is read as `None`. Read all members before the first `?`: the ones after
//! it would be reported as unknown.

mod item;
mod source;

pub use source::{Move, Sent, Source, moved};

use std::{cell::RefCell, collections::BTreeMap, ops::RangeInclusive};

use jiff::{Timestamp, civil::Date};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    api::{FieldError, FieldErrors, Problem, pointer},
    domain::{Decimal, question::parse_date, text::is_blank},
};

/// Longest time in RFC 3339, in characters; 30 are usual.
const TIME_CHARS_MAX: usize = 64;

/// The value that `read` makes of `body`, or all errors in it.
pub fn read<T>(
    body: impl Into<Sent>,
    read: impl FnOnce(&mut Object<'_>) -> Option<T>,
) -> Result<T, Problem> {
    let (value, source) = body.into().into_parts();
    let errors = Errors { source, ..Errors::default() };
    let mut object = Object::of(value, "", &errors);
    let value = read(&mut object);
    object.finish();
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        Some(_) | None => Err(Problem::invalid(errors.into_found())),
    }
}

/// The errors found in a body so far, and the text of the body.
#[derive(Debug, Default)]
pub struct Errors {
    found: RefCell<FieldErrors>,
    source: Source,
}

impl Errors {
    /// Adds that the value at `pointer` breaks a rule.
    pub fn add(&self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.add_at(|| pointer.into(), detail);
    }

    /// Like [`Self::add`], for a pointer that is made only if the error is kept.
    fn add_at(&self, pointer: impl FnOnce() -> String, detail: impl Into<String>) {
        self.found.borrow_mut().add(|| FieldError::pointer(pointer(), detail));
    }

    /// No error was found.
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The number of errors so far.
    pub fn len(&self) -> usize {
        self.found.borrow().len()
    }

    /// The errors, in the order in which they were found.
    pub fn into_found(self) -> FieldErrors {
        self.found.into_inner()
    }
}

/// A JSON object whose members are taken out one after the other.
#[derive(Debug)]
pub struct Object<'e> {
    pointer: String,
    members: Map<String, Value>,
    errors: &'e Errors,
}

/// A value in a body, with its place.
#[derive(Debug)]
pub struct Item<'e> {
    /// The value.
    pub value: Value,
    pointer: String,
    /// Its text, if it is at hand.
    text: Option<&'e RawValue>,
    errors: &'e Errors,
}

/// A member of an object with free names.
#[derive(Debug)]
pub struct Member<'e> {
    /// Its name.
    pub name: String,
    /// Its value.
    pub item: Item<'e>,
}

impl<'e> Object<'e> {
    /// The object `value` at `pointer`. Anything else is an error, and read as an empty object.
    pub fn of(value: Value, pointer: impl Into<String>, errors: &'e Errors) -> Self {
        let pointer = pointer.into();
        let members = if let Value::Object(members) = value {
            members
        } else {
            errors.add(pointer.clone(), "must be an object");
            Map::new()
        };
        Self { pointer, members, errors }
    }

    /// The errors of the whole body.
    pub fn errors(&self) -> &'e Errors {
        self.errors
    }

    /// The pointer of the member called `name`.
    pub fn pointer(&self, name: &str) -> String {
        pointer::member(&self.pointer, name)
    }

    /// Adds an error of the member called `name`.
    pub fn error(&self, name: &str, detail: impl Into<String>) {
        self.errors.add_at(|| self.pointer(name), detail);
    }

    /// Adds an error if there is no member called `name`.
    pub fn require(&self, name: &str) {
        if !self.has(name) {
            self.error(name, "is required");
        }
    }

    /// Takes the member called `name`.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|it| !it.is_null())
    }

    /// Takes the member called `name`, with its place.
    pub fn item(&mut self, name: &str) -> Option<Item<'e>> {
        let value = self.take(name)?;
        Some(Item { value, pointer: self.pointer(name), text: None, errors: self.errors })
    }

    /// Takes the member called `name` even if it is null, with its place.
    pub fn any(&mut self, name: &str) -> Option<Item<'e>> {
        let value = self.members.remove(name)?;
        Some(Item { value, pointer: self.pointer(name), text: None, errors: self.errors })
    }

    /// A text with a number of characters in `chars`.
    pub fn text(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        self.item(name)?.text(chars)
    }

    /// [`Self::text`], and an error without it.
    pub fn required_text(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        self.require(name);
        self.text(name, chars)
    }

    /// A text that may be absent. An empty one counts as absent.
    pub fn optional_text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        self.text(name, 0..=chars_max).filter(|it| !it.is_empty())
    }

    /// [`Self::optional_text`] that is one visible line.
    pub fn optional_line(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let text = self.optional_text(name, chars_max)?;
        self.check_line(name, &text);
        Some(text)
    }

    fn check_line(&self, name: &str, text: &str) {
        if is_blank(text) {
            self.error(name, "must not be blank");
        } else if text.contains(['\n', '\r']) {
            self.error(name, "must be one line");
        }
    }

    /// [`Self::required_text`] that is one visible line: a button's label, or a value that comes
    /// back from a form, where line breaks change.
    pub fn required_line(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        let text = self.required_text(name, chars)?;
        self.check_line(name, &text);
        Some(text)
    }

    /// A time in RFC 3339.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name, 1..=TIME_CHARS_MAX)?;
        let time = text.parse().ok();
        if time.is_none() {
            self.error(name, "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z");
        }
        time
    }

    /// A day in ISO 8601.
    pub fn date(&mut self, name: &str) -> Option<Date> {
        let text = self.text(name, 1..=TIME_CHARS_MAX)?;
        let date = parse_date(&text);
        if date.is_none() {
            self.error(name, "must be a date, such as 2026-01-31");
        }
        date
    }

    /// A whole number in `range`.
    pub fn integer(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        self.item(name)?.integer(range)
    }

    /// A number, as a float.
    pub fn number(&mut self, name: &str) -> Option<f64> {
        let number = self.take(name)?.as_f64();
        if number.is_none() {
            self.error(name, "must be a number");
        }
        number
    }

    /// A number with its own digits.
    pub fn decimal(&mut self, name: &str) -> Option<Decimal> {
        let item = self.item(name)?;
        if !item.value.is_number() {
            item.error("must be a number");
            return None;
        }
        item.decimal()
    }

    /// True or false.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let flag = self.take(name)?.as_bool();
        if flag.is_none() {
            self.error(name, "must be true or false");
        }
        flag
    }

    /// The value that one of `words` stands for.
    pub fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.error(name, must_be_one_of(&words));
        }
        found.map(|(_, it)| *it)
    }

    /// Takes the member called `name` if it is `word`; else leaves it.
    pub fn take_word(&mut self, name: &str, word: &str) -> bool {
        let is_word = self.members.get(name).and_then(Value::as_str) == Some(word);
        if is_word {
            self.members.remove(name);
        }
        is_word
    }

    /// An array with a number of entries in `count`.
    pub fn list(&mut self, name: &str, count: RangeInclusive<usize>) -> Option<Vec<Item<'e>>> {
        let whole = self.item(name)?;
        let Value::Array(values) = whole.value else {
            whole.error("must be an array");
            return None;
        };
        if let Some(detail) = wrong_count(values.len(), &count) {
            self.error(name, detail);
            return None;
        }
        let item = |(index, value)| {
            let pointer = pointer::entry(&whole.pointer, index);
            Item { value, pointer, text: None, errors: self.errors }
        };
        Some(values.into_iter().enumerate().map(item).collect())
    }

    /// An array of distinct values. `parse` returns the error of an entry.
    pub fn distinct<T: PartialEq>(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let mut distinct = Vec::new();
        for item in self.list(name, count)? {
            match parse(&item.value) {
                Ok(value) if distinct.contains(&value) => item.error(DUPLICATED),
                Ok(value) => distinct.push(value),
                Err(detail) => item.error(detail),
            }
        }
        Some(distinct)
    }

    /// The value that `read` makes of an object. Members that it leaves are errors.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.item(name).map(|it| it.object(read))
    }

    /// [`Self::object`], with an empty object if it is absent.
    pub fn object_or_empty<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let item = self.item(name).unwrap_or_else(|| Item {
            value: Map::new().into(),
            pointer: self.pointer(name),
            text: None,
            errors: self.errors,
        });
        item.object(read)
    }

    /// There is a member called `name`, and it is not null.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|it| !it.is_null())
    }

    /// The member called `name` is an array.
    pub fn is_list(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_array)
    }

    /// There is a member called `name`, null or not.
    pub fn mentions(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The members that were not taken.
    pub fn into_members(self) -> impl ExactSizeIterator<Item = Member<'e>> {
        let Self { pointer, members, errors } = self;
        // All at once: looking for one at a time would take time quadratic in their number.
        let is_inexact = members.values().any(Value::is_f64);
        let texts = if is_inexact { errors.source.members_at(&pointer) } else { BTreeMap::new() };
        members.into_iter().map(move |(name, value)| {
            let pointer = pointer::member(&pointer, &name);
            let text = texts.get(name.as_str()).copied();
            Member { name, item: Item { value, pointer, text, errors } }
        })
    }

    /// Adds an error for each member that was not taken: a misspelled name must not be ignored.
    pub fn finish(self) {
        for name in self.members.keys() {
            self.error(name, "is not a known field");
        }
    }
}

/// The error of a value that occurs twice where it must be unique.
pub const DUPLICATED: &str = "is duplicated";

/// The error of a value that is none of `words`.
pub fn must_be_one_of(words: &[&str]) -> String {
    format!("must be one of {}", words.join(", "))
}

fn wrong_count(n_entries: usize, range: &RangeInclusive<usize>) -> Option<String> {
    let (min, max) = (*range.start(), *range.end());
    if n_entries > max {
        return Some(format!("must have at most {max} entries (got {n_entries})"));
    }
    match n_entries {
        n if n >= min => None,
        0 => Some("must not be empty".to_owned()),
        n => Some(format!("must have at least {min} entries (got {n})")),
    }
}

#[cfg(test)]
mod tests;
