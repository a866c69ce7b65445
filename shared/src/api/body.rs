//! Reads a JSON object field by field, and notes every fault instead of stopping at the first.

use serde_json::{Map, Value};

use crate::{
    api::{FieldError, problem::FieldLocation},
    domain::question::is_forbidden_character,
};

/// A JSON object whose fields are taken out one after the other.
#[derive(Debug)]
pub struct Fields {
    pointer: String,
    members: Map<String, Value>,
}

/// What is wrong so far.
pub type FieldErrors = Vec<FieldError>;

impl Fields {
    /// The members of `value`, which stands at `pointer`; a fault if it is no object.
    pub fn of(value: Value, pointer: impl Into<String>, faults: &mut FieldErrors) -> Self {
        let pointer = pointer.into();
        let members = if let Value::Object(members) = value {
            members
        } else {
            note(faults, pointer.clone(), "must be an object");
            Map::new()
        };
        Self { pointer, members }
    }

    /// Where the member called `name` stands.
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Notes a fault of the member called `name`.
    pub fn fault(&self, name: &str, detail: impl Into<String>, faults: &mut FieldErrors) {
        note(faults, self.pointer(name), detail);
    }

    /// The member called `name`; null counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|it| !it.is_null())
    }

    /// A text of so many characters.
    pub fn text(
        &mut self,
        name: &str,
        chars: std::ops::RangeInclusive<usize>,
        faults: &mut FieldErrors,
    ) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if chars.contains(&text.chars().count()) => {
                if let Some(bad) = text.chars().find(|it| is_forbidden_character(*it)) {
                    let bad = bad.escape_unicode();
                    self.fault(name, format!("contains the control character {bad}"), faults);
                    return None;
                }
                Some(text)
            }
            Value::String(text) => {
                let n_chars = text.chars().count();
                let (min, max) = (chars.start(), chars.end());
                let detail = format!("must have {min} to {max} characters, not {n_chars}");
                self.fault(name, detail, faults);
                None
            }
            _ => {
                self.fault(name, "must be text", faults);
                None
            }
        }
    }

    /// Like [`Self::text`], and must be there.
    pub fn required_text(
        &mut self,
        name: &str,
        chars: std::ops::RangeInclusive<usize>,
        faults: &mut FieldErrors,
    ) -> Option<String> {
        if !self.has(name) {
            self.fault(name, "is required", faults);
        }
        self.text(name, chars, faults)
    }

    /// Like [`Self::required_text`], and one line that people can see: it stands on a button, or
    /// comes back from a form, where line breaks change.
    pub fn required_line(
        &mut self,
        name: &str,
        chars: std::ops::RangeInclusive<usize>,
        faults: &mut FieldErrors,
    ) -> Option<String> {
        let text = self.required_text(name, chars, faults)?;
        if text.chars().all(is_blank) {
            self.fault(name, "must not be blank", faults);
        } else if text.contains(['\n', '\r']) {
            self.fault(name, "must be one line", faults);
        }
        Some(text)
    }

    /// A whole number in a range.
    pub fn integer(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
        faults: &mut FieldErrors,
    ) -> Option<u32> {
        let value = self.take(name)?;
        // 60.0 is as whole as 60, as JSON Schema has it.
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64().filter(|it| it.fract() == 0.0 && (0.0..1e9).contains(it))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            Some(float as u64)
        });
        let number = whole.and_then(|it| u32::try_from(it).ok()).filter(|it| range.contains(it));
        if number.is_none() {
            let (min, max) = (range.start(), range.end());
            self.fault(name, format!("must be a whole number from {min} to {max}"), faults);
        }
        number
    }

    /// A number.
    pub fn number(&mut self, name: &str, faults: &mut FieldErrors) -> Option<f64> {
        let number = self.take(name)?.as_f64();
        if number.is_none() {
            self.fault(name, "must be a number", faults);
        }
        number
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &str, faults: &mut FieldErrors) -> Option<bool> {
        let flag = self.take(name)?.as_bool();
        if flag.is_none() {
            self.fault(name, "must be true or false", faults);
        }
        flag
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        name: &str,
        words: &[(&str, T)],
        faults: &mut FieldErrors,
    ) -> Option<T> {
        let value = self.take(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(name, format!("must be one of {}", words.join(", ")), faults);
        }
        found.map(|(_, it)| *it)
    }

    /// Takes the member called `name` if it is this word; else leaves it.
    pub fn take_word(&mut self, name: &str, word: &str) -> bool {
        let is_word = self.members.get(name).and_then(Value::as_str) == Some(word);
        if is_word {
            self.members.remove(name);
        }
        is_word
    }

    /// A list of so many things, with the pointer of each.
    pub fn list(
        &mut self,
        name: &str,
        count: std::ops::RangeInclusive<usize>,
        faults: &mut FieldErrors,
    ) -> Option<Vec<(String, Value)>> {
        match self.take(name)? {
            Value::Array(items) if count.contains(&items.len()) => {
                let pointer = self.pointer(name);
                let numbered = items.into_iter().enumerate();
                Some(numbered.map(|(n, it)| (format!("{pointer}/{n}"), it)).collect())
            }
            Value::Array(items) => {
                let (min, max, n) = (count.start(), count.end(), items.len());
                self.fault(name, format!("must have {min} to {max} entries, not {n}"), faults);
                None
            }
            _ => {
                self.fault(name, "must be a list", faults);
                None
            }
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str, faults: &mut FieldErrors) -> Option<Self> {
        let pointer = self.pointer(name);
        self.take(name).map(|it| Self::of(it, pointer, faults))
    }

    /// Whether there is such a member, and it is not null.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|it| !it.is_null())
    }

    /// Whether there is such a member, be it null.
    pub fn mentions(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The members that nobody took.
    pub fn into_rest(self) -> Map<String, Value> {
        self.members
    }

    /// Notes each member that nobody took: a misspelt one must not be ignored.
    pub fn finish(self, faults: &mut FieldErrors) {
        for name in self.members.keys() {
            self.fault(name, "is not a known field", faults);
        }
    }
}

