//! The owner of an object: an account in one mode.

use super::AccountId;

/// The mode of a key, and of everything created with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// For real questions.
    Live,
    /// For tests.
    Test,
}

/// An account in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The account.
    pub account: AccountId,
    /// The mode.
    pub mode: Mode,
}

impl Owner {
    /// The account in live mode.
    pub fn live(account: AccountId) -> Self {
        Self { account, mode: Mode::Live }
    }

    /// The account in test mode.
    pub fn test(account: AccountId) -> Self {
        Self { account, mode: Mode::Test }
    }
}

impl Mode {
    /// The mode with this value of `livemode` in the API.
    pub fn of_livemode(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// The value of `livemode` in the API.
    pub fn is_live(self) -> bool {
        self == Self::Live
    }

    /// The mode in the text of keys, and in the table: `live` or `test`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// The mode with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Test].into_iter().find(|it| it.as_str() == text)
    }
}
