//! `coral export`: a session that was measured, as a document.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use coral_model::{ExitStatus, Snapshot, escape};
use coral_proto::colony::v1::ExportSessionRequest;
use tonic::Status;

use super::arguments::{ExportArguments, ExportFormat, Format};
use super::output::{self, say};
use super::remote::{of_session, runtime};
use super::{attach, history};
use crate::export::file;
use crate::failure::Failure;
use crate::recording::{Recording, RecordingError};

/// Documents of a colony are shorter.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;

pub(super) fn export(arguments: &ExportArguments) -> Result<ExitCode, Failure> {
    let format = format(arguments)?;
    let path = Path::new(&arguments.session);
    let bytes = match path.exists() {
        true => attach::document(&*recorded(path)?, format)?,
        false => of_colony(arguments, format)?,
    };
    write(&bytes, arguments, format)?;
    Ok(ExitCode::SUCCESS)
}

/// What the session's numbers alone are enough for.
fn format(arguments: &ExportArguments) -> Result<Format, Failure> {
    let refuse = |why: &str, help: &str| {
        let why = format!(
            "{} cannot be exported as that: {why}",
            escape(&arguments.session)
        );
        Err(Failure::new("no-such-format", why, help, ExitStatus::Usage))
    };
    match arguments.format {
        ExportFormat::Text => Ok(Format::Text),
        ExportFormat::Json => Ok(Format::Json),
        ExportFormat::Csv => Ok(Format::Csv),
        ExportFormat::Recording => refuse(
            "what is kept of it are its numbers, and not how they came about",
            "record it while it runs: coral debug attach --record, on the agent",
        ),
        ExportFormat::Trace => refuse(
            "its traces are kept by its agents, and only as long as it runs",
            "coral debug trace prints them when it ends; `coral sql` finds its recorded calls",
        ),
    }
}

/// The last that a recording shows.
fn recorded(path: &Path) -> Result<std::sync::Arc<Snapshot>, Failure> {
    let file = File::open(path).map_err(RecordingError::Io)?;
    let recording = Recording::read(file)?;
    if let Some(damage) = recording.damage() {
        say!("note: {damage}: the numbers are those before that");
    }
    let frame = recording.frames().last().ok_or(RecordingError::CutOff)?;
    Ok(std::sync::Arc::clone(&frame.1))
}

/// The document as the colony writes it, of a session that runs or of one in its history.
fn of_colony(arguments: &ExportArguments, format: Format) -> Result<Vec<u8>, Failure> {
    if !arguments.connection.address()?.is_colony {
        return Err(Failure::new(
            "no-such-session",
            format!(
                "{} is no recording, and no colony is named",
                escape(&arguments.session)
            ),
            "name a file, or the colony that had the session: --colony https://colony:9000, or \
             CORAL_COLONY",
            ExitStatus::Usage,
        ));
    }
    let request = ExportSessionRequest {
        session_id: arguments.session.clone(),
        format: format.name().to_owned(),
    };
    let document = runtime()?.block_on(async {
        let mut colony = history::connect(&arguments.connection).await?;
        let answer = colony.export_session(request).await;
        let refused = |error: Status| of_session(&arguments.session, error.into());
        let mut chunks = answer.map_err(refused)?.into_inner();
        let mut document = Vec::new();
        while let Some(message) = chunks.message().await.map_err(refused)? {
            document.extend(message.chunk);
            if document.len() > DOCUMENT_BYTES_MAX {
                return Err(Failure::new(
                    "export-failed",
                    "the colony's document does not end",
                    "use `coral sql` for parts of it",
                    ExitStatus::Failure,
                ));
            }
        }
        Ok(document)
    })?;
    output::without_controls(&document, format)
}

/// Prints a document, or writes it into a new file or into a folder.
fn write(bytes: &[u8], arguments: &ExportArguments, format: Format) -> Result<(), Failure> {
    let Some(to) = arguments.output.as_deref() else {
        return output::print(bytes);
    };
    let written = if to.is_dir() {
        let session = Path::new(&arguments.session)
            .file_stem()
            .unwrap_or_default();
        let name = format!("coral-{}", session.to_string_lossy());
        file::write_new(to, &name, format.extension(), bytes)?
    } else {
        file::write_to(to, bytes)?
    };
    say!("written: {}", written.display());
    Ok(())
}
