//! Scenarios with recipients who get messages by notifiers.

use serde_json::{Value, json};

use super::{EVENTS, at_length, merged, usual};
use crate::{
    fault::Schedule,
    messengers::{Change, Messenger, Service, SlackPlace},
    receiver::{Behaviour, Hosts},
    scenario::{Action, Plan, Scenario, What},
    taps::Tap,
    world::Weather,
};

/// A refusal of a token that is dead.
const DEAD: Behaviour = Behaviour::Answers(403, 5);
/// A refusal of the message.
const UNFIT: Behaviour = Behaviour::Answers(400, 5);
/// A service that takes no more for now.
const FULL: Behaviour = Behaviour::Answers(429, 5);

/// Notifiers, by the behavior of their services and the actions of their owners.
type Ways = &'static [(Service, &'static [Behaviour], &'static [(i64, Change)])];

/// Name, notifiers, body, and the actions on the request.
type Case = (&'static str, Ways, fn() -> Value, &'static [(i64, What)]);

/// Times after which mails by Amazon SES come back, mail by mail.
type Bounces = &'static [Option<i64>];

const CASES: &[Case] = &[
    (
        "two are told",
        &[(Service::Ses, &[], &[])],
        || json!({ "recipients": ["p0@example.com", "p1@example.com"], "quorum": "all" }),
        &[(9_000, What::Answer(0, "yes")), (9_500, What::Answer(1, "yes"))],
    ),
    (
        "a token is dead, and the next way works",
        &[(Service::Ntfy(true), &[DEAD], &[]), (Service::Smtp, &[], &[])],
        || json!({}),
        &[(9_000, What::Answer(0, "yes"))],
    ),
    (
        "a service fails once",
        &[(Service::OwnSystem, &[Behaviour::Answers(500, 5)], &[])],
        || json!({ "timeout_seconds": 200 }),
        &[],
    ),
    (
        "a service is full",
        &[(Service::Ses, &[FULL, FULL], &[])],
        || json!({ "timeout_seconds": 200 }),
        &[],
    ),
    (
        "nobody can be told",
        &[(Service::OwnSystem, &[Behaviour::Answers(410, 5)], &[])],
        || json!({ "timeout_seconds": 200 }),
        &[],
    ),
    (
        "nobody can be told, so it ends",
        &[(Service::Ses, &[UNFIT, UNFIT], &[])],
        || {
            json!({
                "recipients": ["p0@example.com", "p1@example.com"],
                "timeout_seconds": 200,
                "on_unreachable": "expire",
            })
        },
        &[],
    ),
    (
        "one cannot be told, and the other answers",
        &[(Service::Ses, &[UNFIT], &[])],
        || {
            json!({
                "recipients": ["p0@example.com", "p1@example.com"],
                "timeout_seconds": 200,
                "quorum": "all",
            })
        },
        &[(9_000, What::Answer(0, "yes")), (9_000, What::Answer(1, "yes"))],
    ),
    (
        "two cannot be told, and the third answers",
        // The second failure happens while the first is reported.
        &[(Service::Ses, &[UNFIT, Behaviour::Answers(400, 25)], &[])],
        || {
            json!({
                "recipients": ["p0@example.com", "p1@example.com", "p2@example.com"],
                "timeout_seconds": 200,
                "quorum": "all",
            })
        },
        &[(9_000, What::Answer(2, "yes"))],
    ),
    (
        "a notifier is disabled before a retry",
        &[(Service::Smtp, &[Behaviour::Hangs], &[(20_000, Change::Disable)])],
        || json!({ "timeout_seconds": 200 }),
        &[],
    ),
    (
        "an answer comes before a retry",
        &[(Service::Smtp, &[Behaviour::BreaksOff], &[])],
        || json!({ "timeout_seconds": 200 }),
        &[(9_000, What::Answer(0, "yes"))],
    ),
    (
        "a request with messages is erased",
        &[(Service::Ses, &[Behaviour::Answers(500, 5)], &[])],
        || json!({ "timeout_seconds": 200 }),
        &[(3_000, What::Erase)],
    ),
];

/// Messages that go to Slack, by a bot that is well.
const SLACK: (Service, &[Behaviour], &[(i64, Change)]) =
    (Service::Slack(SlackPlace::Direct), &[], &[]);

