//! Reads what decides a request, and what then happens.

use answerback::{
    api::{
        Fields,
        body::{FieldErrors, note},
    },
    domain::{
        Question,
        quorum::{Count, Quorum},
        consumption::{
            LEASE_SECONDS, LEASE_SECONDS_MAX, LEASE_SECONDS_MIN, ReadMode, ReadPolicy,
            TTL_SECONDS_MAX, TTL_SECONDS_MIN,
        },
        request::{
            AnswerMode, OnDeadline, RequestPolicy, TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX,
            TIMEOUT_SECONDS_MIN,
        },
    },
};
use serde_json::Value;

use crate::callback;

/// Takes the time to answer out of the body's members.
pub(crate) fn timeout(fields: &mut Fields, faults: &mut FieldErrors) -> u32 {
    let range = TIMEOUT_SECONDS_MIN..=TIMEOUT_SECONDS_MAX;
    fields.integer("timeout_seconds", range, faults).unwrap_or(TIMEOUT_SECONDS)
}

/// Takes the policy out of the body's members, and whether the callback URL is to be tried out.
pub(crate) fn read(
    fields: &mut Fields,
    question: &Question,
    faults: &mut FieldErrors,
) -> (RequestPolicy, bool) {
    const MODES: [(&str, AnswerMode); 2] =
        [("on_user_action", AnswerMode::OnUserAction), ("on_timeout", AnswerMode::OnTimeout)];
    let mode = fields.word("mode", &MODES, faults).unwrap_or(AnswerMode::OnUserAction);
    let quorum = quorum(fields, question, faults);
    let on_deadline = on_deadline(fields, question, faults);
    let callback = callback::read(fields, true, faults);
    let probe = callback.as_ref().is_some_and(|it| it.probe);
    let callback = callback.map(callback::Wanted::of_request);
    let read = read_policy(fields, faults);
    (RequestPolicy { mode, quorum, on_deadline, callback, read }, probe)
}

fn quorum(fields: &mut Fields, question: &Question, faults: &mut FieldErrors) -> Quorum {
    let pointer = fields.pointer("quorum");
    let mut members = match fields.take("quorum") {
        None => return Quorum::ALL,
        Some(Value::String(word)) if word == "all" => return Quorum::ALL,
        Some(Value::String(word)) if word == "any" => {
            return Quorum { count: Count::AtLeast(1), ..Quorum::ALL };
        }
        Some(value @ Value::Object(_)) => Fields::of(value, pointer, faults),
        Some(_) => {
            note(faults, pointer, "must be `all`, `any` or an object");
            return Quorum::ALL;
        }
    };
    let n_rows = u32::try_from(question.n_rows()).expect("at most a hundred");
    let count = if members.take_word("count", "all") {
        Count::All
    } else {
        if !members.has("count") {
            members.fault("count", "is required", faults);
        }
        Count::AtLeast(members.integer("count", 1..=n_rows, faults).unwrap_or(1))
    };
    let option = members.text("option", 1..=100, faults);
    if option.as_ref().is_some_and(|it| !question.has_option(it)) {
        members.fault("option", "is not one of the options", faults);
    }
    let mut veto = Vec::new();
    for (pointer, value) in members.list("veto", 0..=10, faults).unwrap_or_default() {
        match value {
            Value::String(it) if Some(&it) == option.as_ref() => {
                note(faults, pointer, "is the option that is counted");
            }
            Value::String(it) if veto.contains(&it) => note(faults, pointer, "is there twice"),
            Value::String(it) if question.has_option(&it) => veto.push(it),
            _ => note(faults, pointer, "is not one of the options"),
        }
    }
    members.finish(faults);
    Quorum { count, option, veto }
}

/// Takes a member that has no place here, where it is null and so counts as absent.
fn take_null(members: &mut Fields, name: &str) {
    if !members.has(name) {
        members.take(name);
    }
}

fn on_deadline(fields: &mut Fields, question: &Question, faults: &mut FieldErrors) -> OnDeadline {
    let Some(mut members) = fields.object("on_deadline", faults) else { return OnDeadline::Expire };
    if !members.has("kind") {
        members.fault("kind", "is required", faults);
    }
    let is_default = members.word("kind", &[("expire", false), ("default", true)], faults);
    let on_deadline = if is_default == Some(true) {
        let option = members.required_text("option", 1..=100, faults).unwrap_or_default();
        if !option.is_empty() && !question.has_option(&option) {
            members.fault("option", "is not one of the options", faults);
        }
        OnDeadline::Default(option)
    } else {
        take_null(&mut members, "option");
        OnDeadline::Expire
    };
    members.finish(faults);
    on_deadline
}

fn read_policy(fields: &mut Fields, faults: &mut FieldErrors) -> ReadPolicy {
    #[derive(Clone, Copy)]
    enum Word {
        Repeat,
        Once,
        Lease,
    }
    const WORDS: [(&str, Word); 3] =
        [("repeat", Word::Repeat), ("once", Word::Once), ("lease", Word::Lease)];
    let Some(mut members) = fields.object("read", faults) else {
        return ReadPolicy { mode: ReadMode::Repeat, ttl_seconds: None };
    };
    let word = members.word("mode", &WORDS, faults).unwrap_or(Word::Repeat);
    let range = TTL_SECONDS_MIN..=TTL_SECONDS_MAX;
    let ttl_seconds = members.integer("ttl_seconds", range, faults);
    let mode = match word {
        Word::Repeat => ReadMode::Repeat,
        Word::Once => ReadMode::Once,
        Word::Lease => {
            let range = LEASE_SECONDS_MIN..=LEASE_SECONDS_MAX;
            let seconds = members.integer("lease_seconds", range, faults);
            ReadMode::Lease { seconds: seconds.unwrap_or(LEASE_SECONDS) }
        }
    };
    if members.take("lease_seconds").is_some() {
        members.fault("lease_seconds", "belongs to the mode `lease` only", faults);
    }
    members.finish(faults);
    ReadPolicy { mode, ttl_seconds }
}
