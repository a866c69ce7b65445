//! A request: a question to people, and its life.
//!
//! ```text
//!            ┌─ an answer completes, vetoes or rules out the quorum ─▶ Ended
//!   Pending ─┼─ time_out (deadline + guard band) ────────────────────▶ Ended ─ erase ─▶ Erased
//!      ▲ │   └─ cancel ──────────────────────────────────────────────▶ Ended              ▲
//!      └─┴─ an answer leaves it open                                                      │
//!        └─ erase ────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The steps are in the modules below: [`answer`], [`code`], [`end`], [`outbox`], [`reach`], [`result`],
//! [`erasure`], [`steps`].
//! Three rules hold for all of them:
//!
//! - An outcome never changes.
//! - A step that has something to report puts an event into the outbox and sets the timer to a minute
//!   later, in the same write. A hint, or else the timer, brings a worker that dispatches the event.
//! - A step returns `None` (or `Ok(None)`) if nothing is left to do. That is also how an operation
//!   recognizes its own earlier write.

pub mod answer;
pub mod code;
mod consume;
pub mod end;
pub mod erasure;
pub mod outbox;
pub mod proof;
pub mod reach;
mod refusal;
pub mod result;
mod row;
pub mod steps;

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;

pub use answer::{CHANGE_INTERVAL, LongAnswer};
pub use code::CodeState;
pub use end::{CANCEL_REASON_CHARS_MAX, DecidedBy, Outcome, RequestEnd};
pub use outbox::{EventDetail, FailedMessage, MessageKey, OutboxEvent, RecordedAnswer};
pub use proof::Proof;
pub use reach::{OnUnreachable, PlannedMessage, ReachState, Unreached};
pub use refusal::Refusal;
pub use result::ResultRead;
pub use row::{CHANGES_MAX, Row};
pub use steps::{Step, StepAction, StepState};

use super::{
    Assurance, BodyHash, ChannelId, KeyId, OpId, Owner, RequestEvent, RequestId, Subscriptions,
    Trace,
    approval::ConsumePolicy,
    consumption::ReadPolicy,
    delivery::Receiver,
    notifier::NotifierChoice,
    question::{Answer, Question},
    quorum::{Quorum, QuorumVerdict},
    slack::SlackId,
};

/// Shortest time to answer.
pub const TIMEOUT_SECONDS_MIN: u32 = 5;
/// Longest time to answer: a year.
pub const TIMEOUT_SECONDS_MAX: u32 = 31_536_000;
/// Default time to answer: a day.
pub const TIMEOUT_SECONDS: u32 = 86_400;
/// Time between the deadline and the time-out. Clocks differ: without this guard band, one process
/// could time out a request while another still accepts answers.
pub const CLOCK_GUARD: Duration = Duration::from_secs(2);

/// A question to people, their answers, and the outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its identifier.
    pub id: RequestId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// The operation that created it.
    pub created_by: OpId,
    /// The hash of the body, if the call had an idempotency key.
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
    /// The family of the key that made it, if that key sees only what its family made.
    pub family: Option<KeyId>,
    /// The trace of the call, if it named one.
    pub trace: Option<Trace>,
    /// The secret that answer links are made with.
    pub link_secret: LinkSecret,
    /// Counts against a limit of the account while it is pending.
    pub is_counted: bool,
    /// The address of the API that the call used, without a slash at the end.
    pub base_url: String,
    /// Its creation and end are published on the event bus.
    pub is_published: bool,
    /// The answers, one row for each recipient, asked or not.
    pub(crate) rows: Vec<Option<Row>>,
    /// The steps that were taken.
    pub(crate) steps: StepState,
    /// The codes of rows whose code was tried or issued again.
    pub(crate) codes: BTreeMap<usize, CodeState>,
    /// Its place in its life.
    pub(crate) state: RequestState,
    /// The events that have not been dispatched yet.
    pub(crate) outbox: Vec<OutboxEvent>,
    /// The number of events so far.
    pub(crate) n_events: u32,
    /// The number of the latest event that the callback subscribes to.
    pub(crate) callback_event: Option<u32>,
    /// The messages that did not reach their recipients.
    pub(crate) reach: ReachState,
    /// It has left long answers behind, which a worker erases.
    pub(crate) has_leftovers: bool,
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
    /// The family of the key that made it, if that key sees only what its family made.
    pub family: Option<KeyId>,
    /// The trace of the call, if it named one.
    pub trace: Option<Trace>,
    /// The secret that answer links are made with.
    pub link_secret: LinkSecret,
    /// Counts against a limit of the account while it is pending.
    pub is_counted: bool,
    /// The address of the API that the call used, without a slash at the end.
    pub base_url: String,
    /// Its creation and end are published on the event bus.
    pub is_published: bool,
}

/// The rules that decide a request, and the consequences.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestPolicy {
    /// Final answers, or answers that may change until the deadline.
    pub mode: AnswerMode,
    /// The answers that decide it.
    pub quorum: Quorum,
    /// The consequence of a deadline without a quorum.
    pub on_deadline: OnDeadline,
    /// The receiver of its events.
    pub callback: Option<Callback>,
    /// The ways in which the result may be read.
    pub read: ReadPolicy,
    /// How sure it must be that a person answers.
    pub assurance: Assurance,
    /// The requester may be one of the recipients.
    pub allows_self: bool,
    /// The sender's own application may record answers.
    pub accepts_api_answers: bool,
    /// The way in which an approval may be used.
    pub consume: Option<ConsumePolicy>,
    /// The notifiers for recipients who name none, in the order in which they are tried.
    pub notify: Vec<NotifierChoice>,
    /// The consequence if no recipient could be reached.
    pub on_unreachable: OnUnreachable,
    /// The channel of Slack for all messages there. `None`: that of the notifier.
    pub slack_channel: Option<SlackId>,
    /// Reminders and escalations, in the order of time.
    pub steps: Vec<Step>,
}

