//! `POST /a/{token}`: the form of the answer page, which is shown again afterwards.

use std::collections::BTreeMap;

use answerback::{
    api::{Problem, http::read_body},
    domain::{
        Answer, Decimal, Question, Request,
        question::{FieldKind, FieldValue, Misfit},
        request::Refusal,
    },
    page,
    service::answer_page::{OpenedLink, Submission, html},
    store::AdvanceError,
};
use axum::{
    extract::{Path, Request as HttpRequest, State},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::Response,
};

use super::{RefusedAnswer, record};
use crate::App;

/// The fields of a form, converted to the types of the question.
struct TypedForm {
    answer: Answer,
    /// The texts that have not their field's type.
    misfits: Vec<Misfit>,
}

/// Answers by the page's form.
pub(crate) async fn answer_by_form(
    State(app): State<App>,
    Path(token): Path<String>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let body = read_body(request, &()).await?;
    let Some(link) = app.core.open_link(&token).await? else {
        return Ok(html(StatusCode::NOT_FOUND, page::render_unknown()));
    };
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let question = &link.request.question;
    let is_field = |key: &str| question.fields.iter().any(|it| it.key == key);
    let page::SubmittedForm { option, fields: values } = page::parse_form(&pairs, is_field);
    let answer = match fit(question, option, &values) {
        Ok(answer) => answer,
        Err(misfits) => return Ok(misfit_page(&app, link, &values, &misfits)),
    };
    let row = link.row;
    Ok(match record(&app, link.request, row, &answer).await {
        Ok(request) => shown(&app, request, row, StatusCode::OK),
        Err(AdvanceError::Refused(why)) => refused_page(&app, *why, row),
        Err(AdvanceError::Gone) => html(StatusCode::NOT_FOUND, page::render_unknown()),
        Err(AdvanceError::Contended) => busy(),
        Err(AdvanceError::Store(err)) => return Err(err.into()),
    })
}

/// The answer that is recorded, or all errors of the form.
fn fit(
    question: &Question,
    option: Option<String>,
    values: &[(String, String)],
) -> Result<Answer, Vec<Misfit>> {
    let TypedForm { answer, mut misfits } = typed(question, option, values);
    match question.fit(answer) {
        Ok(answer) if misfits.is_empty() => Ok(answer),
        Ok(_) => Err(misfits),
        Err(more) => {
            // A text that is no number has its error; it is not missing in addition.
            let known: Vec<_> = misfits.iter().map(|it| it.field.clone()).collect();
            misfits.extend(more.into_iter().filter(|it| !known.contains(&it.field)));
            Err(misfits)
        }
    }
}

fn typed(question: &Question, option: Option<String>, values: &[(String, String)]) -> TypedForm {
    let mut fields = BTreeMap::new();
    let mut misfits = Vec::new();
    for (key, text) in values {
        let field = question.fields.iter().find(|it| it.key == *key);
        let value = match field.map(|it| &it.kind) {
            Some(FieldKind::Number { .. }) if text.trim().is_empty() => {
                FieldValue::Text(String::new())
            }
            Some(FieldKind::Number { .. }) => {
                if let Some(number) = Decimal::parse(text) {
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
    TypedForm { answer: Answer { option, fields }, misfits }
}

/// The form again, with its errors, while the recipient may still answer.
fn misfit_page(
    app: &App,
    link: OpenedLink,
    values: &[(String, String)],
    misfits: &[Misfit],
) -> Response {
    let now = app.core.now();
    if let Some(refusal) = link.refusal(now) {
        return refused_page(app, RefusedAnswer { request: link.request, refusal }, link.row);
    }
    let submission = Submission { values: Some(values), misfits, is_second_try: false };
    html(StatusCode::UNPROCESSABLE_ENTITY, link.page(&submission, now))
}

fn refused_page(app: &App, refused: RefusedAnswer, row: usize) -> Response {
    let RefusedAnswer { request, refusal } = refused;
    match refusal {
        Refusal::AlreadyAnswered(_) => {
            let submission = Submission { is_second_try: true, ..Submission::default() };
            let page = OpenedLink { request, row }.page(&submission, app.core.now());
            html(StatusCode::CONFLICT, page)
        }
        Refusal::Ended | Refusal::AlreadyFinished => shown(app, request, row, StatusCode::GONE),
        Refusal::TooBusy => busy(),
        Refusal::Erased => html(StatusCode::NOT_FOUND, page::render_unknown()),
    }
}

fn shown(app: &App, request: Request, row: usize, status: StatusCode) -> Response {
    html(status, OpenedLink { request, row }.page(&Submission::default(), app.core.now()))
}

fn busy() -> Response {
    let page = page::render_problem(
        "Please try again",
        "Many people are answering at the moment, and your answer was not recorded. Go back and \
         send it again.",
    );
    let mut response = html(StatusCode::SERVICE_UNAVAILABLE, page);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
