//! `NextKS`: its problems.

use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{response, text};
use crate::api::Problem;

/// A problem in the shape of `NextKS`.
#[derive(Debug)]
pub struct NextKsProblem(Problem);

impl From<Problem> for NextKsProblem {
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
