//! Files for exports: created, never overwritten, never through a link, readable by their owner
//! only. What was begun and could not be finished is removed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coral_model::{Diagnostic, ExitStatus, escape};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

/// How many names `<base>`, `<base>-2`, ... are tried before giving up.
const ATTEMPTS_MAX: u32 = 10_000;
/// Longer base names are cut, so that a suffix and an extension still fit a file name.
const BASE_NAME_MAX_BYTES: usize = 150;
const EXTENSION_MAX_BYTES: usize = 20;

/// Why an export was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file is there already (or a link is), and nothing is overwritten.
    #[error("{} exists already", shown(.path))]
    Exists {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The disk or the quota is full. What was written has been removed.
    #[error("the disk is full; {} was not written", shown(.path))]
    DiskFull {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// Anything else that the operating system refused. What was written has been removed.
    #[error("{} was not written: {source}", shown(.path))]
    Failed {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Diagnostic for ExportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "export-exists",
            Self::DiskFull { .. } => "export-disk-full",
            Self::Failed { .. } => "export-failed",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Exists { .. } => "name another file, or move that one away".to_owned(),
            Self::DiskFull { .. } => {
                "free some space, or name a directory on another disk".to_owned()
            }
            Self::Failed { .. } => {
                "name a directory that exists and that you may write to".to_owned()
            }
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Exists { .. } => ExitStatus::Usage,
            Self::DiskFull { .. } | Self::Failed { .. } => ExitStatus::Failure,
        }
    }
}

/// A name as [`write_new`] keeps it: no path, and nothing that acts on a terminal.
pub fn safe_name(name: &str) -> String {
    sanitised(name, BASE_NAME_MAX_BYTES)
}

/// Writes `bytes` to a new file under `directory` and returns its path.
///
/// The name is `<base_name>.<extension>`; where that is taken, `<base_name>-2.<extension>`, and so
/// on. Both parts may come from a target: only letters, digits, `.`, `_` and `-` are kept, so the
/// file is always directly in `directory`.
///
/// # Errors
/// If the directory is missing or not writable, the disk is full, or 10,000 names are taken.
pub fn write_new(
    directory: &Path,
    base_name: &str,
    extension: &str,
    bytes: &[u8],
) -> Result<PathBuf, ExportError> {
    let base_name = sanitised(base_name, BASE_NAME_MAX_BYTES);
    let extension = sanitised(extension, EXTENSION_MAX_BYTES);
    let folder = Folder::open(directory)?;
    let name = |attempt: u32| match attempt {
        1 => format!("{base_name}.{extension}"),
        _ => format!("{base_name}-{attempt}.{extension}"),
    };
    for attempt in 1..=ATTEMPTS_MAX {
        match folder.write(OsStr::new(&name(attempt)), bytes) {
            Err(ExportError::Exists { .. }) => {}
            done => return done,
        }
    }
    Err(ExportError::Exists {
        path: directory.join(name(ATTEMPTS_MAX)),
    })
}

/// Whether files can be written into a directory, before there is anything to write.
///
/// # Errors
/// If it is missing, no directory, or may not be written to.
pub fn check_directory(directory: &Path) -> Result<(), ExportError> {
    Folder::open(directory)?;
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).map_err(|error| {
        ExportError::Failed {
            path: directory.to_owned(),
            source: error.into(),
        }
    })
}

/// Writes `bytes` to a new file at exactly the path that a user has named.
///
/// # Errors
/// If something of that name exists, the path names no file, or the file cannot be written.
pub fn write_to(path: &Path, bytes: &[u8]) -> Result<PathBuf, ExportError> {
    let Some(name) = path.file_name() else {
        return Err(ExportError::Failed {
            path: path.to_owned(),
            source: io::ErrorKind::IsADirectory.into(),
        });
    };
    let parent = path.parent().unwrap_or(Path::new(""));
    Folder::open(parent)?.write(name, bytes)
}

/// A directory held open: it cannot be exchanged for another between two steps.
struct Folder<'a> {
    path: &'a Path,
    handle: rustix::fd::OwnedFd,
}

impl<'a> Folder<'a> {
    fn open(path: &'a Path) -> Result<Self, ExportError> {
        let place = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(CWD, place, flags, Mode::empty())
            .map_err(|errno| failure(place, errno.into()))?;
        Ok(Self { path, handle })
    }

    fn write(&self, name: &OsStr, bytes: &[u8]) -> Result<PathBuf, ExportError> {
        let path = self.path.join(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = rustix::fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|errno| failure(&path, errno.into()))?;
        // A full disk may show only when the data reaches it, hence the sync.
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // The error worth telling is the first one; a remainder that stays is named by it.
            let _ = rustix::fs::unlinkat(&self.handle, name, AtFlags::empty());
            return Err(failure(&path, error));
        }
        Ok(path)
    }
}

fn failure(path: &Path, source: io::Error) -> ExportError {
    let path = path.to_owned();
    match Errno::from_io_error(&source) {
        Some(Errno::EXIST) => ExportError::Exists { path },
        Some(Errno::NOSPC | Errno::DQUOT) => ExportError::DiskFull { path },
        _ => ExportError::Failed { path, source },
    }
}

/// `name` as the part of a file name that is plain on every system and hidden on none.
fn sanitised(name: &str, max_bytes: usize) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(max_bytes)
        .collect();
    match plain.trim_start_matches(['.', '_', '-']) {
        "" => "coral".to_owned(),
        rest => rest.to_owned(),
    }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
