//! KMS, as the real client sees it.

use anyhow::Result;
use aws_sdk_kms::{
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::DataKeySpec::{Aes128, Aes256},
};
use local_aws::{Data, KMS_KEY_ARN};

use super::Cloud;

const PURPOSE: (&str, &str) = ("purpose", "a test");
const OWNER: (&str, &str) = ("owner", "a tenant");

/// A new data key: its plaintext and its ciphertext.
async fn new_data_key(cloud: &Cloud) -> Result<(Blob, Blob)> {
    let call = cloud.kms.generate_data_key().key_id(KMS_KEY_ARN).key_spec(Aes256);
    let call = call.encryption_context(PURPOSE.0, PURPOSE.1);
    let made = call.encryption_context(OWNER.0, OWNER.1).send().await?;
    assert_eq!(made.key_id(), Some(KMS_KEY_ARN));
    Ok((made.plaintext.expect("a key"), made.ciphertext_blob.expect("a ciphertext")))
}

/// Decrypts a data key. A refusal returns the error's code.
async fn decrypt(
    cloud: &Cloud,
    wrapped: &Blob,
    key: Option<&str>,
    context: &[(&str, &str)],
) -> Result<Blob, String> {
    let call = cloud.kms.decrypt().ciphertext_blob(wrapped.clone());
    let call = call.set_key_id(key.map(str::to_owned));
    let call = context.iter().fold(call, |it, (name, value)| it.encryption_context(*name, *value));
    let opened = call.send().await.map_err(|err| err.code().unwrap_or_default().to_owned())?;
    Ok(opened.plaintext.expect("a key"))
}

#[tokio::test]
async fn data_key_decrypts_in_its_encryption_context_only() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let (key, wrapped) = new_data_key(&cloud).await?;
    assert_eq!(key.as_ref().len(), 32);
    let short = KMS_KEY_ARN.rsplit_once('/').map(|it| it.1);
    for id in [None, short, Some(KMS_KEY_ARN)] {
        assert_eq!(decrypt(&cloud, &wrapped, id, &[OWNER, PURPOSE]).await, Ok(key.clone()));
    }
    let refused = Err("InvalidCiphertextException".to_owned());
    for context in [&[][..], &[PURPOSE], &[PURPOSE, ("owner", "me")]] {
        assert_eq!(decrypt(&cloud, &wrapped, Some(KMS_KEY_ARN), context).await, refused);
    }
    for at in 0..wrapped.as_ref().len() {
        let mut altered = wrapped.as_ref().to_vec();
        altered[at] ^= 1;
        let altered =
            decrypt(&cloud, &Blob::new(altered), Some(KMS_KEY_ARN), &[OWNER, PURPOSE]).await;
        assert_eq!(altered, refused, "byte {at}");
    }
    let folder = tempfile::tempdir()?;
    let other = Cloud::in_folder(folder.path()).await?;
    assert_eq!(decrypt(&other, &wrapped, Some(KMS_KEY_ARN), &[OWNER, PURPOSE]).await, refused);
    Ok(())
}

#[tokio::test]
async fn unknown_keys_and_other_key_lengths_are_refused() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let make = |key, spec| cloud.kms.generate_data_key().key_id(key).key_spec(spec).send();
    let unknown = make("alias/other", Aes256).await.expect_err("the key does not exist");
    assert_eq!(unknown.code(), Some("NotFoundException"));
    assert_eq!(unknown.message(), Some("Key 'alias/other' does not exist"));
    let short = make(KMS_KEY_ARN, Aes128).await.expect_err("only 256 bits are supported");
    assert_eq!(short.code(), Some("ValidationException"));
    let (_, wrapped) = new_data_key(&cloud).await?;
    let unknown = decrypt(&cloud, &wrapped, Some("alias/other"), &[OWNER, PURPOSE]).await;
    assert_eq!(unknown, Err("NotFoundException".to_owned()));
    Ok(())
}

#[tokio::test]
async fn folder_keeps_its_key_and_a_damaged_one_is_not_replaced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = || Cloud::start(Data::Folder(folder.path().to_owned()));
    let cloud = start().await?;
    let (key, wrapped) = new_data_key(&cloud).await?;
    cloud.aws.stop().await;
    let cloud = start().await?;
    assert_eq!(decrypt(&cloud, &wrapped, None, &[OWNER, PURPOSE]).await, Ok(key));
    cloud.aws.stop().await;

    std::fs::write(folder.path().join("secrets.key"), "not a key")?;
    let damaged = start().await.err().expect("all secrets would be lost").to_string();
    assert!(damaged.contains("does not hold a 32-byte key"), "{damaged}");
    Ok(())
}
