//! Requests, their results and the data of their events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    ActionView, ChangeView, ChoiceView, FieldView, ProbeView, RequesterView, ResponseView,
    StepView, Time,
    response::{Answers, email},
};
use crate::{
    domain::{
        Locale, OutboxEvent, Request, RequestEvent,
        approval::ConsumePolicy,
        consumption::ReadMode,
        delivery::Delivery,
        notifier::NotifierChoice,
        quorum::Count,
        request::{
            AnswerMode, DecidedBy, EventDetail, OnUnreachable, Outcome, RequestEnd, RequestState,
        },
        slack::SlackId,
    },
    signing::{LinkPlace, LinkToken},
};

/// The time at which a request is shown, and the rights of the caller.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// Current time.
    pub now: Timestamp,
    /// True if the caller may see answer links.
    pub sees_links: bool,
    /// Delivery of the callback's latest event. `None` before the first.
    pub delivery: Option<&'a Delivery>,
}

/// A request.
#[derive(Debug, Serialize)]
pub struct RequestView<'a> {
    id: String,
    status: &'static str,
    outcome: Option<&'static str>,
    decided_by: Option<&'static str>,
    decision: Option<&'a str>,
    title: &'a str,
    body: Option<&'a str>,
    action: Option<ActionView<'a>>,
    requester: Option<RequesterView<'a>>,
    locale: Option<&'static str>,
    mode: &'static str,
    assurance: &'static str,
    allow_self: bool,
    accept_api_answers: bool,
    consume: Option<ConsumeView<'a>>,
    quorum: Value,
    steps: Vec<StepView<'a>>,
    options: Vec<ChoiceView<'a>>,
    fields: Vec<FieldView<'a>>,
    recipients: Vec<RecipientView<'a>>,
    responses: Vec<ResponseView<'a>>,
    external_reference_id: Option<&'a str>,
    metadata: Box<RawValue>,
    livemode: bool,
    created_at: Time,
    deadline: Time,
    finished_at: Option<Time>,
    callback: Option<CallbackView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
    read: ReadView,
    notify: Vec<String>,
    on_unreachable: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack_channel: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct RecipientView<'a> {
    email: Option<&'a str>,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    via: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack_user: Option<&'a str>,
    /// Of the latest notification. Only known to the call that shows one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(Debug, Serialize)]
struct CallbackView<'a> {
    url: &'a str,
    profile: &'static str,
    delivery_id: Option<String>,
    status: &'static str,
    /// Only known to the call that creates the request.
    probe: Option<ProbeView>,
}

#[derive(Debug, Serialize)]
struct ReadView {
    mode: &'static str,
    ttl_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_seconds: Option<u32>,
}

#[derive(Debug, Serialize)]
struct ConsumeView<'a> {
    option: &'a str,
    within_seconds: u32,
    count: u32,
    consumed: u32,
    lapses_at: Option<Time>,
    withdrawn: bool,
}

impl<'a> ConsumeView<'a> {
    fn new(request: &Request, policy: &'a ConsumePolicy) -> Self {
        let ConsumePolicy { option, within_seconds, count } = policy;
        Self {
            option,
            within_seconds: *within_seconds,
            count: *count,
            consumed: count - request.uses_left().unwrap_or(*count),
            lapses_at: request.approval_lapses_at().map(Time),
            withdrawn: end(request).is_some_and(|it| it.approval.withdrawn_by.is_some()),
        }
    }
}

/// Status of a callback.
#[derive(Clone, Copy, Debug)]
pub struct CallbackStatus;

/// The state of a request: its result, and the `data` of its events.
#[derive(Debug, Serialize)]
pub struct ResultData<'a> {
    pub(crate) request_id: String,
    pub(crate) external_reference_id: Option<&'a str>,
    pub(crate) status: &'static str,
    pub(super) outcome: Option<&'static str>,
    pub(super) decided_by: Option<&'static str>,
    pub(super) decision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
    pub(crate) responses: Vec<ResponseView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionView<'a>>,
    metadata: Box<RawValue>,
    finished_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ChangeView<'a>>,
}

impl<'a> RequestView<'a> {
    /// The view with the status of the latest notification of each row.
    #[must_use]
    pub fn with_notifications(mut self, statuses: &BTreeMap<usize, &'static str>) -> Self {
        for (row, recipient) in self.recipients.iter_mut().enumerate() {
            recipient.notifications = statuses.get(&row).copied();
        }
        self
    }

