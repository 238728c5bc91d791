//! Where the program writes what does not belong on the screen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config;

/// A log beyond this size is begun anew.
const BYTES_MAX: u64 = 1 << 20;

/// The log file's path: in the user's state folder, or the temporary one.
pub(super) fn path() -> PathBuf {
    let state = config::state_folder().unwrap_or_else(std::env::temp_dir);
    state.join("coral/coral-tui.log")
}

/// Creates a folder that only this user can look into, if it is not there.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Appends an entry; returns where it is.
pub(super) fn append(text: &str) -> io::Result<PathBuf> {
    let path = path();
    let mut file = open(&path)?;
    writeln!(file, "{} {text}", Timestamp::now())?;
    Ok(path)
}

fn open(path: &PathBuf) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    let is_full = fs::metadata(path).is_ok_and(|metadata| metadata.len() > BYTES_MAX);
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    if is_full {
        options.write(true).truncate(true);
    } else {
        options.append(true);
    }
    options.open(path)
}
