//! The program of this process.

use std::fs::{self, File};
use std::{io, process};

use coral_proto::sdk::v1::Binary;

use super::elf::Elf;

/// The program that runs, held open: it stays the same when its file is replaced.
#[derive(Debug)]
pub(crate) struct Executable {
    pub(super) file: File,
    pub(super) path: String,
}

impl Executable {
    /// Opens the program of this process.
    pub(crate) fn open() -> io::Result<Self> {
        const OWN: &str = "/proc/self/exe";
        let file = File::open(OWN)?;
        // Only a name for people: the file that is read is the one that is held.
        let path = fs::read_link(OWN)?.to_string_lossy().into_owned();
        Ok(Self { file, path })
    }

    /// What offsets are of.
    pub(crate) fn binary(&self) -> Binary {
        let elf = Elf::read(&self.file).ok();
        self.binary_of(elf.and_then(|elf| elf.build_id()))
    }

    /// The same, where its headers have been read.
    pub(super) fn binary_of(&self, build_id: Option<String>) -> Binary {
        Binary {
            path: self.path.clone(),
            build_id: build_id.unwrap_or_default(),
            pid: process::id(),
        }
    }
}
