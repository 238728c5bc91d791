//! Source files of the target: shown around a line, or opened in the user's editor.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use coral_ui::{Failure, SourceEvent};

/// Larger files are not shown.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How many lines are shown before and after the one that was asked for.
const LINES_AROUND: usize = 500;
/// So much of a line is shown.
const LINE_CHARS_MAX: usize = 500;

/// Reads the lines around one, counted from 1.
pub(super) fn read(file: &str, line: u32) -> SourceEvent {
    match lines(Path::new(file)) {
        Ok(lines) => {
            let first = (line as usize)
                .saturating_sub(1 + LINES_AROUND)
                .min(lines.len());
            let last = (line as usize + LINES_AROUND).min(lines.len());
            SourceEvent::SourceText {
                file: file.to_owned(),
                first_line: first as u32 + 1,
                lines: lines[first..last].to_vec(),
            }
        }
        Err(error) => SourceEvent::SourceFailed {
            file: file.to_owned(),
            failure: Failure {
                code: "no-source".into(),
                message: format!("the source cannot be shown: {error}"),
                help: "run coral where the sources are at the path that they were compiled at"
                    .into(),
            },
        },
    }
}

/// The user's editor at a line of a file, by `VISUAL` or `EDITOR`.
pub(super) fn editor(file: &str, line: u32) -> io::Result<Command> {
    check(Path::new(file))?;
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    let editor = variable("VISUAL").or_else(|| variable("EDITOR"));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    command.args(words).arg(format!("+{line}")).arg(file);
    Ok(command)
}

fn lines(path: &Path) -> io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    check(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let cut = |line: &str| line.chars().take(LINE_CHARS_MAX).collect();
    Ok(text.lines().map(cut).collect())
}

/// Opens a file whose name a target has told: nothing but a regular one of reasonable size.
fn check(path: &Path) -> io::Result<File> {
    if !path.is_absolute() {
        return Err(io::Error::other(format!(
            "{} is no whole path",
            path.display()
        )));
    }
    // Looked at before it is opened: a pipe would wait for a writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "{} is no regular file of at most {} MiB",
            path.display(),
            FILE_BYTES_MAX >> 20
        )));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_around_one_are_numbered_from_where_they_begin() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("main.go");
        let text: String = (1..=2_000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&path, text).unwrap();
        for (line, first, count) in [(1, 1, 501), (1_000, 500, 1_001), (2_000, 1_500, 501)] {
            let SourceEvent::SourceText {
                first_line, lines, ..
            } = read(path.to_str().unwrap(), line)
            else {
                panic!("line {line}");
            };
            assert_eq!((first_line, lines.len()), (first, count));
            assert_eq!(lines[0], format!("line {first}"));
        }
    }

    #[test]
    fn what_is_no_source_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap().to_owned();
        for file in [path.as_str(), "/dev/zero", "main.go", "/no/such/file.c"] {
            let event = read(file, 1);
            assert!(matches!(event, SourceEvent::SourceFailed { .. }), "{file}");
            assert!(editor(file, 1).is_err(), "{file}");
        }
    }
}
