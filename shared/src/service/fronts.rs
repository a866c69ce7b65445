//! What went wrong, as the products tell it whose APIs we speak beside our own.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Code, Problem};

/// A problem as `NextKS` tells it.
#[derive(Debug)]
pub struct NextKsProblem(Problem);

/// A problem as Ping tells it.
#[derive(Debug)]
pub struct PingProblem(Problem);

impl From<Problem> for NextKsProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Problem> for PingProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for NextKsProblem {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "details": text(&self.0) });
        response(self.0, &body)
    }
}

impl IntoResponse for PingProblem {
    fn into_response(self) -> Response {
        let body = json!({ "ok": false, "error": text(&self.0) });
        response(self.0, &body)
    }
}

/// Everything that is wrong, in one text.
fn text(problem: &Problem) -> String {
    match problem.faults() {
        [] => problem.detail().to_owned(),
        faults => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
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
