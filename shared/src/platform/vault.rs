//! The vault seals signing secrets, and what receivers are called with, before they are stored. A
//! reader of the table or of a backup cannot sign in our name.
//!
//! A secret is encrypted under a data key (envelope encryption). KMS generates the data key, and
//! its wrapped form is stored in front of each secret. A process asks KMS once to generate a key,
//! and once to decrypt each wrapped key that it meets.
//!
//! ```text
//! sealed = version (1 byte) · length of the wrapped key (2) · wrapped key · nonce (12) ·
//!          ciphertext and tag of AES-256-GCM (NIST SP 800-38D)
//! ```
//!
//! The nonce is an HMAC of holder and secret under the data key, so it repeats only for the same
//! secret. The holder is associated data: a secret does not open for another account, mode or thing.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_kms::{primitives::Blob, types::DataKeySpec};
use jiff::Timestamp;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Cache, SharedReads};
use crate::{
    domain::{
        OpId, Secret, Secrets, Source,
        secret::{Holder, SUFFIX_CHARS, Sealed},
    },
    platform::{Deferred, Entropy},
    signing::{self, SigningKey, SigningKeys},
    store::keys,
};

/// First byte of a sealed secret.
const VERSION: u8 = 1;
/// Encryption contexts: KMS binds data keys to them, and `CloudTrail` logs them. A function whose role names
/// one of them opens no others.
const SECRETS: EncryptionContext = ("answerback", "signing-secrets");
const NOTIFIERS: EncryptionContext = ("kind", "notifier");
/// Most unwrapped data keys in the cache of a process.
const CACHE_MAX: usize = 1_000;

/// Seals and opens signing secrets. Clones share the cached data keys.
#[derive(Clone)]
pub struct Vault(Arc<KeySource>);

/// Source of data keys.
enum KeySource {
    /// No key, in a function that does not use secrets.
    Absent,
    /// The simulation's only data key.
    Simulated(DataKey),
    /// A KMS key that wraps data keys and never leaves KMS.
    Kms {
        client: Deferred<aws_sdk_kms::Client>,
        key_id: String,
        /// The data keys that this process seals with.
        current: Mutex<HashMap<EncryptionContext, WrappedKey>>,
        /// Data keys by their wrapped form.
        unwrapped: Cache<Vec<u8>, DataKey>,
        /// The webhooks of an account usually have the same key.
        unwrapping: SharedReads<Vec<u8>, DataKey, VaultError>,
    },
}

/// A name and its value.
type EncryptionContext = (&'static str, &'static str);

/// An AES-256 key.
#[derive(Clone, Copy)]
struct DataKey([u8; 32]);

/// A data key and its wrapped form.
#[derive(Clone)]
struct WrappedKey {
    wrapped: Vec<u8>,
    key: DataKey,
}

/// The parts of a sealed secret.
struct SealedParts<'a> {
    wrapped_key: &'a [u8],
    nonce: &'a [u8],
    ciphertext: &'a [u8],
}

/// A secret that was just created.
#[derive(Debug)]
pub struct NewSecret {
    /// The sealed form, to store.
    pub kept: Secret,
    /// The text, to show to its owner.
    pub text: SecretString,
}

/// A secret could not be sealed or opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultError {
    /// KMS failed.
    #[error("KMS did not {operation} a data key")]
    Kms {
        /// The operation: `make` or `unwrap`.
        operation: &'static str,
        /// Error of the SDK.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// This function has no vault.
    #[error("this function has no vault")]
    Absent,
    /// The secret was sealed with another key or for another account, or it is damaged.
    #[error("the secret does not open")]
    DoesNotOpen,
    /// All secrets have expired, which a rotation never leaves behind.
    #[error("no secret is live")]
    NoLiveSecret,
}

impl Vault {
    /// A vault for the simulation, which seals with `key`.
    pub fn simulated(key: [u8; 32]) -> Self {
        Self(Arc::new(KeySource::Simulated(DataKey(key))))
    }

    /// The vault of a function that does not use secrets. Sealing and opening fail.
    pub fn absent() -> Self {
        Self(Arc::new(KeySource::Absent))
    }

