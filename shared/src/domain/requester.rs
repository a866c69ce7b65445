//! Who asks.

/// Longest name of a requester or an account, in characters.
pub const REQUESTER_NAME_CHARS_MAX: usize = 100;
/// Longest id of a requester, in characters.
pub const REQUESTER_ID_CHARS_MAX: usize = 200;

/// Who asks by an account, according to the account. It is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The kind.
    pub kind: RequesterKind,
    /// The name that people see.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The account's own name for it.
    pub id: Option<String>,
}

/// The kind of a requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequesterKind {
    /// A person.
    Person,
    /// A program with a fixed task.
    Service,
    /// A program that acts by itself, such as an AI agent.
    Agent,
}

impl Requester {
    /// The text by which people know it: its name, or else its address or id.
    pub fn shown(&self) -> Option<&str> {
        self.name.as_deref().or(self.email.as_deref()).or(self.id.as_deref())
    }

    /// Its approximate bytes in the table.
    pub fn n_bytes(&self) -> usize {
        let texts = [&self.name, &self.email, &self.id];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + 40
    }
}

impl RequesterKind {
    /// All kinds, with their names in the API.
    pub const ALL: [(&str, Self); 3] =
        [("person", Self::Person), ("service", Self::Service), ("agent", Self::Agent)];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}
