//! `POST /v1/answers/{token}`.

use answerback::{
    api::{Code, FieldError, FieldErrors, Problem, body, http::JsonText, views},
    domain::{Answer, request::Proof},
    service::answer_page::OpenedLink,
};
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{CheckedCode, check_code, problem, read, record};
use crate::{App, step::refused};

/// Longest text that is looked at as a code.
const CODE_CHARS_MAX: usize = 32;

#[derive(Serialize)]
struct RecordedView<'a> {
    response: Option<views::ResponseView<'a>>,
    status: &'static str,
}

/// An answer, with the code of the link.
struct AnswerBody {
    answer: Answer,
    code: Option<String>,
}

/// Answers by JSON.
pub(crate) async fn answer_by_json(
    State(app): State<App>,
    Path(token): Path<String>,
    body: JsonText,
) -> Result<Response, Problem> {
    let link = app.core.open_link(&token).await?.ok_or_else(Problem::not_found)?;
    let AnswerBody { answer, code } = body::read(body, |it| {
        let code = it.text("code", 0..=CODE_CHARS_MAX);
        Some(AnswerBody { answer: read(it), code })
    })?;
    let row = link.row;
    let answer = link.request.question.fit(answer).map_err(|misfits| {
        // A recipient who is too late gets that refusal, whatever else is wrong.
        match link.refusal(app.core.now()) {
            Some(refusal) => refused(&link.request, Some(row), &refusal),
            None => Problem::invalid(misfits.iter().map(FieldError::from).collect::<FieldErrors>()),
        }
    })?;
    if link.request.has_answer(row, &answer) {
        return Ok(recorded(&link));
    }
    let link = match check_code(&app, link, code.as_deref()).await? {
        CheckedCode::Right(link) => link,
        CheckedCode::Missing(_) => {
            let detail = "send the 6 digits that came with the link as `code`";
            return Err(Problem::new(Code::CodeRequired, detail));
        }
        CheckedCode::Wrong(link) => {
            let n_left = link.request.n_code_tries_left(row);
            let detail = format!("the code is wrong; {n_left} more wrong codes lock the link");
            return Err(Problem::new(Code::CodeRequired, detail));
        }
        CheckedCode::Locked(_) => {
            let detail = "the code was wrong too often; the link's page can issue a new code";
            return Err(Problem::new(Code::LinkLocked, detail));
        }
    };
    let proof = if link.request.needs_code() { Proof::Code } else { Proof::Link };
    let request = record(&app, link.request, row, &answer, proof)
        .await
        .map_err(|err| problem(err, Some(row)))?;
    Ok(recorded(&OpenedLink { request, row }))
}

fn recorded(link: &OpenedLink) -> Response {
    let status = views::request_status(&link.request);
    axum::Json(RecordedView { response: link.response(), status }).into_response()
}
