//! Random reminders and escalations, by steps and by senders.

use std::collections::BTreeSet;

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::{
    messengers::{self, Messenger},
    scenario::{Action, Plan, What},
};

/// Separates the random numbers of steps from others of the same seed.
const STEPS: u64 = 0x5354_4550;

/// The source of random numbers for the steps of this seed.
pub(crate) fn chance(seed: u64) -> Pcg64Mcg {
    rand::SeedableRng::seed_from_u64(seed ^ STEPS)
}

/// Adds reminders and escalations to a request with time for them. Its callback gets their events.
pub(crate) fn escalate(chance: &mut Pcg64Mcg, plan: &mut Plan) {
    let timeout = plan.body["timeout_seconds"].as_u64().unwrap_or(0);
    if timeout < 300 || plan.body["recipients"].is_null() || chance.random_bool(0.5) {
        return;
    }
    let n_steps = chance.random_range(1..4);
    let seconds: BTreeSet<u64> = (0..n_steps).map(|_| chance.random_range(60..timeout)).collect();
    let steps = seconds.into_iter().enumerate().map(|(number, seconds)| {
        if chance.random_bool(0.5) {
            return json!({ "after_seconds": seconds, "do": "remind" });
        }
        let to: Vec<String> = (0..chance.random_range(1..3))
            .map(|it| format!("s{number}-{it}@example.com"))
            .collect();
        json!({ "after_seconds": seconds, "do": "escalate", "to": to })
    });
    plan.body["steps"] = steps.collect();
    if let Some(events) = plan.body["callback"]["events"].as_array_mut() {
        events.extend(["request.reminded".into(), "request.escalated".into()]);
    }
}

/// Makes a request with notifiers send more messages: steps have recipients with notifiers, senders ask
/// for reminders, and substitutes answer.
pub(crate) fn persist(chance: &mut Pcg64Mcg, messengers: &[Messenger], plan: &mut Plan) {
    let timeout = plan.body["timeout_seconds"].as_i64().unwrap_or(0);
    if timeout > 10_000 && chance.random_bool(0.2) {
        // More than one recipient may get.
        let steps = (1..=10).map(|it| json!({ "after_seconds": it * 300, "do": "remind" }));
        plan.body["steps"] = steps.collect();
    }
    let mut n_rows = plan.body["recipients"].as_array().map_or(1, Vec::len);
    let is_none = plan.body["notify"] == "none";
    for step in plan.body["steps"].as_array_mut().into_iter().flatten() {
        let seconds = step["after_seconds"].as_i64().unwrap_or(0);
        let recipients = step.get_mut("to").and_then(Value::as_array_mut);
        for recipient in recipients.into_iter().flatten() {
            if !is_none && chance.random_bool(0.3) {
                messengers::choose_for(chance, messengers, recipient);
            }
            if chance.random_bool(0.3) {
                let at = seconds * 1_000 + chance.random_range(0..400_000);
                let option = if chance.random_bool(0.7) { "yes" } else { "no" };
                plan.actions.push(Action { at, what: What::Answer(n_rows, option) });
            }
            n_rows += 1;
        }
    }
    if timeout >= 300 && chance.random_bool(0.3) {
        let mut at = chance.random_range(0..timeout * 1_000);
        for _ in 0..chance.random_range(1..4) {
            plan.actions.push(Action { at, what: What::Remind });
            at += chance.random_range(500_000..800_000);
        }
    }
    plan.actions.sort_by_key(|it| it.at);
}
