//! Clocks that jump, for programs that are told nothing of it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::compile;

/// Clocks that are set by the test: of the colony, and of each node.
pub(crate) struct Clocks {
    folder: PathBuf,
    library: PathBuf,
}

impl Clocks {
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let library = compile::source("cc", "../colony/clock.c", &["-O2", "-shared", "-fPIC"])?;
        Ok(Self {
            folder: folder.to_owned(),
            library,
        })
    }

    /// Has a program that is not started yet live by a clock of its own.
    pub(crate) fn give(&self, command: &mut Command, name: &str) {
        let file = self.file(name);
        if !file.exists() {
            fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
        }
        command
            .env("LD_PRELOAD", &self.library)
            .env("TEST_CLOCK", file);
    }

    /// Sets a clock to so many seconds from now.
    pub(crate) fn set(&self, name: &str, ahead_s: i64) {
        let file = File::options().write(true).open(self.file(name)).unwrap();
        file.write_all_at(&ahead_s.to_ne_bytes(), 0).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.clock"))
    }
}
