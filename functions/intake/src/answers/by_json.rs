//! `POST /v1/answers/{token}`.

use answerback::{
    api::{FieldError, Problem, body, http::JsonText, views},
    service::answer_page::OpenedLink,
};
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{problem, read, record};
use crate::{App, step::refused};

#[derive(Serialize)]
struct RecordedView<'a> {
    response: Option<views::ResponseView<'a>>,
    status: &'static str,
}

/// Answers by JSON.
pub(crate) async fn answer_by_json(
    State(app): State<App>,
    Path(token): Path<String>,
    body: JsonText,
) -> Result<Response, Problem> {
    let link = app.core.open_link(&token).await?.ok_or_else(Problem::not_found)?;
    let answer = body::read(body, |it| Some(read(it)))?;
    let row = link.row;
    let answer = link.request.question.fit(answer).map_err(|misfits| {
        // A recipient who is too late gets that refusal, whatever else is wrong.
        match link.refusal(app.core.now()) {
            Some(refusal) => refused(&link.request, Some(row), &refusal),
            None => Problem::invalid(misfits.iter().map(FieldError::from).collect()),
        }
    })?;
    let request =
        record(&app, link.request, row, &answer).await.map_err(|err| problem(err, Some(row)))?;
    let link = OpenedLink { request, row };
    let status = views::request_status(&link.request);
    Ok(axum::Json(RecordedView { response: link.response(), status }).into_response())
}
