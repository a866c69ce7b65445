//! What the holder of an answer link sees. Looking never decides anything.

use answerback::{
    api::{
        Code, Problem,
        views::{self, ChoiceView, FieldView, ResponseView, Time},
    },
    domain::request::AnswerMode,
    page,
    service::answering::{OpenedLink, Submission, html},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::App;

#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    body: Option<&'a str>,
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

/// The page, for people.
pub(crate) async fn page(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let (status, page) = match find(&app, &token).await? {
        None => (StatusCode::NOT_FOUND, page::render_unknown()),
        Some(asked) => {
            let now = app.core.now();
            let is_gone = !asked.is_open(now) && asked.answered().is_none();
            let status = if is_gone { StatusCode::GONE } else { StatusCode::OK };
            (status, asked.page(&Submission::default(), now))
        }
    };
    Ok(html(status, page))
}

/// The same, for programs.
pub(crate) async fn show(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let asked = find(&app, &token).await?.ok_or_else(Problem::not_found)?;
    if !asked.is_open(app.core.now()) && asked.answered().is_none() {
        let problem = Problem::new(Code::RequestEnded, "this request no longer accepts answers");
        return Err(problem
            .with("request_status", views::request_status(&asked.request))
            .with("outcome", views::request_outcome(&asked.request)));
    }
    let (request, question) = (&asked.request, &asked.request.question);
    let view = View {
        title: &question.title,
        body: question.body.as_deref(),
        options: question.options.iter().map(ChoiceView::new).collect(),
        fields: question.fields.iter().map(FieldView::new).collect(),
        mode: match request.policy.mode {
            AnswerMode::OnUserAction => "on_user_action",
            AnswerMode::OnTimeout => "on_timeout",
        },
        deadline: Time(request.deadline),
        status: views::request_status(request),
        recipient: question
            .recipients
            .get(asked.row)
            .map(|it| RecipientView { email: &it.email, name: it.name.as_deref() }),
        response: asked.response(),
        livemode: request.owner.mode.is_live(),
    };
    let no_store = [("cache-control", "no-store")];
    Ok((no_store, axum::Json(view)).into_response())
}

/// What the link opens, as it is now.
async fn find(app: &App, token: &str) -> Result<Option<OpenedLink>, Problem> {
    Ok(app.core.open_link(token).await?)
}
