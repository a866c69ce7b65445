//! Secrets that sign, and how one follows upon another without a callback being refused.

use std::time::Duration;

use jiff::Timestamp;

/// How long a secret goes on signing after it was replaced, unless another time is asked for.
pub const OVERLAP_SECONDS: u32 = 86_400;
/// The longest that it may: 30 days.
pub const OVERLAP_SECONDS_MAX: u32 = 2_592_000;
/// How many of a secret's last characters are shown.
pub const END_CHARS: usize = 4;
/// Most previous secrets that sign at once.
pub const PREVIOUS_SECRETS_MAX: usize = 2;

/// What callbacks are signed with: the current secret, and then the previous ones, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(pub Vec<Secret>);

/// A text that only the vault can open.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// A signing secret and its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its text, `whsec_` and base64, sealed.
    pub sealed: Sealed,
    /// The text's last characters, by which people know it.
    pub end: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops signing; the current one has no end.
    pub expires_at: Option<Timestamp>,
}

/// Too many previous secrets sign already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{PREVIOUS_SECRETS_MAX} previous secrets sign already")]
pub struct TooManySecrets;

impl Secret {
    /// A secret that signs from `now` on.
    pub fn begin(sealed: Sealed, end: String, now: Timestamp) -> Self {
        Self { sealed, end, created_at: now, expires_at: None }
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl Secrets {
    /// The secrets with `new` as the current one, while the one before goes on signing for
    /// `overlap` from when `new` was made; nothing if it is among them already.
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

    /// Those that sign at `now`, the current one first.
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
        secrets.live(at(now)).map(|it| &*it.end).collect()
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
    fn a_new_secret_signs_first_and_the_one_before_until_its_overlap_ends() {
        let one = Secrets(vec![secret("one", 0)]);
        let two = rotate(&one, "two", 100, 10).expect("room").expect("news");
        assert_eq!((signing(&two, 109), signing(&two, 110)), (vec!["two", "one"], vec!["two"]));
        // The write's answer was lost, and it is made again.
        assert!(rotate(&two, "two", 100, 11).expect("room").is_none());

        let three = rotate(&two, "three", 100, 20).expect("room").expect("news");
        assert_eq!(signing(&three, 109), ["three", "two", "one"]);
        assert_eq!(signing(&three, 110), ["three", "two"]);
        assert_eq!(rotate(&three, "four", 100, 109).err(), Some(TooManySecrets));
        // One that ends at once needs no room.
        let four = rotate(&three, "four", 0, 109).expect("room").expect("news");
        assert_eq!(signing(&four, 109), ["four", "two", "one"]);
        let four = rotate(&three, "four", 100, 110).expect("room").expect("news");
        assert_eq!(signing(&four, 119), ["four", "three", "two"]);
        assert_eq!(four.0.len(), 3);
    }
}
