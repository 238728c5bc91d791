//! Separate debug information, as distributions install it.
//!
//! What names such a file is under the control of whoever made the binary. So only regular files
//! are opened, only under the directories meant for them, and only one that belongs to the binary
//! is used.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::bytes::{c_string_at, u32_at};
use super::image::Image;

const ROOT: &str = "/usr/lib/debug";
const NAME_LEN_MAX: usize = 255;
/// A longer file is not read just to compute its checksum.
const CHECKSUM_BYTES_MAX: u64 = 256 << 20;

/// The file with an image's debug information, if it is installed.
pub(super) fn find(image: &Image) -> Option<Image> {
    by_build_id(image).or_else(|| by_link(image))
}

fn by_build_id(image: &Image) -> Option<Image> {
    let id = image.build_id()?;
    let is_hexadecimal = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if id.len() < 4 || !is_hexadecimal {
        return None;
    }
    let place = format!(".build-id/{}/{}.debug", &id[..2], &id[2..]);
    let debug = open_beneath(Path::new(ROOT), Path::new(&place))?;
    (debug.build_id() == Some(id)).then_some(debug)
}

/// The section `.gnu_debuglink` holds a file name, and the checksum of the file.
fn by_link(image: &Image) -> Option<Image> {
    let link = image.section_bytes(image.section(".gnu_debuglink")?)?;
    let name = c_string_at(&link, 0, NAME_LEN_MAX)?;
    let checksum = u32_at(&link, (name.len() as u64 + 1).next_multiple_of(4))?;
    let name = std::str::from_utf8(name).ok()?;
    if name.is_empty() || name.contains('/') || name == ".." {
        return None;
    }
    let directory = Path::new(image.path()).parent()?;
    let below_root = PathBuf::from(ROOT).join(directory.strip_prefix("/").ok()?);
    let belongs = |debug: &Image| match (image.build_id(), debug.build_id()) {
        (Some(id), Some(debug_id)) => id == debug_id,
        _ => checksum_of(debug.file()) == Some(checksum),
    };
    [
        (directory, PathBuf::from(name)),
        (directory, Path::new(".debug").join(name)),
        (&below_root, PathBuf::from(name)),
    ]
    .iter()
    .filter_map(|(root, place)| open_beneath(root, place))
    .filter(|debug| debug.identity() != image.identity())
    .find(belongs)
}

/// Opens a file without leaving a directory, whatever links there are on the way.
fn open_beneath(directory: &Path, place: &Path) -> Option<Image> {
    let root = openat2(
        CWD,
        directory,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .ok()?;
    let file: OwnedFd = openat2(
        root,
        place,
        // Opening a FIFO would wait for its other end.
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()?;
    let shown_path = directory.join(place).to_string_lossy().into_owned();
    // This refuses whatever is not a regular file.
    Image::open_foreign(File::from(file), shown_path).ok()
}

fn checksum_of(file: &File) -> Option<u32> {
    use std::os::unix::fs::FileExt;
    let len = file.metadata().ok()?.len();
    if len > CHECKSUM_BYTES_MAX {
        return None;
    }
    let mut checksum = flate2::Crc::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < len {
        let count = file.read_at(&mut buffer, offset).ok()?;
        if count == 0 {
            return None;
        }
        checksum.update(&buffer[..count]);
        offset += count as u64;
    }
    Some(checksum.sum())
}
