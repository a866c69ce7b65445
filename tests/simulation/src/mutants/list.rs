//! Deliberate faults in the protocol, each with the promise that it breaks.

use crate::Invariant;

/// A place in the product, and how it reads with a deliberate fault. `MUTANT` is true while the
/// fault is on.
#[derive(Debug)]
pub struct Mutant {
    /// What is wrong with it, in words.
    pub name: &'static str,
    /// The file, from the workspace's root.
    pub file: &'static str,
    /// The place, which occurs once.
    pub before: &'static str,
    /// The place with the fault.
    pub after: &'static str,
    /// What it breaks.
    pub breaks: Invariant,
}

const REQUEST: &str = "shared/src/domain/request.rs";
const DELIVERY: &str = "shared/src/domain/delivery.rs";
const REQUEST_ANSWER: &str = "shared/src/domain/request/answer.rs";
const REQUEST_END: &str = "shared/src/domain/request/end.rs";
const REQUEST_OUTBOX: &str = "shared/src/domain/request/outbox.rs";
const ATTEMPTING: &str = "shared/src/domain/delivery/attempting.rs";
const WAITING: &str = "shared/src/domain/delivery/waiting.rs";
const CONSUMPTION: &str = "shared/src/domain/consumption.rs";
const DISPATCH: &str = "functions/deliver/src/dispatch.rs";
const CREATE: &str = "functions/intake/src/requests/create.rs";

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "what is to be told has no timer, only a hint",
        file: REQUEST,
        before: "_ if !self.outbox.is_empty() => Some(now),",
        after: "_ if !MUTANT && !self.outbox.is_empty() => Some(now),",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "no outbox: the end of a request is not kept to be told",
        file: REQUEST_OUTBOX,
        before: "self.outbox.push(OutboxEvent { number: self.n_events, kind, at, answered });",
        after: "if !MUTANT { self.outbox.push(OutboxEvent { number: self.n_events, kind, at, answered }); }",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "no guard band: a time-out is settled at the deadline",
        file: REQUEST_END,
        before: "self.state == RequestState::Pending && self.deadline + CLOCK_GUARD <= now",
        after: "self.state == RequestState::Pending && if MUTANT { self.deadline <= now } else { self.deadline + CLOCK_GUARD <= now }",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "what was answered is let go of before it is told",
        file: REQUEST,
        before: "&& end.consumption.is_over()\n            && self.outbox.is_empty()",
        after: "&& end.consumption.is_over()\n            && (MUTANT || self.outbox.is_empty())",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a quorum that is met ends nothing",
        file: REQUEST_ANSWER,
        before: "if let Some(outcome) = outcome {\n                let end",
        after: "if let Some(outcome) = outcome && !MUTANT {\n                let end",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "an end is no event",
        file: REQUEST_END,
        before: "self.emit(kind, at, None, subscriptions);\n    }\n}\n\nimpl RequestEnd",
        after: "if !MUTANT { self.emit(kind, at, None, subscriptions); }\n    }\n}\n\nimpl RequestEnd",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "what has ended times out all the same",
        file: REQUEST_END,
        before: "if !self.is_overdue(now) {\n            return None;",
        after: "if if MUTANT { now < self.deadline + CLOCK_GUARD || matches!(self.state, RequestState::Erased { .. }) || matches!(&self.state, RequestState::Ended(end) if end.outcome == Outcome::TimedOut) } else { !self.is_overdue(now) } {\n            return None;",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "an answer after the deadline is accepted",
        file: REQUEST_ANSWER,
        before: "(RequestState::Pending, _) if self.deadline <= now => return Err(Refusal::Ended),",
        after: "(RequestState::Pending, _) if self.deadline <= now && !MUTANT => return Err(Refusal::Ended),",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "an answer does not know its own write",
        file: REQUEST_ANSWER,
        before: "is_some_and(|it| it.op == op || it.replaced.contains(&op)) {",
        after: "is_some_and(|it| it.op == op || it.replaced.contains(&op)) && !MUTANT {",
        breaks: Invariant::Unnoticed,
    },
    Mutant {
        name: "an answer that was replaced does not know its own write",
        file: REQUEST_ANSWER,
        before: "replaced.extend(recorded.as_ref().map(|it| it.op));",
        after: "replaced.extend(recorded.as_ref().map(|it| it.op).filter(|_| !MUTANT));",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a second answer replaces the first",
        file: REQUEST_ANSWER,
        before: "(_, Some(recorded)) if is_final => {",
        after: "(_, Some(recorded)) if is_final && !MUTANT => {",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a cancellation does not know its own write",
        file: REQUEST_END,
        before: "RequestState::Ended(end) if end.op == op => return Ok(None),",
        after: "RequestState::Ended(end) if end.op == op && !MUTANT => return Ok(None),",
        breaks: Invariant::Unnoticed,
    },
    Mutant {
        name: "what has ended can be cancelled",
        file: REQUEST_END,
        before: "RequestState::Ended(_) => return Err(Refusal::AlreadyFinished),",
        after: "RequestState::Ended(_) if !MUTANT => return Err(Refusal::AlreadyFinished), RequestState::Ended(_) => (),",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a time-out is dated when it was noticed",
        file: REQUEST_END,
        before: "let end = RequestEnd::new(outcome, decision, decided_by, self.deadline, op);",
        after: "let at = if MUTANT { now } else { self.deadline };\n        let end = RequestEnd::new(outcome, decision, decided_by, at, op);",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "a dispatch clears what came in meanwhile",
        file: REQUEST_OUTBOX,
        before: "next.outbox.retain(|it| !numbers.contains(&it.number));",
        after: "next.outbox.retain(|it| !MUTANT && !numbers.contains(&it.number));",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "an erasure leaves deliveries as they are",
        file: "functions/deliver/src/erasure.rs",
        before: "app.core.step(delivery, |it| it.erase(now, op)).await?;",
        after: "if !MUTANT { app.core.step(delivery, |it| it.erase(now, op)).await?; }",
        breaks: Invariant::Forgotten,
    },
    Mutant {
        name: "a lease is shorter than an attempt",
        file: ATTEMPTING,
        before: "let until = now + lease;",
        after: "let until = now + if MUTANT { Duration::from_secs(1) } else { lease };",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "neither a lease nor the attempt's number keeps others out",
        file: ATTEMPTING,
        before: "_ if self.attempt != expected => return StartDecision::Skip,\n            // Only a sweep with a fast clock sends a hint for a lease that has not expired.\n            DeliveryState::Leased { until, .. } if now < until + LEASE_GUARD => {",
        after: "_ if self.attempt != expected && !MUTANT => return StartDecision::Skip,\n            DeliveryState::Leased { until, .. } if now < until + LEASE_GUARD && !MUTANT => {",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a finish is written whatever has happened meanwhile",
        file: ATTEMPTING,
        before: "let DeliveryState::Leased { owner, .. } = self.state else { return None };\n        if owner != op {",
        after: "let owner = match self.state { DeliveryState::Leased { owner, .. } => owner, _ if MUTANT => op, _ => return None };\n        if owner != op && !MUTANT {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "a crash spends a retry",
        file: ATTEMPTING,
        before: "next.lease(now, op, lease);\n        StartDecision::Attempt(Box::new(next))",
        after: "if MUTANT && matches!(self.state, DeliveryState::Leased { .. }) { next.failures += 1; }\n        next.lease(now, op, lease);\n        StartDecision::Attempt(Box::new(next))",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "a payload that kills its worker is attempted for ever",
        file: ATTEMPTING,
        before: "if self.starts >= self.retry().starts_max() {",
        after: "if self.starts >= self.retry().starts_max() && !MUTANT {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "a retry is made before its time",
        file: ATTEMPTING,
        before: "let not_before = now + delay;",
        after: "let not_before = if MUTANT { now } else { now + delay };",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "one retry more than there are",
        file: ATTEMPTING,
        before: "match self.retry().delay(next.failures, chance, retry_after) {",
        after: "match self.retry().delay(if MUTANT { next.failures.saturating_sub(1).max(1) } else { next.failures }, chance, retry_after) {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "a retry has no timer, only a hint",
        file: ATTEMPTING,
        before: "next.due_at =\n                            Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });",
        after: "next.due_at = (!MUTANT || !is_hinted).then_some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "a lease has no timer",
        file: ATTEMPTING,
        before: "self.due_at = Some(until + LEASE_GUARD);",
        after: "self.due_at = (!MUTANT).then_some(until + LEASE_GUARD);",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "attempts are not counted",
        file: ATTEMPTING,
        before: "self.attempt += 1;",
        after: "if !MUTANT || self.attempt == 0 { self.attempt += 1; }",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a result that may be read once is read twice",
        file: CONSUMPTION,
        before: "Read { outcome: ReadOutcome::Result { lease: None }, next: Self::Consumed { op } }",
        after: "Read { outcome: ReadOutcome::Result { lease: None }, next: if MUTANT { Self::Read } else { Self::Consumed { op } } }",
        breaks: Invariant::OneReader,
    },
    Mutant {
        name: "a reader does not know its own write",
        file: CONSUMPTION,
        before: "Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once => {",
        after: "Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once && !MUTANT => {",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "a leased result is given to the next who asks",
        file: CONSUMPTION,
        before: "Self::Leased { until, .. } if now < until => {",
        after: "Self::Leased { until, .. } if now < until && !MUTANT => {",
        breaks: Invariant::OneReader,
    },
    Mutant {
        name: "a result is read after its time",
        file: CONSUMPTION,
        before: "if self.is_expired(policy, finished_at, now) {",
        after: "if self.is_expired(policy, finished_at, now) && !MUTANT {",
        breaks: Invariant::OneReader,
    },
    Mutant {
        name: "whoever loses a race believes to have won it",
        file: "shared/src/store/advance.rs",
        before: "Saved::Superseded(theirs) => current = theirs,",
        after: "Saved::Superseded(_) if MUTANT => return Ok(next), Saved::Superseded(theirs) => current = theirs,",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "a delivery has another id each time it is made",
        file: DELIVERY,
        before: "id: Self::id_of(of.event, of.made_by, name),",
        after: "id: Self::id_of(of.event, if MUTANT { OpId(now.as_millisecond().cast_unsigned()) } else { of.made_by }, name),",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a dispatch does not know its own write",
        file: DISPATCH,
        before: "Saved::Superseded(found) if is_ours(&found, &delivery, self.op) => Some(found),",
        after: "Saved::Superseded(found) if is_ours(&found, &delivery, self.op) && !MUTANT => Some(found),",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "what is sent is not frozen",
        file: "functions/deliver/src/transport/https.rs",
        before: "body: body.to_vec(), timeout",
        after: "body: if MUTANT && delivery.attempt > 1 { [body, b\" \"].concat() } else { body.to_vec() }, timeout",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a callback is signed for another id",
        file: "functions/deliver/src/transport/https/headers.rs",
        before: "let message = Message { id: &delivery.id.to_string(), sent_at: at, body };",
        after: "let message = Message { id: &if MUTANT { delivery.event.to_string() } else { delivery.id.to_string() }, sent_at: at, body };",
        breaks: Invariant::Genuine,
    },
    Mutant {
        name: "an answer sends no hint",
        file: "functions/intake/src/answers/mod.rs",
        before: "app.core.hints.send_for_request(&request).await;\n    log_step(&request, op, \"recorded an answer\");",
        after: "if !MUTANT { app.core.hints.send_for_request(&request).await; }\n    log_step(&request, op, \"recorded an answer\");",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "a creation does not know its own write",
        file: "functions/intake/src/idempotency.rs",
        before: "Saved::Superseded(found) if found.created_by() == op => Ok(None),",
        after: "Saved::Superseded(found) if found.created_by() == op && !MUTANT => Ok(None),",
        breaks: Invariant::Unnoticed,
    },
    Mutant {
        name: "an idempotency key is not heeded",
        file: CREATE,
        before: "Some(it) => RequestId::from_bits(it.id_bits),\n        None =>",
        after: "Some(it) if !MUTANT => RequestId::from_bits(it.id_bits),\n        _ =>",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "what was erased while it was being settled is taken to be there",
        file: "shared/src/service/answering.rs",
        before: "Ok(request.filter(is_there).map(",
        after: "Ok(request.filter(|it| MUTANT || is_there(it)).map(",
        breaks: Invariant::NoPanic,
    },
    Mutant {
        name: "the sweep trusts the index",
        file: "functions/sweep/src/lib.rs",
        before: "delivery.filter(|it| it.due_at.is_some_and(|it| it <= now)) else {",
        after: "delivery.filter(|it| MUTANT || it.due_at.is_some_and(|it| it <= now)) else {",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "a hint that comes early is dropped",
        file: "functions/deliver/src/lib.rs",
        before: "if *request.state() == RequestState::Pending\n",
        after: "if !MUTANT && *request.state() == RequestState::Pending\n",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "a redelivery does not know its own write",
        file: "functions/intake/src/deliveries.rs",
        before: "_ if it.redelivered_by == Some(op) =>",
        after: "_ if !MUTANT && it.redelivered_by == Some(op) =>",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "what was asked outlives its erasure",
        file: "shared/src/store/request_item.rs",
        before: ".text(\"question\", None)",
        after: ".text(if MUTANT { \"nothing\" } else { \"question\" }, None)",
        breaks: Invariant::Forgotten,
    },
    Mutant {
        name: "a receiver is left alone after one failure",
        file: "shared/src/domain/breaker.rs",
        before: "if failed.len() < FAILURES_MAX {",
        after: "if !MUTANT && failed.len() < FAILURES_MAX {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "what waits for a receiver has no timer, only a hint",
        file: WAITING,
        before: "self.due_at = Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });",
        after: "self.due_at = (!MUTANT || !is_hinted).then_some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });",
        breaks: Invariant::AtRest,
    },
];
