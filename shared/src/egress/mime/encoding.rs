//! Text of all kinds in ASCII lines.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Longest line, without its end (RFC 2045, section 6.7, and RFC 2047, section 2).
const LINE_CHARS_MAX: usize = 76;
/// Bytes of text in an encoded word. So it has 64 characters, and fits behind the name of a header.
const WORD_BYTES_MAX: usize = 39;
/// Longest name in quotes. Longer ones are encoded words, which can be folded.
const QUOTED_CHARS_MAX: usize = 60;
/// Longest word of a subject that is written as it is, so that it fits behind the name of its header.
const PLAIN_WORD_CHARS_MAX: usize = 60;

/// The text with a space for each control character, and without spaces around it.
pub(super) fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|it| if is_break(it) { ' ' } else { it }).collect();
    text.trim().to_owned()
}

/// Could end a line, in a mail or in the program that shows it.
fn is_break(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The value of a header such as `Subject`.
pub(super) fn unstructured(text: &str) -> String {
    let text = one_line(text);
    let is_plain = is_printable(&text)
        && !text.contains("  ")
        && text.split(' ').all(|it| it.len() <= PLAIN_WORD_CHARS_MAX);
    if is_plain { folded(&text) } else { encoded_words(&text) }
}

/// A name and an address, as in `To`.
pub(super) fn phrase(name: &str, address: &str) -> String {
    let name = one_line(name);
    if name.is_empty() {
        return address.to_owned();
    }
    let name = if is_printable(&name) && name.len() <= QUOTED_CHARS_MAX {
        format!("\"{}\"", name.replace('\\', r"\\").replace('"', "\\\""))
    } else {
        encoded_words(&name)
    };
    format!("{name}\r\n <{address}>")
}

/// Printable ASCII that nobody takes for an encoded word.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|it| it == b' ' || it.is_ascii_graphic()) && !text.contains("=?")
}

/// The words of `text` in lines of a header.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    // As if the header's name stood before it.
    let mut n_chars = LINE_CHARS_MAX - PLAIN_WORD_CHARS_MAX;
    for (number, word) in text.split(' ').enumerate() {
        n_chars += 1 + word.len();
        if number > 0 && n_chars > LINE_CHARS_MAX {
            folded += "\r\n";
            n_chars = 1 + word.len();
        }
        if number > 0 {
            folded.push(' ');
        }
        folded += word;
    }
    folded
}

/// Encoded words in UTF-8 (RFC 2047). No character is in two of them.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD_BYTES_MAX));
        words.push(format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

/// Appends text as quoted-printable (RFC 2045, section 6.7). Every end of a line becomes CRLF.
pub(super) fn quoted_printable(text: &str, to: &mut String) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            to.push_str("\r\n");
        }
        quoted_printable_line(line.as_bytes(), to);
    }
}

fn quoted_printable_line(line: &[u8], to: &mut String) {
    let mut n_chars = 0;
    for (at, byte) in line.iter().enumerate() {
        let is_last = at + 1 == line.len();
        let is_literal = match byte {
            // Servers may remove spaces from the end of a line.
            b' ' | b'\t' => !is_last,
            b'=' => false,
            other => other.is_ascii_graphic(),
        };
        let length = if is_literal { 1 } else { 3 };
        // Unless it ends the line, there must be room for the sign that the line goes on.
        if n_chars + length + usize::from(!is_last) > LINE_CHARS_MAX {
            to.push_str("=\r\n");
            n_chars = 0;
        }
        n_chars += length;
        if is_literal {
            to.push(char::from(*byte));
        } else {
            write!(to, "={byte:02X}").expect("writing to a string succeeds");
        }
    }
}
