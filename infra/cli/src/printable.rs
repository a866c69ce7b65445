//! Lines on stderr, and text of other people in them.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use answerback::domain::text::is_invisible;

/// `text` on one line, with every character escaped that moves the cursor, hides or reorders text.
///
/// Answers are written by recipients. Without this, they could imitate lines of this program, or
/// send commands to a terminal or to a CI system that reads its log.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            write!(shown, "{}", character.escape_unicode()).expect("a string takes everything");
        } else {
            shown.push(character);
        }
    }
    // GitHub Actions accepts commands in this form anywhere in a line.
    shown.replace("##[", "#\\u{23}[")
}

/// JSON with the same content, in which such characters are escaped.
pub(crate) fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        // In a string, a line break is escaped already.
        if is_hidden(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a string takes everything");
            }
        } else {
            shown.push(character);
        }
    }
    shown.replace("##[", "#\\u0023[")
}

/// Writes a line to stderr. A closed stderr is no reason to stop waiting.
pub(crate) fn write_line(text: &str) {
    let _: io::Result<()> = writeln!(io::stderr(), "{text}");
}

/// True for controls, for formats that are invisible or change the direction of text, and for line
/// and paragraph separators.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || is_invisible(character)
        || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn text_of_others_stays_on_its_line() {
        assert_eq!(printable("Grüße, 世界 ✓"), "Grüße, 世界 ✓");
        assert_eq!(printable("a\n::add-mask::b"), "a\\u{a}::add-mask::b");
        assert_eq!(printable("\u{1b}[2J\u{202e}x"), "\\u{1b}[2J\\u{202e}x");
        assert_eq!(printable("a ##[error]b"), "a #\\u{23}[error]b");
        assert_eq!(printable("a\u{2028}b\u{fe0f}"), "a\\u{2028}b\\u{fe0f}");
    }

    #[test]
    fn printed_json_is_escaped_and_equal() {
        let json = json!({ "a\u{9b}": ["##[error]\u{202e}", "\n\u{7f}\u{e0041}", "世界"] });
        let shown = printable_json(&serde_json::to_string_pretty(&json).expect("JSON"));
        assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), json);
        let expected = r##"{"a\u009b":["#\u0023[error]\u202e","\n\u007f\udb40\udc41","世界"]}"##;
        let compact: String = shown.chars().filter(|it| !it.is_whitespace()).collect();
        assert_eq!(compact, expected);
    }
}