/// Cases with people who answer in Slack.
const IN_SLACK: &[Case] = &[
    (
        "answered in Slack",
        &[SLACK],
        || json!({}),
        &[(9_000, What::Tap(0, "yes", Tap::Twice)), (15_000, What::Tap(0, "no", Tap::Once))],
    ),
    (
        "answered in a channel of Slack, where others press too",
        &[(Service::Slack(SlackPlace::Channel), &[], &[])],
        || json!({ "recipients": ["p0@example.com", "p1@example.com"], "quorum": "any" }),
        &[
            (5_000, What::Tap(0, "yes", Tap::Stranger)),
            (6_000, What::Tap(0, "yes", Tap::Foreigner)),
            (7_000, What::Tap(1, "yes", Tap::Elsewhere)),
            (9_000, What::Tap(1, "no", Tap::Once)),
            (15_000, What::Tap(0, "yes", Tap::Once)),
        ],
    ),
    (
        "answered in Slack with a modal",
        &[SLACK],
        at_length,
        &[(9_000, What::Tap(0, "yes", Tap::Once)), (20_000, What::Tap(0, "no", Tap::Once))],
    ),
    (
        "changed in Slack, and an older press is replayed",
        &[SLACK],
        || json!({ "mode": "on_timeout", "timeout_seconds": 500 }),
        &[
            (9_000, What::Tap(0, "yes", Tap::Replayed(6_000))),
            (9_010, What::Tap(0, "yes", Tap::Replayed(320_000))),
            (12_000, What::Tap(0, "no", Tap::Once)),
        ],
    ),
    (
        "changed in Slack, and an older modal is sent again",
        &[SLACK],
        || merged(at_length(), json!({ "mode": "on_timeout", "timeout_seconds": 500 })),
        &[
            (9_000, What::Tap(0, "yes", Tap::Replayed(12_000))),
            (15_000, What::Tap(0, "no", Tap::Once)),
        ],
    ),
    (
        "cancelled while a message to Slack is sent",
        &[(Service::Slack(SlackPlace::Direct), &[Behaviour::Answers(200, 4_000)], &[])],
        || json!({}),
        &[(2_000, What::Cancel)],
    ),
    (
        "an update of a message in Slack fails",
        &[(
            Service::Slack(SlackPlace::Direct),
            &[Behaviour::Answers(200, 5), Behaviour::Answers(500, 5), FULL, Behaviour::Hangs],
            &[],
        )],
        || json!({}),
        &[(9_000, What::Answer(0, "yes"))],
    ),
    (
        "a message in Slack is erased",
        &[SLACK],
        || json!({ "timeout_seconds": 200 }),
        &[(30_000, What::Erase), (50_000, What::Tap(0, "yes", Tap::Once))],
    ),
];

/// Cases with mails that come back, and with steps.
const LATER: &[(Bounces, Case)] = &[
    (
        &[Some(2_000)],
        (
            "a mail comes back, and the next way works",
            &[(Service::Ses, &[], &[]), (Service::OwnSystem, &[], &[])],
            || json!({}),
            &[(9_000, What::Answer(0, "yes"))],
        ),
    ),
    (
        &[Some(0)],
        (
            "a mail comes back at once",
            &[(Service::Ses, &[Behaviour::Answers(200, 3_000)], &[])],
            || json!({ "timeout_seconds": 200 }),
            &[],
        ),
    ),
    (
        &[Some(5_000), Some(9_000)],
        (
            "two mails come back, so it ends",
            &[(Service::Ses, &[], &[])],
            || {
                json!({
                    "recipients": ["p0@example.com", "p1@example.com"],
                    "timeout_seconds": 200,
                    "on_unreachable": "expire",
                })
            },
            &[],
        ),
    ),
    (
        &[None, Some(1_000)],
        (
            "a reminder comes back",
            &[(Service::Ses, &[], &[]), (Service::OwnSystem, &[], &[])],
            || {
                json!({
                    "timeout_seconds": 200,
                    "steps": [{ "after_seconds": 60, "do": "remind" }],
                })
            },
            &[],
        ),
    ),
    (
        &[],
        (
            "one is reminded, and a substitute answers",
            &[(Service::Smtp, &[], &[])],
            || {
                json!({
                    "timeout_seconds": 300,
                    "steps": [
                        { "after_seconds": 60, "do": "remind" },
                        { "after_seconds": 120, "do": "escalate", "to": ["s0@example.com"] },
                    ],
                })
            },
            &[(130_000, What::Answer(1, "yes"))],
        ),
    ),
    (
        &[],
        (
            "nobody can be told, and then a reminder works",
            &[(Service::Ses, &[UNFIT], &[])],
            || {
                json!({
                    "timeout_seconds": 200,
                    "on_unreachable": "expire",
                    "steps": [{ "after_seconds": 60, "do": "remind" }],
                })
            },
            &[],
        ),
    ),
];

/// Adds the scenarios.
pub(super) fn add(scenarios: &mut Vec<(String, Scenario)>) {
    let calm = CASES.iter().chain(IN_SLACK).map(|it| (&[] as Bounces, it));
    let later = LATER.iter().map(|(bounces, it)| (*bounces, it));
    for (bounces, (name, ways, body, actions)) in calm.chain(later) {
        let messengers = ways.iter().map(|(service, behaviours, changes)| Messenger {
            service: *service,
            is_default: true,
            behaviours: behaviours.to_vec(),
            others: Vec::new(),
            bounces: bounces.to_vec(),
            changes: changes.to_vec(),
        });
        let events = json!({ "callback": { "events": EVENTS } });
        let mut body = merged(merged(usual(), events), body());
        if let Some(events) = body["callback"]["events"].as_array_mut() {
            events.push("notification.failed".into());
            events.push("request.unreachable".into());
            events.push("request.reminded".into());
            events.push("request.escalated".into());
        }
        let plan = Plan {
            at: 1_000,
            has_key: true,
            body,
            receiver: Vec::new(),
            events_receiver: Vec::new(),
            actions: actions.iter().map(|(at, what)| Action { at: *at, what: *what }).collect(),
        };
        let scenario = Scenario {
            seed: scenarios.len() as u64,
            requests: vec![plan],
            hooks: Vec::new(),
            messengers: messengers.collect(),
            hosts: Hosts::Each,
            publishes: false,
            weather: Weather::CALM,
            schedule: Schedule::At(Vec::new()),
        };
        scenarios.push(((*name).to_owned(), scenario));
    }
}
