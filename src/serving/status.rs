//! From errors to what a client gets: the message, and beside it the stable code and the next step.

use coral_model::{Diagnostic, Escaped, ExitStatus};
use coral_proto::{ERROR_CODE, ERROR_HELP};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

/// Longer texts are cut: a status travels as headers, of which clients take some KiB.
const TEXT_BYTES_MAX: usize = 1 << 10;
const CUT: &str = "...";

/// The status of an error.
pub(crate) fn of(error: &dyn Diagnostic) -> Status {
    let code = match (error.code(), error.exit_status()) {
        ("over-limit", _) => Code::ResourceExhausted,
        ("session-ended", _) => Code::FailedPrecondition,
        ("no-such-process" | "no-such-session" | "no-such-function", _) => Code::NotFound,
        (_, ExitStatus::Usage) => Code::InvalidArgument,
        (_, ExitStatus::Unsupported) => Code::FailedPrecondition,
        (_, ExitStatus::TargetGone) => Code::NotFound,
        _ => Code::Internal,
    };
    with(code, error.code(), &error.to_string(), &error.help())
}

/// A status with a stable code.
pub(crate) fn with(code: Code, name: &str, message: &str, help: &str) -> Status {
    let mut status = Status::new(code, cut(Escaped(message).to_string()));
    for (key, text) in [(ERROR_CODE, name), (ERROR_HELP, help)] {
        let line: String = text
            .chars()
            .filter(|c| c.is_ascii() && !c.is_ascii_control())
            .collect();
        if let Ok(value) = cut(line).parse::<MetadataValue<Ascii>>() {
            status.metadata_mut().insert(key, value);
        }
    }
    status
}

/// The status where this program itself has failed: a thread that others wait for.
pub(crate) fn failed(message: &str) -> Status {
    let help = "ask again, and report it if that fails too";
    with(Code::Internal, "agent-failed", message, help)
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str(CUT);
    }
    text
}