    /// The view of `request` for `viewer`.
    pub fn new(request: &'a Request, viewer: Viewer<'a>) -> Self {
        let end = end(request);
        let (question, policy) = (&request.question, &request.policy);
        Self {
            id: request.id.to_string(),
            status: request_status(request),
            outcome: end.map(|it| outcome(it.outcome)),
            decided_by: end.map(|it| decided_by(it.decided_by)),
            decision: end.and_then(|it| it.decision.as_deref()),
            title: &question.title,
            body: question.body.as_deref(),
            action: question.action.as_ref().map(ActionView::new),
            requester: question.requester.as_ref().map(RequesterView::new),
            locale: question.locale.map(Locale::as_str),
            mode: answer_mode(policy.mode),
            assurance: policy.assurance.as_str(),
            allow_self: policy.allows_self,
            accept_api_answers: policy.accepts_api_answers,
            consume: policy.consume.as_ref().map(|it| ConsumeView::new(request, it)),
            quorum: quorum(request),
            steps: StepView::all(request),
            options: question.options.iter().map(ChoiceView::new).collect(),
            fields: question.fields.iter().map(FieldView::new).collect(),
            recipients: recipients(request, &viewer),
            responses: responses(request, Answers::at(request, viewer.now)),
            external_reference_id: question.external_reference_id.as_deref(),
            metadata: metadata(request),
            livemode: request.owner.mode.is_live(),
            created_at: Time(request.created_at),
            deadline: Time(request.deadline),
            finished_at: end.map(|it| Time(it.at)),
            callback: policy.callback.as_ref().map(|it| CallbackView {
                url: &it.receiver.url,
                profile: it.receiver.profile.spec().name,
                delivery_id: viewer.delivery.map(|it| it.id.to_string()),
                status: CallbackStatus::of(request, viewer.delivery).unwrap_or("waiting"),
                probe: None,
            }),
            cancel_reason: end.and_then(|it| it.reason.as_deref()),
            read: ReadView {
                mode: match policy.read.mode {
                    ReadMode::Repeat => "repeat",
                    ReadMode::Once => "once",
                    ReadMode::Lease { .. } => "lease",
                },
                ttl_seconds: policy.read.ttl_seconds,
                lease_seconds: match policy.read.mode {
                    ReadMode::Repeat | ReadMode::Once => None,
                    ReadMode::Lease { seconds } => Some(seconds),
                },
            },
            notify: ids(&policy.notify),
            on_unreachable: match policy.on_unreachable {
                OnUnreachable::Wait => "wait",
                OnUnreachable::Expire => "expire",
            },
            slack_channel: policy.slack_channel.as_ref().map(SlackId::as_str),
        }
    }
}

impl RequestView<'_> {
    /// The view with the result of probing the callback's receiver.
    #[must_use]
    pub fn with_probe(mut self, probe: Option<ProbeView>) -> Self {
        if let Some(callback) = &mut self.callback {
            callback.probe = probe;
        }
        self
    }
}

impl CallbackStatus {
    /// Status of the callback of `request`. `None` without a callback.
    pub fn of(request: &Request, delivery: Option<&Delivery>) -> Option<&'static str> {
        request.policy.callback.as_ref()?;
        let waiting = match (request.callback_event, end(request)) {
            (Some(_), _) => "pending",
            (None, None) => "waiting",
            // The callback does not subscribe to the event that ended the request.
            (None, Some(_)) => "cancelled",
        };
        Some(delivery.map_or(waiting, super::delivery::status))
    }
}

impl<'a> ResultData<'a> {
    /// The state of `request`, which has ended.
    pub fn of_end(request: &'a Request) -> Self {
        Self::new(request, end(request), responses(request, Answers::Shown))
    }

    /// The state of `request` at `now`, without answers that its read policy hides.
    pub(crate) fn of_now(request: &'a Request, now: Timestamp) -> Self {
        Self::new(request, end(request), responses(request, Answers::at(request, now)))
    }

    /// The data of `event`, without answers if the request lets nobody read its result freely.
    pub(crate) fn shown_of_event(request: &'a Request, event: &'a OutboxEvent) -> Self {
        let is_free = request.policy.read.mode == ReadMode::Repeat;
        let mut data = Self::of_event(request, event);
        if !is_free {
            for response in &mut data.responses {
                response.answer = None;
            }
        }
        data
    }

    /// The data of `event` of `request`. Later events do not change it.
    pub fn of_event(request: &'a Request, event: &'a OutboxEvent) -> Self {
        match (event.kind, &event.detail) {
            (RequestEvent::RequestFinished | RequestEvent::RequestCancelled, _) => {
                Self::of_end(request)
            }
            (RequestEvent::RequestAnswered, EventDetail::Answered(answered)) => {
                let response = ResponseView::of_event(request, event, answered);
                Self::new(request, None, vec![response])
            }
            (_, detail @ (EventDetail::Recipient(_) | EventDetail::Step { .. })) => {
                let change = ChangeView::of(request, detail);
                Self { change, ..Self::new(request, None, Vec::new()) }
            }
            (
                RequestEvent::RequestCreated
                | RequestEvent::RequestAnswered
                | RequestEvent::RequestLinkLocked
                | RequestEvent::RequestUnreachable
                | RequestEvent::NotificationFailed
                | RequestEvent::RequestReminded
                | RequestEvent::RequestEscalated,
                _,
            ) => {
                let rows = 0..request.n_places();
                let responses = rows.map(|it| ResponseView::new(request, it, None, Answers::Shown));
                let mut responses: Vec<ResponseView<'_>> = responses.collect();
                for response in &mut responses {
                    response.expired = false;
                }
                Self::new(request, None, responses)
            }
        }
    }

