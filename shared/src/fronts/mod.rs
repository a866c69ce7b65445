//! Other products' words for our API: one module for each product, with its bodies, problems and views.

pub mod nextks;
pub mod ping;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::api::{Code, Problem};

/// Everything that is wrong, in one text.
fn text(problem: &Problem) -> String {
    match problem.errors() {
        [] => problem.detail().to_owned(),
        errors => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

fn response(problem: Problem, body: &Value) -> Response {
    problem.log();
    let status = match problem.code() {
        Code::InvalidRequest => StatusCode::BAD_REQUEST,
        _ => problem.status(),
    };
    let mut response = problem.into_response();
    // The body is written here, and so by nobody else.
    response.extensions_mut().clear();
    *response.status_mut() = status;
    *response.body_mut() = Body::from(body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
