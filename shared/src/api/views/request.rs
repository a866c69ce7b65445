//! Requests, their results and their events as the API and callbacks write them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{ChoiceView, FieldView, Time, answer_fields};
use crate::{
    domain::{
        OutboxEvent, Request, RequestEvent,
        consumption::ReadMode,
        delivery::Delivery,
        quorum::Count,
        request::{AnswerMode, DecidedBy, Outcome, RecordedAnswer, RequestEnd, RequestState, Row},
    },
    signing::LinkToken,
};

/// Who looks at a request, and when.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// The time.
    pub now: Timestamp,
    /// Whether they may see answer links.
    pub sees_links: bool,
    /// The delivery of what the callback was last told, if there is one.
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
    mode: &'static str,
    quorum: Value,
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
    read: ReadView,
}

#[derive(Debug, Serialize)]
struct RecipientView<'a> {
    email: Option<&'a str>,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_url: Option<String>,
}

#[derive(Debug, Serialize)]
struct CallbackView<'a> {
    url: &'a str,
    profile: &'static str,
    delivery_id: Option<String>,
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct ReadView {
    mode: &'static str,
    ttl_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_seconds: Option<u32>,
}

/// One recipient's answer, or that it is missing.
#[derive(Debug, Serialize)]
pub struct ResponseView<'a> {
    user_email: Option<&'a str>,
    #[serde(flatten)]
    answer: Option<AnswerView<'a>>,
    timestamp: Option<Time>,
    expired: bool,
}

/// What somebody answered, where it is shown.
#[derive(Debug, Serialize)]
struct AnswerView<'a> {
    option_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Map<String, Value>>,
}

/// What became of a callback.
#[derive(Clone, Copy, Debug)]
pub struct CallbackStatus;

/// What a request came to: the result of a poll, and the `data` of its events.
#[derive(Debug, Serialize)]
pub struct ResultData<'a> {
    pub(super) request_id: String,
    pub(super) external_reference_id: Option<&'a str>,
    pub(super) status: &'static str,
    outcome: Option<&'static str>,
    decided_by: Option<&'static str>,
    decision: Option<&'a str>,
    pub(super) responses: Vec<ResponseView<'a>>,
    metadata: Box<RawValue>,
    finished_at: Option<Time>,
}

impl<'a> RequestView<'a> {
    /// The view that `viewer` has of `request`.
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
            mode: match policy.mode {
                AnswerMode::OnUserAction => "on_user_action",
                AnswerMode::OnTimeout => "on_timeout",
            },
            quorum: quorum(request),
            options: question.options.iter().map(ChoiceView::new).collect(),
            fields: question.fields.iter().map(FieldView::new).collect(),
            recipients: recipients(request, viewer.sees_links),
            responses: responses(request, request.shows_answers(viewer.now)),
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
            }),
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
        }
    }
}

impl<'a> ResponseView<'a> {
    /// The row of `request` with this number.
    pub fn of_row(request: &'a Request, number: usize) -> Self {
        let row = request.rows.get(number).and_then(Option::as_ref);
        Self::new(request, number, row, true)
    }

    fn new(request: &'a Request, number: usize, row: Option<&'a Row>, shows: bool) -> Self {
        Self {
            user_email: email(request, number),
            answer: shows.then(|| AnswerView {
                option_value: row.and_then(|it| it.answer.option.as_deref()),
                fields: Some(row.map_or_else(Map::new, |it| answer_fields(&it.answer))),
            }),
            timestamp: row.map(|it| Time(it.at)),
            expired: row.is_none() && request.ended_by_time(),
        }
    }

    fn of_event(request: &'a Request, event: &OutboxEvent, answered: &'a RecordedAnswer) -> Self {
        Self {
            user_email: email(request, answered.row),
            answer: Some(AnswerView {
                option_value: answered.answer.option.as_deref(),
                fields: Some(answer_fields(&answered.answer)),
            }),
            timestamp: Some(Time(event.at)),
            expired: false,
        }
    }
}

