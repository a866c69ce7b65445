//! Problems in the format of `NextKS`.

use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{
    api::Problem,
    fronts::{error_text, problem_response},
};

/// A problem in the format of `NextKS`.
#[derive(Debug)]
pub struct NextKsProblem(Problem);

impl From<Problem> for NextKsProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for NextKsProblem {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "details": error_text(&self.0) });
        problem_response(self.0, &body)
    }
}
