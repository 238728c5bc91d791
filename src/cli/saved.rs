//! The folder that a session against a colony leaves: `./debug-sessions/<id>/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use coral_model::Snapshot;

use super::output::{self, say};
use crate::export::{csv, file, session_document, text};
use crate::failure::Failure;

const FOLDER: &str = "debug-sessions";
/// Lines of the summary are no wider.
const COLUMNS: usize = 120;

/// Saves a session beside where the program runs. That it cannot be saved is said, and no more: it
/// was printed.
pub(super) fn save(snapshot: &Snapshot) {
    match try_save(snapshot) {
        Ok(folder) => say!("saved: {}/", folder.display()),
        Err(failure) => say!("note: the session is not saved: {failure}"),
    }
}

fn try_save(snapshot: &Snapshot) -> Result<PathBuf, Failure> {
    let folder = Path::new(FOLDER).join(file::safe_name(&snapshot.session.id.0));
    fs::create_dir_all(&folder).map_err(|error| cannot(&error))?;
    let document = output::json(&session_document(snapshot))?;
    let table = output::written(|out| csv::write_session(out, snapshot))?;
    let summary = output::written(|out| text::write_session(out, snapshot, COLUMNS))?;
    for (name, extension, bytes) in [
        ("session", "json", document),
        ("functions", "csv", table),
        ("summary", "txt", summary),
    ] {
        file::write_new(&folder, name, extension, &bytes)?;
    }
    Ok(folder)
}

fn cannot(error: &io::Error) -> Failure {
    Failure::new(
        "export-failed",
        error.to_string(),
        "run it where files can be written, or use --output",
        coral_model::ExitStatus::Failure,
    )
}
