//! Scenarios that together cover everything that can be done. Faults are injected into one call at
//! a time.

mod people;

use serde_json::{Value, json};

use crate::{
    caller::background,
    fault::Schedule,
    hooks::Hook,
    page::SCANNED,
    receiver::{Behaviour, Hosts},
    scenario::{Action, Plan, Scenario, What},
    world::Weather,
};

/// Life of a request: its name, its body and the actions on it.
type Life = (&'static str, fn() -> Value, &'static [(i64, What)]);

const LIVES: &[Life] = &[
    ("answered", || json!({}), &[(2_000, What::Answer(0, "yes"))]),
    ("answered by its sender", || json!({}), &[(2_000, What::Respond(0, "no"))]),
    (
        "answered by all",
        all_of_two,
        &[(2_000, What::Answer(0, "yes")), (2_500, What::Answer(1, "no"))],
    ),
    (
        "answered by two at once",
        all_of_two,
        &[(2_000, What::Answer(0, "yes")), (2_000, What::Answer(1, "yes"))],
    ),
    (
        "answered twice",
        || json!({}),
        &[(2_000, What::Answer(0, "yes")), (2_005, What::Answer(0, "no"))],
    ),
    ("vetoed", veto, &[(2_000, What::Answer(1, "no")), (3_000, What::Answer(0, "yes"))]),
    ("not met", veto_free, &[(2_000, What::Answer(0, "no")), (2_400, What::Answer(1, "no"))]),
    (
        "changed until its deadline",
        || json!({ "mode": "on_timeout", "timeout_seconds": 10 }),
        &[(2_000, What::Answer(0, "yes")), (4_000, What::Answer(0, "no"))],
    ),
    (
        "changed twice in a moment",
        || json!({ "mode": "on_timeout", "timeout_seconds": 10 }),
        &[
            (2_000, What::Answer(0, "yes")),
            (2_400, What::Answer(0, "no")),
            (3_050, What::Answer(0, "yes")),
        ],
    ),
    (
        "answered at length, and changed",
        || merged(at_length(), json!({ "mode": "on_timeout", "timeout_seconds": 10 })),
        &[
            (2_000, What::Explain(0, "yes")),
            (4_000, What::Answer(0, "no")),
            (5_500, What::Explain(0, "yes")),
        ],
    ),
    ("answered at length", at_length, &[(2_000, What::Explain(0, "yes"))]),
    (
        "answered at length and erased",
        at_length,
        &[(2_000, What::Explain(0, "yes")), (2_050, What::Erase)],
    ),
    (
        "answered on the page",
        || scannable("link"),
        &[(2_000, What::Scan(0, 0)), (2_500, What::Page(0, "yes"))],
    ),
    (
        "scanned and confirmed on the page",
        || scannable("confirm"),
        &[(2_000, What::Scan(0, 0)), (2_500, What::Page(0, "yes"))],
    ),
    (
        "answered with a code, then scanned",
        || scannable("code"),
        &[(2_000, What::Page(0, "yes")), (9_000, What::Scan(1, 0))],
    ),
    ("timed out", || json!({ "timeout_seconds": 10 }), &[]),
    (
        "answered at its deadline",
        || json!({ "timeout_seconds": 10 }),
        &[(9_980, What::Answer(0, "yes"))],
    ),
    (
        "defaulted",
        || json!({ "timeout_seconds": 10, "on_deadline": { "kind": "default", "option": "no" } }),
        &[],
    ),
    ("timed out after long", || json!({ "timeout_seconds": 1_000 }), &[]),
    ("cancelled", || json!({}), &[(2_000, What::Cancel)]),
    ("cancelled at its deadline", || json!({ "timeout_seconds": 10 }), &[(9_990, What::Cancel)]),
    ("erased while pending", || json!({}), &[(2_000, What::Erase)]),
    (
        "erased after its end",
        || json!({}),
        &[(2_000, What::Answer(0, "yes")), (2_050, What::Erase)],
    ),
    (
        "asked at length, answered and erased",
        asked_at_length,
        &[(2_000, What::Answer(0, "yes")), (2_050, What::Erase)],
    ),
    (
        "delivered once more",
        || json!({}),
        &[(2_000, What::Answer(0, "yes")), (30_000, What::Redeliver)],
    ),
    (
        "with posted events",
        || json!({}),
        &[(1_500, What::Post), (2_000, What::Answer(0, "yes")), (2_000, What::Post)],
    ),
    (
        "approved and used by two at once",
        || acting(1),
        &[
            (2_000, What::Answer(0, "yes")),
            (3_000, What::Consume(0)),
            (3_000, What::Consume(1)),
            (9_000, What::Consume(0)),
        ],
    ),
    (
        "approved, and used and withdrawn at once",
        || acting(1),
        &[(2_000, What::Answer(0, "yes")), (3_000, What::Consume(0)), (3_000, What::Cancel)],
    ),
    (
        "delivered again and again",
        || json!({}),
        &[
            (2_000, What::Answer(0, "yes")),
            (30_000, What::Redeliver),
            (40_000, What::Redeliver),
            (50_000, What::Redeliver),
            (60_000, What::Redeliver),
        ],
    ),
];

