//! What a sender does with a request: answer it for somebody, cancel it, erase it.

use answerback::{
    api::{
        Fields, Problem,
        body::{FieldErrors, note},
        http::Json,
        views,
    },
    domain::{
        Request, Scope,
        question::{ANSWER_BYTES_MAX, Answer, Misfit},
        request::Refusal,
    },
    service::{
        Caller,
        answering::misfit_problem,
        requests::{self, callback_delivery, find, is_visible, log_step, refused},
    },
    store::AdvanceError,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{App, question::field_value};

/// Takes a request back.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let request = find_settled(&app, &caller, &id).await?;
    // Before anything else takes time: what has come to its deadline meanwhile is not cancelled.
    let now = app.core.now();
    let subscriptions = app.core.webhooks.subscriptions(request.owner).await;
    let op = app.core.new_op();
    let request = app
        .core
        .advance(request, |it| {
            it.cancel(subscriptions, now, op).map_err(|refusal| refused(it, None, &refusal))
        })
        .await?;
    app.core.hints.send_for_request(&request, false, now).await;
    log_step(&request, op, "cancelled a request");
    show(&app, &caller, &request).await
}

/// Records an answer that the sender's own application collected.
pub(crate) async fn respond(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json, Problem>,
) -> Result<Response, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let Json(body) = body?;
    let request = find_settled(&app, &caller, &id).await?;

    let mut faults = FieldErrors::new();
    let mut fields = Fields::of(body, "", &mut faults);
    let email = fields.text("recipient", 1..=254, &mut faults);
    let answer = fit(&request, read_answer(fields, faults)?);
    let row = request.question.row_of(email.as_deref());
    let (Some(row), Ok(answer)) = (row, &answer) else {
        let mut faults = FieldErrors::new();
        if row.is_none() {
            note(&mut faults, "/recipient", "is not one of the recipients");
        }
        if let Err(misfits) = answer {
            faults.extend_from_slice(misfit_problem(&misfits).faults());
        }
        return Err(Problem::invalid(faults));
    };

    let hidden = request.policy.read.is_private();
    let request = record(&app, request, row, answer)
        .await
        .map_err(|lost| answer_problem(lost, row, hidden))?;
    show(&app, &caller, &request).await
}

/// Erases a request's content, answers and deliveries.
pub(crate) async fn erase(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let caller = app.core.accounts.caller(&headers, Scope::RequestsWrite).await?;
    let request = find(&app.core.store, &caller, &id).await?;
    let now = app.core.now();
    let request = app.core.advance(request, |it| Ok::<_, Problem>(it.erase(now))).await?;
    app.core.hints.send_for_request(&request, false, now).await;
    tracing::info!(request.id = %request.id, account.id = %request.owner.account, "erased a request");
    Ok(StatusCode::NO_CONTENT)
}

/// Why an answer was not recorded, with the request as it then was.
pub(crate) type NotRecorded = AdvanceError<Box<(Request, Refusal)>>;

/// Records an answer that fits, and tells whoever must know.
pub(crate) async fn record(
    app: &App,
    request: Request,
    row: usize,
    answer: &Answer,
) -> Result<Request, NotRecorded> {
    let subscriptions = app.core.webhooks.subscriptions(request.owner).await;
    let op = app.core.new_op();
    let now = app.core.now();
    let request = app
        .core
        .advance(request, |it| {
            it.answer(row, answer, subscriptions, now, op)
                .map_err(|refusal| Box::new((it.clone(), refusal)))
        })
        .await?;
    app.core.hints.send_for_request(&request, false, now).await;
    log_step(&request, op, "recorded an answer");
    Ok(request)
}

/// Why an answer was not recorded, as the API says it. `hidden`: the caller is not to see what
/// was answered.
pub(crate) fn answer_problem(lost: NotRecorded, row: usize, hidden: bool) -> Problem {
    match lost {
        AdvanceError::Refused(why) => refused(&why.0, (!hidden).then_some(row), &why.1),
        AdvanceError::Gone => Problem::not_found(),
        AdvanceError::Contended => Problem::too_busy(),
        AdvanceError::Store(err) => err.into(),
    }
}

/// Takes the rest of an answer's body: option and fields.
pub(crate) fn read_answer(mut body: Fields, mut faults: FieldErrors) -> Result<Answer, Problem> {
    let faults = &mut faults;
    let option = body.text("option", 0..=1_000, faults);
    let mut fields = std::collections::BTreeMap::new();
    if let Some(members) = body.object("fields", faults) {
        let pointer = members.pointer("");
        for (key, value) in members.into_rest().into_iter().filter(|(_, it)| !it.is_null()) {
            match field_value(value) {
                Some(value) => _ = fields.insert(key, value),
                None => note(
                    faults,
                    format!("{pointer}{}", key.replace('~', "~0").replace('/', "~1")),
                    "must be text, a number or a boolean",
                ),
            }
        }
    }
    body.finish(faults);
    if faults.is_empty() {
        Ok(Answer { option, fields })
    } else {
        Err(Problem::invalid(std::mem::take(faults)))
    }
}

/// The answer as it is recorded, or everything that is wrong with it.
pub(crate) fn fit(request: &Request, answer: Answer) -> Result<Answer, Vec<Misfit>> {
    let answer = request.question.fit(answer)?;
    let fields = serde_json::Value::from(views::answer_fields(&answer)).to_string();
    let n_bytes = fields.len() + answer.option.as_ref().map_or(0, String::len);
    if n_bytes > ANSWER_BYTES_MAX {
        let detail = format!("the answer must have at most {ANSWER_BYTES_MAX} bytes");
        return Err(vec![Misfit { field: None, detail }]);
    }
    Ok(answer)
}

async fn find_settled(app: &App, caller: &Caller, id: &str) -> Result<Request, Problem> {
    let request = find(&app.core.store, caller, id).await?;
    let request = app.core.settled(request).await?;
    // It may have been erased while it was being settled.
    request.filter(|it| is_visible(it, caller)).ok_or_else(Problem::not_found)
}

async fn show(app: &App, caller: &Caller, request: &Request) -> Result<Response, Problem> {
    // What was asked for is done; the state of its callback is not worth failing for.
    let delivery = callback_delivery(&app.core.store, request).await.unwrap_or_else(|err| {
        tracing::warn!(
            request.id = %request.id,
            error = &err as &(dyn std::error::Error + 'static),
            "the callback's delivery was not read"
        );
        None
    });
    let view = requests::view(request, delivery.as_ref(), caller, app.core.now());
    Ok(axum::Json(view).into_response())
}
