//! The proof of who answers.

use crate::domain::{KeyId, slack::SlackUser};

/// The way in which it was shown who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By the recipient's link.
    Link,
    /// By the link, in the second step of its page.
    Confirm,
    /// By the link and its code.
    Code,
    /// By an API key of the sender, whose application collected the answer.
    Key(KeyId),
    /// By a press of a button in Slack, which names the user.
    Slack(SlackUser),
}

impl Proof {
    /// The answer came by a link.
    pub(super) fn is_of_link(self) -> bool {
        match self {
            Self::Link | Self::Confirm | Self::Code => true,
            Self::Key(_) | Self::Slack(_) => false,
        }
    }
}
