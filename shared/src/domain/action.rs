//! An action: what a program will do if people approve.
//!
//! Its digest binds the approval to it. The program computes the same digest from the action that it
//! is about to carry out, and so knows that people approved this one.

use std::{collections::BTreeMap, fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use super::json::Json;

/// Longest name of an action, in characters.
pub const ACTION_NAME_CHARS_MAX: usize = 200;
/// Largest arguments of an action, in bytes of JSON.
pub const ACTION_ARGS_BYTES_MAX: usize = 16 * 1024;
/// The hash function, in the text of a digest.
const SCHEME: &str = "sha256:";
/// Characters of a digest.
pub const DIGEST_CHARS: usize = SCHEME.len() + 64;

/// What will be done if people approve.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Its arguments: JSON, as it was sent.
    pub args: String,
    /// The digest of both.
    pub digest: ActionDigest,
}

/// SHA-256 of the canonical form of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionDigest([u8; 32]);

impl Action {
    /// The action with this name and these arguments, whose value is `value`.
    pub fn new(name: String, args: String, value: Json) -> Self {
        let digest = ActionDigest::of(&name, value);
        Self { name, args, digest }
    }
}

impl ActionDigest {
    /// The digest of an action: of `{"args": …, "name": …}` in canonical form.
    pub fn of(name: &str, args: Json) -> Self {
        let members = [("name", Json::Text(name.to_owned())), ("args", args)];
        let members: BTreeMap<String, Json> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self(Sha256::digest(Json::Object(members).canonical()).into())
    }
}

impl fmt::Display for ActionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

/// A text that is not a digest of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `sha256:` and 64 lower-case hexadecimal digits")]
pub struct ParseDigestError;

impl FromStr for ActionDigest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let digits = text.strip_prefix(SCHEME).ok_or(ParseDigestError)?;
        let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() || !digits.bytes().all(is_digit) {
            return Err(ParseDigestError);
        }
        for (number, byte) in digest.iter_mut().enumerate() {
            let pair = &digits[2 * number..2 * number + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ParseDigestError)?;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_of_the_canonical_form() {
        let args = Json::Object([("env".to_owned(), Json::Text("prod".to_owned()))].into());
        let digest = ActionDigest::of("deploy", args);
        let expected = Sha256::digest("{\"args\":{\"env\":\"prod\"},\"name\":\"deploy\"}");
        assert_eq!(digest, ActionDigest(expected.into()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_ne!(digest, ActionDigest::of("deploy", Json::Null));
    }

    #[test]
    fn digest_has_one_spelling() {
        let digest = ActionDigest([0xab; 32]).to_string();
        let upper = digest.to_uppercase();
        let long = format!("{digest}0");
        for text in ["", "sha256:", &digest[7..], &digest[..70], &upper, &long, "sha256:é"] {
            assert_eq!(text.parse::<ActionDigest>(), Err(ParseDigestError), "{text}");
        }
    }
}
