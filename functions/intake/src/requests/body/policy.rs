//! The rules that decide a request: mode, quorum, deadline, and how the result may be read.

use std::time::Duration;

use answerback::{
    api::body::Object,
    domain::{
        Assurance, Question,
        approval::{
            APPROVAL_SECONDS, APPROVAL_SECONDS_MAX, APPROVAL_SECONDS_MIN, APPROVAL_USES_MAX,
            ConsumePolicy,
        },
        consumption::{
            LEASE_SECONDS, LEASE_SECONDS_MAX, LEASE_SECONDS_MIN, ReadMode, ReadPolicy,
            TTL_SECONDS_MAX, TTL_SECONDS_MIN,
        },
        question::{OPTIONS_MAX, VALUE_CHARS_MAX},
        quorum::{Count, Quorum},
        request::{
            AnswerMode, OnDeadline, TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX, TIMEOUT_SECONDS_MIN,
        },
    },
};
use jiff::Timestamp;
use serde_json::Value;

use super::{NOT_AN_OPTION, TimeToAnswer};

const SECONDS_PER_DAY: u32 = 24 * 60 * 60;

/// Reads the time to answer: a length, or its end.
pub(super) fn time_to_answer(body: &mut Object<'_>, now: Timestamp) -> TimeToAnswer {
    let range = TIMEOUT_SECONDS_MIN..=TIMEOUT_SECONDS_MAX;
    if !body.has("deadline") {
        body.take("deadline");
        let seconds = body.integer("timeout_seconds", range);
        return TimeToAnswer::Seconds(seconds.unwrap_or(TIMEOUT_SECONDS));
    }
    if body.has("timeout_seconds") {
        body.error("deadline", "must not be used with `timeout_seconds`");
    }
    body.take("timeout_seconds");
    let Some(deadline) = body.time("deadline") else {
        return TimeToAnswer::Seconds(TIMEOUT_SECONDS);
    };
    let from_now = |seconds: u32| now + Duration::from_secs(seconds.into());
    if deadline < from_now(TIMEOUT_SECONDS_MIN) {
        body.error("deadline", format!("must be at least {TIMEOUT_SECONDS_MIN} seconds from now"));
    } else if deadline > from_now(TIMEOUT_SECONDS_MAX) {
        let days = TIMEOUT_SECONDS_MAX / SECONDS_PER_DAY;
        body.error("deadline", format!("must be at most {days} days from now"));
    }
    // Times have milliseconds.
    let deadline = Timestamp::from_millisecond(deadline.as_millisecond()).unwrap_or(deadline);
    TimeToAnswer::Until(deadline)
}

/// Reads the answer mode.
pub(super) fn mode(body: &mut Object<'_>) -> AnswerMode {
    const MODES: [(&str, AnswerMode); 2] =
        [("on_user_action", AnswerMode::OnUserAction), ("on_timeout", AnswerMode::OnTimeout)];
    body.word("mode", &MODES).unwrap_or(AnswerMode::OnUserAction)
}

/// Reads how sure it must be that a person answers.
pub(super) fn assurance(body: &mut Object<'_>) -> Option<Assurance> {
    body.word("assurance", &Assurance::ALL)
}

/// Reads how an approval may be used.
pub(super) fn consume(body: &mut Object<'_>, question: &Question) -> Option<ConsumePolicy> {
    if body.has("consume") && question.action.is_none() {
        body.error("consume", "requires `action`");
    }
    let read = |consume: &mut Object<'_>| {
        let option = consume.required_text("option", 1..=VALUE_CHARS_MAX);
        if option.as_ref().is_some_and(|it| !question.has_option(it)) {
            consume.error("option", NOT_AN_OPTION);
        }
        let within = APPROVAL_SECONDS_MIN..=APPROVAL_SECONDS_MAX;
        ConsumePolicy {
            option: option.unwrap_or_default(),
            within_seconds: consume.integer("within_seconds", within).unwrap_or(APPROVAL_SECONDS),
            count: consume.integer("count", 1..=APPROVAL_USES_MAX).unwrap_or(1),
        }
    };
    body.object("consume", read)
}

