//! Problems in the format of Ping.

use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{
    api::Problem,
    fronts::{error_text, problem_response},
};

/// A problem in the format of Ping.
#[derive(Debug)]
pub struct PingProblem(Problem);

impl From<Problem> for PingProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for PingProblem {
    fn into_response(self) -> Response {
        let body = json!({ "ok": false, "error": error_text(&self.0) });
        problem_response(self.0, &body)
    }
}
