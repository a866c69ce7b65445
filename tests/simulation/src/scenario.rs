//! Actions of callers and receivers in a history.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::{
    caller::background,
    escalation,
    fault::Schedule,
    hooks::Hook,
    messengers::{self, Messenger},
    page::SCANNED,
    receiver::{Behaviour, Hosts, TOKEN},
    taps::{self, Tap},
    world::Weather,
};

/// The input of a history: everything that the functions do not decide.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Seed of everything else, such as durations.
    pub seed: u64,
    /// Requests.
    pub requests: Vec<Plan>,
    /// Webhooks.
    pub hooks: Vec<Hook>,
    /// Notifiers.
    pub messengers: Vec<Messenger>,
    /// Hosts of the receivers of callbacks.
    pub hosts: Hosts,
    /// True if events are published on a bus.
    pub publishes: bool,
    /// Disturbances other than faults at calls.
    pub weather: Weather,
    /// Faults at calls.
    pub schedule: Schedule,
}

/// One request and the actions on it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Time of its creation, in milliseconds.
    pub at: i64,
    /// True if it has an idempotency key, so that a lost creation can be retried.
    pub has_key: bool,
    /// Body of the creation, without the callback's URL.
    pub body: Value,
    /// Behavior of its receiver, attempt by attempt.
    pub receiver: Vec<Behaviour>,
    /// Behavior of the receiver of posted events, attempt by attempt.
    pub events_receiver: Vec<Behaviour>,
    /// Actions, in the order of time.
    pub actions: Vec<Action>,
}

/// An action on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Time after the first attempt to create the request, in milliseconds.
    pub at: i64,
    /// The kind of action.
    pub what: What,
}

