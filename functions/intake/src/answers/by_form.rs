//! `POST /a/{token}`: the form of the answer page.
//!
//! A form that is recorded leads back to the page. A form that may not come from a person leads to the
//! second step (see [`assurance`](answerback::domain::assurance)).

use std::collections::BTreeMap;

use answerback::{
    api::{
        Problem,
        browser::{self, html},
        http::read_body,
    },
    domain::{
        Answer, Decimal, Question, Request,
        assurance::Sureness,
        question::{Fault, FieldKind, FieldValue, Misfit},
        request::Refusal,
    },
    page::{self, Control, ProblemKind, SubmittedForm, Words},
    service::answer_page::{CodeFault, Faults, OpenedLink, PageFor},
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
    let reader = Reader { app: &app, words: browser::words(request.headers()) };
    let body = read_body(request, &()).await?;
    let Some(link) = app.core.open_link(&token).await? else {
        return Ok(reader.unknown_link());
    };
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let question = &link.request.question;
    let form = page::parse_form(&pairs, |key| control(question, key));
    if form.wants_new_code {
        return renew_code(&app, link).await;
    }
    let answer = match fit(question, form.option.clone(), &form.fields) {
        Ok(answer) => answer,
        Err(misfits) => {
            let faults = Faults { misfits: &misfits, ..Faults::default() };
            return Ok(reader.corrected(link, &form, faults));
        }
    };
    if link.request.has_answer(link.row, &answer) {
        return Ok(see_page(&link));
    }
    let link = match check_code(&app, link, form.code.as_deref()).await? {
        CheckedCode::Right(link) => link,
        CheckedCode::Missing(link) => {
            let faults = Faults { code: Some(CodeFault::Missing), ..Faults::default() };
            return Ok(reader.corrected(link, &form, faults));
        }
        CheckedCode::Wrong(link) => {
            let n_left = link.request.n_code_tries_left(link.row);
            let faults = Faults { code: Some(CodeFault::Wrong { n_left }), ..Faults::default() };
            return Ok(reader.corrected(link, &form, faults));
        }
        CheckedCode::Locked(link) => return Ok(reader.locked(&link)),
    };
    let now = app.core.now();
    let sureness = link.judge(&form, now);
    // An answer to a closed request is refused below, sure or not.
    if sureness != Sureness::Sure && link.is_open(now) {
        let page_for = PageFor::Confirmation { form: &form, sureness };
        return Ok(reader.page(StatusCode::OK, &link, page_for));
    }
    let (row, proof) = (link.row, link.proof(&form));
    Ok(match record(&app, link.request, row, &answer, proof).await {
        Ok(request) => see_page(&OpenedLink { request, row }),
        Err(AdvanceError::Refused(why)) => reader.refused(*why, row, &form),
        Err(AdvanceError::Gone) => reader.unknown_link(),
        Err(AdvanceError::Contended) => reader.busy(),
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
    app.core.hints.send_for_request(&request).await;
    log_step(&request, op, "issued a new code");
    Ok(see_page(&OpenedLink { request, row }))
}

/// The answer that is recorded, or all errors of the form.
pub(crate) fn fit(
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
                    misfits.push(Misfit { field: Some(key.clone()), fault: Fault::NotANumber });
                    continue;
                }
            }
            Some(FieldKind::Toggle) => match text.as_str() {
                "true" => FieldValue::Toggle(true),
                "false" | "" => FieldValue::Toggle(false),
                _ => FieldValue::Text(text.clone()),
            },
            Some(FieldKind::MultiSelect { .. }) => {
                let values = text.lines().filter(|it| !it.is_empty());
                FieldValue::Choices(values.map(str::to_owned).collect())
            }
            Some(
                FieldKind::Text { .. }
                | FieldKind::Textarea { .. }
                | FieldKind::Select { .. }
                | FieldKind::Date { .. },
            )
            | None => FieldValue::Text(text.clone()),
        };
        fields.insert(key.clone(), value);
    }
    TypedForm { answer: Answer { option, fields }, misfits }
}

/// The control of a field.
fn control(question: &Question, key: &str) -> Option<Control> {
    let field = question.fields.iter().find(|it| it.key == key)?;
    Some(match field.kind {
        FieldKind::MultiSelect { .. } => Control::Boxes,
        FieldKind::Text { .. }
        | FieldKind::Textarea { .. }
        | FieldKind::Number { .. }
        | FieldKind::Select { .. }
        | FieldKind::Date { .. }
        | FieldKind::Toggle => Control::Single,
    })
}

/// The person who sent the form, and gets a page.
#[derive(Clone, Copy)]
struct Reader<'a> {
    app: &'a App,
    /// The words of the person's language.
    words: &'static Words,
}

impl Reader<'_> {
    fn page(self, status: StatusCode, link: &OpenedLink, page_for: PageFor<'_>) -> Response {
        html(status, link.page(page_for, self.words, self.app.core.now()))
    }

    /// The form again with its faults, while the recipient may still answer.
    fn corrected(self, link: OpenedLink, form: &SubmittedForm, faults: Faults<'_>) -> Response {
        if let Some(refusal) = link.refusal(self.app.core.now()) {
            let refused = RefusedAnswer { request: link.request, refusal };
            return self.refused(refused, link.row, form);
        }
        let page_for = PageFor::Correction { form, faults };
        self.page(StatusCode::UNPROCESSABLE_ENTITY, &link, page_for)
    }

    fn refused(self, refused: RefusedAnswer, row: usize, form: &SubmittedForm) -> Response {
        let RefusedAnswer { request, refusal } = refused;
        let wait = retry_after_seconds(&refusal);
        let link = OpenedLink { request, row };
        let faults = Faults { refusal: Some(&refusal), ..Faults::default() };
        let again = PageFor::Correction { form, faults };
        let (status, page_for) = match &refusal {
            Refusal::AlreadyAnswered(_) => (StatusCode::CONFLICT, PageFor::Refusal { form }),
            Refusal::Ended | Refusal::AlreadyFinished | Refusal::NoOpenPlace => {
                (StatusCode::GONE, PageFor::Refusal { form })
            }
            Refusal::ChangedTooSoon
            | Refusal::ChangedTooOften { .. }
            | Refusal::RemindedTooSoon { .. } => (StatusCode::TOO_MANY_REQUESTS, again),
            Refusal::TooBusy => (StatusCode::SERVICE_UNAVAILABLE, again),
            Refusal::LinkLocked => return self.locked(&link),
            Refusal::NotAsked | Refusal::Erased => return self.unknown_link(),
        };
        let mut response = self.page(status, &link, page_for);
        if let Some(seconds) = wait {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn locked(self, link: &OpenedLink) -> Response {
        self.page(StatusCode::FORBIDDEN, link, PageFor::Visit { chosen: None })
    }

    fn unknown_link(self) -> Response {
        let page = page::render_problem(self.words, ProblemKind::UnknownLink);
        html(StatusCode::NOT_FOUND, page)
    }

    fn busy(self) -> Response {
        let page = page::render_problem(self.words, ProblemKind::Busy);
        let mut response = html(StatusCode::SERVICE_UNAVAILABLE, page);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }
}
