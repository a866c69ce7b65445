//! The request and its life.
//!
//! ```text
//!            ┌─ answer that completes, vetoes or spoils the quorum ─▶ Ended
//!   Pending ─┼─ time_out (deadline + guard) ────────────────────────▶ Ended ─ erase ─▶ Erased
//!      ▲ │   └─ cancel ─────────────────────────────────────────────▶ Ended              ▲
//!      └─┴─ answer that leaves it open                                                   │
//!        └─ erase ───────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! How a request ended never changes again. A step that has something to tell puts the event into
//! the outbox and sets the timer to now, in the same write; whoever is woken by the timer takes it
//! from there. Every transition gives `Ok(None)` when there is nothing left to do, because the
//! operation has been carried out before: a write whose answer was lost comes back so.

use super::{
    BodyHash, ChannelId, OpId, OutboxEvent, Owner, RequestEvent, RequestId, Subscriptions, Trace,
    delivery::Receiver,
    event::RecordedAnswer,
    id::NUMBER_MAX,
    question::{Answer, Question},
    quorum::{Quorum, QuorumVerdict},
    reading::{Consumption, ReadOutcome, ReadPolicy, UnknownReceipt},
};
use std::time::Duration;

use jiff::Timestamp;

/// Shortest time to answer.
pub const TIMEOUT_SECONDS_MIN: u32 = 5;
/// Longest time to answer: a year.
pub const TIMEOUT_SECONDS_MAX: u32 = 31_536_000;
/// The time to answer, unless another is asked for: a day.
pub const TIMEOUT_SECONDS: u32 = 86_400;
/// How long after the deadline a request is settled, so that no clock that runs ahead settles it
/// while another still accepts answers.
pub const CLOCK_GUARD: Duration = Duration::from_secs(2);
/// When what was told may have raced with an erasure is looked at a second time: a worker lives for
/// 30 s, its last write may arrive long after it, and the index that finds it lags.
const SECOND_LOOK: Duration = Duration::from_mins(3);
/// Most events that wait to be told. Beyond, an answer is refused until they are.
pub const OUTBOX_MAX: usize = 24;
/// Most answers of one recipient within the few seconds in which a write is repeated.
const REPLACED_MAX: usize = 8;
/// Most events of one request before an answer is refused: the answer's own and the end's must
/// still have a number each, or the end would be taken for an event that has been told.
const EVENTS_MAX: u32 = NUMBER_MAX - 2;

/// A question and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who this is.
    pub id: RequestId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that made it.
    pub created_by: OpId,
    /// A hash of what it was made from, if it was made under an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The first instant at which it is too late to answer.
    pub deadline: Timestamp,
    /// What is asked, and of whom.
    pub question: Question,
    /// What decides it, and what then happens.
    pub policy: RequestPolicy,
    /// The channel that it was sent to, if it was.
    pub channel: Option<ChannelId>,
    /// The trace of the call that made it, if it named one.
    pub trace: Option<Trace>,
    /// What answer links are made with.
    pub link_secret: LinkSecret,
    /// Whether it counts against a cap of its account's, as it does while it is pending.
    pub is_counted: bool,
    /// The address of the API that it was made through, without a slash at the end.
    pub base_url: String,
    /// Whether its creation and end are published on the event bus.
    pub published: bool,
    /// The answers, one row for each recipient.
    pub(crate) rows: Vec<Option<Row>>,
    /// Where it is in its life.
    pub(crate) state: RequestState,
    /// The events that have not been dispatched yet.
    pub(crate) outbox: Vec<OutboxEvent>,
    /// The number of events so far.
    pub(crate) n_events: u32,
    /// The number of the latest event that the callback subscribes to.
    pub(crate) callback_event: Option<u32>,
    /// The timer: when a sweep picks it up.
    pub(crate) due_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

/// Everything that a new request is made from. [`Request::begin`] adds the bookkeeping.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Its identifier.
    pub id: RequestId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that creates it.
    pub created_by: OpId,
    /// The hash of the body, if the call has an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The first instant at which it is too late to answer.
    pub deadline: Timestamp,
    /// The question and its recipients.
    pub question: Question,
    /// The rules that decide it.
    pub policy: RequestPolicy,
    /// The channel that it was sent to, if it was.
    pub channel: Option<ChannelId>,
    /// The trace of the call, if it named one.
    pub trace: Option<Trace>,
    /// The secret that answer links are made with.
    pub link_secret: LinkSecret,
    /// Counts against a cap of the account while it is pending.
    pub is_counted: bool,
    /// The address of the API that the call used, without a slash at the end.
    pub base_url: String,
    /// Its creation and end go to the event bus.
    pub published: bool,
}

