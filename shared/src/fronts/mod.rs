//! The formats of other products: one folder each, with bodies, problems and views.
//!
//! ```text
//! nextks   problems and the status of a request; the callback body of the profile `nextks`
//! ping     channels, problems and messages; the callback body of the profile `ping`
//! nextmv   webhooks with `endpoint_url`
//! noukai   the callback body of the profile `noukai`
//! ```
//!
//! Routes are in the functions. Timeouts, retries and signatures of a product are its profile, in
//! `domain::profile`.

pub mod nextks;
pub mod nextmv;
pub mod noukai;
pub mod ping;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::api::{Code, Problem};

/// All broken rules in one text, for formats without a list of errors.
fn error_text(problem: &Problem) -> String {
    let errors = problem.errors();
    if errors.is_empty() {
        return problem.detail().to_owned();
    }
    let mut texts: Vec<String> = errors.as_slice().iter().map(ToString::to_string).collect();
    if errors.are_truncated() {
        texts.push(format!("and {} more", errors.len() - texts.len()));
    }
    texts.join("; ")
}

/// `problem` with the body of another product. Broken rules are a 400 there.
fn problem_response(problem: Problem, body: &Value) -> Response {
    problem.log();
    let status = match problem.code() {
        Code::InvalidRequest => StatusCode::BAD_REQUEST,
        _ => problem.status(),
    };
    let mut response = problem.into_response();
    // Without the problem in its extensions, the layer around all routes keeps this body.
    response.extensions_mut().clear();
    *response.status_mut() = status;
    *response.body_mut() = Body::from(body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
