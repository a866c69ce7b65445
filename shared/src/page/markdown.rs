//! Markdown in, safe HTML out.
//!
//! The output is safe by construction: the parser's events are matched against a list, and only
//! those on the list are written. HTML in the source becomes text. An image becomes its
//! description, because the page loads nothing. A link survives only with one of [`SCHEMES`], in
//! the form that the URL parser gives it. The tests read the output with the tokenizer of a browser
//! and check it against a list of elements and attributes.

use askama::filters::{Escaper as _, Html};
use pulldown_cmark::{
    CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html,
};
use url::Url;

/// The schemes that links may have.
const SCHEMES: [&str; 3] = ["https", "http", "mailto"];

/// Largest HTML. A body has at most 10,000 characters, and becomes much smaller than this unless it
/// is an attack, such as a table that gains a quarter of a million empty cells. Then the page shows
/// the source.
const HTML_BYTES_MAX: usize = 256 * 1024;

/// The HTML of `markdown`, for a place below an `h1`.
pub(super) fn to_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut sieve = Sieve::default();
    // CommonMark requires this ("insecure characters"), and the parser leaves it to its caller.
    let markdown = &markdown.replace('\0', "\u{fffd}");
    Parser::new_ext(markdown, options).for_each(|event| sieve.take(event));

    let mut html = String::new();
    html::push_html(&mut html, sieve.passed.into_iter());
    if html.len() > HTML_BYTES_MAX {
        return format!("<pre>{}</pre>", escaped(markdown));
    }
    html
}

#[derive(Default)]
struct Sieve<'a> {
    passed: Vec<Event<'a>>,
    /// The current link has passed. Links do not nest.
    is_in_link: bool,
}

impl<'a> Sieve<'a> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Html(text) | Event::InlineHtml(text) => self.passed.push(Event::Text(text)),
            // A line break in the source is one in the output: authors who do not know Markdown expect it.
            Event::SoftBreak => self.passed.push(Event::HardBreak),
            Event::Text(_) | Event::Code(_) | Event::HardBreak | Event::Rule => {
                self.passed.push(event);
            }
            // Footnotes, mathematics and task lists are not enabled.
            _ => (),
        }
    }

    fn start(&mut self, tag: Tag<'a>) {
        let tag = match tag {
            Tag::Paragraph
            | Tag::BlockQuote(None)
            | Tag::List(_)
            | Tag::Item
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough => tag,
            Tag::HtmlBlock => Tag::Paragraph,
            Tag::Heading { level, .. } => Tag::Heading {
                level: lowered(level),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            },
            // Without the language, which would become a class.
            Tag::CodeBlock(_) => Tag::CodeBlock(CodeBlockKind::Indented),
            // Without the alignment, which would become a style. A wide table scrolls, also with the
            // keyboard.
            Tag::Table(_) => {
                self.raw(
                    "<div class=\"wide\" role=\"region\" aria-label=\"Table\" tabindex=\"0\">",
                );
                Tag::Table(Vec::new())
            }
            Tag::Link { link_type, dest_url, .. } => {
                // For `<a@example.com>` the parser returns the bare address.
                let scheme = if link_type == LinkType::Email { "mailto:" } else { "" };
                if let Some(href) = permitted(&format!("{scheme}{dest_url}")) {
                    self.is_in_link = true;
                    let href = escaped(&href);
                    self.raw(format!("<a href=\"{href}\" rel=\"noopener noreferrer nofollow\">"));
                }
                return;
            }
            Tag::Image { .. } => return self.passed.push(Event::Text("[Image: ".into())),
            _ => return,
        };
        self.passed.push(Event::Start(tag));
    }

    fn end(&mut self, tag: TagEnd) {
        let tag = match tag {
            TagEnd::Paragraph
            | TagEnd::BlockQuote(None)
            | TagEnd::List(_)
            | TagEnd::Item
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::TableCell
            | TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::CodeBlock => tag,
            TagEnd::HtmlBlock => TagEnd::Paragraph,
            TagEnd::Heading(level) => TagEnd::Heading(lowered(level)),
            TagEnd::Table => {
                self.passed.push(Event::End(tag));
                return self.raw("</div>");
            }
            TagEnd::Link => {
                if std::mem::take(&mut self.is_in_link) {
                    self.raw("</a>");
                }
                return;
            }
            TagEnd::Image => return self.passed.push(Event::Text("]".into())),
            _ => return,
        };
        self.passed.push(Event::End(tag));
    }

    /// Writes a tag of our own.
    fn raw(&mut self, tag: impl Into<pulldown_cmark::CowStr<'a>>) {
        self.passed.push(Event::InlineHtml(tag.into()));
    }
}

/// The target of a link as a browser reads it, or `None` if links must not lead there.
fn permitted(target: &str) -> Option<String> {
    let url = Url::parse(target).ok()?;
    // `https://bank.example@elsewhere.example/` is meant to be misread.
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && SCHEMES.contains(&url.scheme())).then(|| url.into())
}