/// What decides a request, and what then happens.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestPolicy {
    /// Whether answers are final.
    pub mode: AnswerMode,
    /// How many answers, and which, decide it.
    pub quorum: Quorum,
    /// What happens when they do not come in time.
    pub on_deadline: OnDeadline,
    /// Where the outcome is sent.
    pub callback: Option<Callback>,
    /// How the result may be read.
    pub read: ReadPolicy,
}

/// Whether answers are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// A recipient's first answer is final, and the quorum ends the request.
    OnUserAction,
    /// Answers may change until the deadline, which ends the request.
    OnTimeout,
}

/// What happens when the quorum is not met by the deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    /// It times out.
    Expire,
    /// This option is the decision, by policy and never by a person.
    Default(String),
}

/// Whom the sender wants to be told, and of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// Whom.
    pub receiver: Receiver,
    /// Of what.
    pub events: Vec<RequestEvent>,
}

/// What answer links are made with. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret(pub [u8; 16]);

/// One recipient's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What they said; empty once the result was read for good.
    pub answer: Answer,
    /// When they said it.
    pub at: Timestamp,
    /// The operation that recorded it.
    pub op: OpId,
    /// The operations whose answers it replaced, the latest last: a write whose answer was lost
    /// must know itself even when another has been faster than its repetition.
    pub replaced: Vec<OpId>,
}

/// Where a request is in its life.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestState {
    /// Waiting for answers.
    Pending,
    /// Decided, timed out or cancelled.
    Ended(RequestEnd),
    /// Its content is gone.
    Erased {
        /// When it was erased.
        at: Timestamp,
        /// How often its deliveries have still to be looked for.
        n_looks: u8,
    },
}

/// How a request ended, and whether that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestEnd {
    /// How.
    pub outcome: Outcome,
    /// The option that decided, if one did.
    pub decision: Option<String>,
    /// Who or what decided.
    pub decided_by: DecidedBy,
    /// When; for a time-out the deadline, whenever it was noticed.
    pub at: Timestamp,
    /// The operation that ended it.
    pub op: OpId,
    /// Whether its result has been read.
    pub reading: Consumption,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its quorum was met.
    Completed,
    /// Its quorum can no longer be met.
    NotMet,
    /// Somebody used their veto.
    Vetoed,
    /// Its deadline came.
    TimedOut,
    /// Its deadline came, and a default was set.
    Defaulted,
    /// Its sender cancelled it.
    Cancelled,
}

/// Who or what decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// People.
    Recipients,
    /// What the sender had set for the deadline.
    DeadlinePolicy,
    /// The sender.
    Sender,
}

/// Why a request did not change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The recipient's first answer stands.
    #[error("this recipient has already answered; the first answer stands")]
    AlreadyAnswered(Row),
    /// It ended, or its deadline has come.
    #[error("this request no longer takes answers")]
    Ended,
    /// It ended, and so cannot be cancelled.
    #[error("this request has already ended")]
    AlreadyFinished,
    /// Too many events wait to be told.
    #[error("too many answers are coming in at once")]
    TooBusy,
    /// It was erased.
    #[error("this request was erased")]
    Erased,
}

impl Request {
    /// A pending request, with `request.created` in its outbox if that event has subscribers.
    #[must_use]
    pub fn begin(new: NewRequest, subscriptions: Subscriptions) -> Self {
        let at = new.created_at;
        let mut request = Self {
            rows: vec![None; new.question.n_rows()],
            id: new.id,
            owner: new.owner,
            created_by: new.created_by,
            body_hash: new.body_hash,
            created_at: at,
            deadline: new.deadline,
            question: new.question,
            policy: new.policy,
            channel: new.channel,
            trace: new.trace,
            link_secret: new.link_secret,
            is_counted: new.is_counted,
            base_url: new.base_url,
            published: new.published,
            state: RequestState::Pending,
            outbox: Vec::new(),
            n_events: 0,
            callback_event: None,
            due_at: None,
            revision: 0,
        };
        request.happened(RequestEvent::RequestCreated, at, None, subscriptions);
        request.rearm(at);
        request
    }

