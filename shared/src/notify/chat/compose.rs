//! A message as one text: for programs whose messages have no blocks.
//!
//! The order is that of trust: who asks, then the action, then the requester's own text, whose lines
//! are quoted so that they cannot look like the rest. The end, with the link, is never cut.

use crate::{
    domain::json::unicode_escape,
    notify::{
        action,
        facts::Facts,
        text::{Size, Spell, fit},
    },
    page::Action,
};

/// Least room for a body. What fits into less says nothing.
const BODY_ROOM_MIN: usize = 80;
/// A title takes at most one in five parts of the room.
const TITLE_SHARE: usize = 5;
/// A sentence takes at most one in nine parts of the room.
const SENTENCE_SHARE: usize = 9;
/// The mark of a quoted line.
const QUOTE: &str = "> ";
/// The space between sections.
const SEPARATOR: &str = "\n\n";

/// The form of a text.
pub(in crate::notify) struct Form {
    /// Its largest size.
    pub(in crate::notify) room: usize,
    /// Its measure.
    pub(in crate::notify) size: Size,
    /// The spelling of people's texts.
    pub(in crate::notify) spell: Spell,
    /// The place of the title.
    pub(in crate::notify) title: TitlePlace,
    /// The mark around headings.
    pub(in crate::notify) strong: &'static str,
    /// The mark around verbatim text, if the program has one.
    pub(in crate::notify) fence: Option<&'static str>,
}

/// The place of the title.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) enum TitlePlace {
    /// The first line of the text.
    Inside,
    /// Another part of the message.
    Elsewhere,
}

/// A text that fits.
pub(in crate::notify) struct Composed {
    /// The text.
    pub(in crate::notify) text: String,
    /// Nothing was left out.
    pub(in crate::notify) is_whole: bool,
    /// The words of the link.
    pub(in crate::notify) open: &'static str,
}

/// The facts as one text. `ending` makes its end from the words of the link.
pub(in crate::notify) fn compose(
    facts: &Facts,
    form: &Form,
    ending: impl Fn(&str) -> String,
) -> Composed {
    let message = &facts.words.message;
    let spelled = |text: &str| fit(text, form.room / SENTENCE_SHARE, form.spell, form.size).text;
    let lines = |sentences: &[String]| sentences.iter().map(|it| spelled(it)).collect::<Vec<_>>();
    let title = fit(&facts.title, form.room / TITLE_SHARE, form.spell, form.size);
    let mut is_whole = !title.is_cut;
    let mut sections = Vec::new();
    if form.title == TitlePlace::Inside {
        sections.push(form.strong(&title.text));
    }
    sections.push(lines(&facts.opening()).join("\n"));
    let closing = lines(&facts.closing().map(str::to_owned)).join("\n");
    let end_of = |open| format!("{closing}\n{}", ending(open)).trim().to_owned();

    let end_size = [message.open, message.review].map(|it| (form.size)(&end_of(it)));
    let end_size = end_size.into_iter().max().unwrap_or_default();
    let left = |sections: &[String]| {
        let used = (form.size)(&sections.join(SEPARATOR)) + 2 * (form.size)(SEPARATOR);
        form.room.saturating_sub(used + end_size)
    };
    let mut open = message.open;
    if let Some(action) = &facts.action {
        let mut section = form.action(action, facts, &lines(&action.approval));
        if (form.size)(&section) > left(&sections) {
            (open, is_whole, section) = (message.review, false, spelled(message.too_long));
        }
        sections.push(section);
    }
    if let Some(body) = &facts.body {
        let heading = facts.action.as_ref().map(|_| form.strong(facts.words.facts.message) + "\n");
        let heading = heading.unwrap_or_default() + QUOTE;
        let room = left(&sections).saturating_sub((form.size)(&heading));
        let quoted = fit(body.trim(), room, |it, out| form.quote(it, out), form.size);
        is_whole &= !quoted.is_cut;
        if !quoted.is_cut || room >= BODY_ROOM_MIN {
            sections.push(heading + &quoted.text);
        }
    }
    sections.push(end_of(open));
    sections.retain(|it| !it.is_empty());
    Composed { text: sections.join(SEPARATOR), is_whole, open }
}

impl Form {
    fn strong(&self, text: &str) -> String {
        format!("{0}{text}{0}", self.strong)
    }

    /// Writes a character of a quoted text.
    fn quote(&self, character: char, out: &mut String) {
        (self.spell)(character, out);
        if character == '\n' {
            out.push_str(QUOTE);
        }
    }

    /// The section with all of the action.
    fn action(&self, action: &Action, facts: &Facts, approval: &[String]) -> String {
        let heading = self.strong(facts.words.facts.action);
        let verbatim = match self.fence {
            Some(fence) => format!("{fence}\n{}\n{fence}", fenced(action)),
            None => verbatim(action),
        };
        let mut lines = vec![heading, facts.words.facts.action_detail.to_owned(), verbatim];
        lines.extend_from_slice(approval);
        lines.join("\n")
    }
}

/// The name and arguments of an action.
pub(super) fn verbatim(action: &Action) -> String {
    format!("{}\n{}", action::text(&action.name), action::text(&action.args))
}

/// The name and arguments of an action, without characters that end verbatim text or have a meaning
/// in it. They can only be in strings, and there their escapes mean the same.
pub(super) fn fenced(action: &Action) -> String {
    let mut fenced = String::new();
    for character in verbatim(action).chars() {
        match character {
            '`' | '<' | '>' | '&' => fenced.push_str(&unicode_escape(character)),
            _ => fenced.push(character),
        }
    }
    fenced
}
