//! The inbox as a page: no script, nothing from elsewhere, and whatever arrived escaped.

use std::sync::Arc;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};

use super::{RECEIVED_MAX, Received, Shown};

/// How often the page loads itself anew, unless the reader says otherwise.
const REFRESH_SECONDS: u32 = 5;

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page<'a> {
    received: &'a [Arc<Received>],
    /// None: the page stands still.
    refresh_seconds: Option<u32>,
    n_kept_max: usize,
}

/// Shows this, newest first; `refresh` is what the reader asked for, 0 for never.
pub(super) fn render(received: &[Arc<Received>], refresh: Option<u32>) -> Response {
    let seconds = refresh.unwrap_or(REFRESH_SECONDS);
    let refresh_seconds = (seconds > 0).then_some(seconds);
    let page = Page { received, refresh_seconds, n_kept_max: RECEIVED_MAX };
    let headers = [
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ];
    (headers, Html(page.render().expect("a string takes everything"))).into_response()
}

impl Received {
    /// When it came, as people read it.
    fn time(&self) -> String {
        self.received_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    fn text(&self) -> String {
        match &self.body {
            Shown::Json(value) => format!("{value:#}"),
            Shown::Text(text) => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn whatever_arrived_is_text_on_the_page() {
        let evil = "</pre><script>alert(1)</script>".to_owned();
        let received = Received {
            received_at: Timestamp::UNIX_EPOCH,
            path: evil.clone(),
            event: Some(evil.clone()),
            delivery_id: Some(evil.clone()),
            attempt: Some(evil.clone()),
            status: 204,
            verified: true,
            problem: None,
            body: Shown::Text(evil),
        };
        let received = [Arc::new(received)];
        let page = Page { received: &received, refresh_seconds: Some(5), n_kept_max: 200 };
        let page = page.render().expect("a string takes everything");
        assert_eq!(page.matches("alert(1)").count(), 5);
        assert!(!page.contains("<script") && page.contains("&#60;script"));
    }
}
