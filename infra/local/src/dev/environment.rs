//! `functions.env` in the data folder: the environment of a function that runs elsewhere on this data.
//!
//! `cargo lambda watch --env-file` and `tests/sam-local` read it.

use std::{fmt::Write as _, path::Path};

use local_aws::{KMS_KEY_ARN, REGION, atomic_file};

use crate::{
    System, TABLE,
    system::{HINTS, SLOW_HINTS},
};

/// The file in the data folder.
const FILE: &str = "functions.env";

/// Writes the environment, one variable per line.
pub(super) fn write(folder: &Path, system: &System, bus: Option<&str>) -> anyhow::Result<()> {
    let (endpoint, queue) = (system.aws.endpoint(), system.aws.queue());
    let credentials = system.aws.credentials();
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", &credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key),
        ("AWS_ENDPOINT_URL", endpoint),
        ("TABLE_NAME", TABLE),
        ("HINT_QUEUE_URL", &queue.url(HINTS)),
        ("SLOW_HINT_QUEUE_URL", &queue.url(SLOW_HINTS)),
        ("BUS_NAME", bus.unwrap_or_default()),
        ("SECRETS_KEY_ID", KMS_KEY_ARN),
    ];
    let mut text = String::new();
    for (name, value) in variables {
        writeln!(text, "{name}={value}")?;
    }
    atomic_file::replace(folder, FILE, text.as_bytes())
}
