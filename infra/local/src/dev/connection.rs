//! The way of an operator's command to the data of a local stack.
//!
//! | folder | connection |
//! |--------|------------|
//! | in use | to the emulated AWS of the running stack, whose address is in the folder |
//! | not in use | to an emulated AWS that this process starts on the folder |

use std::{path::Path, sync::Arc};

use answerback::platform::Sdk;
use anyhow::Context as _;
use local_aws::{Aws, Data, SystemClock};

use super::Ready;
use crate::system::sdk_of;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// The clients.
    pub sdk: Sdk,
    /// The emulated AWS, if this process runs it.
    aws: Option<Aws>,
}

impl Connection {
    /// Connects to the local stack in `folder`.
    pub async fn open(folder: &Path) -> anyhow::Result<Self> {
        let is_in_use = local_aws::is_in_use(folder).with_context(|| {
            format!(
                "no local stack in `{}`: run `answerback dev` first, or set TABLE_NAME for a \
                 deployed table",
                folder.display()
            )
        })?;
        if is_in_use {
            let ready = Ready::read(folder)?.context("the local stack is still starting")?;
            return Ok(Self { sdk: ready.sdk(), aws: None });
        }
        let data = Data::Folder(folder.to_owned());
        let aws = Aws::start(data, None, Arc::new(SystemClock)).await?;
        Ok(Self { sdk: sdk_of(&aws), aws: Some(aws) })
    }

    /// Closes the connection. Everything that was written is on disk.
    pub async fn close(self) {
        if let Some(aws) = self.aws {
            aws.stop().await;
        }
    }
}
