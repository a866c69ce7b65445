//! Checks of answers by link: what scanners decide, how often answers change, and what is reported.

use std::collections::BTreeMap;

use answerback::domain::{
    Request, RequestEvent,
    question::FieldValue,
    request::{AnswerMode, RequestState},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Invariant, Left};
use crate::{
    caller::reasons,
    page::SCANNED,
    seen::{Called, Want},
};

/// Least time between two answers of one recipient, in milliseconds.
const CHANGE_INTERVAL: i64 = 1_000;

impl Left<'_> {
    pub(super) fn check_answers_of_links(&mut self) {
        for number in 0..self.requests.len() {
            self.check_scanners(number);
            let Some(request) = self.requests[number].clone() else { continue };
            self.check_pace(number, &request);
            self.check_latest_report(&request);
            self.check_long_answers(number, &request);
        }
    }

    /// A call that a recipient, or a scanner with a link, makes.
    pub(super) fn is_of_recipient(want: &Want) -> bool {
        matches!(want, Want::Answer { .. } | Want::Form { .. } | Want::Scan { .. })
    }

    /// A form that was judged too early decides nothing.
    fn check_scanners(&mut self, number: usize) {
        let skew = self.over.scenario.weather.skew;
        let scans: Vec<(&Called, usize, bool)> = self
            .seen
            .calls
            .iter()
            .filter(|it| it.request == number)
            .filter_map(|it| match it.want {
                // The function judged it before it ended.
                Want::Scan { row, until } => {
                    Some((it, row, until == i64::MAX || it.ended_at + 2 * skew < until))
                }
                _ => None,
            })
            .collect();
        let unheard = |row| {
            let answer = Want::Answer { row, option: SCANNED };
            self.seen.unanswered.iter().any(|it| it.0 == number && it.1 == answer)
        };
        // A slow scanner may have decided, and then an equal answer is accepted.
        let has_decided = |row| {
            scans.iter().any(|(it, of, too_early)| *of == row && !too_early && it.status == 303)
        };
        let broken = scans.iter().find(|(it, row, too_early)| {
            *too_early && it.status == 303 && !has_decided(*row) && !unheard(*row)
        });
        let what = broken.map(|(it, row, _)| format!("{:?} decided row {row}", it.want));
        self.hold(Invariant::Assured, what.is_none(), || what.clone().unwrap_or_default());
    }

    /// A recipient's answer changes at most once a second.
    fn check_pace(&mut self, number: usize, request: &Request) {
        let mut times: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for call in self.done(number) {
            let Want::Answer { row, .. } = call.want else { continue };
            let at = call.body["response"]["answered_at"].as_str();
            if let Some(at) = at.and_then(|it| it.parse::<Timestamp>().ok()) {
                times.entry(row).or_default().push(at.as_millisecond());
            }
        }
        for (row, mut times) in times {
            times.sort_unstable();
            times.dedup();
            let is_slow = times.windows(2).all(|it| it[1] - it[0] >= CHANGE_INTERVAL);
            self.hold(Invariant::BudgetsKept, is_slow, || {
                format!("row {row} of {} changed at {times:?}", request.id)
            });
        }
    }

    /// The latest `request.answered` of a row reports the answer that was recorded last.
    fn check_latest_report(&mut self, request: &Request) {
        let is_shown = match request.state() {
            RequestState::Ended(end) => !end.consumption.is_over(),
            RequestState::Pending | RequestState::Erased { .. } => false,
        };
        if request.policy.mode == AnswerMode::OnUserAction || !is_shown {
            return;
        }
        let mut latest: BTreeMap<String, (u32, String)> = BTreeMap::new();
        for delivery in self.deliveries.values() {
            let is_of = delivery.request() == Some(request.id) && delivery.webhook.is_none();
            if !is_of || delivery.event_type != RequestEvent::RequestAnswered {
                continue;
            }
            let body = delivery.body.as_deref().unwrap_or_default();
            let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
            let rows = body["data"].get("responses").or(body.get("responses"));
            let Some([row]) = rows.and_then(Value::as_array).map(Vec::as_slice) else { continue };
            let Some(option) = row.get("option").and_then(Value::as_str) else { continue };
            let recipient = row["recipient"].as_str().unwrap_or_default().to_owned();
            let number = delivery.event().number();
            let known = latest.entry(recipient).or_default();
            if known.0 < number {
                *known = (number, option.to_owned());
            }
        }
        for (row, recorded) in request.rows().iter().enumerate() {
            let recipients = &request.question.recipients;
            let recipient = recipients.get(row).map_or("", |it| it.email.as_given());
            let reported = latest.get(recipient).map(|it| it.1.clone());
            let option = recorded.as_ref().and_then(|it| it.answer.option.clone());
            self.hold(Invariant::NothingLost, reported.is_none() || reported == option, || {
                format!("row {row} of {} has {option:?}, and {reported:?} is reported", request.id)
            });
        }
    }

    /// A long answer is complete as long as it can be read.
    fn check_long_answers(&mut self, number: usize, request: &Request) {
        for (row, recorded) in request.rows().iter().enumerate() {
            let fields = recorded.iter().flat_map(|it| it.answer.fields.values());
            for value in fields {
                let is_whole = *value == FieldValue::Text(reasons(number));
                self.hold(Invariant::NothingLost, is_whole, || {
                    format!("row {row} of {} has lost its text", request.id)
                });
            }
        }
        self.hold(Invariant::AtRest, !request.has_leftovers(), || {
            format!("{} still has long answers to erase", request.id)
        });
    }
}
