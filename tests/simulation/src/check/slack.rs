//! Checks of Slack: who answers by pressing a button, and what the copies of messages show.

use answerback::domain::{
    Delivery, Request,
    delivery::{CopyUpdate, DeliveryEnd, DeliveryState, Target},
    request::{CLOCK_GUARD, DecidedBy, Outcome, Proof, RequestState},
    slack::SlackCopy,
};

use super::{Invariant, Left, timely::MOMENT};
use crate::{
    caller,
    fleet::MINUTE,
    messengers::{Messenger, Service},
    seen::{Called, Want},
    slack::{Asked, Response, Shown, SlackCall, TEAM, Tapped, user_of},
    world::since_start,
};

/// Greatest age of a signature, in milliseconds.
const SIGNED_FOR: i64 = 300_000;
/// A signature has a time in whole seconds, in milliseconds.
const SECOND: i64 = 1_000;

/// What a copy says when its recipient has answered, and the request goes on.
const RECORDED: &str = "*Your answer was recorded*";
/// What a copy says when others have answered, and the request goes on.
const ENOUGH: &str = "*Enough others have answered*";
/// What a copy says of a request that was erased.
const DELETED: &str = "This question was deleted.";
/// What copies say of requests that have ended.
const ENDINGS: [&str; 4] = [
    "*This question has been decided*",
    "*This question has ended without a decision*",
    "*This question was withdrawn*",
    "*The deadline has passed*",
];