/// Reads the quorum: a word, or an object.
pub(super) fn quorum(body: &mut Object<'_>, question: &Question) -> Quorum {
    let Some(item) = body.item("quorum") else { return Quorum::ALL };
    match &item.value {
        Value::String(word) if word == "all" => Quorum::ALL,
        Value::String(word) if word == "any" => Quorum { count: Count::AtLeast(1), ..Quorum::ALL },
        Value::Object(_) => item.object(|it| counted_quorum(it, question)),
        _ => {
            item.error("must be `all`, `any` or an object");
            Quorum::ALL
        }
    }
}

fn counted_quorum(quorum: &mut Object<'_>, question: &Question) -> Quorum {
    let n_rows = u32::try_from(question.n_rows()).expect("at most RECIPIENTS_MAX");
    let count = if quorum.take_word("count", "all") {
        Count::All
    } else {
        quorum.require("count");
        Count::AtLeast(quorum.integer("count", 1..=n_rows).unwrap_or(1))
    };
    let option = quorum.text("option", 1..=VALUE_CHARS_MAX);
    if option.as_ref().is_some_and(|it| !question.has_option(it)) {
        quorum.error("option", NOT_AN_OPTION);
    }
    let veto = quorum.distinct("veto", 0..=OPTIONS_MAX, |value| match value.as_str() {
        Some(it) if Some(it) == option.as_deref() => {
            Err("must not be the option that counts".to_owned())
        }
        Some(it) if question.has_option(it) => Ok(it.to_owned()),
        _ => Err(NOT_AN_OPTION.to_owned()),
    });
    Quorum { count, option, veto: veto.unwrap_or_default() }
}

/// Reads what happens at the deadline.
pub(super) fn on_deadline(body: &mut Object<'_>, question: &Question) -> OnDeadline {
    #[derive(Clone, Copy)]
    enum Kind {
        Expire,
        Default,
    }
    const KINDS: [(&str, Kind); 2] = [("expire", Kind::Expire), ("default", Kind::Default)];
    let read = |on_deadline: &mut Object<'_>| {
        on_deadline.require("kind");
        match on_deadline.word("kind", &KINDS) {
            Some(Kind::Default) => {
                let option = on_deadline.required_text("option", 1..=VALUE_CHARS_MAX);
                if option.as_ref().is_some_and(|it| !question.has_option(it)) {
                    on_deadline.error("option", NOT_AN_OPTION);
                }
                OnDeadline::Default(option.unwrap_or_default())
            }
            Some(Kind::Expire) | None => {
                take_null(on_deadline, "option");
                OnDeadline::Expire
            }
        }
    };
    body.object("on_deadline", read).unwrap_or(OnDeadline::Expire)
}

/// Takes a member that does not belong here, if it is null and so counts as absent.
fn take_null(object: &mut Object<'_>, name: &str) {
    if !object.has(name) {
        object.take(name);
    }
}

/// Reads how the result may be read.
pub(super) fn read_policy(body: &mut Object<'_>) -> ReadPolicy {
    #[derive(Clone, Copy)]
    enum Mode {
        Repeat,
        Once,
        Lease,
    }
    const MODES: [(&str, Mode); 3] =
        [("repeat", Mode::Repeat), ("once", Mode::Once), ("lease", Mode::Lease)];
    body.object_or_empty("read", |read| {
        let mode = read.word("mode", &MODES).unwrap_or(Mode::Repeat);
        let ttl_seconds = read.integer("ttl_seconds", TTL_SECONDS_MIN..=TTL_SECONDS_MAX);
        let mode = match mode {
            Mode::Repeat => ReadMode::Repeat,
            Mode::Once => ReadMode::Once,
            Mode::Lease => {
                let range = LEASE_SECONDS_MIN..=LEASE_SECONDS_MAX;
                let seconds = read.integer("lease_seconds", range);
                ReadMode::Lease { seconds: seconds.unwrap_or(LEASE_SECONDS) }
            }
        };
        if read.take("lease_seconds").is_some() {
            read.error("lease_seconds", "requires `\"mode\": \"lease\"`");
        }
        ReadPolicy { mode, ttl_seconds }
    })
}