/// One level lower, because the page's own title is the only `h1`.
fn lowered(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H2,
        HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    Html.write_escaped_str(&mut escaped, text).expect("a string takes all");
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::reader::read;

    /// The elements that a body may contain.
    const ELEMENTS: &str = "a blockquote br code del div em h2 h3 h4 h5 h6 hr li ol p pre strong \
                            table tbody td th thead tr ul";

    /// Texts with a meaning in Markdown, HTML or URLs.
    const PIECES: &str = "<script>¦</script>¦<img src=x onerror=alert(1)>¦<a href=\"¦<svg/onload=¦\
        <!--¦-->¦<![CDATA[¦]]>¦<?¦<!X¦<style>¦<textarea>¦</div>¦[a](¦![b](¦](¦)¦[¦]¦[c]: ¦<¦>¦\"¦'¦&¦\
        &lt;¦&#x3c;¦&#0;¦javascript:¦JaVa\tScript:¦data:text/html,¦vbscript:¦https://¦//¦example.com¦\
        mailto:¦@¦a@example.com¦\\¦`¦```html\n¦~~¦*¦_¦# ¦> ¦- ¦1. ¦\n¦\n\n¦    ¦|¦\n|-|:-:|\n¦---¦\
        {#id .class}¦\u{202e}¦\0¦é¦x¦ ";

    fn check(markdown: &str) {
        for element in read(&to_html(markdown)) {
            assert!(ELEMENTS.split(' ').any(|it| it == element.name), "{element:?}");
            for (name, value) in &element.attributes {
                let is_fine = match (&*element.name, &**name) {
                    ("a", "href") => Url::parse(value)
                        .is_ok_and(|url| SCHEMES.contains(&url.scheme()) && url.as_str() == value),
                    ("a", "rel") => value == "noopener noreferrer nofollow",
                    ("ol", "start") => value.parse::<u64>().is_ok(),
                    ("div", "class" | "role" | "aria-label" | "tabindex") => {
                        ["wide", "region", "Table", "0"].contains(&&**value)
                    }
                    _ => false,
                };
                assert!(is_fine, "{name}={value:?} of {element:?}");
            }
        }
    }

    /// These texts in any order.
    fn mischief() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(PIECES.split('¦').collect::<Vec<_>>());
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn output_has_only_listed_elements_and_attributes(markdown in mischief()) {
            check(&markdown);
        }

        #[test]
        fn any_text_gives_safe_output(markdown: String) {
            check(&markdown);
        }
    }

    #[test]
    fn html_in_the_source_is_shown_as_text() {
        assert_eq!(to_html("a <b onclick=x>b</b>"), "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>\n");
        assert_eq!(
            to_html("<script>alert(1)</script>\n\n*x*"),
            "<p>&lt;script&gt;alert(1)&lt;/script&gt;\n</p>\n<p><em>x</em></p>\n"
        );
        assert_eq!(to_html("<!-- c -->"), "<p>&lt;!-- c --&gt;</p>\n");
    }

    #[test]
    fn links_lead_only_to_the_web_or_a_mailbox() {
        let link = |href: &str, text: &str| {
            format!("<a href=\"{href}\" rel=\"noopener noreferrer nofollow\">{text}</a>")
        };
        let check = |markdown, html: &str| {
            assert_eq!(to_html(markdown), format!("<p>{html}</p>\n"), "{markdown}");
        };
        let web = "https://example.com/";
        check("[a](https://example.com/?a&b \"t\")", &link(&format!("{web}?a&#38;b"), "a"));
        check("<https://example.com/>", &link(web, web));
        check("[a](mailto:a@example.com)", &link("mailto:a@example.com", "a"));
        check("<a@example.com>", &link("mailto:a@example.com", "a@example.com"));
        check("[a](JavaScript:alert(1))", "a");
        check("[a](<java\u{1}script:alert(1)>)", "a");
        check("[a](&#106;avascript:alert(1))", "a");
        check("[a](data:text/html,x)", "a");
        check("[a](//example.com)", "a");
        check("[a](/v1/keys)", "a");
        check("[a](https://bank.example.com@example.com/)", "a");
    }

    #[test]
    fn images_are_described_and_never_loaded() {
        assert_eq!(
            to_html("![the *graph*](https://example.com/t.png)"),
            "<p>[Image: the <em>graph</em>]</p>\n"
        );
    }

    #[test]
    fn headings_are_lowered_and_line_breaks_kept() {
        assert_eq!(to_html("# A\n###### B"), "<h2>A</h2>\n<h6>B</h6>\n");
        assert_eq!(to_html("Branch: main\nBy: Ada"), "<p>Branch: main<br />\nBy: Ada</p>\n");
    }

    #[test]
    fn oversized_output_is_replaced_by_the_source() {
        let columns = 1_500;
        let swelling =
            format!("{}\n{}\n{}", "|a".repeat(columns), "|-".repeat(columns), "|a\n".repeat(1_500));
        assert_eq!(to_html(&swelling), format!("<pre>{swelling}</pre>"));
        assert!(to_html(&">".repeat(10_000)).len() <= HTML_BYTES_MAX);
    }
}
