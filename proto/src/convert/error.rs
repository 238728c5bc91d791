//! What does not become a value of the model, and why.

use coral_model::filter::FilterError;
use coral_model::{Diagnostic, ExitStatus, format_bytes};

/// Why something from the wire has no counterpart in the model.
///
/// After an error of a session's updates the stream has to begin anew, with a whole update.
#[derive(Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum ConvertError {
    #[error("the message lacks its field {field}")]
    Missing { field: &'static str },
    #[error("{field} is {value}, which is not {range}")]
    Range {
        field: &'static str,
        value: String,
        range: &'static str,
    },
    #[error("{field} add up to more than 64 bits hold")]
    Overflow { field: &'static str },
    #[error("{field} speaks of number {place}, and there are {len}")]
    Place {
        field: &'static str,
        place: u64,
        len: usize,
    },
    #[error("the call tree's node {node} does not follow its parent")]
    Path { node: u32 },
    #[error("update {got} came, and {expected} was due")]
    Gap { expected: u64, got: u64 },
    #[error("the stream does not begin with a whole update")]
    NotWhole,
    #[error("{what} would take more than {}", format_bytes(*.limit_bytes as u64))]
    TooLarge {
        what: &'static str,
        limit_bytes: usize,
    },
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl ConvertError {
    pub(super) fn range(
        field: &'static str,
        value: &impl ToString,
        range: &'static str,
    ) -> ConvertError {
        ConvertError::Range {
            field,
            value: value.to_string(),
            range,
        }
    }
}

impl Diagnostic for ConvertError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "wire-missing-field",
            Self::Range { .. } => "wire-out-of-range",
            Self::Overflow { .. } => "wire-overflow",
            Self::Place { .. } => "wire-no-such-place",
            Self::Path { .. } => "wire-broken-tree",
            Self::Gap { .. } => "wire-gap",
            Self::NotWhole => "wire-not-whole",
            Self::TooLarge { .. } => "wire-too-large",
            Self::Filter(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        let help = match self {
            Self::Gap { .. } | Self::NotWhole => "watch the session again, from its beginning",
            Self::TooLarge { .. } => "ask for fewer functions",
            Self::Filter(error) => return error.help(),
            Self::Range { .. } => "stay within the range that is named",
            _ => "update the side that sent it: it does not keep to the definitions",
        };
        help.to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Filter(error) => error.exit_status(),
            Self::Range { .. } => ExitStatus::Usage,
            _ => ExitStatus::Failure,
        }
    }
}
