//! Reads a page with the tokenizer of a browser, for the tests.

use std::{cell::RefCell, collections::BTreeMap};

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};

/// The elements without an end tag.
const VOID: [&str; 5] = ["meta", "input", "br", "hr", "link"];

/// An element with its attributes and its own text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// The elements in their order. Panics if the HTML is invalid in any way.
pub(crate) fn read(html: &str) -> Vec<Element> {
    let tokenizer = Tokenizer::new(Reader::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();

    let read = tokenizer.sink.0.into_inner();
    assert!(read.open.is_empty(), "left open: {:?}\n{html}", read.open);
    assert_eq!(read.faults, [""; 0], "{html}");
    read.elements
}

#[derive(Default)]
struct Reader(RefCell<Read>);

#[derive(Default)]
struct Read {
    elements: Vec<Element>,
    open: Vec<usize>,
    faults: Vec<String>,
}

impl Read {
    fn tag(&mut self, tag: Tag) -> TokenSinkResult<()> {
        let name = tag.name.to_string();
        if tag.kind == TagKind::EndTag {
            let opened = self.open.pop().map(|index| self.elements[index].name.clone());
            if opened.as_ref() != Some(&name) {
                self.faults.push(format!("</{name}> closes {opened:?}"));
            }
            return TokenSinkResult::Continue;
        }
        if !VOID.contains(&name.as_str()) {
            self.open.push(self.elements.len());
        }
        let raw = match name.as_str() {
            "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "style" => TokenSinkResult::RawData(RawKind::Rawtext),
            _ => TokenSinkResult::Continue,
        };
        let attributes = tag
            .attrs
            .into_iter()
            .map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string()))
            .collect();
        self.elements.push(Element { name, attributes, text: String::new() });
        raw
    }
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut read = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => return read.tag(tag),
            Token::CharacterTokens(text) => {
                if let Some(&index) = read.open.last() {
                    read.elements[index].text.push_str(&text);
                }
            }
            Token::CommentToken(text) => read.faults.push(format!("comment {text}")),
            Token::NullCharacterToken => read.faults.push("NUL".to_owned()),
            Token::ParseError(fault) => read.faults.push(fault.into_owned()),
            Token::DoctypeToken(_) | Token::EOFToken => (),
        }
        TokenSinkResult::Continue
    }
}