    /// A vault whose data keys are wrapped by the KMS key `key_id`.
    pub fn kms(client: Deferred<aws_sdk_kms::Client>, key_id: impl Into<String>) -> Self {
        let (key_id, current) = (key_id.into(), Mutex::default());
        let unwrapped = Cache::new(Duration::MAX, CACHE_MAX);
        let unwrapping = SharedReads::default();
        Self(Arc::new(KeySource::Kms { client, key_id, current, unwrapped, unwrapping }))
    }

    /// Creates a secret for `holder`.
    pub async fn make(
        &self,
        holder: &Holder,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<NewSecret, VaultError> {
        let text = signing::new_secret(entropy.next_secret());
        let sealed = self.seal(holder, context(holder), &text).await?;
        let whole = text.expose_secret();
        let end =
            whole.char_indices().nth_back(SUFFIX_CHARS - 1).map_or(whole, |it| &whole[it.0..]);
        Ok(NewSecret { kept: Secret::begin(sealed, end.to_owned(), now), text })
    }

    /// Opens a secret of `holder`.
    pub async fn open(
        &self,
        holder: &Holder,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<SecretString, VaultError> {
        self.unseal(holder, context(holder), &secret.sealed, now).await
    }

    /// Seals a credential that the receiver of `holder` expects.
    pub async fn seal_credential(
        &self,
        holder: &Holder,
        text: &SecretString,
    ) -> Result<Sealed, VaultError> {
        self.seal(holder, credential_context(holder), text).await
    }

    /// Opens a credential of `holder`.
    pub async fn open_credential(
        &self,
        holder: &Holder,
        sealed: &Sealed,
        now: Timestamp,
    ) -> Result<SecretString, VaultError> {
        self.unseal(holder, credential_context(holder), sealed, now).await
    }

    async fn unseal(
        &self,
        holder: &Holder,
        context: String,
        sealed: &Sealed,
        now: Timestamp,
    ) -> Result<SecretString, VaultError> {
        let parts = SealedParts::split(sealed).ok_or(VaultError::DoesNotOpen)?;
        let key = self.0.unwrap(encryption_context(holder), parts.wrapped_key, now).await?;
        let mut text = parts.ciphertext.to_vec();
        let nonce =
            Nonce::try_assume_unique_for_key(parts.nonce).map_err(|_| VaultError::DoesNotOpen)?;
        let text = key
            .cipher()
            .open_in_place(nonce, Aad::from(context), &mut text)
            .map_err(|_| VaultError::DoesNotOpen)?;
        let text = str::from_utf8(text).map_err(|_| VaultError::DoesNotOpen)?;
        Ok(text.into())
    }

    /// The keys of the secrets of `holder` that are live at `now`.
    pub async fn signing_keys(
        &self,
        holder: &Holder,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<SigningKeys, VaultError> {
        let mut live = secrets.live(now);
        let current = live.next().ok_or(VaultError::NoLiveSecret)?;
        let current = self.signing_key(holder, current, now).await?;
        let mut previous = Vec::new();
        for secret in live {
            previous.push(self.signing_key(holder, secret, now).await?);
        }
        Ok(SigningKeys { current, previous })
    }

    async fn signing_key(
        &self,
        holder: &Holder,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<SigningKey, VaultError> {
        let text = self.open(holder, secret, now).await?;
        SigningKey::parse(&text).map_err(|_| VaultError::DoesNotOpen)
    }

    async fn seal(
        &self,
        holder: &Holder,
        context: String,
        text: &SecretString,
    ) -> Result<Sealed, VaultError> {
        let WrappedKey { wrapped, key } = self.0.current(encryption_context(holder)).await?;
        let nonce = key.nonce(&context, text);
        let mut sealed = text.expose_secret().as_bytes().to_vec();
        key.cipher()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed,
            )
            .expect("a secret has less than 64 GiB");
        let length = u16::try_from(wrapped.len()).expect("KMS wraps a key in about 200 bytes");
        let parts = [&[VERSION][..], &length.to_be_bytes(), &wrapped, &nonce, &sealed];
        Ok(Sealed(parts.concat()))
    }
}

/// The associated data of a holder's secrets. No two holders have the same.
fn context(holder: &Holder) -> String {
    match holder {
        Holder::Account(owner, Source::Requests) => format!("{}#requests", keys::owner(*owner)),
        Holder::Account(owner, Source::Events) => format!("{}#events", keys::owner(*owner)),
        Holder::Webhook(owner, webhook) => format!("{}#webhook#{webhook}", keys::owner(*owner)),
        Holder::Channel(owner, channel) => format!("{}#channel#{channel}", keys::owner(*owner)),
        Holder::Request(owner, request) => format!("{}#{request}", keys::owner(*owner)),
        Holder::Event(owner, event) => format!("{}#{event}", keys::owner(*owner)),
        Holder::Notifier(owner, id, OpId(op)) => format!("{}#{id}#{op:016x}", keys::owner(*owner)),
    }
}

/// The encryption context of a holder's data key.
fn encryption_context(holder: &Holder) -> EncryptionContext {
    match holder {
        Holder::Notifier(..) => NOTIFIERS,
        Holder::Account(..)
        | Holder::Webhook(..)
        | Holder::Channel(..)
        | Holder::Request(..)
        | Holder::Event(..) => SECRETS,
    }
}

/// The associated data of a holder's credentials, which is that of no signing secret.
fn credential_context(holder: &Holder) -> String {
    format!("{}#credential", context(holder))
}

impl KeySource {
    /// The data key to seal with.
    async fn current(&self, context: EncryptionContext) -> Result<WrappedKey, VaultError> {
        let (client, key_id, current) = match self {
            Self::Absent => return Err(VaultError::Absent),
            Self::Simulated(key) => return Ok(WrappedKey { wrapped: Vec::new(), key: *key }),
            Self::Kms { client, key_id, current, .. } => (client, key_id, current),
        };
        if let Some(current) = current.lock().expect("no holder panics").get(&context) {
            return Ok(current.clone());
        }
        let failed = |err| VaultError::kms("make", err);
        let made = client
            .generate_data_key()
            .key_id(key_id)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context(context.0, context.1)
            .send()
            .await
            .map_err(|err| failed(err.into()))?;
        let key = made.plaintext.and_then(|it| DataKey::of(it.as_ref()));
        let wrapped = made.ciphertext_blob.map(Blob::into_inner);
        let made = wrapped.zip(key).map(|(wrapped, key)| WrappedKey { wrapped, key });
        let made = made.ok_or_else(|| failed("the response has no key".into()))?;
        current.lock().expect("no holder panics").insert(context, made.clone());
        Ok(made)
    }

    /// The data key with this wrapped form.
    async fn unwrap(
        &self,
        context: EncryptionContext,
        wrapped: &[u8],
        now: Timestamp,
    ) -> Result<DataKey, VaultError> {
        let (client, key_id, cache, unwrapping) = match self {
            Self::Absent => return Err(VaultError::Absent),
            Self::Simulated(key) if wrapped.is_empty() => return Ok(*key),
            Self::Simulated(_) => return Err(VaultError::DoesNotOpen),
            Self::Kms { client, key_id, unwrapped, unwrapping, .. } => {
                (client, key_id, unwrapped, unwrapping)
            }
        };
        if let Some(key) = cache.get(&wrapped.to_vec(), now) {
            return Ok(key);
        }
        let call = client
            .decrypt()
            .key_id(key_id)
            .ciphertext_blob(Blob::new(wrapped))
            .encryption_context(context.0, context.1);
        let wrapped = wrapped.to_vec();
        let unwrap = async move {
            let failed = |err| VaultError::kms("unwrap", err);
            let unwrapped = call.send().await.map_err(|err| failed(err.into()))?;
            let key = unwrapped.plaintext.and_then(|it| DataKey::of(it.as_ref()));
            key.ok_or_else(|| failed("the response has no key".into()))
        };
        let key = unwrapping.share(wrapped.clone(), unwrap).await?;
        unwrapping.forget(&wrapped);
        cache.insert(wrapped, key, now);
        Ok(key)
    }
}

impl VaultError {
    fn kms(operation: &'static str, err: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Kms { operation, source: err.into() }
    }
}

impl DataKey {
    fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn cipher(self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("it has 32 bytes"))
    }

    fn nonce(self, context: &str, text: &SecretString) -> [u8; NONCE_LEN] {
        let mac = signing::hmac(&self.0, [context.as_bytes(), text.expose_secret().as_bytes()]);
        mac[..NONCE_LEN].try_into().expect("12 of 32 bytes")
    }
}

impl<'a> SealedParts<'a> {
    /// `None`: the bytes are not a sealed secret.
    fn split(sealed: &'a Sealed) -> Option<Self> {
        let (head, rest) = sealed.0.split_at_checked(3)?;
        if head[0] != VERSION {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let (wrapped_key, rest) = rest.split_at_checked(length)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN)?;
        Some(Self { wrapped_key, nonce, ciphertext })
    }
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
    use crate::domain::{AccountId, ChannelId, OpId, Owner, WebhookId, WebhookRef};

    fn sealed(vault: &Vault, holder: &Holder, entropy: &Entropy) -> NewSecret {
        let made = vault.make(holder, Timestamp::UNIX_EPOCH, entropy).now_or_never();
        made.expect("nothing waits").expect("sealed")
    }

    fn open(vault: &Vault, holder: &Holder, secret: &Secret) -> Option<String> {
        let text = vault
            .open(holder, secret, Timestamp::UNIX_EPOCH)
            .now_or_never()
            .expect("nothing waits")
            .ok()?;
        Some(text.expose_secret().to_owned())
    }

    #[test]
    fn sealed_secret_opens_only_unaltered_for_its_holder_and_key() {
        let entropy = Entropy::counting();
        let (vault, other) = (Vault::simulated([7; 32]), Vault::simulated([8; 32]));
        let (account, stranger) = (AccountId::from_bits(1 << 30), AccountId::from_bits(1 << 40));
        let owner = Owner::live(account);
        let webhook = |op| {
            let id = WebhookId::parse("orders").expect("a name");
            Holder::Webhook(owner, WebhookRef { id, created_by: OpId(op) })
        };
        let holder = Holder::Account(owner, Source::Requests);
        let NewSecret { kept, text } = sealed(&vault, &holder, &entropy);
        let text = text.expose_secret();
        assert_eq!(open(&vault, &holder, &kept).as_deref(), Some(text));
        assert!(text.ends_with(&kept.suffix) && kept.suffix.len() == SUFFIX_CHARS);
        for other in [
            Holder::Account(Owner::live(stranger), Source::Requests),
            Holder::Account(Owner::test(account), Source::Requests),
            Holder::Account(owner, Source::Events),
            Holder::Channel(owner, ChannelId::from_bits(account.bits())),
            webhook(1),
        ] {
            assert_eq!(open(&vault, &other, &kept), None, "{other:?}");
        }
        let as_credential = vault.open_credential(&holder, &kept.sealed, Timestamp::UNIX_EPOCH);
        assert!(as_credential.now_or_never().expect("nothing waits").is_err());
        let of_webhook = sealed(&vault, &webhook(1), &entropy).kept;
        assert!(open(&vault, &webhook(1), &of_webhook).is_some());
        assert_eq!(open(&vault, &webhook(2), &of_webhook), None);
        assert_eq!(open(&other, &holder, &kept), None);
        for at in 0..kept.sealed.0.len() {
            let mut altered = kept.clone();
            altered.sealed.0[at] ^= 1;
            assert_eq!(open(&vault, &holder, &altered), None, "byte {at}");
        }
        let shown = format!("{kept:?} {vault:?}");
        let inside = text.trim_start_matches("whsec_");
        assert!(!shown.contains(inside) && !shown.contains("sealed: ["));
        assert!(!String::from_utf8_lossy(&kept.sealed.0).contains(inside));
    }

    proptest! {
        #[test]
        fn no_sealed_bytes_make_the_vault_panic(bytes: Vec<u8>) {
            let secret = Secret::begin(Sealed(bytes), String::new(), Timestamp::UNIX_EPOCH);
            let vault = Vault::simulated([7; 32]);
            let holder = Holder::Account(Owner::live(AccountId::from_bits(0)), Source::Events);
            prop_assert_eq!(open(&vault, &holder, &secret), None);
        }
    }
}