/// Notes that what stands at `pointer` breaks a rule.
pub fn note(faults: &mut FieldErrors, pointer: impl Into<String>, detail: impl Into<String>) {
    faults
        .push(FieldError { place: FieldLocation::Pointer(pointer.into()), detail: detail.into() });
}

/// Whether nobody sees it: white space, or what only joins and directs what stands beside it.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_fault_is_noted_where_it_is() {
        let mut faults = FieldErrors::new();
        let value = json!({
            "title": "", "count": 1.5, "flag": "yes", "a/b": 1,
            "inner": { "word": "red" }, "list": [1, 2, 3],
        });
        let mut fields = Fields::of(value, "", &mut faults);
        assert_eq!(fields.text("title", 1..=5, &mut faults), None);
        assert_eq!(fields.integer("count", 1..=5, &mut faults), None);
        assert_eq!(fields.flag("flag", &mut faults), None);
        assert_eq!(fields.list("list", 0..=2, &mut faults), None);
        let mut inner = fields.object("inner", &mut faults).expect("it is there");
        assert_eq!(inner.word("word", &[("blue", 1)], &mut faults), None);
        inner.finish(&mut faults);
        fields.finish(&mut faults);
        let expected = ["/title", "/count", "/flag", "/list", "/inner/word", "/a~1b"];
        let places: Vec<&FieldLocation> = faults.iter().map(|it| &it.place).collect();
        assert_eq!(
            places,
            expected.map(|it| FieldLocation::Pointer(it.to_owned())).iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        let mut faults = FieldErrors::new();
        let mut fields = Fields::of(json!({ "n": 60.0 }), "", &mut faults);
        assert_eq!(fields.integer("n", 1..=60, &mut faults), Some(60));
    }
}