    /// The answers, one row for each recipient.
    pub fn rows(&self) -> &[Option<Row>] {
        &self.rows
    }

    /// Where it is in its life.
    pub fn state(&self) -> &RequestState {
        &self.state
    }

    /// The events that have not been dispatched yet.
    pub fn outbox(&self) -> &[OutboxEvent] {
        &self.outbox
    }

    /// The number of events so far.
    pub fn n_events(&self) -> u32 {
        self.n_events
    }

    /// The timer: when a sweep picks it up.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }

    /// The number of writes after the first.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The request once the recipient of `row` has answered.
    pub fn answer(
        &self,
        row: usize,
        answer: &Answer,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        let recorded = self.rows.get(row).ok_or(Refusal::Erased)?;
        if recorded.as_ref().is_some_and(|it| it.op == op || it.replaced.contains(&op)) {
            return Ok(None);
        }
        let is_final = self.policy.mode == AnswerMode::OnUserAction;
        match (&self.state, recorded) {
            (RequestState::Erased { .. }, _) => return Err(Refusal::Erased),
            (_, Some(recorded)) if is_final => {
                return Err(Refusal::AlreadyAnswered(recorded.clone()));
            }
            (RequestState::Ended(_), _) => return Err(Refusal::Ended),
            (RequestState::Pending, _) if self.deadline <= now => return Err(Refusal::Ended),
            (RequestState::Pending, _)
                if self.outbox.len() >= OUTBOX_MAX || self.n_events > EVENTS_MAX =>
            {
                return Err(Refusal::TooBusy);
            }
            (RequestState::Pending, _) => (),
        }

        let mut next = self.next();
        let mut replaced = recorded.as_ref().map_or_else(Vec::new, |it| it.replaced.clone());
        replaced.extend(recorded.as_ref().map(|it| it.op));
        replaced.drain(..replaced.len().saturating_sub(REPLACED_MAX));
        next.rows[row] = Some(Row { answer: answer.clone(), at: now, op, replaced });
        let answered = RecordedAnswer { row, answer: answer.clone() };
        next.happened(RequestEvent::RequestAnswered, now, Some(answered), subscriptions);
        if is_final {
            let (outcome, decision) = match next.verdict() {
                QuorumVerdict::Open => (None, None),
                QuorumVerdict::Met(decision) => (Some(Outcome::Completed), decision),
                QuorumVerdict::Unreachable(decision) => (Some(Outcome::NotMet), decision),
                QuorumVerdict::Vetoed(veto) => (Some(Outcome::Vetoed), Some(veto)),
            };
            if let Some(outcome) = outcome {
                let end = RequestEnd::new(outcome, decision, DecidedBy::Recipients, now, op);
                next.end(end, subscriptions);
            }
        }
        next.rearm(now);
        Ok(Some(next))
    }

    /// Whether the operation `op` ended it.
    pub fn was_ended_by(&self, op: OpId) -> bool {
        matches!(&self.state, RequestState::Ended(end) if end.op == op)
    }

