//! The anchor: where the chain ended, kept where the log's writer has no business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::line::Position;

/// Larger files are no anchor.
const ANCHOR_BYTES_MAX: u64 = 4096;

/// Reads an anchor; `None` if there is no such file, `Some(None)` if it is no anchor.
pub(super) fn read(path: &Path) -> io::Result<Option<Option<Position>>> {
    let file = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.len() > ANCHOR_BYTES_MAX {
        return Ok(Some(None));
    }
    Ok(Some(serde_json::from_slice(&fs::read(path)?).ok()))
}

/// Replaces an anchor at once: there is always the old one or the new one.
pub(super) fn write(path: &Path, position: Position) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let next = PathBuf::from(next);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(&serde_json::to_vec(&position)?)?;
    file.write_all(b"\n")?;
    file.sync_data()?;
    fs::rename(&next, path)?;
    sync_folder(path)
}

/// Makes a folder's own entries durable, after a file in it was made or renamed.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
