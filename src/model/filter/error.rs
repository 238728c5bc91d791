//! What can be wrong with a filter's text, and where.

use unicode_width::UnicodeWidthStr;

use super::FILTER_BYTES_MAX;
use crate::logic::DEPTH_MAX;
use crate::{Diagnostic, Escaped, ExitStatus};

/// How many characters are shown before the place of an error, and behind it.
const SHOWN_BEFORE: usize = 48;
const SHOWN_BEHIND: usize = 28;

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter cannot be used: at byte {position}, {kind}")]
pub struct FilterError {
    /// Where in the text, in bytes.
    pub position: usize,
    /// What is wrong there.
    pub kind: FilterErrorKind,
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum FilterErrorKind {
    #[error("expected {expected}, found {found}")]
    Expected {
        expected: &'static str,
        /// What stands there, in backquotes and escaped, or `the end`.
        found: String,
    },
    #[error("it is longer than {FILTER_BYTES_MAX} bytes")]
    TooLong,
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the number does not fit in 64 bits")]
    NumberTooLarge,
    #[error("numbers are whole: write a smaller unit, as in `1500us`")]
    Fraction,
    #[error("a string is not closed")]
    Unclosed,
    #[error("the escapes of strings are \\\" \\\\ \\n \\r \\t \\0 and \\u{{...}}")]
    Escape,
}

impl FilterError {
    /// The part of the text around the error, and below it a caret at its place.
    pub fn render(&self, text: &str) -> String {
        let split = text.floor_char_boundary(self.position);
        let (before, behind) = text.split_at(split);
        let skipped = before.chars().count().saturating_sub(SHOWN_BEFORE);
        let before: String = before.chars().skip(skipped).collect();
        let mut shown = format!("{}{}", if skipped > 0 { "…" } else { "" }, Escaped(&before));
        let column = shown.width();
        let end = behind
            .char_indices()
            .nth(SHOWN_BEHIND)
            .map_or(behind.len(), |(at, _)| at);
        shown += &Escaped(&behind[..end]).to_string();
        if end < behind.len() {
            shown.push('…');
        }
        format!("{shown}\n{:column$}^", "")
    }
}

impl Diagnostic for FilterError {
    fn code(&self) -> &'static str {
        "bad-filter"
    }

    fn help(&self) -> String {
        "a filter compares arguments with constants, as in `amount > 100 and user == \"u_1\"`"
            .into()
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Usage
    }
}
