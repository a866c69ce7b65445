//! What a function needs to run elsewhere on this data: `functions.env` in the data folder.
//!
//! `cargo lambda watch --env-file` reads it, and `tests/sam-local`.

use std::{fmt::Write as _, path::Path};

use crate::{
    System,
    system::{HINTS, SLOW_HINTS},
    table,
};
use local_aws::atomic_file;
use local_aws::{KEY, REGION};

/// The file in the data folder.
const FILE: &str = "functions.env";

/// Writes the variables of a function's environment, one a line.
pub(super) fn write(folder: &Path, system: &System, bus: Option<&str>) -> anyhow::Result<()> {
    let (endpoint, queue) = (system.aws.endpoint(), system.aws.queue());
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("TABLE_NAME", table::NAME),
        ("HINT_QUEUE_URL", &queue.url(HINTS)),
        ("SLOW_HINT_QUEUE_URL", &queue.url(SLOW_HINTS)),
        ("BUS_NAME", bus.unwrap_or_default()),
        ("SECRETS_KEY_ID", KEY),
    ];
    let mut text = String::new();
    for (name, value) in variables {
        writeln!(text, "{name}={value}")?;
    }
    atomic_file::replace(folder, FILE, text.as_bytes())
}
