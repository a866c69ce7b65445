//! Characters that people cannot see, and hexadecimal digits.
//!
//! A text that looks empty does not say anything, and two texts that look equal must not be two
//! people or two links.

/// Texts must not contain this character. Control characters mean nothing to people, and mislead
/// terminals and databases. Line breaks and tabs are allowed.
pub fn is_forbidden_character(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

/// Takes up no space and has no shape: format characters, joiners, direction marks, fillers and
/// variation selectors.
///
/// These are the characters with the Unicode property `Default_Ignorable_Code_Point`, and the other
/// format characters (`Cf`) except those that are drawn.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{70f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{16fe4}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A reader sees nothing of this text.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|it| {
        // The last two are drawn as empty space: a Braille pattern without dots, and a musical note
        // without a head.
        it.is_whitespace()
            || it.is_control()
            || is_invisible(it)
            || matches!(it, '\u{2800}' | '\u{1d159}')
    })
}

/// A text that a person typed or pasted, as it is recorded: line breaks are `\n`, and control
/// characters, which come with text from terminals and documents, are left out.
pub fn cleaned(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.retain(|it| !is_forbidden_character(it));
    text
}

/// The number that `text` writes in exactly `n_digits` lower-case hexadecimal digits.
pub fn hex(text: &str, n_digits: usize) -> Option<u128> {
    let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    let is_hex = text.len() == n_digits && text.bytes().all(is_digit);
    u128::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_without_anything_to_see_is_blank() {
        for blank in [
            "",
            " ",
            "\t\n",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{a0}\u{ad}",
            "\u{202e} ",
            "\u{feff}",
            "\u{ffa0}",
            "\u{115f}\u{1160}",
            "\u{fe0f}",
            "\u{e0041}",
            "\u{3000}",
            "\u{85}",
            "\u{180e}",
            "\u{1d159}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for visible in
            ["a", " a ", "\u{200b}0\u{200b}", "é", "한", "⠁", "\u{0600}", "❤\u{fe0f}", "-"]
        {
            assert!(!is_blank(visible), "{visible:?}");
        }
    }

    #[test]
    fn pasted_text_keeps_its_lines_and_loses_controls() {
        assert_eq!(cleaned("a\r\nb\rc\n\td"), "a\nb\nc\n\td");
        assert_eq!(cleaned("line one\u{b}line two"), "line oneline two");
        assert_eq!(cleaned("\u{1b}[31mFAIL\u{1b}[0m\u{0}\u{7f}"), "[31mFAIL[0m");
        assert_eq!(cleaned("don\u{92}t\u{85}"), "dont");
    }

    proptest! {
        #[test]
        fn cleaning_again_changes_nothing(text in r"(\PC|\pC){0,20}") {
            let once = cleaned(&text);
            prop_assert_eq!(cleaned(&once), once.clone());
            prop_assert!(!once.contains(is_forbidden_character));
        }
    }
}