impl CallbackStatus {
    /// What became of `request`'s callback; `None` where it has none.
    pub fn of(request: &Request, delivery: Option<&Delivery>) -> Option<&'static str> {
        request.policy.callback.as_ref()?;
        let waiting = match (request.callback_event, end(request)) {
            (Some(_), _) => "pending",
            (None, None) => "waiting",
            // It ended in a way that the callback is not told of.
            (None, Some(_)) => "cancelled",
        };
        Some(delivery.map_or(waiting, super::delivery::status))
    }
}

impl<'a> ResultData<'a> {
    /// What `request`, which has ended, came to.
    pub fn of_end(request: &'a Request) -> Self {
        Self::new(request, end(request), responses(request, true))
    }

    /// What `request` has come to at `now`, as far as it is shown to everybody.
    pub(super) fn of_now(request: &'a Request, now: Timestamp) -> Self {
        Self::new(request, end(request), responses(request, request.shows_answers(now)))
    }

    /// What `event` tells of `request`. Later events do not change it.
    pub fn of_event(request: &'a Request, event: &'a OutboxEvent) -> Self {
        match (event.kind, &event.answered) {
            (RequestEvent::RequestFinished | RequestEvent::RequestCancelled, _) => {
                Self::of_end(request)
            }
            (RequestEvent::RequestAnswered, Some(answered)) => {
                let response = ResponseView::of_event(request, event, answered);
                Self::new(request, None, vec![response])
            }
            (RequestEvent::RequestCreated | RequestEvent::RequestAnswered, _) => {
                let rows = 0..request.question.n_rows();
                let responses = rows.map(|it| ResponseView::new(request, it, None, true));
                let mut responses: Vec<ResponseView<'_>> = responses.collect();
                for response in &mut responses {
                    response.expired = false;
                }
                Self::new(request, None, responses)
            }
        }
    }

    /// The same, of each answer the option alone.
    pub(super) fn without_fields(mut self) -> Self {
        for answer in self.responses.iter_mut().filter_map(|it| it.answer.as_mut()) {
            answer.fields = None;
        }
        self
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
            responses,
            metadata: metadata(request),
            finished_at: end.map(|it| Time(it.at)),
        }
    }
}

/// How `request` ended, if it has.
pub fn request_outcome(request: &Request) -> Option<&'static str> {
    end(request).map(|it| outcome(it.outcome))
}

/// How `request` stands.
pub fn request_status(request: &Request) -> &'static str {
    end(request).map_or("pending", status_of)
}

fn status_of(end: &RequestEnd) -> &'static str {
    if end.outcome == Outcome::Cancelled { "cancelled" } else { "finished" }
}

/// How something ended.
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

fn decided_by(decided_by: DecidedBy) -> &'static str {
    match decided_by {
        DecidedBy::Recipients => "recipients",
        DecidedBy::DeadlinePolicy => "deadline_policy",
        DecidedBy::Sender => "sender",
    }
}

fn end(request: &Request) -> Option<&RequestEnd> {
    match &request.state {
        RequestState::Ended(end) => Some(end),
        RequestState::Pending | RequestState::Erased { .. } => None,
    }
}

fn email(request: &Request, number: usize) -> Option<&str> {
    request.question.recipients.get(number).map(|it| it.email.as_str())
}

/// As short as it can be written.
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

fn recipients(request: &Request, sees_links: bool) -> Vec<RecipientView<'_>> {
    let link = |number: usize| {
        let row = u8::try_from(number).expect("there are at most a hundred");
        let token = LinkToken::new(request.id, row, &request.link_secret);
        format!("{}/a/{}", request.base_url, token.to_text())
    };
    (0..request.question.n_rows())
        .map(|number| RecipientView {
            email: email(request, number),
            name: request.question.recipients.get(number).and_then(|it| it.name.as_deref()),
            answer_url: sees_links.then(|| link(number)),
        })
        .collect()
}

fn responses(request: &Request, shows: bool) -> Vec<ResponseView<'_>> {
    let rows = request.rows.iter().enumerate();
    rows.map(|(number, row)| ResponseView::new(request, number, row.as_ref(), shows)).collect()
}

fn metadata(request: &Request) -> Box<RawValue> {
    let text = request.question.metadata.clone().unwrap_or_else(|| "{}".to_owned());
    RawValue::from_string(text).expect("it was JSON when it came in")
}
