//! Signing secrets are sealed before they are stored, beyond the table's own encryption: who reads
//! the table alone, or a backup of it, cannot sign in our name.
//!
//! What seals is a data key, which stands wrapped beside each secret. KMS makes it and unwraps it,
//! each once in a process.
//!
//! ```text
//! sealed: version · length of the wrapped key · wrapped key · nonce · AES-256-GCM (NIST SP 800-38D)
//! ```
//!
//! The nonce is made from key, account and secret, so that it is the same for the same and for
//! nothing else. The account goes into the seal: a secret that is moved to another does not open.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_kms::{primitives::Blob, types::DataKeySpec};
use jiff::Timestamp;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::Cache;
use crate::{
    domain::{
        AccountId, Secret, Secrets,
        secret::{SUFFIX_CHARS, Sealed},
    },
    platform::Entropy,
    signing::{self, SigningKey},
};

/// The only version there is.
const VERSION: u8 = 1;
/// What KMS binds data keys to, and writes into its log.
const CONTEXT: (&str, &str) = ("answerback", "signing-secrets");
/// Most data keys that a process remembers.
const CACHE_MAX: usize = 1_000;

/// What seals secrets, and opens them.
#[derive(Clone)]
pub struct Vault(Arc<Keeper>);

enum Keeper {
    /// No key: a function that neither seals nor opens.
    Absent,
    /// One key for all, in the simulation.
    Simulated(DataKey),
    /// A key of AWS's, which never leaves KMS, for data keys.
    Kms {
        client: aws_sdk_kms::Client,
        key_id: String,
        /// What this process seals with.
        current: Mutex<Option<(Vec<u8>, DataKey)>>,
        /// What it has opened, by how it is wrapped.
        opened: Cache<Vec<u8>, DataKey>,
    },
}

#[derive(Clone, Copy)]
struct DataKey([u8; 32]);

/// A secret that was just made: as it is kept, and as its owner gets it.
#[derive(Debug)]
pub struct NewSecret {
    /// What is kept.
    pub kept: Secret,
    /// What its owner gets.
    pub text: SecretString,
}

/// A secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// KMS did not answer as it should.
    #[error("KMS did not {operation} a data key")]
    Kms {
        /// What it was to do.
        operation: &'static str,
        /// What the SDK reported.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This function has no vault.
    #[error("this function has no key for secrets")]
    Absent,
    /// It was not sealed with this key, or not for this account.
    #[error("the secret does not open")]
    DoesNotOpen,
}

impl Vault {
    /// A vault of the simulation's, which seals with `key`.
    pub fn simulated(key: [u8; 32]) -> Self {
        Self(Arc::new(Keeper::Simulated(DataKey(key))))
    }

    /// The vault of a function that neither seals nor opens secrets; both fail.
    pub fn absent() -> Self {
        Self(Arc::new(Keeper::Absent))
    }

    /// A vault that seals with data keys, which the key `key_id` in KMS wraps.
    pub fn kms(client: aws_sdk_kms::Client, key_id: impl Into<String>) -> Self {
        let (key_id, current) = (key_id.into(), Mutex::default());
        let opened = Cache::new(Duration::MAX, CACHE_MAX);
        Self(Arc::new(Keeper::Kms { client, key_id, current, opened }))
    }

    /// A new secret of `account`.
    pub async fn make(
        &self,
        account: AccountId,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<NewSecret, VaultError> {
        let text = signing::new_secret(entropy.next_secret());
        let sealed = self.seal(account, &text).await?;
        let whole = text.expose_secret();
        let end =
            whole.char_indices().nth_back(SUFFIX_CHARS - 1).map_or(whole, |it| &whole[it.0..]);
        Ok(NewSecret { kept: Secret::begin(sealed, end.to_owned(), now), text })
    }

    /// The secret's text.
    pub async fn open(
        &self,
        account: AccountId,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<SecretString, VaultError> {
        let (wrapped, nonce, sealed) = parts(&secret.sealed).ok_or(VaultError::DoesNotOpen)?;
        let key = self.0.unwrap(wrapped, now).await?;
        let mut text = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::DoesNotOpen)?;
        let text = key
            .cipher()
            .open_in_place(nonce, Aad::from(account.to_string()), &mut text)
            .map_err(|_| VaultError::DoesNotOpen)?;
        let text = str::from_utf8(text).map_err(|_| VaultError::DoesNotOpen)?;
        Ok(text.into())
    }

    /// What signs at `now`, the current secret first.
    pub async fn signing_keys(
        &self,
        account: AccountId,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<Vec<SigningKey>, VaultError> {
        let mut keys = Vec::new();
        for secret in secrets.live(now) {
            let text = self.open(account, secret, now).await?;
            keys.push(SigningKey::parse(&text).map_err(|_| VaultError::DoesNotOpen)?);
        }
        Ok(keys)
    }

    async fn seal(&self, account: AccountId, text: &SecretString) -> Result<Sealed, VaultError> {
        let (wrapped, key) = self.0.current().await?;
        let account = account.to_string();
        let nonce = key.nonce(&account, text);
        let mut sealed = text.expose_secret().as_bytes().to_vec();
        key.cipher()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(account),
                &mut sealed,
            )
            .expect("a secret is not of gigabytes");
        let length = u16::try_from(wrapped.len()).expect("KMS wraps a key in some 200 bytes");
        let parts = [&[VERSION][..], &length.to_be_bytes(), &wrapped, &nonce, &sealed];
        Ok(Sealed(parts.concat()))
    }
}

impl Keeper {
    /// What to seal with, wrapped and not.
    async fn current(&self) -> Result<(Vec<u8>, DataKey), VaultError> {
        let (client, key_id, current) = match self {
            Self::Absent => return Err(VaultError::Absent),
            Self::Simulated(key) => return Ok((Vec::new(), *key)),
            Self::Kms { client, key_id, current, .. } => (client, key_id, current),
        };
        if let Some(current) = current.lock().expect("no panic while it was held").clone() {
            return Ok(current);
        }
        let failed = |source| VaultError::Kms { operation: "make", source };
        let made = client
            .generate_data_key()
            .key_id(key_id)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context(CONTEXT.0, CONTEXT.1)
            .send()
            .await
            .map_err(|err| failed(err.into()))?;
        let key = made.plaintext.and_then(|it| DataKey::of(it.as_ref()));
        let wrapped = made.ciphertext_blob.map(Blob::into_inner);
        let made = wrapped.zip(key).ok_or_else(|| failed("it gave none".into()))?;
        *current.lock().expect("no panic while it was held") = Some(made.clone());
        Ok(made)
    }