/// Behaviors of the request's receiver.
const RECEIVERS: &[(&str, &[Behaviour])] = &[
    ("accepts", &[]),
    ("fails once", &[Behaviour::Answers(500, 5)]),
    ("hangs once", &[Behaviour::Hangs]),
    ("is gone", &[Behaviour::Answers(410, 5)]),
];

/// A receiver that is down for so long that calls to it are paused.
const DOWN: (&str, &[Behaviour]) = ("is down", &[Behaviour::Refuses; 9]);
/// Behaviors of one path, while others of its host are well.
const FAILING_FOR_LONG: &[(&str, Behaviour)] = &[
    ("fails", Behaviour::Answers(500, 5)),
    ("hangs", Behaviour::Hangs),
    ("asks for patience", Behaviour::AsksForPatience(30)),
];
/// Lives of requests whose receiver is down.
const LIVES_OF_DOWN: [&str; 2] = ["answered", "with posted events"];

/// Lives of requests with webhooks in addition to the callback.
const LIVES_WITH_HOOKS: [&str; 4] =
    ["answered", "timed out", "with posted events", "erased after its end"];

/// Terms of a request: name, body, event publishing, and read action.
type Terms = (&'static str, fn() -> Value, bool, What);

/// Variants of reads and subscriptions.
const TERMS: &[Terms] = &[
    ("finished event only", || json!({}), false, What::Read(0)),
    (
        "all events, published, read once",
        || json!({ "callback": { "events": EVENTS }, "read": { "mode": "once" } }),
        true,
        What::Read(5),
    ),
    (
        "read by lease",
        || json!({ "read": { "mode": "lease", "lease_seconds": 5, "ttl_seconds": 60 } }),
        false,
        What::ReadAndAcknowledge(500),
    ),
];

const EVENTS: [&str; 4] =
    ["request.created", "request.answered", "request.finished", "request.cancelled"];

/// All scenarios with their names.
pub fn scenarios() -> Vec<(String, Scenario)> {
    let of_all = LIVES.iter().flat_map(|life| RECEIVERS.iter().map(move |it| (life, it)));
    let is_down = |it: &&Life| LIVES_OF_DOWN.contains(&it.0);
    let of_down = LIVES.iter().filter(is_down).map(|life| (life, &DOWN));
    let mut scenarios = Vec::new();
    for ((life, body, actions), (receiver, behaviours)) in of_all.chain(of_down) {
        for (policy, settings, publishes, read) in TERMS {
            let name = format!("{life}; its receiver {receiver}; {policy}");
            let mut body = merged(usual(), body());
            body = merged(body, settings());
            let mut actions: Vec<Action> =
                actions.iter().map(|(at, what)| Action { at: *at, what: *what }).collect();
            actions.push(Action { at: 6_000, what: *read });
            actions.push(Action { at: 14_000, what: *read });
            actions.push(Action { at: 20_000, what: What::View });
            actions.sort_by_key(|it| it.at);
            let receiver = behaviours.to_vec();
            let events_receiver = Vec::new();
            let plan = Plan { at: 1_000, has_key: true, body, receiver, events_receiver, actions };
            scenarios.push((
                name,
                Scenario {
                    seed: scenarios.len() as u64,
                    requests: vec![plan],
                    hooks: Vec::new(),
                    messengers: Vec::new(),
                    hosts: Hosts::Each,
                    publishes: *publishes,
                    weather: Weather::CALM,
                    schedule: Schedule::At(Vec::new()),
                },
            ));
        }
    }
    add_hooks(&mut scenarios);
    people::add(&mut scenarios);
    scenarios.push(used_by_fifty(scenarios.len() as u64));
    for (receiver, behaviour) in FAILING_FOR_LONG {
        scenarios.push(one_path_fails(receiver, *behaviour, scenarios.len() as u64));
    }
    scenarios
}

/// Adds two webhooks to the callback. One has a faulty receiver and rotates its secret.
fn add_hooks(scenarios: &mut Vec<(String, Scenario)>) {
    let has_hooks = |it: &&Life| LIVES_WITH_HOOKS.contains(&it.0);
    for ((life, body, actions), (receiver, behaviours)) in
        LIVES.iter().filter(has_hooks).flat_map(|life| RECEIVERS.iter().map(move |it| (life, it)))
    {
        let name = format!("{life}; with two webhooks, one {receiver}");
        let actions = actions.iter().map(|(at, what)| Action { at: *at, what: *what });
        let plan = Plan {
            at: 1_000,
            has_key: true,
            body: merged(usual(), body()),
            receiver: Vec::new(),
            events_receiver: Vec::new(),
            actions: actions.collect(),
        };
        let unwell = behaviours.to_vec();
        let hooks = vec![
            Hook {
                event_types: "request.*",
                receiver: unwell,
                rotated_at: Some(3_010),
                narrowed_at: None,
                triggered_at: None,
            },
            Hook {
                event_types: "*",
                receiver: Vec::new(),
                rotated_at: None,
                narrowed_at: None,
                triggered_at: Some(2_500),
            },
        ];
        scenarios.push((
            name,
            Scenario {
                seed: scenarios.len() as u64,
                requests: vec![plan],
                hooks,
                messengers: Vec::new(),
                hosts: Hosts::Shared,
                publishes: false,
                weather: Weather::CALM,
                schedule: Schedule::At(Vec::new()),
            },
        ));
    }
}

/// Fifty programs use an approval at once, which allows seven uses.
fn used_by_fifty(seed: u64) -> (String, Scenario) {
    let uses = (0..50).map(|number| Action { at: 3_000, what: What::Consume(number) });
    let answer = Action { at: 2_000, what: What::Answer(0, "yes") };
    let plan = Plan {
        at: 1_000,
        has_key: true,
        body: merged(usual(), acting(7)),
        receiver: Vec::new(),
        events_receiver: Vec::new(),
        actions: std::iter::once(answer).chain(uses).collect(),
    };
    let scenario = Scenario {
        seed,
        requests: vec![plan],
        hooks: Vec::new(),
        messengers: Vec::new(),
        hosts: Hosts::Each,
        publishes: false,
        weather: Weather::CALM,
        schedule: Schedule::At(Vec::new()),
    };
    ("approved and used by fifty at once".to_owned(), scenario)
}

/// One path of a host fails for so long that calls to it are paused. The other paths are well. A webhook
/// on the failing path is tested while it is paused, and loses its event types later.
fn one_path_fails(receiver: &str, behaviour: Behaviour, seed: u64) -> (String, Scenario) {
    let events = json!({ "callback": { "events": EVENTS } });
    let actions = [
        (1_500, What::Post),
        (2_000, What::Answer(0, "yes")),
        (9_000, What::Post),
        (30_000, What::View),
    ];
    let failing = vec![behaviour; 9];
    let plan = Plan {
        at: 1_000,
        has_key: true,
        body: merged(usual(), events),
        receiver: failing.clone(),
        events_receiver: Vec::new(),
        actions: actions.map(|(at, what)| Action { at, what }).to_vec(),
    };
    let hook = Hook {
        event_types: "request.*",
        receiver: failing,
        rotated_at: None,
        narrowed_at: Some(60_000),
        triggered_at: Some(20_000),
    };
    let scenario = Scenario {
        seed,
        requests: vec![plan],
        hooks: vec![hook],
        messengers: Vec::new(),
        hosts: Hosts::Shared,
        publishes: false,
        weather: Weather::CALM,
        schedule: Schedule::At(Vec::new()),
    };
    (format!("one path {receiver}; the others of its host are well"), scenario)
}

fn usual() -> Value {
    json!({
        "options": [{ "value": "yes", "label": "Yes" }, { "value": "no", "label": "No" }],
        "recipients": ["p0@example.com"],
        "timeout_seconds": 60,
        "callback": {
            "timeout_seconds": 5,
            "retry": { "delays_seconds": [2, 20], "jitter": 0 },
        },
    })
}

fn all_of_two() -> Value {
    json!({ "recipients": ["p0@example.com", "p1@example.com"] })
}

/// An action whose approval may be used `count` times.
fn acting(count: u32) -> Value {
    json!({
        "action": { "name": "deploy", "args": { "version": 2 } },
        "consume": { "option": "yes", "within_seconds": 60, "count": count },
    })
}

fn asked_at_length() -> Value {
    json!({ "body": background() })
}

fn at_length() -> Value {
    json!({ "fields": [{ "key": "why", "type": "textarea", "label": "Why" }] })
}

fn scannable(assurance: &str) -> Value {
    let option = |it: &str| json!({ "value": it, "label": it });
    let options: Vec<_> = ["yes", "no", SCANNED].into_iter().map(option).collect();
    let callback = json!({ "events": [EVENTS[1], EVENTS[2], "request.link_locked"] });
    let body = json!({ "assurance": assurance, "options": options, "callback": callback });
    merged(all_of_two(), body)
}

fn veto() -> Value {
    let quorum = json!({ "count": "all", "option": "yes", "veto": ["no"] });
    merged(all_of_two(), json!({ "quorum": quorum }))
}

fn veto_free() -> Value {
    merged(all_of_two(), json!({ "quorum": { "count": 1, "option": "yes" } }))
}

/// Merges `more` into `base`, recursively.
fn merged(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return more };
    for (name, value) in more {
        let old = base[&name].take();
        base[&name] = if old.is_object() { merged(old, value) } else { value };
    }
    base
}
