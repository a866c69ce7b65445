//! Who asks.

use serde::Serialize;

use crate::domain::Requester;

/// A requester.
#[derive(Debug, Serialize)]
pub struct RequesterView<'a> {
    kind: &'static str,
    name: Option<&'a str>,
    email: Option<&'a str>,
    id: Option<&'a str>,
}

impl<'a> RequesterView<'a> {
    /// The view of `requester`.
    pub fn new(requester: &'a Requester) -> Self {
        Self {
            kind: requester.kind.as_str(),
            name: requester.name.as_deref(),
            email: requester.email.as_deref(),
            id: requester.id.as_deref(),
        }
    }
}