/// The kinds of actions on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A recipient answers through their link. One whom a step asked has it from a message.
    Answer(usize, &'static str),
    /// A recipient answers at length through their link.
    Explain(usize, &'static str),
    /// A recipient presses a button of a message in Slack, or somebody else does.
    Tap(usize, &'static str, Tap),
    /// A recipient answers on the page of their link.
    Page(usize, &'static str),
    /// A scanner opens a link, and presses buttons after this many milliseconds.
    Scan(usize, i64),
    /// The sender submits a recipient's answer.
    Respond(usize, &'static str),
    /// The sender cancels the request.
    Cancel,
    /// The sender asks for a reminder.
    Remind,
    /// The sender erases the request.
    Erase,
    /// The sender views the request.
    View,
    /// A reader polls the result with this wait in seconds.
    Read(u32),
    /// A reader polls the result, and acknowledges the read after this many milliseconds.
    ReadAndAcknowledge(i64),
    /// The sender redelivers the last callback.
    Redeliver,
    /// The sender posts an event for the same receiver.
    Post,
    /// A program uses the approval of its action, with the idempotency key of this number.
    Consume(u32),
}

impl Scenario {
    /// The scenario of this seed.
    pub fn random(seed: u64) -> Self {
        let mut chance = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(8));
        let n_requests = if chance.random_bool(0.15) { 2 } else { 1 };
        let publishes = chance.random_bool(0.25);
        let mut requests: Vec<Plan> = (0..n_requests).map(|_| plan(&mut chance, seed)).collect();
        let mut visits = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(8).wrapping_add(7));
        for plan in &mut requests {
            visit(&mut visits, plan);
        }
        let mut uses = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(8).wrapping_add(6));
        for plan in &mut requests {
            approve(&mut uses, plan);
        }
        let hooks = Hook::random(seed);
        let hosts = if seed.is_multiple_of(3) { Hosts::Shared } else { Hosts::Each };
        let mut people = messengers::stream(seed);
        let mut messengers = Messenger::random(&mut people);
        let mut presses = taps::chance(seed);
        Messenger::add_slack(&mut presses, &mut messengers);
        for plan in &mut requests {
            messengers::choose(&mut people, &messengers, plan);
        }
        let mut steps = escalation::chance(seed);
        for plan in &mut requests {
            escalation::escalate(&mut steps, plan);
            if !messengers.is_empty() {
                escalation::persist(&mut steps, &messengers, plan);
            }
        }
        for plan in &mut requests {
            taps::tap(&mut presses, &messengers, plan);
        }
        for messenger in &mut messengers {
            messenger.bounce(&mut steps);
        }
        Self { seed, requests, hooks, messengers, hosts, publishes, ..sky(&mut chance) }
    }

    /// The same scenario with its first `n` actions only.
    #[must_use]
    pub fn shortened(&self, n: usize) -> Self {
        let mut actions: Vec<(i64, usize, usize)> = Vec::new();
        for (number, plan) in self.requests.iter().enumerate() {
            let of_plan = plan.actions.iter().enumerate();
            actions.extend(of_plan.map(|(place, it)| (plan.at + it.at, number, place)));
        }
        actions.sort_unstable();
        let kept = &actions[..n.min(actions.len())];
        let mut scenario = self.clone();
        for (number, plan) in scenario.requests.iter_mut().enumerate() {
            let mut place = 0;
            plan.actions.retain(|_| {
                place += 1;
                kept.iter().any(|it| (it.1, it.2) == (number, place - 1))
            });
        }
        scenario
    }

    /// Number of actions.
    pub fn n_actions(&self) -> usize {
        self.requests.iter().map(|it| it.actions.len()).sum()
    }
}

/// A scenario with weather and faults only.
fn sky(chance: &mut Pcg64Mcg) -> Scenario {
    let often = |chance: &mut Pcg64Mcg, most: u32| {
        if chance.random_bool(0.5) { 0 } else { chance.random_range(1..=most) }
    };
    let weather = Weather {
        lag: *pick(chance, &[0, 0, 1_000, 20_000]),
        skew: *pick(chance, &[0, 300, 1_000]),
        sweeps_missed: often(chance, 400),
        sweeps_doubled: often(chance, 400),
        hints_lost: often(chance, 400),
        hints_doubled: often(chance, 300),
        hints_late: often(chance, 300),
        ends_at: chance.random_range(60_000..1_800_000),
    };
    let per_mille = *pick(chance, &[0, 5, 20, 50, 120, 250]);
    Scenario {
        seed: 0,
        requests: Vec::new(),
        hooks: Vec::new(),
        messengers: Vec::new(),
        hosts: Hosts::Each,
        publishes: false,
        weather,
        schedule: Schedule::Random { per_mille },
    }
}

fn plan(chance: &mut Pcg64Mcg, seed: u64) -> Plan {
    let n_recipients = *pick(chance, &[0_usize, 1, 1, 2, 3]);
    let n_rows = n_recipients.max(1);
    let timeout = *pick(chance, &[5_i64, 10, 30, 60, 300, 1_000, 3_000]);
    let mut body = json!({
        "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
        "timeout_seconds": timeout,
    });
    if n_recipients > 0 {
        let recipients = (0..n_recipients).map(|it| json!(format!("p{it}@example.com")));
        body["recipients"] = recipients.collect();
    }
    body["mode"] = (*pick(chance, &["on_user_action", "on_user_action", "on_timeout"])).into();
    body["quorum"] = match chance.random_range(0..5) {
        0 | 1 => json!("all"),
        2 => json!("any"),
        3 => json!({ "count": 1, "option": "yes", "veto": ["no"] }),
        _ => json!({ "count": "all", "option": "yes" }),
    };
    if chance.random_bool(0.3) {
        body["on_deadline"] = json!({ "kind": "default", "option": "no" });
    }
    body["read"] = match chance.random_range(0..6) {
        0 | 1 => json!({ "mode": "repeat" }),
        2 => json!({ "mode": "repeat", "ttl_seconds": 60 }),
        3 => json!({ "mode": "once" }),
        4 => json!({ "mode": "once", "ttl_seconds": 600 }),
        _ => json!({ "mode": "lease", "lease_seconds": 5, "ttl_seconds": 300 }),
    };
    if chance.random_bool(0.9) {
        body["callback"] = callback(chance, seed);
    }
    if chance.random_bool(0.15) {
        body["body"] = background().into();
    }
    let receiver = if chance.random_bool(0.02) {
        vec![Behaviour::Kills; chance.random_range(1..14)]
    } else {
        (0..chance.random_range(0..5)).map(|_| spec(chance)).collect()
    };
    let mut actions: Vec<Action> = (0..chance.random_range(0..8))
        .map(|_| action(chance, seed, n_rows, timeout * 1_000))
        .collect();
    actions.sort_by_key(|it| it.at);
    let at = chance.random_range(0..60_000);
    let has_key = chance.random_bool(0.8);
    let events_receiver = (0..chance.random_range(0..4)).map(|_| spec(chance)).collect();
    Plan { at, has_key, body, receiver, events_receiver, actions }
}

/// Adds people and scanners on the answer page, and long answers.
fn visit(chance: &mut Pcg64Mcg, plan: &mut Plan) {
    if chance.random_bool(0.5) {
        return;
    }
    let body = &mut plan.body;
    let n_rows = body["recipients"].as_array().map_or(1, Vec::len);
    let timeout = body["timeout_seconds"].as_i64().unwrap_or(60) * 1_000;
    let assurance = *pick(chance, &["link", "link", "confirm", "code"]);
    body["assurance"] = assurance.into();
    let options = body["options"].as_array_mut().expect("options");
    options.push(json!({ "value": SCANNED, "label": "Scanned" }));
    body["fields"] = json!([{ "key": "why", "type": "textarea", "label": "Why" }]);
    if assurance == "code"
        && let Some(events) = body["callback"]["events"].as_array_mut()
    {
        events.push("request.link_locked".into());
    }
    for _ in 0..chance.random_range(1..5) {
        let row = chance.random_range(0..n_rows);
        let option = *pick(chance, &["yes", "yes", "no"]);
        let what = match chance.random_range(0..6) {
            0..2 => What::Page(row, option),
            2..4 => What::Scan(row, *pick(chance, &[0, 500, 1_000, 1_800])),
            4 => What::Explain(row, option),
            _ => What::Answer(row, option),
        };
        plan.actions.push(Action { at: chance.random_range(0..timeout), what });
    }
    plan.actions.sort_by_key(|it| it.at);
}

/// Adds an action, and programs that use its approval.
fn approve(chance: &mut Pcg64Mcg, plan: &mut Plan) {
    if chance.random_bool(0.85) {
        return;
    }
    plan.body["action"] = json!({ "name": "deploy", "args": { "version": 2 } });
    let count = chance.random_range(1..4);
    plan.body["consume"] = json!({ "option": "yes", "within_seconds": 60, "count": count });
    plan.body["accept_api_answers"] = true.into();
    let timeout = plan.body["timeout_seconds"].as_i64().unwrap_or(60) * 1_000;
    for _ in 0..chance.random_range(1..7) {
        // Mostly right after an answer, where others use it too.
        let near = plan.actions.get(chance.random_range(0..plan.actions.len().max(1)));
        let at = near.map_or(0, |it| it.at) + chance.random_range(0..4_000);
        let at =
            if chance.random_bool(0.2) { timeout + chance.random_range(0..90_000) } else { at };
        let what = What::Consume(chance.random_range(0..4));
        plan.actions.push(Action { at, what });
    }
    plan.actions.sort_by_key(|it| it.at);
}

fn callback(chance: &mut Pcg64Mcg, seed: u64) -> Value {
    const EVENTS: [&str; 4] =
        ["request.created", "request.answered", "request.finished", "request.cancelled"];
    let mut callback = match chance.random_range(0..5) {
        0 => match seed % 5 {
            0 => json!({ "profile": "nextmv", "body": "standard" }),
            1 => {
                json!({ "profile": "notify", "body": "standard", "auth": { "type": "bearer", "token": TOKEN } })
            }
            2 => json!({ "profile": "ping" }),
            3 => json!({ "profile": "nextks" }),
            _ => json!({ "profile": "noukai" }),
        },
        1 => json!({ "retry": { "delays_seconds": [], "jitter": 0 } }),
        2 => json!({ "retry": { "delays_seconds": [1, 1000], "jitter": 0.5 } }),
        3 => json!({ "timeout_seconds": 20, "retry": { "delays_seconds": [5, 60, 5, 5, 5] } }),
        _ => json!({ "timeout_seconds": 3, "retry": { "delays_seconds": [2, 10], "jitter": 0 } }),
    };
    if chance.random_bool(0.5) {
        let events = EVENTS.into_iter().filter(|_| chance.random_bool(0.6));
        let events: Vec<&str> = events.collect();
        if !events.is_empty() {
            callback["events"] = events.into();
        }
    }
    if chance.random_bool(0.4) {
        callback["probe"] = (*pick(chance, &["skip", "report", "require"])).into();
    }
    callback
}

/// Behavior of a receiver for one attempt.
pub(crate) fn spec(chance: &mut Pcg64Mcg) -> Behaviour {
    match chance.random_range(0..15) {
        0 | 1 => Behaviour::Answers(200, chance.random_range(0..2_000)),
        2 => Behaviour::Answers(200, chance.random_range(2_000..25_000)),
        3 | 4 => Behaviour::Answers(500, 5),
        5 => Behaviour::Answers(302, 5),
        6 => Behaviour::Answers(410, 5),
        7 => Behaviour::AsksForPatience(chance.random_range(0..600)),
        8 => Behaviour::Hangs,
        9 => Behaviour::BreaksOff,
        10 => Behaviour::Floods,
        11 => Behaviour::HasNoName,
        12 => Behaviour::IsPrivate,
        13 => Behaviour::BreaksOffAfter(*pick(chance, &[200, 204, 500])),
        _ => Behaviour::Refuses,
    }
}

fn action(chance: &mut Pcg64Mcg, seed: u64, n_rows: usize, timeout: i64) -> Action {
    // Mostly within the time to answer, often right at its end, and sometimes after it.
    let at = match chance.random_range(0..6) {
        0..3 => chance.random_range(0..timeout),
        3 => timeout + chance.random_range(-2_000..4_000),
        4 => chance.random_range(0..3_000.min(timeout)),
        _ => timeout + chance.random_range(0..600_000),
    };
    let option = *pick(chance, &["yes", "yes", "no"]);
    let row = chance.random_range(0..n_rows);
    let what = match chance.random_range(0..20) {
        0..8 => What::Answer(row, option),
        8..10 => What::Respond(row, option),
        10 => What::Cancel,
        11 => What::Erase,
        12 if seed % 5 < 3 => What::Post,
        12 => What::View,
        13..16 => What::Read(0),
        16 => What::Read(*pick(chance, &[1, 10, 20])),
        17 | 18 => What::ReadAndAcknowledge(chance.random_range(0..9_000)),
        _ => What::Redeliver,
    };
    Action { at, what }
}

fn pick<'a, T>(chance: &mut Pcg64Mcg, of: &'a [T]) -> &'a T {
    &of[chance.random_range(0..of.len())]
}
