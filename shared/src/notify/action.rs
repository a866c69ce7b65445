//! An action as people see it: all of it, on lines that show its structure, in the spelling of JSON.
//!
//! Characters that have no shape, or that change the order of others, are shown as escapes. They mean
//! the same in JSON, so what people read is still what they approve.

use serde_json::Value;

use crate::{
    domain::{
        self,
        json::{Double, Json, escape, sorted, unicode_escape},
        text::is_invisible,
    },
    page::{Action, Piece, Quoted},
};

/// Spaces for each level of depth.
const INDENT: usize = 2;
/// Deepest level that is indented further. Deeper ones would fill the page with space.
const INDENTED_DEPTH_MAX: usize = 16;

/// The action, with the sentences about its approval.
pub(crate) fn shown(action: &domain::Action, approval: Vec<String>) -> Action {
    let mut args = Vec::new();
    write(&read(&action.args), 0, &mut args);
    let name = vec![Piece::Quoted(quoted(&action.name))];
    Action { name, args, digest: action.digest.to_string(), approval }
}

/// The text of pieces, without marks.
pub(super) fn text(pieces: &[Piece]) -> String {
    let of_piece = |it: &Piece| match it {
        Piece::Plain(text) => text.clone(),
        Piece::Quoted(parts) => parts.iter().map(Quoted::text).collect(),
    };
    pieces.iter().map(of_piece).collect()
}

/// The value of stored arguments: they are JSON, and all their numbers are exact.
fn read(args: &str) -> Json {
    serde_json::from_str(args).map_or(Json::Null, exact)
}

fn exact(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Flag(flag),
        Value::Number(number) => {
            Double::parse(&number.to_string()).map_or(Json::Null, Json::Number)
        }
        Value::String(text) => Json::Text(text),
        Value::Array(items) => Json::List(items.into_iter().map(exact).collect()),
        Value::Object(members) => {
            Json::Object(members.into_iter().map(|(name, it)| (name, exact(it))).collect())
        }
    }
}

fn write(value: &Json, depth: usize, out: &mut Vec<Piece>) {
    match value {
        Json::Null | Json::Flag(_) | Json::Number(_) => plain(out, &value.canonical()),
        Json::Text(text) => string(out, text),
        Json::List(items) if items.is_empty() => plain(out, "[]"),
        Json::Object(members) if members.is_empty() => plain(out, "{}"),
        Json::List(items) => {
            plain(out, "[");
            for (number, item) in items.iter().enumerate() {
                plain(out, if number == 0 { "" } else { "," });
                line(out, depth + 1);
                write(item, depth + 1, out);
            }
            line(out, depth);
            plain(out, "]");
        }
        Json::Object(members) => {
            plain(out, "{");
            for (number, (name, value)) in sorted(members).into_iter().enumerate() {
                plain(out, if number == 0 { "" } else { "," });
                line(out, depth + 1);
                string(out, name);
                plain(out, ": ");
                write(value, depth + 1, out);
            }
            line(out, depth);
            plain(out, "}");
        }
    }
}

fn line(out: &mut Vec<Piece>, depth: usize) {
    plain(out, &format!("\n{}", " ".repeat(INDENT * depth.min(INDENTED_DEPTH_MAX))));
}

fn plain(out: &mut Vec<Piece>, text: &str) {
    match out.last_mut() {
        Some(Piece::Plain(last)) => last.push_str(text),
        _ => out.push(Piece::Plain(text.to_owned())),
    }
}

fn string(out: &mut Vec<Piece>, text: &str) {
    plain(out, "\"");
    out.push(Piece::Quoted(quoted(text)));
    plain(out, "\"");
}

/// A string in the spelling of JSON, without its quotation marks.
fn quoted(text: &str) -> Vec<Quoted> {
    let mut parts = Vec::new();
    for character in text.chars() {
        let is_hidden = character != ' '
            && (is_invisible(character) || character.is_whitespace() || character.is_control())
            || matches!(character, '\u{2800}' | '\u{1d159}');
        match (escape(character), parts.last_mut()) {
            (None, last) if is_hidden => {
                let escape = unicode_escape(character);
                match last {
                    Some(Quoted::Hidden(last)) => last.push_str(&escape),
                    _ => parts.push(Quoted::Hidden(escape)),
                }
            }
            (escape, Some(Quoted::Text(last))) => match escape {
                Some(escape) => last.push_str(&escape),
                None => last.push(character),
            },
            (escape, _) => {
                parts.push(Quoted::Text(escape.unwrap_or_else(|| character.to_string())));
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(name: &str, args: &str) -> Action {
        shown(&domain::Action::new(name.to_owned(), args.to_owned(), read(args)), Vec::new())
    }

    #[test]
    fn arguments_have_a_line_for_each_value() {
        let shown = action("deploy", "{\"b\":[1.0,{}],\"a\":\"x\\ny\"}");
        let expected = "{\n  \"a\": \"x\\ny\",\n  \"b\": [\n    1,\n    {}\n  ]\n}";
        assert_eq!(text(&shown.args), expected);
        assert_eq!(text(&shown.name), "deploy");
    }

    #[test]
    fn numbers_keep_their_value() {
        let args = "[1e30,0.1,-0,9007199254740992,4.50,1E-27,123456789012345680000]";
        let expected = "[1e+30,0.1,0,9007199254740992,4.5,1e-27,123456789012345680000]";
        assert_eq!(read(args).canonical(), expected);
    }

    #[test]
    fn hidden_characters_are_marked_and_mean_the_same() {
        let hidden =
            ["\u{202e}", "\u{200b}", "\u{2066}", "\u{feff}", "\u{a0}", "\u{2028}", "\u{e0041}"];
        for character in hidden {
            let args = serde_json::to_string(&format!("a{character}b")).expect("a string");
            let shown = action(character, &args);
            assert!(!text(&shown.args).contains(character), "{character:?}");
            assert_eq!(read(&text(&shown.args)), read(&args));
            assert!(
                matches!(&shown.name[..], [Piece::Quoted(it)] if matches!(it[..], [Quoted::Hidden(_)]))
            );
        }
        // The text of an escape is not taken for one.
        assert_eq!(text(&action("x", "\"\\\\u202e\"").args), "\"\\\\u202e\"");
    }

    #[test]
    fn deepest_arguments_make_a_page_of_limited_size() {
        let depth = 100;
        let inner = "0,".repeat(8_000);
        let args = format!("{}{inner}0{}", "[".repeat(depth), "]".repeat(depth));
        assert!(text(&action("x", &args).args).len() < 300 * 1_024);
    }
}
