//! The outbox: every mail that the stack sent by the emulated SES, as its reader sees it.
//!
//! | call | response |
//! |------|----------|
//! | `GET /outbox` | the mails, newest first, as a page or as JSON |
//! | `GET /outbox/{id}` | one mail, as a page or as JSON |
//! | `GET /outbox/{id}/html` | its HTML part, without scripts and without other servers' content |
//! | `GET /outbox/{id}/raw` | its source |
//!
//! A mail is another program's text, and may be hostile: see [`page`].

mod links;
mod page;
mod parsed;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use answerback::api::http::header;
use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use local_aws::{Mail, SentMail};
use serde::{Deserialize, Serialize};

use crate::System;
use links::Origin;
use parsed::ParsedMail;

/// Mails in a list, unless its reader asks for fewer.
const LIST_MAX: usize = 100;

/// The mails of a running stack.
pub(super) struct Outbox {
    mail: Mail,
    origin: Origin,
}

/// The query parameters of the list.
#[derive(Deserialize)]
struct Parameters {
    /// Show mails that were sent before the mail with this id.
    before: Option<String>,
    /// Show mails to this address only.
    to: Option<String>,
    /// The number of mails to look at, from the newest.
    limit: Option<usize>,
    /// Seconds between reloads of the page. 0 turns them off.
    refresh: Option<u32>,
}

/// A mail, as programs read it.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    at: Timestamp,
    /// The sender and the recipients that SES was called with.
    from: &'a str,
    to: &'a [String],
    #[serde(flatten)]
    parsed: &'a ParsedMail,
}

/// A mail and its content.
struct ReadMail {
    sent: SentMail,
    parsed: ParsedMail,
}

/// A part of the list.
struct Listed {
    mails: Vec<ReadMail>,
    /// The id of the last mail, if older ones may exist.
    before: Option<String>,
}

/// The response to a call that failed.
enum Failure {
    NotFound,
    /// The emulated AWS has stopped.
    Stopped,
}

impl Outbox {
    /// The outbox of `system`, whose own links start with `base_url`.
    pub(super) fn new(system: &System, base_url: &str) -> Self {
        Self { mail: system.aws.mail().clone(), origin: Origin::of(base_url) }
    }

    async fn list(&self, parameters: &Parameters) -> Result<Listed, Failure> {
        let max = parameters.limit.unwrap_or(LIST_MAX).min(LIST_MAX);
        let sent = self.mail.list(parameters.before.as_deref(), max).await?;
        let before = sent.last().filter(|_| sent.len() == max).map(|it| it.id.clone());
        let is_wanted = |it: &SentMail| match &parameters.to {
            Some(address) => it.to.iter().any(|to| is_to(to, address)),
            None => true,
        };
        let mails = sent.into_iter().filter(is_wanted).map(ReadMail::from).collect();
        Ok(Listed { mails, before })
    }

    async fn get(&self, id: &str) -> Result<ReadMail, Failure> {
        self.mail.get(id).await?.map(ReadMail::from).ok_or(Failure::NotFound)
    }
}

/// The routes of the outbox.
pub(super) fn router(outbox: Arc<Outbox>) -> Router {
    Router::new()
        .route("/outbox", get(list))
        .route("/outbox/", get(list))
        .route("/outbox/{id}", get(one))
        .route("/outbox/{id}/html", get(html))
        .route("/outbox/{id}/raw", get(raw))
        .with_state(outbox)
}

async fn list(
    State(outbox): State<Arc<Outbox>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Ok(Query(parameters)) = parameters else {
        let text = "`limit` and `refresh` must be numbers\n";
        return Ok((StatusCode::BAD_REQUEST, text).into_response());
    };
    let listed = outbox.list(&parameters).await?;
    if wants_json(&headers) {
        let data: Vec<_> = listed.mails.iter().map(View::of).collect();
        return Ok(Json(BTreeMap::from([("data", data)])).into_response());
    }
    Ok(page::list(&listed, parameters.refresh))
}

async fn one(
    State(outbox): State<Arc<Outbox>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let mail = outbox.get(&id).await?;
    if wants_json(&headers) {
        return Ok(Json(View::of(&mail)).into_response());
    }
    Ok(page::one(&mail, outbox.origin))
}

async fn html(
    State(outbox): State<Arc<Outbox>>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let mail = outbox.get(&id).await?;
    mail.parsed.html.as_deref().map(page::html).ok_or(Failure::NotFound)
}

async fn raw(
    State(outbox): State<Arc<Outbox>>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let mail = outbox.mail.get(&id).await?.ok_or(Failure::NotFound)?;
    Ok(page::raw(mail.raw))
}

/// True if a recipient, with or without a name, has this address.
fn is_to(recipient: &str, address: &str) -> bool {
    let its = recipient.rsplit_once('<').map_or(recipient, |(_, it)| it.trim_end_matches('>'));
    its.eq_ignore_ascii_case(address)
}

fn wants_json(headers: &HeaderMap) -> bool {
    header(headers, "accept").is_some_and(|it| it.contains("application/json"))
}

impl<'a> View<'a> {
    fn of(mail: &'a ReadMail) -> Self {
        let ReadMail { sent: SentMail { id, sent_at, from, to, .. }, parsed } = mail;
        Self { id, at: *sent_at, from, to, parsed }
    }
}

impl From<SentMail> for ReadMail {
    fn from(sent: SentMail) -> Self {
        let parsed = ParsedMail::of(&sent.raw);
        Self { sent, parsed }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(err: anyhow::Error) -> Self {
        tracing::error!(error = format!("{err:#}"), "could not read the mails");
        Self::Stopped
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => page::not_found(),
            Self::Stopped => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}
