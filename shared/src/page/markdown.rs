//! Markdown in, safe HTML out.
//!
//! The output is safe by construction: the parser's events are matched against a list, and only
//! those on the list are written. HTML in the source becomes text. An image becomes its
//! description, because the page loads nothing. A link survives only with one of [`SCHEMES`], in
//! the form that the URL parser gives it, and the page names its host where its text does not. A web
//! address in the text becomes a link. The tests read the output with the tokenizer of a browser
//! and check it against a list of elements and attributes.

use askama::filters::{Escaper as _, Html};
use linkify::{LinkFinder, LinkKind};
use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd,
    TextMergeStream, html,
};
use url::Url;

/// The schemes that links may have.
const SCHEMES: [&str; 3] = ["https", "http", "mailto"];

/// Largest HTML. A body has at most 10,000 characters, and becomes much smaller than this unless it
/// is an attack, such as a table that gains a quarter of a million empty cells. Then the page shows
/// the source.
const HTML_BYTES_MAX: usize = 256 * 1024;

/// The HTML of `markdown`, for a place below an `h1`.
pub(crate) fn to_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut sieve = Sieve::default();
    // CommonMark requires this ("insecure characters"), and the parser leaves it to its caller.
    let markdown = &markdown.replace('\0', "\u{fffd}");
    TextMergeStream::new(Parser::new_ext(markdown, options)).for_each(|event| sieve.take(event));

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
    /// The current link, if it has passed. Links do not nest.
    link: Option<OpenLink>,
    /// The parser is in a link, passed or not, or in a code block.
    n_closed_to_links: usize,
    /// The levels of the headings above the current place, highest first.
    headings: Vec<HeadingLevel>,
}

/// A link that has begun.
struct OpenLink {
    target: Url,
    /// Its text so far.
    text: String,
}

impl<'a> Sieve<'a> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Html(text) | Event::InlineHtml(text) => self.passed.push(Event::Text(text)),
            // A line break in the source is one in the output: authors who do not know Markdown expect it.
            Event::SoftBreak => self.passed.push(Event::HardBreak),
            Event::Text(text) => self.text(text),
            Event::Code(ref text) => {
                if let Some(link) = &mut self.link {
                    link.text.push_str(text);
                }
                self.passed.push(event);
            }
            Event::HardBreak | Event::Rule => self.passed.push(event),
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
            Tag::Heading { level, .. } => {
                self.headings.retain(|it| *it < level);
                self.headings.push(level);
                Tag::Heading {
                    level: self.heading_level(),
                    id: None,
                    classes: Vec::new(),
                    attrs: Vec::new(),
                }
            }
            // Without the language, which would become a class.
            Tag::CodeBlock(_) => {
                self.n_closed_to_links += 1;
                Tag::CodeBlock(CodeBlockKind::Indented)
            }
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
                self.n_closed_to_links += 1;
                if let Some(target) = permitted(&format!("{scheme}{dest_url}")) {
                    self.begin_link(target);
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
            | TagEnd::Strikethrough => tag,
            TagEnd::CodeBlock => {
                self.n_closed_to_links -= 1;
                tag
            }
            TagEnd::HtmlBlock => TagEnd::Paragraph,
            TagEnd::Heading(_) => TagEnd::Heading(self.heading_level()),
            TagEnd::Table => {
                self.passed.push(Event::End(tag));
                return self.raw("</div>");
            }
            TagEnd::Link => {
                self.n_closed_to_links -= 1;
                return self.end_link();
            }
            TagEnd::Image => return self.passed.push(Event::Text("]".into())),
            _ => return,
        };
        self.passed.push(Event::End(tag));
    }

    /// Writes a text. A web address in it becomes a link.
    fn text(&mut self, text: CowStr<'a>) {
        if let Some(link) = &mut self.link {
            link.text.push_str(&text);
        }
        if self.n_closed_to_links > 0 || !text.contains("://") {
            return self.passed.push(Event::Text(text));
        }
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]).url_must_have_scheme(true);
        for span in finder.spans(&text) {
            let part = || Event::Text(span.as_str().to_owned().into());
            match span.kind().and_then(|_| permitted(span.as_str())) {
                None => self.passed.push(part()),
                Some(target) => {
                    self.begin_link(target);
                    self.link.iter_mut().for_each(|it| it.text.push_str(span.as_str()));
                    self.passed.push(part());
                    self.end_link();
                }
            }
        }
    }

    fn begin_link(&mut self, target: Url) {
        let href = escaped(target.as_str());
        self.raw(format!("<a href=\"{href}\" rel=\"noopener noreferrer nofollow\">"));
        self.link = Some(OpenLink { target, text: String::new() });
    }

    /// Ends a link. The text of a link may name another place than its target, so the target's host
    /// or mailbox follows it.
    fn end_link(&mut self) {
        let Some(OpenLink { target, text }) = self.link.take() else { return };
        self.raw("</a>");
        let place = target.host_str().unwrap_or(target.path());
        let is_named = match Url::parse(text.trim()) {
            Ok(shown) => shown.host_str() == target.host_str() && shown.host_str().is_some(),
            Err(_) => text.trim() == place,
        };
        if !is_named {
            let place = escaped(place);
            self.raw(format!(" <span class=\"host\">(<bdi>{place}</bdi>)</span>"));
        }
    }

    /// The level of the current heading below the page's own title, which is the only `h1`. None is
    /// skipped, whatever levels the author chose.
    fn heading_level(&self) -> HeadingLevel {
        HeadingLevel::try_from(self.headings.len() + 1).unwrap_or(HeadingLevel::H6)
    }

    /// Writes a tag of our own.
    fn raw(&mut self, tag: impl Into<CowStr<'a>>) {
        self.passed.push(Event::InlineHtml(tag.into()));
    }
}

