//! `POST /a/{token}`: the form of the answer page.
//!
//! A form that is recorded leads back to the page. A form that may not come from a person leads to the
//! second step (see [`assurance`](answerback::domain::assurance)).

use std::collections::BTreeMap;

use answerback::{
    api::{Problem, browser::html, http::read_body},
    domain::{
        Answer, Decimal, Question, Request,
        assurance::Sureness,
        question::{FieldKind, FieldValue, Misfit},
        request::{AnswerVia, Refusal},
    },
    page::{self, SubmittedForm},
    service::answer_page::{Faults, OpenedLink, PageFor},
    store::AdvanceError,
};
use axum::{
    extract::{Path, Request as HttpRequest, State},
    http::{
        HeaderValue, StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse as _, Response},
};

use super::{CheckedCode, RefusedAnswer, check_code, record};
use crate::{
    App,
    step::{log_step, retry_after_seconds},
};

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
    let form = page::parse_form(&pairs, is_field);
    if form.wants_new_code {
        return renew_code(&app, link).await;
    }
    let answer = match fit(question, form.option.clone(), &form.fields) {
        Ok(answer) => answer,
        Err(misfits) => {
            let faults = Faults { misfits: &misfits, ..Faults::default() };
            return Ok(corrected(&app, link, &form, faults));
        }
    };
    if link.request.has_answer(link.row, &answer) {
        return Ok(see_page(&link));
    }
    let link = match check_code(&app, link, form.code.as_deref()).await? {
        CheckedCode::Right(link) => link,
        CheckedCode::Missing(link) => {
            let faults = Faults { code: Some("enter the code"), ..Faults::default() };
            return Ok(corrected(&app, link, &form, faults));
        }
        CheckedCode::Wrong(link) => {
            let n_left = link.request.n_code_tries_left(link.row);
            let detail = format!("the code is wrong; {n_left} more wrong codes lock this link");
            let faults = Faults { code: Some(&detail), ..Faults::default() };
            return Ok(corrected(&app, link, &form, faults));
        }
        CheckedCode::Locked(link) => return Ok(locked_page(&app, &link)),
    };
    let now = app.core.now();
    let sureness = link.judge(&form, now);
    // An answer to a closed request is refused below, sure or not.
    if sureness != Sureness::Sure && link.is_open(now) {
        let page = link.page(PageFor::Confirmation { form: &form, sureness }, now);
        return Ok(html(StatusCode::OK, page));
    }
    let row = link.row;
    Ok(match record(&app, link.request, row, &answer, AnswerVia::Link).await {
        Ok(request) => see_page(&OpenedLink { request, row }),
        Err(AdvanceError::Refused(why)) => refused_page(&app, *why, row, &form),
        Err(AdvanceError::Gone) => html(StatusCode::NOT_FOUND, page::render_unknown()),
        Err(AdvanceError::Contended) => busy(),
        Err(AdvanceError::Store(err)) => return Err(err.into()),
    })
}

/// Leads to the page, so that a reload does not send the form again.
fn see_page(link: &OpenedLink) -> Response {
    let location = HeaderValue::from_str(&link.path()).expect("a path of ASCII");
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// Issues a new code for a link that was locked.
async fn renew_code(app: &App, link: OpenedLink) -> Result<Response, Problem> {
    let (op, now, row) = (app.core.new_op(), app.core.now(), link.row);
    let step = |it: &Request| {
        // A link that cannot have a new code stays locked, and its page says so.
        Ok::<_, Problem>(it.renew_code(row, now, op).unwrap_or_default())
    };
    let request = app.core.advance(link.request, step).await?;
    log_step(&request, op, "issued a new code");
    Ok(see_page(&OpenedLink { request, row }))
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

/// The form again with its faults, while the recipient may still answer.
fn corrected(app: &App, link: OpenedLink, form: &SubmittedForm, faults: Faults<'_>) -> Response {
    let now = app.core.now();
    if let Some(refusal) = link.refusal(now) {
        return refused_page(app, RefusedAnswer { request: link.request, refusal }, link.row, form);
    }
    let page = link.page(PageFor::Correction { form, faults }, now);
    html(StatusCode::UNPROCESSABLE_ENTITY, page)
}

fn refused_page(app: &App, refused: RefusedAnswer, row: usize, form: &SubmittedForm) -> Response {
    let RefusedAnswer { request, refusal } = refused;
    let wait = retry_after_seconds(&refusal);
    let link = OpenedLink { request, row };
    let whole = refusal.to_string();
    let again =
        PageFor::Correction { form, faults: Faults { whole: Some(&whole), ..<_>::default() } };
    let (status, page_for) = match refusal {
        Refusal::AlreadyAnswered(_) => (StatusCode::CONFLICT, PageFor::Refusal { form }),
        Refusal::Ended | Refusal::AlreadyFinished => (StatusCode::GONE, PageFor::Refusal { form }),
        Refusal::ChangedTooSoon | Refusal::ChangedTooOften { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, again)
        }
        Refusal::TooBusy => (StatusCode::SERVICE_UNAVAILABLE, again),
        Refusal::LinkLocked => return locked_page(app, &link),
        Refusal::Erased => return html(StatusCode::NOT_FOUND, page::render_unknown()),
    };
    let mut response = html(status, link.page(page_for, app.core.now()));
    if let Some(seconds) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn locked_page(app: &App, link: &OpenedLink) -> Response {
    html(StatusCode::FORBIDDEN, link.page(PageFor::Visit { chosen: None }, app.core.now()))
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