    /// Whether it is time to settle it: past the deadline and the guard band.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == RequestState::Pending && self.deadline + CLOCK_GUARD <= now
    }

    /// The request once its deadline has been noticed; nothing if it is not overdue.
    pub fn time_out(&self, subscriptions: Subscriptions, now: Timestamp, op: OpId) -> Option<Self> {
        if !self.is_overdue(now) {
            return None;
        }
        let mut next = self.next();
        let verdict = match self.policy.mode {
            AnswerMode::OnTimeout => self.verdict(),
            AnswerMode::OnUserAction => QuorumVerdict::Open,
        };
        let (outcome, decision, decided_by) = match verdict {
            QuorumVerdict::Met(decision) => (Outcome::Completed, decision, DecidedBy::Recipients),
            QuorumVerdict::Unreachable(decision) => {
                (Outcome::NotMet, decision, DecidedBy::Recipients)
            }
            QuorumVerdict::Vetoed(veto) => (Outcome::Vetoed, Some(veto), DecidedBy::Recipients),
            QuorumVerdict::Open => match &self.policy.on_deadline {
                OnDeadline::Expire => (Outcome::TimedOut, None, DecidedBy::DeadlinePolicy),
                OnDeadline::Default(option) => {
                    (Outcome::Defaulted, Some(option.clone()), DecidedBy::DeadlinePolicy)
                }
            },
        };
        let end = RequestEnd::new(outcome, decision, decided_by, self.deadline, op);
        next.end(end, subscriptions);
        next.rearm(now);
        Some(next)
    }

    /// The request once its sender has cancelled it.
    pub fn cancel(
        &self,
        subscriptions: Subscriptions,
        now: Timestamp,
        op: OpId,
    ) -> Result<Option<Self>, Refusal> {
        match &self.state {
            RequestState::Erased { .. } => return Err(Refusal::Erased),
            RequestState::Ended(end) if end.op == op => return Ok(None),
            RequestState::Ended(_) => return Err(Refusal::AlreadyFinished),
            RequestState::Pending => (),
        }
        let mut next = self.next();
        let end = RequestEnd::new(Outcome::Cancelled, None, DecidedBy::Sender, now, op);
        next.end(end, subscriptions);
        next.rearm(now);
        Ok(Some(next))
    }

    /// What `op` is told when it reads the result at `now` (`None`: there is none yet), and the
    /// request once it has, if that changes it.
    pub fn read(&self, now: Timestamp, op: OpId) -> (Option<ReadOutcome>, Option<Self>) {
        let RequestState::Ended(end) = &self.state else { return (None, None) };
        let (reading, told) = end.reading.read(self.policy.read, end.at, now, op);
        let next = (reading != end.reading).then(|| self.with_reading(end, reading, now));
        (Some(told), next)
    }

    /// The request once the read with this receipt has been acknowledged.
    pub fn acknowledge(
        &self,
        receipt: OpId,
        now: Timestamp,
    ) -> Result<Option<Self>, UnknownReceipt> {
        let RequestState::Ended(end) = &self.state else { return Err(UnknownReceipt) };
        let reading = end.reading.acknowledge(receipt)?;
        Ok((reading != end.reading).then(|| self.with_reading(end, reading, now)))
    }

    /// The request without the result that nobody read in time, if that time has come.
    pub fn expire_result(&self, now: Timestamp) -> Option<Self> {
        let RequestState::Ended(end) = &self.state else { return None };
        let is_news = end.reading != Consumption::Expired;
        (is_news && end.reading.is_expired(self.policy.read, end.at, now - CLOCK_GUARD))
            .then(|| self.with_reading(end, Consumption::Expired, now))
    }

    /// The request once the events with these numbers have been turned into deliveries.
    pub fn dispatched(&self, numbers: &[u32], now: Timestamp) -> Option<Self> {
        if !self.outbox.iter().any(|it| numbers.contains(&it.number)) {
            return None;
        }
        let mut next = self.next();
        next.outbox.retain(|it| !numbers.contains(&it.number));
        next.rearm(now);
        Some(next)
    }

    /// The request without its content: a tombstone, so that nothing of it is told afterwards and
    /// its idempotency key makes no second one.
    pub fn erase(&self, now: Timestamp) -> Option<Self> {
        if matches!(self.state, RequestState::Erased { .. }) {
            return None;
        }
        let mut next = self.next();
        next.question = Question::default();
        next.rows.clear();
        next.outbox.clear();
        next.policy.callback = None;
        next.policy.on_deadline = OnDeadline::Expire;
        next.policy.quorum = Quorum::ALL;
        next.state = RequestState::Erased { at: now, n_looks: 2 };
        next.rearm(now);
        Some(next)
    }

    /// The tombstone once the request's deliveries have been looked for and cancelled. The last
    /// look counts only when whatever raced with the erasure has shown up in the index.
    pub fn looked_for_deliveries(&self, now: Timestamp) -> Option<Self> {
        let RequestState::Erased { at, n_looks } = self.state else { return None };
        let last_at = at + SECOND_LOOK;
        if n_looks == 0 || n_looks == 1 && now < last_at {
            return None;
        }
        let mut next = self.next();
        let n_looks = if now < last_at { n_looks - 1 } else { 0 };
        next.state = RequestState::Erased { at, n_looks };
        next.due_at = (n_looks > 0).then_some(last_at);
        Some(next)
    }

    /// The request once somebody was sent to look after it, and need not be again until `until`.
    #[must_use]
    pub fn hinted(&self, until: Timestamp) -> Self {
        let mut next = self.next();
        let deadline = (self.state == RequestState::Pending).then(|| self.deadline + CLOCK_GUARD);
        next.due_at = Some(deadline.map_or(until, |it| it.min(until)));
        next
    }

    /// Whether what was answered may be shown by anything but the result.
    pub fn shows_answers(&self, now: Timestamp) -> bool {
        !self.policy.read.is_private()
            && match &self.state {
                RequestState::Pending => true,
                RequestState::Ended(end) => !end.reading.is_expired(self.policy.read, end.at, now),
                RequestState::Erased { .. } => false,
            }
    }

    /// Whether it has ended by time, so that rows without an answer count as expired.
    pub fn ended_by_time(&self) -> bool {
        match &self.state {
            RequestState::Ended(end) => {
                matches!(end.outcome, Outcome::TimedOut | Outcome::Defaulted)
                    || self.policy.mode == AnswerMode::OnTimeout
                        && end.outcome != Outcome::Cancelled
            }
            RequestState::Pending | RequestState::Erased { .. } => false,
        }
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }

    fn verdict(&self) -> QuorumVerdict {
        self.policy.quorum.judge(self.rows.iter().map(|it| it.as_ref().map(|it| &it.answer)))
    }

    fn end(&mut self, end: RequestEnd, subscriptions: Subscriptions) {
        let (outcome, at) = (end.outcome, end.at);
        self.state = RequestState::Ended(end);
        let kind = match outcome {
            Outcome::Cancelled => RequestEvent::RequestCancelled,
            Outcome::Completed
            | Outcome::NotMet
            | Outcome::Vetoed
            | Outcome::TimedOut
            | Outcome::Defaulted => RequestEvent::RequestFinished,
        };
        self.happened(kind, at, None, subscriptions);
    }

    fn with_reading(&self, end: &RequestEnd, reading: Consumption, now: Timestamp) -> Self {
        let mut next = self.next();
        next.state = RequestState::Ended(RequestEnd { reading, ..end.clone() });
        next.rearm(now);
        next
    }

    /// Puts an event into the outbox, if anybody wants to be told of it.
    fn happened(
        &mut self,
        kind: RequestEvent,
        at: Timestamp,
        answered: Option<RecordedAnswer>,
        subscriptions: Subscriptions,
    ) {
        let called_back = self.policy.callback.as_ref().is_some_and(|it| it.events.contains(&kind));
        if called_back || self.published && kind.is_published() || subscriptions.wants(kind) {
            self.n_events += 1;
            self.outbox.push(OutboxEvent { number: self.n_events, kind, at, answered });
        }
        if called_back {
            self.callback_event = Some(self.n_events);
        }
    }

    /// Sets the timer for what comes next, and lets go of what nobody may read any more.
    fn rearm(&mut self, now: Timestamp) {
        self.due_at = match &self.state {
            RequestState::Erased { .. } => Some(now),
            _ if !self.outbox.is_empty() => Some(now),
            RequestState::Pending => Some(self.deadline + CLOCK_GUARD),
            RequestState::Ended(end) => {
                end.reading.timer(self.policy.read, end.at).map(|it| it + CLOCK_GUARD)
            }
        };
        // What is told is made from the rows, so they stay until it has been told.
        if let RequestState::Ended(end) = &self.state
            && end.reading.is_over()
            && self.outbox.is_empty()
        {
            for row in self.rows.iter_mut().flatten() {
                row.answer = Answer::default();
            }
        }
    }
}

impl RequestEnd {
    /// An end that has not been read yet.
    fn new(
        outcome: Outcome,
        decision: Option<String>,
        decided_by: DecidedBy,
        at: Timestamp,
        op: OpId,
    ) -> Self {
        Self { outcome, decision, decided_by, at, op, reading: Consumption::Unread }
    }
}

impl RequestEvent {
    /// Whether it is published on the event bus, where one is set.
    pub fn is_published(self) -> bool {
        match self {
            Self::RequestCreated | Self::RequestFinished => true,
            Self::RequestAnswered | Self::RequestCancelled => false,
        }
    }
}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

#[cfg(test)]
mod tests;
