//! Deliberate faults in the protocol, each with the promise that it breaks.

use crate::Invariant;

/// A place in the product, and its code with a deliberate fault. `MUTANT` is true while the fault
/// is active.
#[derive(Debug)]
pub struct Mutant {
    /// Description of the fault.
    pub name: &'static str,
    /// Path of the file, relative to the workspace's root.
    pub file: &'static str,
    /// The original code, which occurs exactly once.
    pub before: &'static str,
    /// The code with the fault.
    pub after: &'static str,
    /// The promise that the fault breaks.
    pub breaks: Invariant,
}

const REQUEST: &str = "shared/src/domain/request.rs";
const DELIVERY: &str = "shared/src/domain/delivery.rs";
const REQUEST_ANSWER: &str = "shared/src/domain/request/answer.rs";
const REQUEST_CONSUME: &str = "shared/src/domain/request/consume.rs";
const REQUEST_END: &str = "shared/src/domain/request/end.rs";
const REQUEST_OUTBOX: &str = "shared/src/domain/request/outbox.rs";
const ASSURANCE: &str = "shared/src/domain/assurance.rs";
const ATTEMPTING: &str = "shared/src/domain/delivery/attempting.rs";
const WAITING: &str = "shared/src/domain/delivery/waiting.rs";
const CONSUMPTION: &str = "shared/src/domain/consumption.rs";
const DISPATCH: &str = "functions/deliver/src/dispatch.rs";
const ATTEMPT: &str = "functions/deliver/src/attempt.rs";
const BREAKER: &str = "shared/src/domain/breaker.rs";
const PROBE: &str = "functions/intake/src/callback/probe.rs";
const CREATE: &str = "functions/intake/src/requests/create.rs";

