//! Webhooks as Nextmv's clients send them, and problems with pointers into those bodies.

use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::{api::Problem, domain::Profile};

/// Name of the URL in `/v1`.
const URL: &str = "url";
/// Name of the URL in Nextmv's API.
const ENDPOINT_URL: &str = "endpoint_url";
const PROFILE: &str = "profile";

/// A problem whose pointers name the members that the client sent.
#[derive(Debug)]
pub struct NextmvProblem(Problem);

impl From<Problem> for NextmvProblem {
    fn from(problem: Problem) -> Self {
        Self(problem.map_pointers(|pointer| match pointer.strip_prefix('/').map(swapped) {
            Some(Some(name)) => format!("/{name}"),
            Some(None) | None => pointer.to_owned(),
        }))
    }
}

impl IntoResponse for NextmvProblem {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// `body` as `POST /v1/webhooks` and `PUT /v1/webhooks/{id}` take it.
pub fn new_webhook(mut body: Value) -> Value {
    if let Value::Object(members) = &mut body {
        members.entry(PROFILE).or_insert(Value::Null);
    }
    webhook_patch(body)
}

/// `body` as `PATCH /v1/webhooks/{id}` takes it. Bodies other than objects stay as they are.
pub fn webhook_patch(body: Value) -> Value {
    let Value::Object(members) = body else { return body };
    let translate = |(name, value): (String, Value)| match (swapped(&name), value) {
        (Some(other), value) => (other.to_owned(), value),
        (None, Value::Null) if name == PROFILE => (name, Profile::Nextmv.spec().name.into()),
        (None, value) => (name, value),
    };
    Value::Object(members.into_iter().map(translate).collect())
}

/// The two names change places. A `url` thus becomes an unknown field of `/v1`, and the error about it
/// points at the `url` that the client sent.
fn swapped(name: &str) -> Option<&'static str> {
    match name {
        URL => Some(ENDPOINT_URL),
        ENDPOINT_URL => Some(URL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::FieldError;

    #[test]
    fn new_webhook_has_url_and_default_profile() {
        let sent = json!({ "id": "runs", "endpoint_url": "https://hooks.example.com/" });
        let expected =
            json!({ "id": "runs", "url": "https://hooks.example.com/", "profile": "nextmv" });
        assert_eq!(new_webhook(sent), expected);
        assert_eq!(new_webhook(json!({ "profile": null })), json!({ "profile": "nextmv" }));
        let named = json!({ "profile": "standard" });
        assert_eq!(new_webhook(named.clone()), named);
    }

    #[test]
    fn patch_changes_profile_only_where_it_is_null() {
        assert_eq!(webhook_patch(json!({ "enabled": true })), json!({ "enabled": true }));
        assert_eq!(webhook_patch(json!({ "profile": null })), json!({ "profile": "nextmv" }));
        assert_eq!(webhook_patch(json!(["profile"])), json!(["profile"]));
    }

    #[test]
    fn errors_point_at_members_that_the_client_sent() {
        let error = |pointer: &str| FieldError::pointer(pointer, "is wrong");
        let ours = ["/url", "/endpoint_url", "/headers/url", "/profile", ""].map(error);
        let NextmvProblem(problem) = Problem::invalid(ours.to_vec()).into();
        let theirs = ["/endpoint_url", "/url", "/headers/url", "/profile", ""].map(error);
        assert_eq!(problem.errors().as_slice(), theirs);
        assert_eq!(problem.detail(), "`/endpoint_url` is wrong, and 4 more");
    }
}
