//! KMS, as the real client sees it.

use anyhow::Result;
use aws_sdk_kms::{
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::DataKeySpec::{Aes128, Aes256},
};
use local_aws::{Data, KEY};

use super::Cloud;

const PURPOSE: (&str, &str) = ("purpose", "a test");
const OWNER: (&str, &str) = ("owner", "nobody");

/// A data key, and how it is wrapped.
async fn made(cloud: &Cloud) -> Result<(Blob, Blob)> {
    let call = cloud.kms.generate_data_key().key_id(KEY).key_spec(Aes256);
    let call = call.encryption_context(PURPOSE.0, PURPOSE.1);
    let made = call.encryption_context(OWNER.0, OWNER.1).send().await?;
    assert_eq!(made.key_id(), Some(KEY));
    Ok((made.plaintext.expect("a key"), made.ciphertext_blob.expect("it wrapped")))
}

/// What KMS unwraps, or the name of its refusal.
async fn unwrapped(
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
async fn a_data_key_is_unwrapped_in_its_context_and_in_no_other() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let (key, wrapped) = made(&cloud).await?;
    assert_eq!(key.as_ref().len(), 32);
    let short = KEY.rsplit_once('/').map(|it| it.1);
    for id in [None, short, Some(KEY)] {
        assert_eq!(unwrapped(&cloud, &wrapped, id, &[OWNER, PURPOSE]).await, Ok(key.clone()));
    }
    let refused = Err("InvalidCiphertextException".to_owned());
    for context in [&[][..], &[PURPOSE], &[PURPOSE, ("owner", "me")]] {
        assert_eq!(unwrapped(&cloud, &wrapped, Some(KEY), context).await, refused);
    }
    for at in 0..wrapped.as_ref().len() {
        let mut altered = wrapped.as_ref().to_vec();
        altered[at] ^= 1;
        let altered = unwrapped(&cloud, &Blob::new(altered), Some(KEY), &[OWNER, PURPOSE]).await;
        assert_eq!(altered, refused, "byte {at}");
    }
    let folder = tempfile::tempdir()?;
    let other = Cloud::in_folder(folder.path()).await?;
    assert_eq!(unwrapped(&other, &wrapped, Some(KEY), &[OWNER, PURPOSE]).await, refused);
    Ok(())
}

#[tokio::test]
async fn another_key_and_other_lengths_are_refused() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let make = |key, spec| cloud.kms.generate_data_key().key_id(key).key_spec(spec).send();
    let unknown = make("alias/other", Aes256).await.expect_err("there is no such key");
    assert_eq!(unknown.code(), Some("NotFoundException"));
    assert_eq!(unknown.message(), Some("Key 'alias/other' does not exist"));
    let short = make(KEY, Aes128).await.expect_err("ours are of 256 bits");
    assert_eq!(short.code(), Some("ValidationException"));
    let (_, wrapped) = made(&cloud).await?;
    let unknown = unwrapped(&cloud, &wrapped, Some("alias/other"), &[OWNER, PURPOSE]).await;
    assert_eq!(unknown, Err("NotFoundException".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_folder_keeps_its_key_and_a_damaged_one_is_not_replaced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = || Cloud::start(Data::Folder(folder.path().to_owned()));
    let cloud = start().await?;
    let (key, wrapped) = made(&cloud).await?;
    cloud.aws.stop().await;
    let cloud = start().await?;
    assert_eq!(unwrapped(&cloud, &wrapped, None, &[OWNER, PURPOSE]).await, Ok(key));
    cloud.aws.stop().await;

    // As it was written, and used, until there was a KMS here.
    std::fs::write(folder.path().join("secrets.key"), "07".repeat(32))?;
    let cloud = start().await?;
    let itself = unwrapped(&cloud, &Blob::new([]), Some(KEY), &[]).await;
    assert_eq!(itself, Ok(Blob::new([7; 32])));
    cloud.aws.stop().await;

    std::fs::write(folder.path().join("secrets.key"), "not a key")?;
    let damaged = start().await.err().expect("all secrets would be lost").to_string();
    assert!(damaged.contains("holds no key of 32 bytes"), "{damaged}");
    Ok(())
}
