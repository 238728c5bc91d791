//! A session on its way to a recording.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use coral_model::{ExitStatus, Snapshot};
use jiff::Timestamp;

use crate::agent::Watched;
use crate::failure::Failure;
use crate::recording::Recorder;

/// A session on its way to a file.
pub(super) struct Recording<'a> {
    path: &'a Path,
    recorder: Recorder<File>,
}

impl<'a> Recording<'a> {
    pub(super) fn create(path: &'a Path, watched: &Watched) -> Result<Self, Failure> {
        let file = create(path)?;
        let recorder = Recorder::create(file, &watched.target, watched.table(), Timestamp::now())
            .map_err(|error| of_recording(path, &error))?;
        Ok(Self { path, recorder })
    }

    pub(super) fn frame(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        self.recorder
            .frame(snapshot.session.elapsed, snapshot)
            .map_err(|error| of_recording(self.path, &error))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        self.recorder
            .finish()
            .map(drop)
            .map_err(|error| of_recording(self.path, &error))
    }
}

/// A new file for a recording, which only its owner may read.
pub(super) fn create(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| of_recording(path, &error))
}

fn of_recording(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        "recording-not-written",
        format!("{} cannot be written: {error}", path.display()),
        "choose a file that does not exist, on a disk with room",
        ExitStatus::Failure,
    )
}
