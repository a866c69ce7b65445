//! Checks of results: only allowed readers got them, and in time.

use answerback::domain::{Request, consumption::ReadMode, request::RequestState};

use super::{Invariant, Left};
use crate::{
    seen::{Called, Want},
    world::since_start,
};

impl Left<'_> {
    pub(super) fn check_readers(&mut self, number: usize, request: &Request) {
        let reads: Vec<&Called> = self
            .done(number)
            .filter(|it| it.want == Want::Read && it.body["status"] == "submitted")
            .collect();
        match request.policy.read.mode {
            ReadMode::Repeat => (),
            ReadMode::Once => self.hold(Invariant::OneReader, reads.len() <= 1, || {
                format!("{} was read {} times", request.id, reads.len())
            }),
            ReadMode::Lease { .. } => self.check_leases(number, request, &reads),
        }
        let ended_at = match request.state() {
            RequestState::Ended(end) => since_start(end.at),
            RequestState::Pending | RequestState::Erased { .. } => return,
        };
        // After a client has seen the end, no response says that the request is pending.
        let told_at = self
            .done(number)
            .filter(|it| it.is_heard && it.body["status"] == "finished")
            .map(|it| it.ended_at)
            .min();
        let behind = self.done(number).find(|it| {
            it.want == Want::Read
                && it.body["status"] == "pending"
                && it.body["lease_expires_at"].is_null()
                && told_at.is_some_and(|told_at| told_at < it.began_at)
        });
        let behind = behind.map(|it| it.began_at);
        self.hold(Invariant::OneOutcome, behind.is_none(), || {
            format!("{} ended at {ended_at}, and is pending at {behind:?}", request.id)
        });
        if let Some(seconds) = request.policy.read.ttl_seconds {
            let expires_at = ended_at + i64::from(seconds) * 1_000;
            let skew = self.over.scenario.weather.skew;
            let first = reads.iter().map(|it| it.began_at).min();
            // A result that was read in time stays readable, even if that reader's response was
            // lost.
            let may_be_read = !self.is_clear("poll");
            let in_time = may_be_read || first.is_none_or(|it| it - skew < expires_at);
            self.hold(Invariant::OneReader, in_time, || {
                format!("{} was first read after its time", request.id)
            });
            let told = self.done(number).find(|it| it.body["status"] == "expired");
            let told = told.map(|it| it.ended_at);
            self.hold(
                Invariant::NothingEarly,
                told.is_none_or(|it| it + skew >= expires_at),
                || format!("{} is reported as expired at {told:?}, not {expires_at}", request.id),
            );
        }
    }

    fn check_leases(&mut self, number: usize, request: &Request, reads: &[&Called]) {
        let skew = self.over.scenario.weather.skew;
        let mut leases: Vec<(i64, i64, &str)> = reads
            .iter()
            .filter_map(|it| {
                let until: jiff::Timestamp = it.body["lease_expires_at"].as_str()?.parse().ok()?;
                Some((it.ended_at, since_start(until), it.body["receipt"].as_str()?))
            })
            .collect();
        leases.sort_unstable();
        for pair in leases.windows(2) {
            let [(_, until, one), (at, _, other)] = *pair else { continue };
            self.hold(Invariant::OneReader, one == other || at + 2 * skew >= until, || {
                format!("{} was leased to {other} while {one} had it", request.id)
            });
        }
        let acknowledged =
            self.done(number).filter(|it| matches!(it.want, Want::Acknowledge { .. }));
        let first = acknowledged.map(|it| it.ended_at).min();
        let after = reads.iter().find(|it| first.is_some_and(|first| first < it.began_at));
        self.hold(Invariant::OneReader, after.is_none(), || {
            format!("{} was read after it was acknowledged", request.id)
        });
    }
}
