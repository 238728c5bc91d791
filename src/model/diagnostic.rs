//! What every error of coral says: a stable code, the reason, and the next step.

/// Exit statuses of the programs, by contract: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Anything that has no status of its own.
    Failure = 1,
    /// The command line or the target's names are wrong.
    Usage = 2,
    /// The right or the kernel feature is missing.
    Unsupported = 3,
    /// The target went away before anything was measured.
    TargetGone = 4,
}

/// An error that a person can act on.
///
/// `Display` of the error says what went wrong and why; this adds what a machine needs (the code,
/// the exit status) and what a person needs next (the help).
pub trait Diagnostic: std::error::Error {
    /// The stable, documented code, in kebab case, such as `no-such-process`.
    fn code(&self) -> &'static str;
    /// The next step, as a sentence without a final full stop.
    fn help(&self) -> String;
    /// The status that a program ends with because of this error.
    fn exit_status(&self) -> ExitStatus;
}
