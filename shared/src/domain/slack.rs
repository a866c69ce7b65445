//! Slack: its identifiers, and the copies of messages there.

use std::fmt;

/// Most characters of an identifier. Today's have 9 to 13.
const ID_CHARS_MAX: usize = 20;
/// Most characters of a message's time, such as `1503435956.000247`.
const TS_CHARS_MAX: usize = 30;

/// The identifier of a workspace, user or channel of Slack, such as `U012AB3CD`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SlackId([u8; ID_CHARS_MAX]);

/// What an identifier of Slack is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlackIdKind {
    /// A workspace, or an organization of several.
    Team,
    /// A user.
    User,
    /// A channel, public or private, but no direct message.
    Channel,
}

/// A member of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlackUser {
    /// The workspace.
    pub team: SlackId,
    /// The user.
    pub user: SlackId,
}

/// A message as one person sees it in Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackCopy {
    /// The channel, which may be a direct message.
    pub channel: SlackId,
    /// Its time, by which Slack names it within the channel.
    pub ts: SlackTs,
    /// The user of the recipient.
    pub user: SlackId,
}

/// The time by which Slack names a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackTs(String);

impl SlackId {
    /// The identifier with this text: 2 to 20 of A-Z and 0-9.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (2..=ID_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
        let mut bytes = [0; ID_CHARS_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        is_id.then_some(Self(bytes))
    }

    /// It is of this kind. Its first letter says so.
    pub fn is(&self, kind: SlackIdKind) -> bool {
        self.as_str().starts_with(kind.letters())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|it| *it == 0).unwrap_or(ID_CHARS_MAX);
        str::from_utf8(&self.0[..length]).expect("it is ASCII")
    }
}

impl SlackIdKind {
    /// The first letters of its identifiers.
    pub fn letters(self) -> [char; 2] {
        match self {
            Self::Team => ['T', 'E'],
            Self::User => ['U', 'W'],
            Self::Channel => ['C', 'G'],
        }
    }
}

impl SlackTs {
    /// The time with this text: digits and a dot.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, rest) = text.split_once('.')?;
        let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        let is_ts = is_number(seconds) && is_number(rest) && text.len() <= TS_CHARS_MAX;
        is_ts.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SlackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlackId({self})")
    }
}

/// As identities are written: `slack:T…/U…`.
impl fmt::Display for SlackUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slack:{}/{}", self.team, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_times_keep_their_text() {
        for text in ["U1", "T0G9PQBBK", "W123456789012345678"] {
            assert_eq!(SlackId::parse(text).map(|it| it.to_string()).as_deref(), Some(text));
        }
        for text in ["", "U", "u012", "U-1", "U12345678901234567890", "Ü1", "U1\0"] {
            assert_eq!(SlackId::parse(text), None, "{text}");
        }
        for (text, is_ts) in [
            ("1503435956.000247", true),
            ("1.", false),
            (".1", false),
            ("1", false),
            ("1.a", false),
        ] {
            assert_eq!(SlackTs::parse(text).is_some(), is_ts, "{text}");
        }
    }
}
