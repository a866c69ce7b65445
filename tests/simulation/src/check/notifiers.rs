//! Checks of notifiers: which are used, and which are disabled.

use answerback::{
    domain::{
        Event, Notifier, NotifierId, Owner, notifier::NotifierDisableReason, posted_event::Disables,
    },
    store::keys,
};

use super::{Invariant, Left, messages::Meaning};
use crate::{
    messengers::{Change, Messenger},
    seen::{Called, Want},
    slack::Asked,
    world::since_start,
};

/// A call of a notifier's service.
struct Use {
    process: String,
    began_at: i64,
    meaning: Meaning,
    /// A refusal of the notifier disables it.
    disables: bool,
}

/// Time for which a worker uses what it knows of a notifier, in milliseconds.
const KNOWN: i64 = 5_000;

impl Left<'_> {
    /// A disabled notifier is not used, and one that its service refused is disabled once.
    pub(super) fn check_notifier(&mut self, number: usize) {
        let id = Messenger::id(number);
        let key = keys::notifier(Owner::live(self.over.account.id), id);
        let Some(notifier) = self.item::<Notifier>(key) else {
            self.broken(Invariant::NothingLost, format!("{id} is gone"));
            return;
        };
        let uses = self.calls_of(number);
        let changes = self.seen.changes.iter().filter(|it| it.request == number);
        let changes: Vec<Called> = changes.cloned().collect();
        for (from, until) in Self::pauses(&notifier, &changes) {
            let from = from + KNOWN + self.race();
            let late = uses.iter().map(|it| it.began_at).find(|it| (from..until).contains(it));
            self.hold(Invariant::Wanted, late.is_none(), || {
                format!("{id} was used at {late:?}, but was disabled from {from} to {until}")
            });
        }
        let n_announced = self.n_refusals(id);
        let refused = uses.iter().filter(|it| it.meaning == Meaning::NotifierRefused);
        let refused: Vec<&Use> = refused.collect();
        let is_disabled = notifier.disabled().map(|it| it.reason);
        if changes.is_empty() {
            let is_seen = refused
                .iter()
                .any(|it| it.disables && self.seen.was_whole(&it.process, it.began_at));
            let is_right = n_announced == 1 && is_disabled == Some(NotifierDisableReason::Refused);
            self.hold(Invariant::NothingLost, is_right || !is_seen, || {
                format!(
                    "{id} was refused, is {is_disabled:?}, and was announced {n_announced} times"
                )
            });
            self.hold(Invariant::NoStrayDuplicate, n_announced <= 1, || {
                format!("the end of {id} was announced {n_announced} times")
            });
        }
        self.hold(Invariant::BudgetsKept, n_announced <= refused.len(), || {
            format!("{id} was disabled {n_announced} times, and refused {} times", refused.len())
        });
    }

    /// The calls of a notifier's service.
    fn calls_of(&self, number: usize) -> Vec<Use> {
        let place = self.over.scenario.place_of_messenger(number);
        let service = self.over.scenario.messengers[number].service;
        let messages = self.seen.carried.iter().filter(|it| it.place == place).map(|it| Use {
            process: it.process.clone(),
            began_at: it.began_at,
            meaning: self.meaning(it),
            disables: true,
        });
        let calls = self.seen.slack.calls.iter().filter(|it| it.place == place).map(|it| Use {
            process: it.process.clone(),
            began_at: it.began_at,
            meaning: Self::meaning_of(service, it.heard.map(|it| it.1)),
            disables: match it.what {
                Asked::LookUp { .. } => true,
                // Not the one after an erasure.
                Asked::Update { .. } => !it.is_deletion(),
                Asked::Open { .. } | Asked::Reply => false,
            },
        });
        messages.chain(calls).collect()
    }

    /// The times from which a notifier was certainly disabled or deleted, until it may have been enabled.
    fn pauses(notifier: &Notifier, changes: &[Called]) -> Vec<(i64, i64)> {
        let mut pauses = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            if change.is_done() && change.want == Want::Change(Change::Delete) {
                pauses.push((change.ended_at, i64::MAX));
            }
            if change.is_done() && change.want == Want::Change(Change::Disable) {
                let mut later = changes[place..].iter();
                let enabled = later.find(|it| it.want == Want::Change(Change::Enable));
                pauses.push((change.ended_at, enabled.map_or(i64::MAX, |it| it.began_at)));
            }
        }
        let refused = notifier.disabled().filter(|it| it.reason == NotifierDisableReason::Refused);
        pauses.extend(refused.map(|it| (since_start(it.at), i64::MAX)));
        pauses
    }

    /// The number of announcements that a notifier was refused.
    fn n_refusals(&self, id: NotifierId) -> usize {
        let is_of = |it: &&Event| {
            it.is_announced()
                && matches!(it.disables, Some(Disables::Notifier { notifier, .. }) if notifier == id)
        };
        self.events.iter().filter(is_of).count()
    }

    /// Returns true if the notifier with this number may have been disabled or deleted.
    pub(super) fn may_be_unusable(&self, number: usize) -> bool {
        let is_taken = |it: &Called| {
            matches!(it.want, Want::Change(Change::Disable | Change::Delete))
                && it.request == number
        };
        self.seen.changes.iter().any(is_taken) || self.n_refusals(Messenger::id(number)) > 0
    }
}
