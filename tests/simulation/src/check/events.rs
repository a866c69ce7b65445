//! Checks of posted events: they are stored and delivered.

use std::collections::{BTreeMap, BTreeSet};

use answerback::domain::{Delivery, delivery::CALLBACK};

use super::{Invariant, Left, timely::MOMENT};
use crate::{seen::Want, world::since_start};

impl Left<'_> {
    pub(super) fn check_events(&mut self) {
        let mut posted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for call in self.seen.calls.iter().filter(|it| it.is_done()) {
            let (Want::Post { key }, Some(id)) = (&call.want, call.body["id"].as_str()) else {
                continue;
            };
            posted.entry(key.clone()).or_default().insert(id.to_owned());
        }
        for (key, ids) in posted {
            self.hold(Invariant::NoStrayDuplicate, ids.len() == 1, || {
                format!("the idempotency key {key} made {ids:?}")
            });
            let is_there =
                ids.iter().all(|id| self.events.iter().any(|it| it.id.to_string() == *id));
            self.hold(Invariant::NothingLost, is_there, || format!("an event of {ids:?} is gone"));
        }
        for event in self.events.clone() {
            let is_at_rest = event.due_at().is_none();
            self.hold(Invariant::AtRest, is_at_rest, || format!("{} is still due", event.id));
            let delivery = Delivery::id_of(event.id, event.created_by, CALLBACK).to_string();
            let is_told = event.callback.is_none() || self.deliveries.contains_key(&delivery);
            self.hold(Invariant::NothingLost, is_told, || format!("{} has no delivery", event.id));
            self.check_first_attempt(&delivery, since_start(event.created_at), MOMENT);
        }
    }
}