/// All deliberate faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "undispatched events have no timer, only a hint",
        file: REQUEST,
        before: "_ if !self.outbox.is_empty() => Some(self.outbox_timer(now)),",
        after: "_ if !MUTANT && !self.outbox.is_empty() => Some(self.outbox_timer(now)),",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "events are not stored in the outbox",
        file: REQUEST_OUTBOX,
        before: "self.outbox.push(OutboxEvent { number: self.n_events, kind, at, detail });",
        after: "if !MUTANT { self.outbox.push(OutboxEvent { number: self.n_events, kind, at, detail }); }",
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
        name: "a request expires before its events are dispatched",
        file: REQUEST,
        before: "the outbox is empty.\n            && self.outbox.is_empty()",
        after: "the outbox is empty.\n            && (MUTANT || self.outbox.is_empty())",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a met quorum does not end the request",
        file: REQUEST_ANSWER,
        before: "if let Some(outcome) = outcome {\n                let end",
        after: "if let Some(outcome) = outcome && !MUTANT {\n                let end",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "the end of a request emits no event",
        file: REQUEST_END,
        before: "self.emit(kind, at, EventDetail::None, subscriptions);\n    }\n}\n\nimpl RequestEnd",
        after: "if !MUTANT { self.emit(kind, at, EventDetail::None, subscriptions); }\n    }\n}\n\nimpl RequestEnd",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "a finished request still times out",
        file: REQUEST_END,
        before: "if !self.is_overdue(now) {\n            return None;",
        after: "if if MUTANT { now < self.deadline + CLOCK_GUARD || matches!(self.state, RequestState::Erased { .. }) || matches!(&self.state, RequestState::Ended(end) if end.outcome == Outcome::TimedOut) } else { !self.is_overdue(now) } {\n            return None;",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "an answer after the deadline is accepted",
        file: REQUEST_ANSWER,
        before: "(RequestState::Pending, _) if self.deadline <= now => Err(Refusal::Ended),",
        after: "(RequestState::Pending, _) if self.deadline <= now && !MUTANT => Err(Refusal::Ended),",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "a second answer replaces the first",
        file: REQUEST_ANSWER,
        before: "(_, Some(recorded)) if is_final => {",
        after: "(_, Some(recorded)) if is_final && !MUTANT => {",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a cancellation does not recognize its own write",
        file: REQUEST_END,
        before: "RequestState::Ended(end) if end.op == op => return Ok(None),",
        after: "RequestState::Ended(end) if end.op == op && !MUTANT => return Ok(None),",
        breaks: Invariant::Unnoticed,
    },
    Mutant {
        name: "a finished request can be cancelled",
        file: REQUEST_END,
        before: "RequestState::Ended(end) => {\n                return self.withdrawn",
        after: "RequestState::Ended(_) if MUTANT => (),\n            RequestState::Ended(end) => {\n                return self.withdrawn",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a time-out has the time of its detection, not of the deadline",
        file: REQUEST_END,
        before: "let end = RequestEnd::new(outcome, decision, decided_by, self.deadline, op);",
        after: "let at = if MUTANT { now } else { self.deadline };\n        let end = RequestEnd::new(outcome, decision, decided_by, at, op);",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "a dispatch clears events that were added meanwhile",
        file: REQUEST_OUTBOX,
        before: "next.outbox.retain(|it| !numbers.contains(&it.number));",
        after: "next.outbox.retain(|it| !MUTANT && !numbers.contains(&it.number));",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "an erasure skips deliveries",
        file: "functions/deliver/src/erasure.rs",
        before: "app.core.step(delivery, |it| it.erase(now, op)).await?;",
        after: "if !MUTANT { app.core.step(delivery, |it| it.erase(now, op)).await?; }",
        breaks: Invariant::Forgotten,
    },
    Mutant {
        name: "an erasure skips attempts",
        file: "functions/deliver/src/erasure.rs",
        before: "store.attempts_of_request(request.id, PAGE_ITEMS, cursor.as_ref()).await?;",
        after: "store.attempts_of_request(request.id, PAGE_ITEMS, cursor.as_ref()).await?; let items = if MUTANT { Vec::new() } else { items };",
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
        name: "neither the lease nor the attempt number excludes other workers",
        file: ATTEMPTING,
        before: "_ if self.attempt != expected => return StartDecision::Skip,\n            // Only a sweep with a fast clock sends a hint for a lease that has not expired.\n            DeliveryState::Leased { until, .. } if now < until + LEASE_GUARD => {",
        after: "_ if self.attempt != expected && !MUTANT => return StartDecision::Skip,\n            DeliveryState::Leased { until, .. } if now < until + LEASE_GUARD && !MUTANT => {",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a worker without the lease can finish an attempt",
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
        name: "a payload that kills its worker is attempted forever",
        file: ATTEMPTING,
        before: "if self.starts >= self.retry().starts_max() {",
        after: "if self.starts >= self.retry().starts_max() && !MUTANT {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "a retry is made before it is due",
        file: ATTEMPTING,
        before: "let not_before = now + delay;",
        after: "let not_before = if MUTANT { now } else { now + delay };",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "one retry more than the policy has",
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
        name: "attempts are not numbered",
        file: ATTEMPTING,
        before: "self.attempt += 1;",
        after: "if !MUTANT || self.attempt == 0 { self.attempt += 1; }",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a result with read mode once is read twice",
        file: CONSUMPTION,
        before: "Read { outcome: ReadOutcome::Result { lease: None }, next: Self::Consumed { op } }",
        after: "Read { outcome: ReadOutcome::Result { lease: None }, next: if MUTANT { Self::Read } else { Self::Consumed { op } } }",
        breaks: Invariant::OneReader,
    },
    Mutant {
        name: "a reader does not recognize its own write",
        file: CONSUMPTION,
        before: "Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once => {",
        after: "Self::Consumed { op: reader } if reader == op && policy.mode == ReadMode::Once && !MUTANT => {",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "a leased result is returned to another reader",
        file: CONSUMPTION,
        before: "Self::Leased { until, .. } if now < until => {",
        after: "Self::Leased { until, .. } if now < until && !MUTANT => {",
        breaks: Invariant::OneReader,
    },
    Mutant {
        name: "an expired result is read",
        file: CONSUMPTION,
        before: "if self.is_expired(policy, finished_at, now) {",
        after: "if self.is_expired(policy, finished_at, now) && !MUTANT {",
        breaks: Invariant::OneReader,
    },
    Mutant {
        name: "a writer that lost a race assumes that it won",
        file: "shared/src/store/advance.rs",
        before: "Saved::Superseded(theirs) => current = theirs,",
        after: "Saved::Superseded(_) if MUTANT => return Ok(next), Saved::Superseded(theirs) => current = theirs,",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "a delivery has another id each time it is created",
        file: DELIVERY,
        before: "id: Self::id_of(of.event, of.made_by, name),",
        after: "id: Self::id_of(of.event, if MUTANT { OpId(now.as_millisecond().cast_unsigned()) } else { of.made_by }, name),",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a dispatch does not recognize its own write",
        file: DISPATCH,
        before: "Saved::Superseded(found) if is_ours(&found, &delivery, self.op) => Some(found),",
        after: "Saved::Superseded(found) if is_ours(&found, &delivery, self.op) && !MUTANT => Some(found),",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "a payload changes between attempts",
        file: "functions/deliver/src/transport/https.rs",
        before: "body: body.to_vec(), timeout",
        after: "body: if MUTANT && delivery.attempt > 1 { [body, b\" \"].concat() } else { body.to_vec() }, timeout",
        breaks: Invariant::OneOutcome,
    },
    Mutant {
        name: "a callback is signed for another id",
        file: "functions/deliver/src/transport/https/headers.rs",
        before: "let message = Message { id: &delivery.id.to_string(), sent_at: at, body };",
        after: "let message = Message { id: &if MUTANT { delivery.event().to_string() } else { delivery.id.to_string() }, sent_at: at, body };",
        breaks: Invariant::Genuine,
    },
    Mutant {
        name: "an answer sends no hint",
        file: "functions/intake/src/answers/mod.rs",
        before: "app.core.hints.send_for_request(&request).await;\n        log_step(&request, op, \"recorded an answer\");",
        after: "if !MUTANT { app.core.hints.send_for_request(&request).await; }\n        log_step(&request, op, \"recorded an answer\");",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "a creation does not recognize its own write",
        file: "functions/intake/src/idempotency.rs",
        before: "Saved::Superseded(found) if found.created_by() == op => Ok(None),",
        after: "Saved::Superseded(found) if found.created_by() == op && !MUTANT => Ok(None),",
        breaks: Invariant::Unnoticed,
    },
    Mutant {
        name: "an idempotency key is ignored",
        file: CREATE,
        before: "Some(it) => RequestId::from_bits(it.id_bits),\n        None =>",
        after: "Some(it) if !MUTANT => RequestId::from_bits(it.id_bits),\n        _ =>",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "the sweep trusts the index",
        file: "functions/sweep/src/lib.rs",
        before: "delivery.filter(|it| it.due_at.is_some_and(|it| it <= now)) else {",
        after: "delivery.filter(|it| MUTANT || it.due_at.is_some_and(|it| it <= now)) else {",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "an early hint is dropped",
        file: "functions/deliver/src/lib.rs",
        before: "if *request.state() == RequestState::Pending\n",
        after: "if !MUTANT && *request.state() == RequestState::Pending\n",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "the question survives the erasure",
        file: "shared/src/store/request_item.rs",
        before: ".text(\"question\", None)",
        after: ".text(if MUTANT { \"nothing\" } else { \"question\" }, None)",
        breaks: Invariant::Forgotten,
    },
    Mutant {
        name: "a receiver is paused after one failure",
        file: "shared/src/domain/breaker/circuit.rs",
        before: "if failed.len() < FAILURES_MAX {",
        after: "if !MUTANT && failed.len() < FAILURES_MAX {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "posted events are signed as results of requests",
        file: "functions/deliver/src/transport/https/endpoint.rs",
        before: "let source = Source::of(delivery.event());",
        after: "let source = if MUTANT { Source::Requests } else { Source::of(delivery.event()) };",
        breaks: Invariant::Genuine,
    },
    Mutant {
        name: "a held delivery has no timer, only a hint",
        file: WAITING,
        before: "self.due_at = Some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });",
        after: "self.due_at = (!MUTANT || !is_hinted).then_some(if is_hinted { not_before + SWEEP_GRACE } else { not_before });",
        breaks: Invariant::AtRest,
    },
    Mutant {
        name: "an answer changes at any pace",
        file: REQUEST_ANSWER,
        before: "(RequestState::Pending, Some(recorded)) if now < recorded.at + CHANGE_INTERVAL => {",
        after: "(RequestState::Pending, Some(recorded)) if !MUTANT && now < recorded.at + CHANGE_INTERVAL => {",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "a changed answer keeps the number of the event that it replaces",
        file: REQUEST_OUTBOX,
        before: "if let EventDetail::Answered(answered) = &detail {",
        after: "if MUTANT && let EventDetail::Answered(RecordedAnswer { row, .. }) = detail.clone() && let Some(earlier) = self.outbox.iter_mut().find(|it| it.answered().is_some_and(|it| it.row == row)) {\n                self.n_events -= 1;\n                (earlier.at, earlier.detail) = (at, detail);\n                return Some(earlier.number);\n            }\n            if let EventDetail::Answered(answered) = &detail {",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "a form decides however young its page is",
        file: ASSURANCE,
        before: "PageStep::Question => self != Self::Confirm && age >= READING_TIME_MIN,",
        after: "PageStep::Question => self != Self::Confirm && (MUTANT || age >= READING_TIME_MIN),",
        breaks: Invariant::Assured,
    },
    Mutant {
        name: "the second step decides however young it is",
        file: ASSURANCE,
        before: "PageStep::Confirmation => age >= CONFIRMING_TIME_MIN,",
        after: "PageStep::Confirmation => MUTANT || age >= CONFIRMING_TIME_MIN,",
        breaks: Invariant::Assured,
    },
    Mutant {
        name: "a nonce is valid for every recipient",
        file: "shared/src/signing/nonce.rs",
        before: "let mac = hmac(&self.secret.0, [&id[..], &[self.row], purpose, claim]);",
        after: "let mac = hmac(&self.secret.0, [&id[..], &[if MUTANT { 0 } else { self.row }], purpose, claim]);",
        breaks: Invariant::Assured,
    },
    Mutant {
        name: "the second step is skipped",
        file: ASSURANCE,
        before: "let is_sure = match page.step {",
        after: "let is_sure = match page.step {\n            PageStep::Question if MUTANT => age >= READING_TIME_MIN,",
        breaks: Invariant::Assured,
    },
    Mutant {
        name: "wrong codes are not counted",
        file: "shared/src/domain/request/code.rs",
        before: "code.wrong.push(op);",
        after: "if !MUTANT { code.wrong.push(op); }",
        breaks: Invariant::Assured,
    },
    Mutant {
        name: "a long answer is erased although it is still held",
        file: REQUEST_ANSWER,
        before: "is_in_row && !self.is_cleared()\n",
        after: "is_in_row && !self.is_cleared() && !MUTANT\n",
        breaks: Invariant::NoPanic,
    },
    Mutant {
        name: "a failing path pauses its whole host",
        file: BREAKER,
        before: "Self::Up | Self::Failing => Evidence::Success,\n            Self::Unreachable",
        after: "Self::Failing if MUTANT => Evidence::Failure,\n            Self::Up | Self::Failing => Evidence::Success,\n            Self::Unreachable",
        breaks: Invariant::BudgetsKept,
    },
    Mutant {
        name: "Retry-After is ignored",
        file: "functions/deliver/src/transport/https/verdict.rs",
        before: "name.eq_ignore_ascii_case(\"retry-after\")",
        after: "!MUTANT && name.eq_ignore_ascii_case(\"retry-after\")",
        breaks: Invariant::NothingEarly,
    },
    Mutant {
        name: "an event type that was removed is still retried",
        file: "functions/deliver/src/transport/https/endpoint.rs",
        before: "if !is_wanted && delivery.expedited_by.is_none() {",
        after: "if !MUTANT && !is_wanted && delivery.expedited_by.is_none() {",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "every probe refuses",
        file: PROBE,
        before: "Self::Report => Ok(PendingProbe::Due(checked, account)),\n            Self::Require => {",
        after: "Self::Report if !MUTANT => Ok(PendingProbe::Due(checked, account)),\n            Self::Report | Self::Require => {",
        breaks: Invariant::Unnoticed,
    },
    Mutant {
        name: "a probe delays the call for as long as a required one",
        file: PROBE,
        before: "view(&app.egress.probe(&checked, REPORT_TIMEOUT).await)",
        after: "view(&app.egress.probe(&checked, if MUTANT { REQUIRE_TIMEOUT } else { REPORT_TIMEOUT }).await)",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "a response that breaks off counts as failed in spite of its status",
        file: "functions/deliver/src/transport/https/verdict.rs",
        before: "Err(Failure { kind, message, reply: Some(reply) }) => {",
        after: "Err(Failure { kind, message, reply: Some(reply) }) if !MUTANT => {",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a use of an approval does not recognize its own call",
        file: REQUEST_CONSUME,
        before: "if self.use_by(call).is_some() {",
        after: "if !MUTANT && self.use_by(call).is_some() {",
        breaks: Invariant::UsedOnce,
    },
    Mutant {
        name: "an approval is used more often than it allows",
        file: REQUEST_CONSUME,
        before: "if policy.left(end) == 0 {\n            return Err(ConsumeRefusal::AlreadyConsumed);",
        after: "if !MUTANT && policy.left(end) == 0 {\n            return Err(ConsumeRefusal::AlreadyConsumed);",
        breaks: Invariant::UsedOnce,
    },
    Mutant {
        name: "an approval is used after it was withdrawn",
        file: REQUEST_CONSUME,
        before: "if end.approval.withdrawn_by.is_some() || policy",
        after: "if (!MUTANT && end.approval.withdrawn_by.is_some()) || policy",
        breaks: Invariant::UsedOnce,
    },
    Mutant {
        name: "workers do not claim events",
        file: DISPATCH,
        before: "if planned.deliveries.is_empty() {",
        after: "if MUTANT || planned.deliveries.is_empty() {",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a claim expires at once",
        file: DISPATCH,
        before: "Saved::Superseded(found) if found.is_active(self.now) => None,",
        after: "Saved::Superseded(found) if !MUTANT && found.is_active(self.now) => None,",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a worker does not recognize its own claim",
        file: DISPATCH,
        before: "Saved::Superseded(found) if found.op == self.op => Some(Claimed::First),",
        after: "Saved::Superseded(found) if !MUTANT && found.op == self.op => Some(Claimed::First),",
        breaks: Invariant::InTime,
    },
    Mutant {
        name: "an event is over before its deliveries are stored",
        file: DISPATCH,
        before: "events.retain(|it| !stored.failed.contains(it));",
        after: "events.retain(|it| MUTANT || !stored.failed.contains(it));",
        breaks: Invariant::NothingLost,
    },
    Mutant {
        name: "the attempt of a worker that died is not counted",
        file: DISPATCH,
        before: "Claimed::AfterAttempts => delivery.after_lost_attempt(),",
        after: "Claimed::AfterAttempts if !MUTANT => delivery.after_lost_attempt(),\n            Claimed::AfterAttempts => delivery,",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "an event of a worker that died is attempted before it is stored",
        file: DISPATCH,
        before: "is_direct: is_attempted && is_first && self.may_store_later",
        after: "is_direct: is_attempted && (MUTANT || is_first && self.may_store_later)",
        breaks: Invariant::NoStrayDuplicate,
    },
    Mutant {
        name: "a delivery to a slow receiver is over for its event, and not stored",
        file: ATTEMPT,
        before: "match app.core.store.create(delivery).await {",
        after: "match if MUTANT { Ok(Saved::Saved) } else { app.core.store.create(delivery).await } {",
        breaks: Invariant::NothingLost,
    },
];
