//! Why a configuration cannot be used: where, what, and what would be allowed.

use std::io;
use std::ops::Range;
use std::path::Path;

use coral_model::{Diagnostic, Escaped, ExitStatus};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct ConfigError {
    /// The file, and in it the line and the column.
    place: String,
    why: String,
    /// The command that prints every key.
    prints: &'static str,
}

const CONSOLE: &str = "coral-tui --print-config --config /dev/null";
const AGENT: &str = "coral agent --print-config";
const COLONY: &str = "coral colony --print-config";

impl ConfigError {
    /// A file that cannot be read at all.
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            place: path.display().to_string(),
            why: format!("the configuration cannot be read: {error}"),
            prints: CONSOLE,
        }
    }

    /// What the parser refused, with the value if it does not name that itself.
    pub(super) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let value = error.span().and_then(|span| text.get(span));
        let value = value.unwrap_or_default();
        let why = error.message();
        if value.contains('\n') || why.contains(value.trim_matches(['"', '\''])) {
            Self::at(path, text, error.span(), why)
        } else {
            Self::at(path, text, error.span(), &format!("`{value}`: {why}"))
        }
    }

    /// What the parser refused.
    pub(super) fn of_yaml(path: &Path, error: &serde_saphyr::Error) -> Self {
        let place = error.location().map_or_else(
            || path.display().to_string(),
            |at| format!("{}:{}:{}", path.display(), at.line(), at.column()),
        );
        let why = error.without_snippet().to_string();
        let why = why.lines().next().unwrap_or_default();
        // It stands in front already.
        let why = why.split(" at line ").next().unwrap_or_default();
        Self {
            place,
            why: Escaped(why).to_string(),
            prints: AGENT,
        }
    }

    /// The same of a file of the agent's.
    pub(super) fn of_agent(self) -> Self {
        Self {
            prints: AGENT,
            ..self
        }
    }

    /// The same of a file of the colony's.
    pub(super) fn of_colony(self) -> Self {
        Self {
            prints: COLONY,
            ..self
        }
    }

    /// A mistake at a place in the file's text; without a place it is the whole file's.
    pub(super) fn at(path: &Path, text: &str, span: Option<Range<usize>>, why: &str) -> Self {
        let start = span.map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before[line_start..].chars().count();
        Self {
            place: format!("{}:{line}:{column}", path.display()),
            // Values are quoted as they stand there.
            why: Escaped(why).to_string(),
            prints: CONSOLE,
        }
    }
}

impl Diagnostic for ConfigError {
    fn code(&self) -> &'static str {
        "bad-config"
    }

    fn help(&self) -> String {
        format!("`{}` prints every key with its default", self.prints)
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Usage
    }
}
