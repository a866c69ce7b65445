//! Signing secrets and their rotation.
//!
//! After a rotation the new secret and the previous one both sign, until the overlap ends. So a
//! receiver can switch at any time within the overlap, and no callback is refused.

use std::time::Duration;

use jiff::Timestamp;

/// Default overlap of a rotation: a day.
pub const OVERLAP_SECONDS: u32 = 86_400;
/// Longest overlap of a rotation: 30 days.
pub const OVERLAP_SECONDS_MAX: u32 = 2_592_000;
/// Characters at the end of a secret that people may see.
pub const SUFFIX_CHARS: usize = 4;
/// Most previous secrets that sign in addition to the current one.
pub const PREVIOUS_SECRETS_MAX: usize = 2;

/// The current secret, and then the previous ones, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(pub Vec<Secret>);

/// Bytes that only the vault can decrypt.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// A signing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its text, `whsec_` and base64, encrypted.
    pub sealed: Sealed,
    /// The last characters of its text, by which people recognize it.
    pub suffix: String,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time at which it stops signing. The current secret has none.
    pub expires_at: Option<Timestamp>,
}

/// Too many previous secrets still sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{PREVIOUS_SECRETS_MAX} previous secrets still sign")]
pub struct TooManySecrets;

impl Secret {
    /// A secret that signs from `now` on.
    pub fn begin(sealed: Sealed, suffix: String, now: Timestamp) -> Self {
        Self { sealed, suffix, created_at: now, expires_at: None }
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl Secrets {
    /// The secrets with `new` as the current one. The one before keeps signing for `overlap`, from
    /// the creation of `new`. `None` if `new` is one of them already.
    pub fn rotate(&self, new: &Secret, overlap: Duration) -> Result<Option<Self>, TooManySecrets> {
        if self.0.iter().any(|it| it.sealed == new.sealed) {
            return Ok(None);
        }
        let now = new.created_at;
        let previous = self.live(now).map(|it| {
            let expires_at = it.expires_at.unwrap_or(now + overlap);
            Secret { expires_at: Some(expires_at), ..it.clone() }
        });
        let previous = previous.filter(|it| it.expires_at.is_some_and(|end| now < end));
        let secrets: Vec<Secret> = std::iter::once(new.clone()).chain(previous).collect();
        if secrets.len() > 1 + PREVIOUS_SECRETS_MAX {
            return Err(TooManySecrets);
        }
        Ok(Some(Self(secrets)))
    }

    /// The secrets that sign at `now`, the current one first.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        self.0.iter().filter(move |it| it.expires_at.is_none_or(|end| now < end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn secret(name: &str, now: i64) -> Secret {
        Secret::begin(Sealed(name.into()), name.to_owned(), at(now))
    }

    fn signing(secrets: &Secrets, now: i64) -> Vec<&str> {
        secrets.live(at(now)).map(|it| &*it.suffix).collect()
    }

    fn rotate(
        secrets: &Secrets,
        new: &str,
        seconds: u64,
        now: i64,
    ) -> Result<Option<Secrets>, TooManySecrets> {
        secrets.rotate(&secret(new, now), Duration::from_secs(seconds))
    }

    #[test]
    fn previous_secret_signs_until_its_overlap_ends() {
        let one = Secrets(vec![secret("one", 0)]);
        let two = rotate(&one, "two", 100, 10).expect("room").expect("news");
        assert_eq!((signing(&two, 109), signing(&two, 110)), (vec!["two", "one"], vec!["two"]));
        // The response to the write was lost, and the write is repeated.
        assert!(rotate(&two, "two", 100, 11).expect("room").is_none());

        let three = rotate(&two, "three", 100, 20).expect("room").expect("news");
        assert_eq!(signing(&three, 109), ["three", "two", "one"]);
        assert_eq!(signing(&three, 110), ["three", "two"]);
        assert_eq!(rotate(&three, "four", 100, 109).err(), Some(TooManySecrets));
        // A secret without overlap does not count.
        let four = rotate(&three, "four", 0, 109).expect("room").expect("news");
        assert_eq!(signing(&four, 109), ["four", "two", "one"]);
        let four = rotate(&three, "four", 100, 110).expect("room").expect("news");
        assert_eq!(signing(&four, 119), ["four", "three", "two"]);
        assert_eq!(four.0.len(), 3);
    }
}
