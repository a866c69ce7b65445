//! KMS: one key, which makes data keys and unwraps them. Beside the data it is a file, and whoever
//! has both reads every secret: this is for trying things out.
//!
//! ```text
//! wrapped: nonce · AES-256-GCM of the data key, bound to the key's ARN and the encryption context
//! ```

use std::{collections::BTreeMap, path::Path, sync::Arc};

use answerback::{platform::Entropy, signing};
use anyhow::Context as _;
use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::AwsError;

/// The ARN of the key.
pub const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/5ea1ed00-0000-4000-8000-000000000000";
/// The file with the key itself.
const FILE: &str = "secrets.key";
/// The key for what is kept in memory only: always the same, so that tests can keep what it wrapped.
const IN_MEMORY: [u8; 32] = [7; 32];

/// A KMS with one key. Clones are the same one.
#[derive(Clone)]
pub(super) struct Kms(Arc<Key>);

struct Key {
    bytes: [u8; 32],
    cipher: LessSafeKey,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the operation `{0}` is not emulated")]
    UnknownOperation(String),
    #[error("the body is not the JSON of this operation")]
    Malformed(#[source] serde_json::Error),
    #[error("Key '{0}' does not exist")]
    NoSuchKey(String),
    #[error("only data keys for AES-256 are emulated")]
    KeySpec,
    /// It was not wrapped here, was altered, or is bound to another context. KMS does not say which.
    #[error("")]
    Ciphertext,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateDataKey {
    key_id: String,
    #[serde(default)]
    key_spec: String,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt {
    /// May be left out: what is wrapped says by which key.
    key_id: Option<String>,
    ciphertext_blob: String,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

impl Kms {
    /// The one of this folder, whose key is made at the first start.
    pub(super) fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let Some(folder) = folder else { return Ok(Self::new(IN_MEMORY)) };
        let path = folder.join(FILE);
        if path.exists() {
            let text = std::fs::read_to_string(&path);
            let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
            // Until there was a KMS here, it was written in hexadecimal.
            let key = signing::unhex(text.trim()).or_else(|| BASE64.decode(text.trim()).ok());
            let key = key.and_then(|it| <[u8; 32]>::try_from(it).ok());
            return key
                .map(Self::new)
                .with_context(|| format!("`{}` holds no key of 32 bytes", path.display()));
        }
        let key = Entropy::System.next_secret();
        crate::atomic_file::replace(folder, FILE, (BASE64.encode(key) + "\n").as_bytes())?;
        Ok(Self::new(key))
    }

    fn new(bytes: [u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &bytes).expect("it has 32 bytes");
        Self(Arc::new(Key { bytes, cipher: LessSafeKey::new(key) }))
    }

    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Result<Value, Error> {
        match operation {
            "GenerateDataKey" => {
                let call: GenerateDataKey =
                    serde_json::from_slice(body).map_err(Error::Malformed)?;
                check_key(Some(&call.key_id))?;
                if call.key_spec != "AES_256" {
                    return Err(Error::KeySpec);
                }
                let data_key = Entropy::System.next_secret();
                let wrapped = self.wrap(&data_key, &call.encryption_context);
                Ok(json!({
                    "CiphertextBlob": BASE64.encode(wrapped),
                    "Plaintext": BASE64.encode(data_key),
                    "KeyId": KEY,
                }))
            }
            "Decrypt" => {
                let call: Decrypt = serde_json::from_slice(body).map_err(Error::Malformed)?;
                check_key(call.key_id.as_deref())?;
                let wrapped = BASE64.decode(&call.ciphertext_blob).ok();
                let data_key = wrapped.and_then(|it| self.unwrap(&it, &call.encryption_context));
                let data_key = data_key.ok_or(Error::Ciphertext)?;
                Ok(json!({
                    "Plaintext": BASE64.encode(data_key),
                    "KeyId": KEY,
                    "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                }))
            }
            _ => Err(Error::UnknownOperation(operation.to_owned())),
        }
    }

    fn wrap(&self, data_key: &[u8], context: &BTreeMap<String, String>) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&Entropy::System.next_secret()[..NONCE_LEN]);
        let mut sealed = data_key.to_vec();
        self.0
            .cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                bound_to(context),
                &mut sealed,
            )
            .expect("a data key is short");
        [&nonce[..], &sealed].concat()
    }

    fn unwrap(&self, wrapped: &[u8], context: &BTreeMap<String, String>) -> Option<Vec<u8>> {
        if wrapped.is_empty() {
            // Until there was a KMS here, this key itself sealed.
            return Some(self.0.bytes.to_vec());
        }
        let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        Some(self.0.cipher.open_in_place(nonce, bound_to(context), &mut opened).ok()?.to_vec())
    }
}

fn check_key(id: Option<&str>) -> Result<(), Error> {
    let is_ours = |it: &str| it == KEY || KEY.ends_with(&format!("/{it}"));
    match id.filter(|it| !is_ours(it)) {
        None => Ok(()),
        Some(other) => Err(Error::NoSuchKey(other.to_owned())),
    }
}

/// The order in which a context was given does not matter.
fn bound_to(context: &BTreeMap<String, String>) -> Aad<String> {
    Aad::from(json!([KEY, context]).to_string())
}

impl From<Error> for AwsError {
    fn from(err: Error) -> Self {
        let kind = match &err {
            Error::UnknownOperation(_) => "UnknownOperationException",
            Error::Malformed(_) => "SerializationException",
            Error::NoSuchKey(_) => "NotFoundException",
            Error::KeySpec => "ValidationException",
            Error::Ciphertext => "InvalidCiphertextException",
        };
        let status = StatusCode::BAD_REQUEST;
        Self { status, kind, query_code: None, message: err.to_string() }
    }
}