    /// The data key that is wrapped so.
    async fn unwrap(&self, wrapped: &[u8], now: Timestamp) -> Result<DataKey, VaultError> {
        let (client, key_id, opened) = match self {
            Self::Absent => return Err(VaultError::Absent),
            Self::Simulated(key) if wrapped.is_empty() => return Ok(*key),
            Self::Simulated(_) => return Err(VaultError::DoesNotOpen),
            Self::Kms { client, key_id, opened, .. } => (client, key_id, opened),
        };
        if let Some(key) = opened.get(&wrapped.to_vec(), now) {
            return Ok(key);
        }
        let failed = |source| VaultError::Kms { operation: "unwrap", source };
        let unwrapped = client
            .decrypt()
            .key_id(key_id)
            .ciphertext_blob(Blob::new(wrapped))
            .encryption_context(CONTEXT.0, CONTEXT.1)
            .send()
            .await
            .map_err(|err| failed(err.into()))?;
        let key = unwrapped.plaintext.and_then(|it| DataKey::of(it.as_ref()));
        let key = key.ok_or_else(|| failed("it gave none".into()))?;
        opened.insert(wrapped.to_vec(), key, now);
        Ok(key)
    }
}

impl DataKey {
    fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn cipher(self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("it has 32 bytes"))
    }

    fn nonce(self, account: &str, text: &SecretString) -> [u8; NONCE_LEN] {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        mac.update(account.as_bytes());
        mac.update(text.expose_secret().as_bytes());
        mac.sign().as_ref()[..NONCE_LEN].try_into().expect("12 of 32 bytes")
    }
}

/// The wrapped key, the nonce, and what is sealed.
fn parts(sealed: &Sealed) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, rest) = sealed.0.split_at_checked(3)?;
    if head[0] != VERSION {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    let (wrapped, rest) = rest.split_at_checked(length)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    Some((wrapped, nonce, sealed))
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    fn sealed(vault: &Vault, account: AccountId, entropy: &Entropy) -> NewSecret {
        let made = vault.make(account, Timestamp::UNIX_EPOCH, entropy).now_or_never();
        made.expect("nothing waits").expect("it is sealed")
    }

    fn open(vault: &Vault, account: AccountId, secret: &Secret) -> Option<String> {
        let text = vault
            .open(account, secret, Timestamp::UNIX_EPOCH)
            .now_or_never()
            .expect("nothing waits")
            .ok()?;
        Some(text.expose_secret().to_owned())
    }

    #[test]
    fn what_was_sealed_opens_for_its_account_with_its_key_and_unaltered() {
        let entropy = Entropy::counting();
        let (vault, other) = (Vault::simulated([7; 32]), Vault::simulated([8; 32]));
        let (account, stranger) = (AccountId::from_bits(1 << 30), AccountId::from_bits(1 << 40));
        let NewSecret { kept, text } = sealed(&vault, account, &entropy);
        let text = text.expose_secret();
        assert_eq!(open(&vault, account, &kept).as_deref(), Some(text));
        assert!(text.ends_with(&kept.suffix) && kept.suffix.len() == SUFFIX_CHARS);
        assert_eq!(open(&vault, stranger, &kept), None);
        assert_eq!(open(&other, account, &kept), None);
        for at in 0..kept.sealed.0.len() {
            let mut altered = kept.clone();
            altered.sealed.0[at] ^= 1;
            assert_eq!(open(&vault, account, &altered), None, "byte {at}");
        }
        let shown = format!("{kept:?} {vault:?}");
        let inside = text.trim_start_matches("whsec_");
        assert!(!shown.contains(inside) && !shown.contains("sealed: ["));
        assert!(!String::from_utf8_lossy(&kept.sealed.0).contains(inside));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let secret = Secret::begin(Sealed(bytes), String::new(), Timestamp::UNIX_EPOCH);
            let vault = Vault::simulated([7; 32]);
            prop_assert_eq!(open(&vault, AccountId::from_bits(0), &secret), None);
        }
    }
}
