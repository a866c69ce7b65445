//! Texts of people in the spelling of a channel, and within its limits.

use crate::page::without_directions;

/// Writes a character so that it has no meaning in the markup of a channel.
pub(super) type Spell = fn(char, &mut String);

/// Measures a text as a channel does.
pub(super) type Size = fn(&str) -> usize;

/// A text that fits.
pub(super) struct Fitted {
    /// As much of the text as fits.
    pub(super) text: String,
    /// The rest was left out.
    pub(super) is_cut: bool,
}

/// The mark of a cut.
const CUT: &str = "…";

/// The text in the spelling of a channel, cut if it would take more than `room`. No escape is cut in
/// two.
pub(super) fn fit(
    text: &str,
    room: usize,
    spell: impl Fn(char, &mut String),
    size: Size,
) -> Fitted {
    let mut fitted = String::new();
    let (mut used, mut kept) = (0, 0);
    for character in text.chars() {
        let start = fitted.len();
        spell(character, &mut fitted);
        used += size(&fitted[start..]);
        if used > room {
            fitted.truncate(kept);
            fitted.push_str(CUT);
            return Fitted { text: fitted, is_cut: true };
        }
        if used + size(CUT) <= room {
            kept = fitted.len();
        }
    }
    Fitted { text: fitted, is_cut: false }
}

/// The text in one line, without characters that would reach the words around it.
pub(super) fn one_line(text: &str) -> String {
    let spaced = text.replace(|it: char| it.is_control() || it.is_whitespace(), " ");
    without_directions(&spaced).trim().to_owned()
}

/// The character itself, for channels without markup.
pub(super) fn plain(character: char, out: &mut String) {
    out.push(character);
}

/// For Markdown: a backslash before every character that can have a meaning.
pub(super) fn markdown(character: char, out: &mut String) {
    if character.is_ascii_punctuation() && !",;'\"?/%$".contains(character) {
        out.push('\\');
    }
    out.push(character);
}

/// A space without width, which separates a character from the next.
pub(super) const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Bytes of UTF-8.
pub(super) fn bytes(text: &str) -> usize {
    text.len()
}

/// Units of UTF-16: at least as many as characters, whatever a program calls one.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Bytes in a JSON string, without its quotation marks.
pub(super) fn json_bytes(text: &str) -> usize {
    let escaped = text.chars().map(|it| match it {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => it.len_utf8(),
    });
    escaped.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_only_if_it_does_not_fit() {
        let fitted = |room| fit("a*b", room, markdown, bytes);
        assert_eq!((fitted(4).text.as_str(), fitted(4).is_cut), ("a\\*b", false));
        assert_eq!((fitted(3).text.as_str(), fitted(3).is_cut), ("…", true));
        let long = fit("ab*cd", 5, markdown, bytes);
        assert_eq!((long.text.as_str(), long.is_cut), ("ab…", true));
    }

    #[test]
    fn line_has_no_breaks_and_no_overrides_of_direction() {
        let line = one_line(" Deploy\r\nBcc: x@example.com\u{2028}\u{85}now\u{202e}? \u{2069}");
        assert_eq!(line, "Deploy  Bcc: x@example.com  now?");
    }

    #[test]
    fn json_bytes_are_those_of_the_encoder() {
        let text: String = (0..0x250).filter_map(char::from_u32).collect();
        let encoded = serde_json::to_string(&text).expect("a text");
        assert_eq!(json_bytes(&text), encoded.len() - 2);
    }
}
