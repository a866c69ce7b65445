//! The question of an answer link, as a page and as JSON. A read never decides anything.

use answerback::{
    api::{
        Code, Problem,
        browser::{self, html},
        cors,
        views::{self, ActionView, ChoiceView, FieldView, ResponseView, Time},
    },
    page::{self, ProblemKind},
    service::answer_page::{OpenedLink, PageFor},
};
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::App;

#[derive(Serialize)]
struct QuestionView<'a> {
    title: &'a str,
    body: Option<&'a str>,
    action: Option<ActionView<'a>>,
    options: Vec<ChoiceView<'a>>,
    fields: Vec<FieldView<'a>>,
    mode: &'static str,
    deadline: Time,
    status: &'static str,
    recipient: Option<RecipientView<'a>>,
    response: Option<ResponseView<'a>>,
    livemode: bool,
}

#[derive(Serialize)]
struct RecipientView<'a> {
    email: &'a str,
    name: Option<&'a str>,
}

/// Shows the answer page. `?option=` chooses an option, and decides nothing.
pub(crate) async fn page(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let words = browser::words(&headers);
    let Some(link) = app.core.open_link(&token).await? else {
        let page = page::render_problem(words, ProblemKind::UnknownLink);
        return Ok(html(StatusCode::NOT_FOUND, page));
    };
    let now = app.core.now();
    let is_gone = !link.is_open(now) && link.answered().is_none();
    let status = if is_gone { StatusCode::GONE } else { StatusCode::OK };
    let pairs = query.map(|Query(it)| it).unwrap_or_default();
    let chosen = pairs.iter().find(|(name, _)| name == "option").map(|(_, value)| value.as_str());
    Ok(html(status, link.page(PageFor::Visit { chosen }, words, now)))
}

/// Shows the question as JSON.
pub(crate) async fn show(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let link = app.core.open_link(&token).await?.ok_or_else(Problem::not_found)?;
    if !link.is_open(app.core.now()) && link.answered().is_none() {
        let problem = Problem::new(Code::RequestEnded, "this request no longer accepts answers");
        return Err(problem
            .with("request_status", views::request_status(&link.request))
            .with("outcome", views::request_outcome(&link.request)));
    }
    Ok(axum::Json(QuestionView::new(&link)).into_response())
}

/// Allows web pages of every origin to call this path.
pub(crate) async fn preflight() -> Response {
    cors::preflight()
}

impl<'a> QuestionView<'a> {
    fn new(link: &'a OpenedLink) -> Self {
        let (request, question) = (&link.request, &link.request.question);
        let recipient = question.recipients.get(link.row);
        Self {
            title: &question.title,
            body: question.body.as_deref(),
            action: question.action.as_ref().map(ActionView::new),
            options: question.options.iter().map(ChoiceView::new).collect(),
            fields: question.fields.iter().map(FieldView::new).collect(),
            mode: views::answer_mode(request.policy.mode),
            deadline: Time(request.deadline),
            status: views::request_status(request),
            recipient: recipient
                .map(|it| RecipientView { email: it.email.as_given(), name: it.name.as_deref() }),
            response: link.response(),
            livemode: request.owner.mode.is_live(),
        }
    }
}
