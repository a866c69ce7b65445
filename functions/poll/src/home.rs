//! The address of the service, and the icon of its pages.

use answerback::{
    api::browser::{html, prefers_html},
    page,
};
use axum::{
    Json,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse as _, Response},
};
use serde_json::json;

/// A day: the icon changes with a deployment at most.
const ICON_CACHE: &str = "max-age=86400";

/// Says what runs here: to a browser as a page, to a program as JSON.
pub(crate) async fn show(headers: HeaderMap) -> Response {
    let mut response = if prefers_html(&headers) {
        html(StatusCode::OK, page::render_home())
    } else {
        let links = json!({
            "service": "answerback",
            "openapi": "/openapi.json",
            "health": "/v1/health",
        });
        Json(links).into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Shows the icon. Browsers take SVG under this name too.
pub(crate) async fn favicon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, ICON_CACHE)], page::FAVICON).into_response()
}
