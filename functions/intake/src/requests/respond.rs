//! `POST /v1/requests/{id}/responses`: an answer that the sender's own application collected.

use answerback::{
    api::{Code, FieldError, FieldErrors, Problem, body, http::JsonText},
    domain::{Answer, Request, Scope, limits::EMAIL_CHARS_MAX, request::Proof},
};
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::{find_settled, show};
use crate::{App, answers};

/// An answer of a recipient, as the sender describes it.
struct ResponseBody {
    /// The recipient's e-mail; none for the anonymous recipient.
    recipient: Option<String>,
    answer: Answer,
}

/// An answer that fits the question.
struct FittedResponse {
    row: usize,
    answer: Answer,
}

/// Records an answer for a recipient.
pub(crate) async fn respond(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::AnswersWrite).await?;
    let body = body?;
    let request = find_settled(&app, &caller, &id).await?;
    if !request.policy.accepts_api_answers {
        let detail = "only recipients answer this request, by their links";
        return Err(Problem::new(Code::ApiAnswersNotAccepted, detail));
    }
    let FittedResponse { row, answer } = fit(&request, read(body)?)?;
    // A result that may be read only once is not repeated in a refusal.
    let shown_row = (!request.policy.read.is_private()).then_some(row);
    let request = answers::record(&app, request, row, &answer, Proof::Key(caller.key()))
        .await
        .map_err(|err| answers::problem(err, shown_row))?;
    Ok(show(&app, &caller, &request).await)
}

fn read(body: JsonText) -> Result<ResponseBody, Problem> {
    body::read(body, |body| {
        let recipient = body.text("recipient", 1..=EMAIL_CHARS_MAX);
        Some(ResponseBody { recipient, answer: answers::read(body) })
    })
}

fn fit(request: &Request, body: ResponseBody) -> Result<FittedResponse, Problem> {
    let row = request.asked_row_of(body.recipient.as_deref());
    match (row, request.question.fit(body.answer)) {
        (Some(row), Ok(answer)) => Ok(FittedResponse { row, answer }),
        (row, answer) => {
            let stranger = || FieldError::pointer("/recipient", "is not one of the recipients");
            let misfits = answer.err().unwrap_or_default();
            let errors = row.is_none().then(stranger).into_iter();
            let errors = errors.chain(misfits.iter().map(FieldError::from));
            Err(Problem::invalid(errors.collect::<FieldErrors>()))
        }
    }
}
