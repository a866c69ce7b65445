//! The action that is approved, in pieces that the template marks.

/// An action, in the spelling of JSON.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name.
    pub name: Vec<Piece>,
    /// Its arguments.
    pub args: Vec<Piece>,
    /// The digest of both.
    pub digest: String,
    /// The answer that approves it, and the use of the approval, in sentences.
    pub approval: Vec<String>,
}

/// A part of JSON.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Punctuation, numbers and literals.
    Plain(String),
    /// The inside of a string. Its direction of writing does not reach the rest.
    Quoted(Vec<Quoted>),
}

/// A part of a string.
#[derive(Clone, Debug)]
pub enum Quoted {
    /// Characters that people see.
    Text(String),
    /// Escapes of characters that they would not see.
    Hidden(String),
}

impl Quoted {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Hidden(text) => text,
        }
    }
}
