//! What the holder of an answer link does: answer, by the page's form or by JSON.

use std::collections::BTreeMap;

use answerback::{
    api::{
        Fields, Problem,
        body::FieldErrors,
        http::{Json, read_body},
        views,
    },
    domain::{
        Answer, Question, Request,
        question::{FieldKind, FieldValue, Misfit},
        request::Refusal,
    },
    page,
    service::{
        answering::{OpenedLink, Submission, html, misfit_problem},
        requests::refused,
    },
    store::AdvanceError,
};
use axum::{
    extract::{Path, Request as HttpRequest, State},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    App,
    requests::{answer_problem, fit, read_answer, record},
};

#[derive(Serialize)]
struct Recorded<'a> {
    response: Option<views::ResponseView<'a>>,
    status: &'static str,
}

/// Answers by JSON.
pub(crate) async fn answer_by_json(
    State(app): State<App>,
    Path(token): Path<String>,
    Json(body): Json,
) -> Result<Response, Problem> {
    let asked = find(&app, &token).await?.ok_or_else(Problem::not_found)?;
    let mut faults = FieldErrors::new();
    let answer = Fields::of(body, "", &mut faults);
    let answer = read_answer(answer, faults)?;
    let row = asked.row;
    let answer = fit(&asked.request, answer).map_err(|misfits| {
        // Who comes too late is told so, whatever they say.
        let refusal = asked.refusal(app.core.now());
        refusal
            .map_or_else(|| misfit_problem(&misfits), |it| refused(&asked.request, Some(row), &it))
    })?;
    let request = record(&app, asked.request, row, &answer)
        .await
        .map_err(|lost| answer_problem(lost, row, false))?;
    let asked = OpenedLink { request, row };
    let recorded =
        Recorded { response: asked.response(), status: views::request_status(&asked.request) };
    Ok(axum::Json(recorded).into_response())
}

/// Answers by the page's form, and shows the page as it then is.
pub(crate) async fn answer_by_form(
    State(app): State<App>,
    Path(token): Path<String>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let body = read_body(request, &()).await?;
    let Some(asked) = find(&app, &token).await? else {
        return Ok(html(StatusCode::NOT_FOUND, page::render_unknown()));
    };
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let question = &asked.request.question;
    let is_field = |key: &str| question.fields.iter().any(|it| it.key == key);
    let page::SubmittedForm { option, fields: values } = page::parse_form(&pairs, is_field);
    let row = asked.row;
    let (answer, mut misfits) = typed(question, option, &values);
    let answer = fit(&asked.request, answer).unwrap_or_else(|more| {
        // What is not even a number need not be told that it is missing.
        let known: Vec<_> = misfits.iter().map(|it| it.field.clone()).collect();
        misfits.extend(more.into_iter().filter(|it| !known.contains(&it.field)));
        Answer::default()
    });
    if !misfits.is_empty() {
        if let Some(refusal) = asked.refusal(app.core.now()) {
            return Ok(refused_page(&app, asked.request, row, &refusal));
        }
        let said = Submission { values: Some(&values), misfits: &misfits, is_second_try: false };
        let page = asked.page(&said, app.core.now());
        return Ok(html(StatusCode::UNPROCESSABLE_ENTITY, page));
    }
    Ok(match record(&app, asked.request, row, &answer).await {
        Ok(request) => shown(&app, request, row, StatusCode::OK, false),
        Err(AdvanceError::Refused(why)) => refused_page(&app, why.0, row, &why.1),
        Err(AdvanceError::Gone) => html(StatusCode::NOT_FOUND, page::render_unknown()),
        Err(AdvanceError::Contended) => busy(),
        Err(AdvanceError::Store(err)) => return Err(err.into()),
    })
}

/// What the link opens, as it is now.
async fn find(app: &App, token: &str) -> Result<Option<OpenedLink>, Problem> {
    Ok(app.core.open_link(token).await?)
}

/// The texts of a form as values of the question's fields, and those that are none.
fn typed(
    question: &Question,
    option: Option<String>,
    values: &[(String, String)],
) -> (Answer, Vec<Misfit>) {
    let mut fields = BTreeMap::new();
    let mut misfits = Vec::new();
    for (key, text) in values {
        let field = question.fields.iter().find(|it| it.key == *key);
        let value = match field.map(|it| &it.kind) {
            Some(FieldKind::Number { .. }) if text.trim().is_empty() => {
                FieldValue::Text(String::new())
            }
            Some(FieldKind::Number { .. }) => {
                if let Ok(number) = text.trim().parse() {
                    FieldValue::Number(number)
                } else {
                    let detail = "must be a number".to_owned();
                    misfits.push(Misfit { field: Some(key.clone()), detail });
                    continue;
                }
            }
            Some(FieldKind::Toggle) => match text.as_str() {
                "true" => FieldValue::Toggle(true),
                "false" | "" => FieldValue::Toggle(false),
                _ => FieldValue::Text(text.clone()),
            },
            Some(
                FieldKind::Text { .. } | FieldKind::Textarea { .. } | FieldKind::Select { .. },
            )
            | None => FieldValue::Text(text.clone()),
        };
        fields.insert(key.clone(), value);
    }
    (Answer { option, fields }, misfits)
}

fn refused_page(app: &App, request: Request, row: usize, refusal: &Refusal) -> Response {
    match refusal {
        Refusal::AlreadyAnswered(_) => shown(app, request, row, StatusCode::CONFLICT, true),
        Refusal::Ended | Refusal::AlreadyFinished => {
            shown(app, request, row, StatusCode::GONE, false)
        }
        Refusal::TooBusy => busy(),
        Refusal::Erased => html(StatusCode::NOT_FOUND, page::render_unknown()),
    }
}

fn shown(app: &App, request: Request, row: usize, status: StatusCode, again: bool) -> Response {
    let said = Submission { is_second_try: again, ..Submission::default() };
    html(status, OpenedLink { request, row }.page(&said, app.core.now()))
}

fn busy() -> Response {
    let page = page::render_problem(
        "Please try again",
        "Many people are answering at this moment, and your answer was not recorded. Go back and \
         send it again.",
    );
    let mut response = html(StatusCode::SERVICE_UNAVAILABLE, page);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
