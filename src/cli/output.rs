//! Results on their way to stdout or a file.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use coral_model::{ExitStatus, escape};
use serde::de::IgnoredAny;

use super::arguments::Format;
use crate::command_line;
use crate::export::text::DEFAULT_WIDTH;
use crate::failure::Failure;

/// Writes a line to stderr. Where that is closed nobody listens, and the work goes on.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}
pub(super) use say;

impl Format {
    /// As colonies call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// The usual ending of a file in this format.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// One JSON document as bytes, with a final line end.
pub(super) fn json(document: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| {
        Failure::new(
            "export-failed",
            format!("the result cannot be written as JSON: {error}"),
            "choose another format, and report this as an error of coral",
            ExitStatus::Failure,
        )
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A document that another program has written, which must not act on the terminal. What it means
/// as JSON or CSV stays, but for the control characters in CSV.
pub(super) fn without_controls(document: &[u8], format: Format) -> Result<Vec<u8>, Failure> {
    match format {
        Format::Text | Format::Csv => {
            let text = String::from_utf8_lossy(document);
            let lines: Vec<_> = text.split('\n').map(escape).collect();
            Ok(lines.join("\n").into_bytes())
        }
        Format::Json => json_without_controls(document).ok_or_else(|| {
            Failure::new(
                "export-failed",
                "what came is no JSON document",
                "choose another format, or ask who runs the agent or the colony",
                ExitStatus::Failure,
            )
        }),
    }
}

/// The same document in other words; nothing if it is none.
fn json_without_controls(document: &[u8]) -> Option<Vec<u8>> {
    let _is_json: IgnoredAny = serde_json::from_slice(document).ok()?;
    let text = std::str::from_utf8(document).ok()?;
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | ' '..='~' => harmless.push(character),
            // No string has such a one: it stands between.
            '\0'..' ' => harmless.push(' '),
            _ if matches!(escape(character.encode_utf8(&mut [0; 4])), Cow::Borrowed(_)) => {
                harmless.push(character);
            }
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    harmless += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    Some(harmless.into_bytes())
}

/// What `write` writes, as bytes.
pub(super) fn written(
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    write(&mut bytes).map_err(|error| of_stdout(&error))?;
    Ok(bytes)
}

/// Writes to stdout. That its reader went away is no error.
pub(super) fn print(bytes: &[u8]) -> Result<(), Failure> {
    command_line::print(bytes).map_err(|error| of_stdout(&error))
}

/// How many columns a table on stdout may take.
pub(super) fn width() -> usize {
    if io::stdout().is_terminal() {
        crossterm::terminal::size().map_or(DEFAULT_WIDTH, |(columns, _)| usize::from(columns))
    } else {
        DEFAULT_WIDTH
    }
}

pub(super) fn of_stdout(error: &io::Error) -> Failure {
    Failure::new(
        "export-failed",
        format!("the result cannot be written: {error}"),
        "write to another place with `--output` or a redirection",
        ExitStatus::Failure,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmless(text: &str, format: Format) -> Option<String> {
        let bytes = without_controls(text.as_bytes(), format).ok()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_others_write_does_not_act() {
        let json = "{\r\n\t\"b\": \"\u{9b}2J \u{7f} \u{e0041} \u{fc}\",\n\"a\": 1.10}\n";
        let same = harmless(json, Format::Json).unwrap();
        let expected = "{ \n \"b\": \"\\u009b2J \\u007f \\udb40\\udc41 \u{fc}\",\n\"a\": 1.10}\n";
        assert_eq!(same, expected);
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&same), parsed(json));
        for none in ["", "{", "{} {}", "\"\u{1b}[2J\"", "\u{1b}[2J{}"] {
            assert_eq!(harmless(none, Format::Json), None, "{none:?}");
        }
        let csv = "name,calls\n\u{1b}[2J,\"two\nlines\"\n";
        let expected = "name,calls\n\\u{1b}[2J,\"two\nlines\"\n";
        assert_eq!(harmless(csv, Format::Csv).unwrap(), expected);
    }
}
