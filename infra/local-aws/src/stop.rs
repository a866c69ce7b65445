//! The stop signal that all servers of the emulator share.

use tokio::sync::watch;

/// Resolves when the sender is dropped. Nothing is ever sent on the channel.
pub(crate) async fn stopped(mut stopping: watch::Receiver<()>) {
    while stopping.changed().await.is_ok() {}
}
