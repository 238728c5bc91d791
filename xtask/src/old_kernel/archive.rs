//! The archive that Linux unpacks into its first file system: cpio in the format "newc", described
//! in the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeSet;
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TRAILER: &str = "TRAILER!!!";

/// An archive in the making.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    /// The paths that it holds; each once.
    paths: BTreeSet<String>,
}

impl Archive {
    /// Adds a directory, after those that it lies in.
    pub(super) fn directory(&mut self, path: &Path) {
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file that may be executed, and the directories that it lies in.
    pub(super) fn program(&mut self, path: &Path, contents: &[u8]) {
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        self.entry(path, PROGRAM, contents);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.header(TRAILER, 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        // Paths in an archive are relative to its root, which is there without being named.
        let name = path.to_string_lossy().trim_start_matches('/').to_owned();
        if !name.is_empty() && self.paths.insert(name.clone()) {
            self.header(&name, mode, contents);
        }
    }

    fn header(&mut self, name: &str, mode: u32, contents: &[u8]) {
        let inode = self.paths.len() as u32;
        let name_len = name.len() as u32 + 1;
        let fields = [
            inode,
            mode,
            0,
            0,
            1,
            0,
            contents.len() as u32,
            0,
            0,
            0,
            0,
            name_len,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
