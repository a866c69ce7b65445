//! Actions, and the use of an approval.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::Action;

/// An action, with its arguments as they were sent.
#[derive(Debug, Serialize)]
pub struct ActionView<'a> {
    name: &'a str,
    args: Box<RawValue>,
    digest: String,
}

impl<'a> ActionView<'a> {
    /// The view of `action`.
    pub fn new(action: &'a Action) -> Self {
        Self {
            name: &action.name,
            args: RawValue::from_string(action.args.clone()).expect("stored arguments are JSON"),
            digest: action.digest.to_string(),
        }
    }
}
