//! The copy of a message after something was decided: the question, and what was decided, without
//! buttons.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{TEXT_UNITS_MAX, can_prefill, literal, open_button, option_buttons, recipient, words};
use crate::{
    domain::{
        NotificationId, Request,
        delivery::Purpose,
        request::{AnswerMode, DecidedBy, Outcome, RequestState, Row},
        slack::SlackCopy,
    },
    notify::{
        Content,
        chat::slack::{markup, question, spelled, text_section},
        facts::Facts,
        text::units,
    },
    page::{Words, fill},
};

/// The beginning of the identifiers of direct messages.
const DIRECT: char = 'D';
/// Longest text of a section.
const SECTION_UNITS_MAX: usize = 3_000;
/// Room for the number of answers that are not shown.
const MORE_UNITS_MAX: usize = 10;

/// The message to the recipient of a row as it is now, as `chat.update` takes it.
pub fn copy(
    request: &Request,
    row: usize,
    notification: NotificationId,
    copy: &SlackCopy,
    now: Timestamp,
) -> Value {
    let content = Content {
        request,
        row,
        purpose: Purpose::Ask,
        notification,
        in_reply_to: None,
        link: "",
        code: None,
        now,
    };
    let facts = Facts::of(&content);
    let shown = question(&facts, super::ACTION_UNITS_MAX);
    let mut blocks = shown.all;
    let reader = if copy.channel.as_str().starts_with(DIRECT) { Reader::Own } else { Reader::All };
    blocks.push(markup(&state(request, row, reader, now)));
    // Such an answer can be changed until the deadline.
    let is_open = *request.state() == RequestState::Pending
        && request.policy.mode == AnswerMode::OnTimeout
        && now < request.deadline;
    if is_open {
        let is_answerable = shown.is_whole && can_prefill(&request.question);
        let options = is_answerable.then(|| option_buttons(request, notification.0, facts.words));
        let mut buttons = options.unwrap_or_default();
        buttons.push(open_button(shown.open, request, notification.0));
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    update(copy, &spelled(&facts.title, TEXT_UNITS_MAX), &blocks)
}

/// The message of a request that was erased, in English: its language is erased, too.
pub fn erased_copy(copy: &SlackCopy) -> Value {
    let deleted = Words::english().message.deleted;
    update(copy, deleted, &[text_section(deleted)])
}

fn update(copy: &SlackCopy, text: &str, blocks: &[Value]) -> Value {
    json!({
        "channel": copy.channel.as_str(),
        "ts": copy.ts.as_str(),
        "text": text,
        "blocks": blocks,
    })
}

/// Who reads what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The recipient alone.
    Own,
    /// Everybody in a channel.
    All,
}

/// The way in which it ended, in Slack's markup, without any answer.
pub fn outcome(request: &Request, row: usize) -> String {
    format!("*{}*", headline(request, row, words(request)))
}

/// What was decided, in Slack's markup. It is also the reply to a press that comes too late.
pub fn state(request: &Request, row: usize, reader: Reader, now: Timestamp) -> String {
    let words = words(request);
    let mut lines = vec![outcome(request, row)];
    if let RequestState::Ended(end) = request.state()
        && end.outcome == Outcome::Defaulted
        && let Some(decision) = &end.decision
        && request.shows_answers(now)
    {
        let option = request.question.options.iter().find(|it| it.value == *decision);
        let label = literal(option.map_or(decision, |it| &it.label));
        lines.push(fill(words.ending.defaulted, &[&label]));
    }
    if let RequestState::Ended(end) = request.state()
        && end.outcome == Outcome::Cancelled
        && let Some(reason) = &end.reason
    {
        lines.push(fill(words.ending.cancel_reason, &[&literal(reason)]));
    }
    let shown = shown_answers(request, row, reader, now);
    let mut room = SECTION_UNITS_MAX - units(&lines.join("\n")) - MORE_UNITS_MAX;
    let mut n_left = shown.len();
    for (row, it) in shown {
        let line = answer(request, row, it, words);
        let Some(rest) = room.checked_sub(units(&line) + 1) else { break };
        lines.push(line);
        (room, n_left) = (rest, n_left - 1);
    }
    if n_left > 0 {
        lines.push(format!("+ {n_left}"));
    }
    lines.join("\n")
}

fn headline(request: &Request, row: usize, words: &Words) -> &'static str {
    match request.state() {
        RequestState::Ended(end) => match (end.outcome, end.decided_by) {
            (Outcome::Completed | Outcome::Vetoed, DecidedBy::Recipients) => words.ending.decided,
            (Outcome::NotMet, _) => words.ending.not_met,
            (Outcome::Cancelled, _) => words.ending.cancelled,
            _ => words.ending.timed_out,
        },
        RequestState::Pending if request.rows().get(row).is_some_and(Option::is_some) => {
            words.answer.recorded
        }
        // Only a reply says this.
        RequestState::Pending if request.has_open_place() => words.message.press_again,
        RequestState::Pending => words.ending.enough,
        RequestState::Erased { .. } => words.message.deleted,
    }
}

/// The answers that a reader of the copy of a row may see: those that made the decision, and the recipient's own.
/// It comes first, and is for the recipient alone.
fn shown_answers(
    request: &Request,
    own: usize,
    reader: Reader,
    now: Timestamp,
) -> Vec<(usize, &Row)> {
    let decision = match request.state() {
        RequestState::Ended(end) if end.decided_by == DecidedBy::Recipients => {
            end.decision.as_ref().filter(|_| request.shows_answers(now))
        }
        _ => None,
    };
    let rows = request.rows().iter().enumerate();
    let rows = rows.filter_map(|(row, it)| Some((row, it.as_ref()?)));
    let is_own = |row: usize| row == own && reader == Reader::Own;
    let is_shown = |(row, it): &(usize, &Row)| {
        is_own(*row) || decision.is_some() && it.answer.option.as_ref() == decision
    };
    let mut shown: Vec<_> = rows.filter(is_shown).collect();
    shown.sort_by_key(|(row, _)| !is_own(*row));
    shown
}

/// One line: the option, the person, and the time, which Slack writes in the reader's own zone.
fn answer(request: &Request, row: usize, it: &Row, words: &Words) -> String {
    let option = it.answer.option.as_deref().unwrap_or_default();
    let option = match request.question.options.iter().find(|it| it.value == option) {
        Some(option) => &option.label,
        None => words.form.your_answer,
    };
    let seconds = it.at.as_second();
    let time = format!("<!date^{seconds}^{{date_short_pretty}}, {{time}}|{:.0}>", it.at);
    fill(words.message.chosen_by, &[&literal(option), &recipient(request, row), &time])
}
