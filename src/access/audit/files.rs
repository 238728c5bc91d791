//! The files of a log: the one that is written, and before it those that are full.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A log's files from the oldest to the one that is written, as far as they exist. Full ones are
/// called like it, with a dot and the number of their last record behind.
pub(super) fn of_log(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default();
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut full = Vec::new();
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        if let Some(last) = last_record(name, &entry.file_name()) {
            full.push((last, entry.path()));
        }
    }
    full.sort();
    let mut files: Vec<PathBuf> = full.into_iter().map(|(_, file)| file).collect();
    if path.try_exists()? {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// What the file is called once it is full.
pub(super) fn full(path: &Path, last_record: u64) -> PathBuf {
    with_ending(path, &last_record.to_string())
}

/// The file whose lock the writer holds; the log itself changes its name when it is full.
pub(super) fn lock(path: &Path) -> PathBuf {
    with_ending(path, "lock")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn last_record(log: &OsStr, file: &OsStr) -> Option<u64> {
    let ending = file.to_str()?.strip_prefix(log.to_str()?)?;
    ending.strip_prefix('.')?.parse().ok()
}
