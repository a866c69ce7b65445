//! The languages of the page's own words.

/// A language that a request's sender may choose for its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locale {
    /// English.
    En,
    /// German.
    De,
    /// Spanish.
    Es,
}

impl Locale {
    /// All languages, with their tags of BCP 47.
    pub const ALL: [(&str, Self); 3] = [("en", Self::En), ("de", Self::De), ("es", Self::Es)];

    /// Its tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Es => "es",
        }
    }

    /// The language with this tag.
    pub fn parse(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(it, _)| *it == tag).map(|(_, it)| it)
    }
}