/// Final answers, or answers that may change until the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// A recipient's first answer is final, and the quorum ends the request.
    OnUserAction,
    /// Answers may change until the deadline, which ends the request.
    OnTimeout,
}

/// The consequence of a deadline without a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    /// The request times out.
    Expire,
    /// This option becomes the decision, by policy and not by a person.
    Default(String),
}

/// A receiver of the sender's choice, and the events that it subscribes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// The receiver.
    pub receiver: Receiver,
    /// The events.
    pub events: Vec<RequestEvent>,
}

/// The secret that a request's answer links are made with. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret(pub [u8; 16]);

/// A request's place in its life.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestState {
    /// It waits for answers.
    Pending,
    /// It was decided, timed out or cancelled.
    Ended(RequestEnd),
    /// Its content is deleted.
    Erased {
        /// The time of the erasure.
        at: Timestamp,
        /// The number of searches for its deliveries that are still to come.
        n_searches: u8,
    },
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
            family: new.family,
            trace: new.trace,
            link_secret: new.link_secret,
            is_counted: new.is_counted,
            base_url: new.base_url,
            is_published: new.is_published,
            steps: StepState::default(),
            codes: BTreeMap::new(),
            state: RequestState::Pending,
            outbox: Vec::new(),
            n_events: 0,
            callback_event: None,
            reach: ReachState::default(),
            has_leftovers: false,
            due_at: None,
            revision: 0,
        };
        request.emit(RequestEvent::RequestCreated, at, EventDetail::None, subscriptions);
        request.set_timer(at);
        request
    }

    /// The answers, one row for each recipient, asked or not.
    pub fn rows(&self) -> &[Option<Row>] {
        &self.rows
    }

    /// Its place in its life.
    pub fn state(&self) -> &RequestState {
        &self.state
    }

    /// The events that have not been dispatched yet.
    pub fn outbox(&self) -> &[OutboxEvent] {
        &self.outbox
    }

    /// The steps that were taken, and the reminders.
    pub fn steps(&self) -> &StepState {
        &self.steps
    }

    /// The number of events so far.
    pub fn n_events(&self) -> u32 {
        self.n_events
    }

    /// The timer: when a sweep picks it up.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }

    /// A worker has work to do: events to dispatch, or content to erase.
    pub fn has_work(&self) -> bool {
        !self.outbox.is_empty()
            || self.has_leftovers()
            || matches!(self.state, RequestState::Erased { .. })
    }

    /// It has left long answers behind, which a worker erases, or ended so early that its long question
    /// and answers would outlive it. Not while it is pending: then the worker could erase an answer
    /// that is about to be recorded.
    pub fn has_leftovers(&self) -> bool {
        self.has_leftovers && matches!(self.state, RequestState::Ended(_))
    }

    /// The number of writes after the first.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The request after a hint to dispatch it was sent. The sweep skips it until `until`, but not
    /// beyond its next step or its deadline.
    #[must_use]
    pub fn hinted(&self, until: Timestamp) -> Self {
        let mut next = self.next();
        let settled = (self.state == RequestState::Pending).then(|| self.settle_timer());
        next.due_at = Some(settled.map_or(until, |it| it.min(until)));
        next
    }

    /// The time at which a pending request is settled: its next step, or its deadline.
    fn settle_timer(&self) -> Timestamp {
        let deadline = self.deadline + CLOCK_GUARD;
        self.step_timer().map_or(deadline, |it| it.min(deadline))
    }

    /// The answers may be shown outside of `/result`.
    pub fn shows_answers(&self, now: Timestamp) -> bool {
        !self.policy.read.is_private()
            && match &self.state {
                RequestState::Pending => true,
                RequestState::Ended(end) => {
                    !end.consumption.is_expired(self.policy.read, end.at, now)
                }
                RequestState::Erased { .. } => false,
            }
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }

    fn verdict(&self) -> QuorumVerdict {
        let answers = self.rows.iter().flatten().map(|it| &it.answer);
        self.policy.quorum.judge(answers, self.n_places())
    }

    /// Its result can no longer be read.
    fn is_cleared(&self) -> bool {
        matches!(&self.state, RequestState::Ended(end) if end.consumption.is_over())
            // Callback bodies are made from the rows, so rows stay until the outbox is empty.
            && self.outbox.is_empty()
    }

    /// Sets the timer for the next step, and clears answers that may no longer be read.
    fn set_timer(&mut self, now: Timestamp) {
        if self.is_cleared() {
            for row in self.rows.iter_mut().flatten() {
                self.has_leftovers |= row.answer.is_long();
                row.answer = Answer::default();
            }
        }
        self.due_at = match &self.state {
            RequestState::Erased { .. } => Some(now),
            RequestState::Pending if self.outbox.is_empty() => Some(self.settle_timer()),
            RequestState::Pending => Some(self.outbox_timer(now).min(self.settle_timer())),
            _ if !self.outbox.is_empty() => Some(self.outbox_timer(now)),
            _ if self.has_leftovers() => Some(now),
            RequestState::Ended(end) => {
                end.consumption.timer(self.policy.read, end.at).map(|it| it + CLOCK_GUARD)
            }
        };
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(…)")
    }
}

#[cfg(test)]
mod tests;
