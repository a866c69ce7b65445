//! KMS: one key, which generates data keys and decrypts them.
//!
//! The key is a file in the data folder, next to the data. Anyone who can read the folder can read
//! every secret, so this is for development only.
//!
//! ```text
//! ciphertext blob: nonce · AES-256-GCM of the data key, bound to the key's ARN and the encryption context
//! ```

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::Context as _;
use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{error::AwsError, ids::random_bytes};

/// The ARN of the one key.
pub const KMS_KEY_ARN: &str =
    "arn:aws:kms:us-east-1:000000000000:key/5ea1ed00-0000-4000-8000-000000000000";
/// The key file in the data folder.
pub(super) const KEY_FILE: &str = "secrets.key";
/// The key of an emulator without a folder. It is constant, so tests can keep ciphertexts.
const IN_MEMORY_KEY: [u8; 32] = [7; 32];

/// A KMS with one key. Clones share it.
#[derive(Clone)]
pub(super) struct Kms(Arc<LessSafeKey>);

/// The reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the operation `{0}` is not emulated")]
    UnknownOperation(String),
    #[error("the body is not the JSON of this operation")]
    Malformed(#[source] serde_json::Error),
    #[error("Key '{0}' does not exist")]
    NoSuchKey(String),
    #[error("only AES_256 data keys are emulated")]
    KeySpec,
    /// The blob is not ours, was altered, or is bound to another context. KMS does not say which.
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
    /// Optional, as in KMS: the blob identifies its key.
    key_id: Option<String>,
    ciphertext_blob: String,
    #[serde(default)]
    encryption_context: BTreeMap<String, String>,
}

impl Kms {
    /// Reads the key in `folder`, or creates it. Without a folder the key is a constant.
    pub(super) fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let Some(folder) = folder else { return Ok(Self::new(IN_MEMORY_KEY)) };
        let path = folder.join(KEY_FILE);
        if path.exists() {
            let text = std::fs::read_to_string(&path);
            let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
            let key = BASE64.decode(text.trim()).ok();
            let key = key.and_then(|it| <[u8; 32]>::try_from(it).ok());
            return key.map(Self::new).with_context(|| {
                format!("`{}` does not hold a 32-byte key in base64", path.display())
            });
        }
        let key = random_bytes::<32>();
        crate::atomic_file::replace(folder, KEY_FILE, (BASE64.encode(key) + "\n").as_bytes())?;
        Ok(Self::new(key))
    }

    fn new(bytes: [u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &bytes).expect("the key has 32 bytes");
        Self(Arc::new(LessSafeKey::new(key)))
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
                let data_key = random_bytes::<32>();
                let blob = self.encrypt(&data_key, &call.encryption_context);
                Ok(json!({
                    "CiphertextBlob": BASE64.encode(blob),
                    "Plaintext": BASE64.encode(data_key),
                    "KeyId": KMS_KEY_ARN,
                }))
            }
            "Decrypt" => {
                let call: Decrypt = serde_json::from_slice(body).map_err(Error::Malformed)?;
                check_key(call.key_id.as_deref())?;
                let blob = BASE64.decode(&call.ciphertext_blob).ok();
                let data_key = blob.and_then(|it| self.decrypt(&it, &call.encryption_context));
                let data_key = data_key.ok_or(Error::Ciphertext)?;
                Ok(json!({
                    "Plaintext": BASE64.encode(data_key),
                    "KeyId": KMS_KEY_ARN,
                    "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                }))
            }
            _ => Err(Error::UnknownOperation(operation.to_owned())),
        }
    }

    fn encrypt(&self, data_key: &[u8], context: &BTreeMap<String, String>) -> Vec<u8> {
        let nonce = random_bytes::<NONCE_LEN>();
        let mut sealed = data_key.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                bind_to(context),
                &mut sealed,
            )
            .expect("a data key is far below the limit of AES-GCM");
        [&nonce[..], &sealed].concat()
    }

    fn decrypt(&self, blob: &[u8], context: &BTreeMap<String, String>) -> Option<Vec<u8>> {
        let (nonce, sealed) = blob.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        Some(self.0.open_in_place(nonce, bind_to(context), &mut opened).ok()?.to_vec())
    }
}

fn check_key(id: Option<&str>) -> Result<(), Error> {
    let is_ours = |it: &str| it == KMS_KEY_ARN || KMS_KEY_ARN.ends_with(&format!("/{it}"));
    match id.filter(|it| !is_ours(it)) {
        None => Ok(()),
        Some(other) => Err(Error::NoSuchKey(other.to_owned())),
    }
}

/// The additional data that binds a ciphertext to its key and context. The order of the context's
/// entries does not matter.
fn bind_to(context: &BTreeMap<String, String>) -> Aad<String> {
    Aad::from(json!([KMS_KEY_ARN, context]).to_string())
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