/// The target of a link as a browser reads it, or `None` if links must not lead there.
fn permitted(target: &str) -> Option<Url> {
    let url = Url::parse(target).ok()?;
    // `https://bank.example@elsewhere.example/` is meant to be misread.
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && SCHEMES.contains(&url.scheme())).then_some(url)
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
    const ELEMENTS: &str = "a bdi blockquote br code del div em h2 h3 h4 h5 h6 hr li ol p pre span \
                            strong table tbody td th thead tr ul";

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
                    ("span", "class") => value == "host",
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
        let to_other = |link: String, place| {
            format!("{link} <span class=\"host\">(<bdi>{place}</bdi>)</span>")
        };
        let query = link(&format!("{web}?a&#38;b"), "a");
        check("[a](https://example.com/?a&b \"t\")", &to_other(query, "example.com"));
        check("<https://example.com/>", &link(web, web));
        let mail = link("mailto:a@example.com", "a");
        check("[a](mailto:a@example.com)", &to_other(mail, "a@example.com"));
        check("<a@example.com>", &link("mailto:a@example.com", "a@example.com"));
        check("[a](JavaScript:alert(1))", "a");
        check("[a](<java\u{1}script:alert(1)>)", "a");
        check("[a](&#106;avascript:alert(1))", "a");
        check("[a](data:text/html,x)", "a");
        check("[a](//example.com)", "a");
        check("[a](/v1/keys)", "a");
        check("[a](https://bank.example.com@example.com/)", "a");
        // The text of a link may name another site.
        let bank = link(web, "https://bank.example.net/");
        check("[https://bank.example.net/](https://example.com/)", &to_other(bank, "example.com"));
        check("[example.com](https://example.com/)", &link(web, "example.com"));
        let code = link(web, "<code>bank.example.net</code>");
        check("[`bank.example.net`](https://example.com/)", &to_other(code, "example.com"));
    }

    #[test]
    fn web_addresses_in_the_text_become_links() {
        let link =
            |url: &str| format!("<a href=\"{url}\" rel=\"noopener noreferrer nofollow\">{url}</a>");
        let check = |markdown, html: &str| {
            assert_eq!(to_html(markdown), format!("<p>{html}</p>\n"), "{markdown}");
        };
        let run = link("https://ci.example.com/runs/1_2_3");
        check("See https://ci.example.com/runs/1_2_3.", &format!("See {run}."));
        check("(https://ci.example.com/runs/1_2_3)", &format!("({run})"));
        check("`https://ci.example.com/`", "<code>https://ci.example.com/</code>");
        check("https://bank.example.com@example.com/", "https://bank.example.com@example.com/");
        check("javascript://example.com/%0aalert(1)", "javascript://example.com/%0aalert(1)");
        check("ci.example.com", "ci.example.com");
        assert_eq!(
            to_html("    https://example.com/"),
            "<pre><code>https://example.com/</code></pre>\n"
        );
    }

    #[test]
    fn images_are_described_and_never_loaded() {
        assert_eq!(
            to_html("![the *graph*](https://example.com/t.png)"),
            "<p>[Image: the <em>graph</em>]</p>\n"
        );
    }

    #[test]
    fn headings_skip_no_level_and_line_breaks_are_kept() {
        assert_eq!(to_html("# A\n###### B"), "<h2>A</h2>\n<h3>B</h3>\n");
        assert_eq!(
            to_html("## A\n### B\n# C\n## D"),
            "<h2>A</h2>\n<h3>B</h3>\n<h2>C</h2>\n<h3>D</h3>\n"
        );
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
