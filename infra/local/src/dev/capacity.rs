//! The size of the data folder, and the load that a local stack carries.

use std::{fs, io, path::Path};

/// Events that a release build accepts and delivers in a second on two processors, and a debug
/// build, as `tests/bench/local.py` measured them.
const EVENTS_PER_SECOND: [u32; 2] = [1_000, 200];
/// Kilobytes of the folder that a delivered event takes. The local stack deletes no expired items.
const EVENT_KILOBYTES: u32 = 6;
/// Bytes in a megabyte.
const MEGABYTE: u64 = 1_000_000;

/// The size of the files in `folder`, and what an event adds.
pub(super) fn of_folder(folder: &Path) -> io::Result<String> {
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        bytes += file?.metadata()?.len();
    }
    let (megabytes, tenths) = (bytes / MEGABYTE, bytes % MEGABYTE * 10 / MEGABYTE);
    Ok(format!("{megabytes}.{tenths} MB; a delivered event adds about {EVENT_KILOBYTES} KB"))
}

/// The load that this build carries.
pub(super) fn of_build() -> String {
    let [release, debug] = EVENTS_PER_SECOND;
    if cfg!(debug_assertions) {
        format!(
            "about {debug} events a second, measured on two processors (debug build; `cargo run --release` carries {release})"
        )
    } else {
        format!("about {release} events a second, measured on two processors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_that_of_all_files() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, length) in [("a", 1_200_000), ("b", 150_000)] {
            fs::write(folder.path().join(name), vec![0; length]).expect("the folder is ours");
        }
        let text = of_folder(folder.path()).expect("it exists");
        assert!(text.starts_with("1.3 MB; "), "{text}");
        assert!(of_folder(&folder.path().join("c")).is_err());
    }
}
