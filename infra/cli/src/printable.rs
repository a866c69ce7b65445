//! Lines on stderr, and text of other people in them.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

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

/// Writes a line to stderr. A closed stderr is no reason to stop waiting.
pub(crate) fn write_line(text: &str) {
    let _: io::Result<()> = writeln!(io::stderr(), "{text}");
}

/// True for controls, and for formats that are invisible or change the direction of text.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_stays_on_its_line() {
        assert_eq!(printable("Grüße, 世界 ✓"), "Grüße, 世界 ✓");
        assert_eq!(printable("a\n::add-mask::b"), "a\\u{a}::add-mask::b");
        assert_eq!(printable("\u{1b}[2J\u{202e}x"), "\\u{1b}[2J\\u{202e}x");
        assert_eq!(printable("a ##[error]b"), "a #\\u{23}[error]b");
    }
}
