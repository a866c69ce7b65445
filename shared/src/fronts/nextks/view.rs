//! A request in the format of `NextKS`.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::views::{ResponseView, ResultData, Time},
    domain::{OutboxEvent, Request},
};

/// The state of a request: the status route and the callback body.
#[derive(Debug, Serialize)]
pub struct NextKsView<'a> {
    request_id: String,
    external_reference_id: Option<&'a str>,
    status: &'static str,
    responses: Vec<NextKsResponse<'a>>,
}

/// The answer of one recipient, or a row without one.
#[derive(Debug, Serialize)]
struct NextKsResponse<'a> {
    user_email: Option<&'a str>,
    /// Left out where the request's read policy hides answers.
    #[serde(flatten)]
    choice: Option<NextKsChoice<'a>>,
    timestamp: Option<Time>,
    expired: bool,
}

#[derive(Debug, Serialize)]
struct NextKsChoice<'a> {
    option_value: Option<&'a str>,
}

impl<'a> NextKsView<'a> {
    /// The status of `request` at `now`.
    pub fn of_request(request: &'a Request, now: Timestamp) -> Self {
        Self::new(ResultData::of_now(request, now))
    }

    /// The callback body of `event` of `request`.
    pub fn of_event(request: &'a Request, event: &'a OutboxEvent) -> Self {
        Self::new(ResultData::of_event(request, event))
    }

    fn new(data: ResultData<'a>) -> Self {
        Self {
            request_id: data.request_id,
            external_reference_id: data.external_reference_id,
            status: data.status,
            responses: data.responses.iter().map(NextKsResponse::new).collect(),
        }
    }
}

impl<'a> NextKsResponse<'a> {
    fn new(row: &ResponseView<'a>) -> Self {
        Self {
            user_email: row.recipient,
            choice: row.answer.as_ref().map(|it| NextKsChoice { option_value: it.option }),
            timestamp: row.answered_at,
            expired: row.expired,
        }
    }
}
