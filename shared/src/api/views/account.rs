//! Accounts.

use serde::Serialize;

use super::Time;
use crate::domain::Account;

/// An account, without its secrets.
#[derive(Debug, Serialize)]
pub struct AccountView<'a> {
    id: String,
    name: Option<&'a str>,
    created_at: Time,
}

impl<'a> AccountView<'a> {
    /// The view of `account`.
    pub fn new(account: &'a Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.as_deref(),
            created_at: Time(account.created_at),
        }
    }
}