impl Left<'_> {
    pub(super) fn check_slack(&mut self) {
        let is_slack = |it: &Messenger| matches!(it.service, Service::Slack(_));
        if !self.over.scenario.messengers.iter().any(is_slack) {
            return;
        }
        let seen = self.seen;
        for tapped in &seen.slack.taps {
            self.check_tap(tapped);
        }
        for number in 0..self.requests.len() {
            let Some(request) = self.requests[number].clone() else { continue };
            for row in 0..request.rows().len() {
                self.check_answer_in_slack(number, &request, row);
            }
        }
        let strays = &seen.slack.strays;
        self.hold(Invariant::Genuine, strays.is_empty(), || {
            format!("{strays:?} are no messages, and were updated")
        });
        for copy in &seen.slack.copies {
            self.check_updates(copy);
        }
        for delivery in self.deliveries.clone().into_values() {
            match &delivery.target {
                Target::Message(_) => self.check_copy(&delivery),
                Target::Update(update) => self.check_update(&delivery, update),
                Target::Https(_) | Target::Bus | Target::Test(_) | Target::Erased => (),
            }
        }
    }

    /// A press of the recipient decides something, or its answer says why not. Others decide nothing.
    fn check_tap(&mut self, tapped: &Tapped) {
        let skew = 2 * self.over.scenario.weather.skew + SECOND;
        let age = |at| at - tapped.pressed_at;
        // A message that went on with another way is not one of this notifier any more.
        let message = self.deliveries.get(&tapped.delivery.to_string());
        let way = message.and_then(Delivery::way).map(|it| it.notifier);
        let is_gone = !tapped.is_stored
            || way != Some(Messenger::id(tapped.notifier))
            || self.may_be_erased(tapped.request)
            || self.may_be_unusable(tapped.notifier);
        let is_expected = match tapped.response {
            Response::Silent | Response::Opened => {
                let is_genuine = tapped.how.is_genuine();
                self.hold(Invariant::Assured, is_genuine, || format!("{tapped:?} was accepted"));
                age(tapped.began_at) <= SIGNED_FOR + skew
            }
            Response::Told => age(tapped.began_at) <= SIGNED_FOR + skew,
            Response::Status(401) => {
                let is_old = age(tapped.ended_at) >= SIGNED_FOR - skew;
                self.hold(Invariant::Unnoticed, is_old, || format!("{tapped:?} is not signed"));
                true
            }
            Response::Status(404) => is_gone,
            Response::Status(500..) => !tapped.is_whole,
            Response::Status(_) => false,
            Response::Nothing => true,
        };
        self.hold(Invariant::Assured, is_expected, || format!("{tapped:?} is not as it should be"));
    }

    /// An answer by Slack is its recipient's own, and no replay has replaced a newer one.
    fn check_answer_in_slack(&mut self, number: usize, request: &Request, row: usize) {
        let Some(recorded) = request.rows().get(row).and_then(Option::as_ref) else { return };
        let Proof::Slack(user) = recorded.proof else { return };
        let id = request.id;
        let recipient = request.question.recipients.get(row);
        let own = recipient.map(|it| format!("slack:{TEAM}/{}", user_of(it.email.as_given())));
        self.hold(Invariant::Assured, own == Some(user.to_string()), || {
            format!("row {row} of {id} was answered by {user}, not by {own:?}")
        });
        let Some(option) = recorded.answer.option.as_deref() else { return };
        let is_it = |it: &&Tapped| {
            it.request == number && it.row == row && it.option == option && it.how.is_genuine()
        };
        let pressed_at = self.seen.slack.taps.iter().filter(is_it).map(|it| it.pressed_at).max();
        let Some(pressed_at) = pressed_at else {
            self.broken(Invariant::Assured, format!("row {row} of {id} was not pressed"));
            return;
        };
        let newer = self.only_other_answer(number, row, option);
        let skew = 2 * self.over.scenario.weather.skew;
        self.hold(Invariant::OneOutcome, newer.is_none_or(|it| pressed_at + skew >= it), || {
            format!(
                "`{option}` of {id} was pressed at {pressed_at}, and replaced that of {newer:?}"
            )
        });
    }

    /// The time of the only answer with another option that was given for a row, if it was acknowledged.
    fn only_other_answer(&self, number: usize, row: usize, option: &str) -> Option<i64> {
        let is_other = |it: &Want| match it.effect() {
            Want::Answer { row: of, option: other } => of == row && other != option,
            _ => false,
        };
        let unanswered = &self.seen.unanswered;
        if unanswered.iter().any(|it| it.0 == number && is_other(&it.1)) {
            return None;
        }
        // The response 200 to a form is a page that asks to confirm.
        let is_recorded = |it: &Called| it.want.effect() == it.want || it.status == 303;
        let mut all = self.done(number).filter(|it| is_other(&it.want) && is_recorded(it));
        let only = all.next()?;
        all.next().is_none().then_some(only.began_at)
    }

    /// The request whose message a copy is, with the row.
    fn shown(&self, copy: &Shown) -> Option<(Request, usize)> {
        let id: answerback::domain::DeliveryId = copy.delivery.parse().ok()?;
        let of = |it: &&Request| id.event().request() == Some(it.id);
        let request = self.all_requests.iter().find(of)?;
        let row = (0..100).find(|row| request.is_message(id, *row))?;
        Some((request.clone(), row))
    }

    /// A copy shows what was decided, and only after it.
    fn check_updates(&mut self, copy: &Shown) {
        let seen = self.seen;
        let Some((request, row)) = self.shown(copy) else { return };
        let id = request.id;
        let updates: Vec<&SlackCall> =
            seen.slack.calls.iter().filter(|it| it.updates(copy)).collect();
        if let RequestState::Erased { .. } = request.state() {
            self.check_erased_copy(&request, copy, &updates);
            return;
        }
        let decided_at = Self::decided_at(&request);
        let noticed_at = self.end_noticed_at(&request);
        let (race, skew) = (self.race(), 2 * self.over.scenario.weather.skew);
        for update in updates {
            let text = update.text();
            let own = Self::headline(&request);
            let is_true = if text.contains(RECORDED) || text.contains(ENOUGH) {
                noticed_at.is_none_or(|it| update.began_at <= it + race)
            } else {
                own.is_some_and(|it| text.contains(it))
                    && ENDINGS.iter().all(|it| Some(*it) == own || !text.contains(it))
            };
            self.hold(Invariant::OneOutcome, is_true, || {
                format!("row {row} of {id} is shown at {} as {text}", update.began_at)
            });
            self.hold(Invariant::NothingEarly, update.began_at + skew >= decided_at, || {
                format!("row {row} of {id} lost its buttons at {}", update.began_at)
            });
        }
    }

    /// The first time at which anything was decided, as far as that is known.
    fn decided_at(request: &Request) -> i64 {
        let mut rows = 0..request.rows().len();
        if rows.any(|it| request.n_answers(it) > 1) {
            return i64::MIN;
        }
        let answers = request.rows().iter().flatten().map(|it| since_start(it.at));
        answers.chain(Self::ended_at(request)).min().unwrap_or(i64::MAX)
    }

    /// The latest time at which its end is known. A deadline is noticed after its guard band.
    fn end_noticed_at(&self, request: &Request) -> Option<i64> {
        let ended_at = Self::ended_at(request)?;
        let guard = i64::try_from(CLOCK_GUARD.as_millis()).expect("2 s");
        let way = MINUTE + self.over.scenario.weather.lag;
        let is_by_time = request.ended_by_time();
        Some(if is_by_time { self.latest(ended_at, guard + way + MOMENT) } else { ended_at })
    }

    fn ended_at(request: &Request) -> Option<i64> {
        match request.state() {
            RequestState::Ended(end) => Some(since_start(end.at)),
            RequestState::Pending | RequestState::Erased { .. } => None,
        }
    }

    /// What a copy says of the end.
    fn headline(request: &Request) -> Option<&'static str> {
        let RequestState::Ended(end) = request.state() else { return None };
        Some(match (end.outcome, end.decided_by) {
            (Outcome::Completed | Outcome::Vetoed, DecidedBy::Recipients) => ENDINGS[0],
            (Outcome::NotMet, _) => ENDINGS[1],
            (Outcome::Cancelled, _) => ENDINGS[2],
            _ => ENDINGS[3],
        })
    }

    /// A copy of an erased request no longer shows it, once Slack took that.
    fn check_erased_copy(&mut self, request: &Request, copy: &Shown, updates: &[&SlackCall]) {
        let titles = (0..self.over.scenario.requests.len()).map(caller::title);
        let titles: Vec<String> = titles.collect();
        let shows = |text: &str| titles.iter().any(|it| text.contains(it));
        let deletions: Vec<&&SlackCall> = updates.iter().filter(|it| it.is_deletion()).collect();
        let id = request.id;
        let deleted_at = deletions.iter().flat_map(|it| &it.done_at).min().copied();
        if let Some(deleted_at) = deleted_at {
            let latest = deleted_at + self.race();
            let others = updates.iter().filter(|it| shows(it.text()));
            let others: Vec<&&SlackCall> = others.collect();
            let late = others.iter().map(|it| it.began_at).find(|it| *it > latest);
            let is_overtaken = others.iter().flat_map(|it| &it.done_at).any(|it| *it >= deleted_at);
            let is_kept = late.is_none() && (is_overtaken || !shows(&copy.text));
            self.hold(Invariant::Forgotten, is_kept, || {
                format!("{id} was erased, and {} shows it again: {late:?}", copy.ts)
            });
        }
        let Some(number) = self.number_of_place(copy.place) else { return };
        let is_tried = !deletions.is_empty() || self.may_be_unusable(number);
        let is_known = self.seen.carried.iter().any(|it| {
            it.ts.as_ref() == Some(&copy.ts)
                && it.heard.is_some_and(|(_, came)| came.is_accepted())
                && self.seen.was_whole(&it.process, it.began_at)
        });
        self.hold(Invariant::Forgotten, is_tried || !is_known, || {
            format!("{id} was erased, and {} still shows it", copy.ts)
        });
    }

    /// The number of the notifier whose service has this number among all receivers.
    fn number_of_place(&self, place: usize) -> Option<usize> {
        place.checked_sub(self.over.scenario.place_of_messenger(0))
    }

    /// The copy of a message is known, and shows the end of its request.
    fn check_copy(&mut self, delivery: &Delivery) {
        let seen = self.seen;
        let id = delivery.id;
        let Some(way) = delivery.way().filter(|it| it.kind.has_copies()) else { return };
        let n_messengers = self.over.scenario.messengers.len();
        let number = (0..n_messengers).find(|it| Messenger::id(*it) == way.notifier);
        let Some(number) = number else { return };
        let is_sent =
            matches!(delivery.state, DeliveryState::Done { end: DeliveryEnd::Delivered, .. });
        let Some(copy) = &delivery.copy else {
            self.hold(Invariant::NothingLost, !is_sent, || format!("{id} has no copy"));
            return;
        };
        let place = self.over.scenario.place_of_messenger(number);
        let Some(shown) = seen.slack.copies.iter().find(|it| it.is(copy, place)) else {
            self.broken(Invariant::Genuine, format!("{id} has a copy that does not exist"));
            return;
        };
        let Some((request, row)) = self.shown(shown) else { return };
        let Some(headline) = Self::headline(&request) else { return };
        let is_given_up = self.deliveries.values().any(|it| {
            let is_of = matches!(&it.target, Target::Update(update) if update.message == id);
            is_of
                && matches!(
                    it.state,
                    DeliveryState::Done {
                        end: DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_),
                        ..
                    }
                )
        });
        let is_excused = is_given_up || self.may_be_unusable(number);
        let updates = seen.slack.calls.iter().filter(|it| it.updates(shown));
        // Slack did an earlier one last, after its sender had given it up.
        let latest =
            updates.clone().filter_map(|it| Some((it.done_at.last()?, it))).max_by_key(|it| it.0);
        let is_overtaken =
            latest.is_some_and(|(at, it)| it.heard.is_some_and(|(heard_at, _)| heard_at < *at));
        let has_buttons = shown.has_buttons && !is_overtaken;
        self.hold(Invariant::NothingLost, is_excused || !has_buttons, || {
            format!("row {row} of {} has ended, and {id} still has buttons", request.id)
        });
        let mut updates = updates;
        let is_shown = updates.any(|it| !it.done_at.is_empty() && it.text().contains(headline));
        self.hold(Invariant::NothingLost, is_excused || is_shown, || {
            format!("row {row} of {} has ended, and {id} does not show it", request.id)
        });
    }

    /// The end of an update is true.
    fn check_update(&mut self, delivery: &Delivery, update: &CopyUpdate) {
        let seen = self.seen;
        let DeliveryState::Done { end, .. } = delivery.state else { return };
        let message = self.deliveries.get(&update.message.to_string());
        let copy = message.and_then(|it| it.copy.as_ref());
        let is_update = |it: &&SlackCall| copy.is_some_and(|copy| it.what.changes(copy));
        let mut calls = seen.slack.calls.iter().filter(is_update);
        let is_erased = message.is_none_or(|it| matches!(it.target, Target::Erased));
        let is_true = match end {
            DeliveryEnd::Delivered => {
                calls.any(|it| it.heard.is_some_and(|(_, came)| came.is_accepted()))
            }
            DeliveryEnd::Failed(_) | DeliveryEnd::DeadLettered(_) => {
                let number = (0..self.over.scenario.messengers.len())
                    .find(|it| Messenger::id(*it) == update.way.notifier);
                number.is_some_and(|it| self.may_be_unusable(it))
                    || calls.any(|it| it.heard.is_none_or(|(_, came)| !came.is_accepted()))
                    || self.has_crash_loops()
            }
            DeliveryEnd::Cancelled => copy.is_none(),
            DeliveryEnd::Skipped(_) | DeliveryEnd::Arrived | DeliveryEnd::Bounced => false,
        };
        self.hold(Invariant::NothingLost, is_true || is_erased, || {
            format!("{} of {} ended as {end:?}", delivery.id, update.message)
        });
    }
}

impl SlackCall {
    /// It takes the place of a message whose request was erased.
    pub(super) fn is_deletion(&self) -> bool {
        self.text().contains(DELETED)
    }
}

impl Shown {
    /// It is this copy, at the service with this number.
    fn is(&self, copy: &SlackCopy, place: usize) -> bool {
        self.place == place && self.channel == copy.channel.as_str() && self.ts == copy.ts.as_str()
    }
}

impl Asked {
    /// It changes this copy.
    fn changes(&self, copy: &SlackCopy) -> bool {
        matches!(self, Self::Update { channel, ts, .. }
            if channel == copy.channel.as_str() && ts == copy.ts.as_str())
    }
}
