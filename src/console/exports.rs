//! Files that the screens ask for, in the folder that the program was started in.

use std::io;
use std::path::Path;

use coral_model::{Diagnostic, Escaped, Snapshot};
use coral_ui::{Failure, SourceEvent, ViewExport};

use crate::export::{csv, file, session_document};

/// Writes what a screen shows as CSV.
pub(super) fn view(view: &ViewExport) -> SourceEvent {
    let mut bytes = Vec::new();
    let written = csv::write_table(&mut bytes, &view.columns, &view.rows)
        .map_err(Failed::Rendering)
        .and_then(|()| write(&format!("coral-{}", view.view), "csv", &bytes));
    report(written, view.command.clone(), view.rows_left_out)
}

/// Writes a session as JSON and as CSV.
pub(super) fn session(snapshot: &Snapshot) -> SourceEvent {
    let name = format!("coral-{}", snapshot.session.id);
    let written = (|| {
        let json = serde_json::to_vec_pretty(&session_document(snapshot))
            .map_err(|error| Failed::Rendering(error.into()))?;
        let mut rows = Vec::new();
        csv::write_session(&mut rows, snapshot).map_err(Failed::Rendering)?;
        let json = write(&name, "json", &json)?;
        let csv = write(&name, "csv", &rows)?;
        Ok(format!("{json} and {csv}"))
    })();
    report(written, None, 0)
}

enum Failed {
    Rendering(io::Error),
    Writing(file::ExportError),
}

fn write(name: &str, extension: &str, bytes: &[u8]) -> Result<String, Failed> {
    let path = file::write_new(Path::new("."), name, extension, bytes).map_err(Failed::Writing)?;
    Ok(Escaped(&path.display().to_string()).to_string())
}

fn report(
    written: Result<String, Failed>,
    command: Option<String>,
    rows_left_out: usize,
) -> SourceEvent {
    match written {
        Ok(path) => SourceEvent::Exported {
            path,
            command,
            rows_left_out,
        },
        Err(Failed::Writing(error)) => SourceEvent::ExportFailed(Failure {
            code: error.code().into(),
            message: error.to_string(),
            help: error.help(),
        }),
        Err(Failed::Rendering(error)) => SourceEvent::ExportFailed(Failure {
            code: "export-failed".into(),
            message: format!("the numbers cannot be written: {error}"),
            help: "report this as an error of coral".into(),
        }),
    }
}
