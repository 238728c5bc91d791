//! A unix socket's file: made so that nobody but its owner can ever connect, and never in the
//! place of a running server's.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{FlockOperation, Gid, flock};
use tokio::net::{UnixListener, UnixStream};

use super::{AccessError, Listen};

/// A socket's file, removed with this value if it is still the same.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_own {
            // A file that stays is stale, and the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens a socket with mode 0600, or 0660 for a group, in the place of a dead server's.
pub(super) async fn bind(
    path: &Path,
    group: Option<u32>,
) -> Result<(UnixListener, SocketFile), AccessError> {
    let fail = |error| AccessError::Listen {
        listen: Listen::Unix(path.to_owned()),
        error,
    };
    let in_use = || AccessError::InUse {
        listen: Listen::Unix(path.to_owned()),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let found = inode(path).map_err(fail)?;
    if found.is_some() && is_live(path).await {
        return Err(in_use());
    }
    // Of servers that start at once, and found the same, the first one wins.
    let lock = File::open(folder).map_err(fail)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| fail(error.into()))?;
    if inode(path).map_err(fail)? != found {
        return Err(in_use());
    }
    bind_privately(path, folder, group).map_err(fail)
}

/// The inode of the socket that is there, if there is one.
fn inode(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => Ok(Some(file.ino())),
        Ok(_) => Err(io::Error::other("a file that is no socket is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a server listens there: one whose queue is full, or that this user may not talk to,
/// does so, too.
async fn is_live(path: &Path) -> bool {
    match UnixStream::connect(path).await {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::ConnectionRefused,
    }
}

/// Binds in a folder that nobody else can enter, and moves the socket once its mode is right: the
/// umask belongs to the whole process, and between `bind` and `chmod` anybody could connect.
fn bind_privately(
    path: &Path,
    folder: &Path,
    group: Option<u32>,
) -> io::Result<(UnixListener, SocketFile)> {
    let private = folder.join(format!(".coral-{}", process::id()));
    DirBuilder::new().mode(0o700).create(&private)?;
    let bound = bind_in(&private, path, group);
    // The folder is empty but for a socket that could not be moved.
    let _ = fs::remove_dir_all(&private);
    bound
}

fn bind_in(
    private: &Path,
    path: &Path,
    group: Option<u32>,
) -> io::Result<(UnixListener, SocketFile)> {
    let socket = private.join("s");
    let listener = UnixListener::bind(&socket)?;
    let mode = if let Some(group) = group {
        rustix::fs::chown(&socket, None, Some(Gid::from_raw(group)))?;
        0o660
    } else {
        0o600
    };
    fs::set_permissions(&socket, Permissions::from_mode(mode))?;
    let inode = fs::symlink_metadata(&socket)?.ino();
    fs::rename(&socket, path)?;
    let file = SocketFile {
        path: path.to_owned(),
        inode,
    };
    Ok((listener, file))
}
