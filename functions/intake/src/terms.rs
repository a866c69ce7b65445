//! Reads what decides a request, and what then happens.

use answerback::{
    domain::{
        EventKind, Profile, Question,
        quorum::{Count, Quorum},
        reading::{
            LEASE_SECONDS, LEASE_SECONDS_MAX, LEASE_SECONDS_MIN, ReadMode, ReadPolicy,
            TTL_SECONDS_MAX, TTL_SECONDS_MIN,
        },
        request::{
            BearerToken, Callback, Mode, OnDeadline, TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX,
            TIMEOUT_SECONDS_MIN, Terms,
        },
        retry::{
            DELAY_SECONDS_MAX, DELAY_SECONDS_MIN, RETRIES_MAX, RetryPolicy,
            TIMEOUT_SECONDS_MAX as ATTEMPT_SECONDS_MAX,
        },
    },
    service::{
        Fields,
        fields::{Faults, note},
    },
};
use serde_json::Value;

/// Longest bearer token, in characters.
const BEARER_TOKEN_CHARS_MAX: usize = 1_024;

/// Takes the time to answer out of the body's members.
pub(crate) fn timeout(fields: &mut Fields, faults: &mut Faults) -> u32 {
    let range = TIMEOUT_SECONDS_MIN..=TIMEOUT_SECONDS_MAX;
    fields.integer("timeout_seconds", range, faults).unwrap_or(TIMEOUT_SECONDS)
}

/// Takes the terms out of the body's members, and whether the callback URL is to be tried out.
pub(crate) fn read(fields: &mut Fields, question: &Question, faults: &mut Faults) -> (Terms, bool) {
    const MODES: [(&str, Mode); 2] =
        [("on_user_action", Mode::OnUserAction), ("on_timeout", Mode::OnTimeout)];
    let mode = fields.word("mode", &MODES, faults).unwrap_or(Mode::OnUserAction);
    let quorum = quorum(fields, question, faults);
    let on_deadline = on_deadline(fields, question, faults);
    let (callback, probe) = callback(fields, faults);
    let read = read_policy(fields, faults);
    (Terms { mode, quorum, on_deadline, callback, read }, probe)
}

fn quorum(fields: &mut Fields, question: &Question, faults: &mut Faults) -> Quorum {
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

fn on_deadline(fields: &mut Fields, question: &Question, faults: &mut Faults) -> OnDeadline {
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

fn read_policy(fields: &mut Fields, faults: &mut Faults) -> ReadPolicy {
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

fn callback(fields: &mut Fields, faults: &mut Faults) -> (Option<Callback>, bool) {
    let profiles = Profile::ALL.map(|it| (it.behaviour().name, it));
    let url = match fields.take("callback_url") {
        None => None,
        // Whatever is wrong with it is said by the rules for URLs.
        Some(Value::String(url)) => Some(url),
        Some(_) => {
            fields.fault("callback_url", "must be text", faults);
            Some(String::new())
        }
    };
    let settings = fields.object("callback", faults);
    if settings.is_some() && url.is_none() {
        fields.fault("callback_url", "is required where there is a callback", faults);
    }
    let mut settings = match settings {
        Some(settings) => settings,
        None => Fields::of(Value::Object(serde_json::Map::new()), "", faults),
    };
    let profile = settings.word("profile", &profiles, faults).unwrap_or(Profile::Standard);
    let behaviour = profile.behaviour();
    let events = events(&mut settings, faults).unwrap_or_else(|| behaviour.events.to_vec());
    let probe = settings.flag("probe", faults).unwrap_or(true);
    let timeout = settings.integer("timeout_seconds", 1..=ATTEMPT_SECONDS_MAX, faults);
    let retry = retry(&mut settings, behaviour.retry(), faults);
    let bearer_token = settings.text("bearer_token", 1..=BEARER_TOKEN_CHARS_MAX, faults);
    if bearer_token.as_ref().is_some_and(|it| !it.bytes().all(|it| it.is_ascii_graphic())) {
        settings.fault("bearer_token", "must be ASCII without spaces", faults);
    }
    settings.finish(faults);
    let callback = url.map(|url| Callback {
        url,
        profile,
        events,
        timeout_seconds: timeout.unwrap_or(behaviour.timeout_seconds),
        retry,
        bearer_token: bearer_token.map(BearerToken),
    });
    (callback, probe)
}

fn events(settings: &mut Fields, faults: &mut Faults) -> Option<Vec<EventKind>> {
    let mut events = Vec::new();
    for (pointer, value) in settings.list("events", 1..=EventKind::ALL.len(), faults)? {
        match value.as_str().and_then(EventKind::parse) {
            Some(kind) if events.contains(&kind) => note(faults, pointer, "is there twice"),
            Some(kind) => events.push(kind),
            None => {
                let kinds = EventKind::ALL.map(EventKind::as_str).join(", ");
                note(faults, pointer, format!("must be one of {kinds}"));
            }
        }
    }
    Some(events)
}

fn retry(settings: &mut Fields, usual: RetryPolicy, faults: &mut Faults) -> RetryPolicy {
    let Some(mut members) = settings.object("retry", faults) else { return usual };
    let delays = members.list("delays_seconds", 0..=RETRIES_MAX, faults);
    let delays_seconds = delays.map_or(usual.delays_seconds, |delays| {
        let range = DELAY_SECONDS_MIN..=DELAY_SECONDS_MAX;
        let delay = |(pointer, value): (String, Value)| {
            let delay = value.as_u64().and_then(|it| u32::try_from(it).ok());
            let delay = delay.filter(|it| range.contains(it));
            if delay.is_none() {
                let (min, max) = (range.start(), range.end());
                note(faults, pointer, format!("must be a whole number from {min} to {max}"));
            }
            delay
        };
        delays.into_iter().filter_map(delay).collect()
    });
    let jitter = members.number("jitter", faults).unwrap_or(usual.jitter);
    if !(0.0..=1.0).contains(&jitter) {
        members.fault("jitter", "must be from 0 to 1", faults);
    }
    members.finish(faults);
    RetryPolicy { delays_seconds, jitter }
}
