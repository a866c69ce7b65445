//! Checks of the use of approvals.

use std::collections::BTreeSet;

use answerback::domain::{
    Request,
    request::{DecidedBy, Outcome, RequestEnd, RequestState},
};

use super::{Invariant, Left};
use crate::seen::{Called, Want};

impl Left<'_> {
    pub(super) fn check_approvals(&mut self) {
        for number in 0..self.requests.len() {
            let Some(request) = self.requests[number].clone() else { continue };
            self.check_repeated_uses(number, &request);
            if let RequestState::Ended(end) = request.state() {
                self.check_uses(number, &request, end);
            }
        }
    }

    /// The calls whose response says that they used the approval, with their keys.
    fn uses(&self, number: usize) -> Vec<(&Called, &str)> {
        let key = |it: &'_ Called| matches!(it.want, Want::Consume { .. });
        let calls = self.seen.calls.iter().filter(move |it| it.request == number && key(it));
        let calls = calls.filter(|it| it.status == 200);
        calls
            .filter_map(|it| match &it.want {
                Want::Consume { key } => Some((it, key.as_str())),
                _ => None,
            })
            .collect()
    }

    fn check_uses(&mut self, number: usize, request: &Request, end: &RequestEnd) {
        let id = request.id;
        let n_stored = end.approval.uses.len();
        let acknowledged: BTreeSet<&str> = self.uses(number).into_iter().map(|it| it.1).collect();
        let n_acknowledged = acknowledged.len();
        let count = request.policy.consume.as_ref().map_or(0, |it| it.count) as usize;
        let distinct: BTreeSet<u128> = end.approval.uses.iter().map(|it| it.call).collect();
        self.hold(Invariant::UsedOnce, n_stored <= count && distinct.len() == n_stored, || {
            format!("{id} allows {count} uses, and has {:?}", end.approval.uses)
        });
        self.hold(Invariant::UsedOnce, n_acknowledged <= n_stored, || {
            format!("{n_acknowledged} callers used the approval of {id}, which has {n_stored} uses")
        });
        let unheard = self.seen.unanswered.iter().filter(|it| it.0 == number);
        let unheard = unheard.filter(|it| matches!(it.1, Want::Consume { .. })).count();
        self.hold(Invariant::UsedOnce, n_stored <= n_acknowledged + unheard, || {
            format!("{id} has {n_stored} uses, and {n_acknowledged} callers used it")
        });
        let is_approved = end.outcome == Outcome::Completed
            && end.decided_by == DecidedBy::Recipients
            && end.decision.as_deref() == Some("yes");
        self.hold(Invariant::UsedOnce, n_stored == 0 || is_approved, || {
            format!("{id} was used, and ended as {:?} with {:?}", end.outcome, end.decision)
        });
        let is_full = n_stored == count;
        let is_withdrawn = end.approval.withdrawn_by.is_some();
        self.hold(Invariant::UsedOnce, !is_withdrawn || !is_full, || {
            format!("{id} was used up, and its approval was withdrawn")
        });
        self.check_withdrawal(number, request, end);
    }

    /// Nothing is used after the withdrawal was acknowledged.
    fn check_withdrawal(&mut self, number: usize, request: &Request, end: &RequestEnd) {
        let withdrawn = self.done(number).filter(|it| it.want == Want::Cancel);
        let withdrawn = withdrawn.filter(|it| it.body["status"] == "finished");
        let Some(withdrawn) = withdrawn.map(|it| it.ended_at).min() else { return };
        self.hold(Invariant::UsedOnce, end.approval.withdrawn_by.is_some(), || {
            format!("the approval of {} was withdrawn, and still stands", request.id)
        });
        let before: BTreeSet<String> = self
            .uses(number)
            .into_iter()
            .filter(|it| it.0.began_at <= withdrawn)
            .map(|it| it.1.to_owned())
            .collect();
        // A call that was cut off may have used it before, and succeeds again.
        let cut: BTreeSet<String> = self
            .seen
            .unanswered
            .iter()
            .filter(|it| it.0 == number)
            .filter_map(|it| match &it.1 {
                Want::Consume { key } => Some(key.clone()),
                _ => None,
            })
            .collect();
        let late = self.uses(number).into_iter().map(|it| it.1.to_owned());
        let late = late.filter(|it| !before.contains(it) && !cut.contains(it));
        let late: BTreeSet<String> = late.collect();
        self.hold(Invariant::UsedOnce, late.is_empty(), || {
            format!("{late:?} used the approval of {} after it was withdrawn", request.id)
        });
    }

    /// A call that used the approval succeeds again under its key, unless the request was erased.
    fn check_repeated_uses(&mut self, number: usize, request: &Request) {
        let used: Vec<(i64, String)> =
            self.uses(number).into_iter().map(|it| (it.0.ended_at, it.1.to_owned())).collect();
        let calls: Vec<Called> =
            self.seen.calls.iter().filter(|it| it.request == number).cloned().collect();
        for call in calls {
            let Want::Consume { key } = &call.want else { continue };
            let is_repeated = used.iter().any(|it| it.1 == *key && it.0 <= call.began_at);
            let is_kept = matches!(call.status, 200 | 404 | 500..);
            self.hold(Invariant::UsedOnce, !is_repeated || is_kept, || {
                format!("`{key}` used the approval of {}, and then got {}", request.id, call.body)
            });
        }
    }
}
