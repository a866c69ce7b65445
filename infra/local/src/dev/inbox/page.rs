//! The inbox as a page: no script, no external resources, and all received text escaped.

use std::sync::Arc;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};

use super::{CALLBACKS_MAX, Callback, ShownBody};

/// Deepest indentation of a body, in levels. A body can have as many levels as bytes.
const LEVELS_MAX: usize = 32;
/// Longest body on the page, in bytes, after it was indented.
const SHOWN_BYTES_MAX: usize = 256 * 1024;

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page<'a> {
    received: &'a [Arc<Callback>],
    /// `None`: the page does not reload by itself, which would interrupt screen readers.
    refresh_seconds: Option<u32>,
    callbacks_max: usize,
}

/// Renders callbacks, newest first. `refresh` is the interval that the reader asked for.
pub(super) fn render(received: &[Arc<Callback>], refresh: Option<u32>) -> Response {
    let refresh_seconds = refresh.filter(|it| *it > 0);
    let page = Page { received, refresh_seconds, callbacks_max: CALLBACKS_MAX };
    let headers = [
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ];
    (headers, Html(page.render().expect("writing to a string does not fail"))).into_response()
}

impl Callback {
    /// The time of arrival, for display.
    fn time(&self) -> String {
        self.received_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    fn text(&self) -> String {
        match &self.body {
            ShownBody::Json(value) => indent(value.get()),
            ShownBody::Text(text) => text.clone(),
        }
    }
}

/// Indents JSON and keeps the order of its members, up to [`SHOWN_BYTES_MAX`].
fn indent(json: &str) -> String {
    let mut text = String::with_capacity((2 * json.len()).min(SHOWN_BYTES_MAX));
    let (mut depth, mut in_string, mut is_escaped) = (0, false, false);
    let mut rest = json.chars().peekable();
    while let Some(it) = rest.next() {
        if text.len() >= SHOWN_BYTES_MAX {
            text.push_str("\n… the rest is not shown");
            break;
        }
        if in_string {
            in_string = is_escaped || it != '"';
            is_escaped = !is_escaped && it == '\\';
            text.push(it);
            continue;
        }
        match it {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                text.push(it);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = rest.next_if(|it| "}]".contains(*it)) {
                    text.push(end);
                } else {
                    depth += 1;
                    new_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut text, depth);
                text.push(it);
            }
            ',' => {
                text.push(it);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => {
                in_string = it == '"';
                text.push(it);
            }
        }
    }
    text
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(LEVELS_MAX)));
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn nested_brackets_do_not_multiply() {
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        let text = indent(&deep);
        assert!(text.len() < SHOWN_BYTES_MAX + 200, "{} bytes", text.len());
        assert!(text.ends_with("… the rest is not shown"));
        let shallow = indent(&format!("{}0{}", "[".repeat(40), "]".repeat(40)));
        assert!(shallow.contains(&format!("\n{}[", "  ".repeat(32))));
        assert!(!shallow.contains(&"  ".repeat(33)), "{shallow}");
    }

    #[test]
    fn received_html_is_escaped_on_the_page() {
        let evil = "</pre><script>alert(1)</script>".to_owned();
        let received = Callback {
            received_at: Timestamp::UNIX_EPOCH,
            path: evil.clone(),
            event: Some(evil.clone()),
            delivery_id: Some(evil.clone()),
            attempt: Some(1),
            status: 204,
            verified: true,
            problem: None,
            body: ShownBody::Text(evil),
        };
        let received = [Arc::new(received)];
        let page = Page { received: &received, refresh_seconds: Some(5), callbacks_max: 200 };
        let page = page.render().expect("writing to a string does not fail");
        assert_eq!(page.matches("alert(1)").count(), 4);
        assert!(!page.contains("<script") && page.contains("&#60;script"));
    }

    #[test]
    fn json_is_indented_with_members_in_order() {
        let json = "{\"b\" :\n {} ,\"a\": [ ], \"c\":[1,{\"\\\\\\\",: {\":\" [\"}]}";
        let expected = "{\n  \"b\": {},\n  \"a\": [],\n  \"c\": [\n    1,\n    {\n      \
                        \"\\\\\\\",: {\": \" [\"\n    }\n  ]\n}";
        assert_eq!(indent(json), expected);
    }
}