    fn new(
        request: &'a Request,
        end: Option<&'a RequestEnd>,
        responses: Vec<ResponseView<'a>>,
    ) -> Self {
        Self {
            request_id: request.id.to_string(),
            external_reference_id: request.question.external_reference_id.as_deref(),
            status: end.map_or("pending", status_of),
            outcome: end.map(|it| outcome(it.outcome)),
            decided_by: end.map(|it| decided_by(it.decided_by)),
            decision: end.and_then(|it| it.decision.as_deref()),
            // That of a withdrawal may come after the event was sent.
            cancel_reason: end
                .filter(|it| it.outcome == Outcome::Cancelled)
                .and_then(|it| it.reason.as_deref()),
            responses,
            action: request.question.action.as_ref().map(ActionView::new),
            metadata: metadata(request),
            finished_at: end.map(|it| Time(it.at)),
            change: None,
        }
    }
}

/// Outcome of `request`. `None` while it is pending.
pub fn request_outcome(request: &Request) -> Option<&'static str> {
    end(request).map(|it| outcome(it.outcome))
}

/// Status of `request`.
pub fn request_status(request: &Request) -> &'static str {
    end(request).map_or("pending", status_of)
}

fn status_of(end: &RequestEnd) -> &'static str {
    if end.outcome == Outcome::Cancelled { "cancelled" } else { "finished" }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::NotMet => "not_met",
        Outcome::Vetoed => "vetoed",
        Outcome::TimedOut => "timed_out",
        Outcome::Defaulted => "defaulted",
        Outcome::Cancelled => "cancelled",
    }
}

/// Name of `mode`.
pub fn answer_mode(mode: AnswerMode) -> &'static str {
    match mode {
        AnswerMode::OnUserAction => "on_user_action",
        AnswerMode::OnTimeout => "on_timeout",
    }
}

fn decided_by(decided_by: DecidedBy) -> &'static str {
    match decided_by {
        DecidedBy::Recipients => "recipients",
        DecidedBy::DeadlinePolicy => "deadline_policy",
        DecidedBy::Sender => "sender",
    }
}

fn end(request: &Request) -> Option<&RequestEnd> {
    match request.state() {
        RequestState::Ended(end) => Some(end),
        RequestState::Pending | RequestState::Erased { .. } => None,
    }
}

/// The shortest spelling of the quorum.
fn quorum(request: &Request) -> Value {
    let quorum = &request.policy.quorum;
    let count: Value = match quorum.count {
        Count::All => "all".into(),
        Count::AtLeast(1) if quorum.option.is_none() && quorum.veto.is_empty() => "any".into(),
        Count::AtLeast(count) => count.into(),
    };
    if quorum.option.is_none() && quorum.veto.is_empty() && count.is_string() {
        return count;
    }
    let mut members = Map::from_iter([("count".to_owned(), count)]);
    if let Some(option) = &quorum.option {
        members.insert("option".to_owned(), option.as_str().into());
    }
    if !quorum.veto.is_empty() {
        members.insert("veto".to_owned(), quorum.veto.clone().into());
    }
    members.into()
}

fn recipients<'a>(request: &'a Request, viewer: &Viewer<'_>) -> Vec<RecipientView<'a>> {
    let link = |number: usize| {
        let row = u8::try_from(number).expect("at most 100 recipients");
        let token = LinkToken::new(request.id, row, &request.link_secret);
        format!("{}/a/{}", request.base_url, token.to_text())
    };
    let code = |number: usize| {
        let place = LinkPlace::of(request, number);
        request.needs_code().then(|| place.code(request.code_issue(number)))
    };
    let recipient = |number| {
        let recipient = request.question.recipients.get(number);
        RecipientView {
            email: email(request, number),
            name: recipient.and_then(|it| it.name.as_deref()),
            via: recipient.map(|it| ids(&it.via)).unwrap_or_default(),
            slack_user: recipient.and_then(|it| it.slack_user.as_ref()).map(SlackId::as_str),
            notifications: None,
            answer_url: viewer.sees_links.then(|| link(number)),
            code: if viewer.sees_links { code(number) } else { None },
        }
    };
    (0..request.n_asked()).map(recipient).collect()
}

pub(super) fn ids(notifiers: &[NotifierChoice]) -> Vec<String> {
    notifiers.iter().map(|it| it.id.to_string()).collect()
}

fn responses(request: &Request, answers: Answers) -> Vec<ResponseView<'_>> {
    let rows = request.rows.iter().enumerate().take(request.n_asked());
    rows.map(|(number, row)| ResponseView::new(request, number, row.as_ref(), answers)).collect()
}

fn metadata(request: &Request) -> Box<RawValue> {
    let text = request.question.metadata.clone().unwrap_or_else(|| "{}".to_owned());
    RawValue::from_string(text).expect("stored metadata is valid JSON")
}
