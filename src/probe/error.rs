//! What can go wrong between a plan and the kernel.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use coral_model::{Diagnostic, ExitStatus};

use super::features::Feature;

/// An error of the kernel side.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum ProbeError {
    #[error("the kernel refused the programs: {0}")]
    Load(#[from] EbpfError),
    #[error("the kernel refused a program: {0}")]
    Program(#[source] ProgramError),
    #[error("a map of the kernel programs cannot be used: {0}")]
    Map(#[from] MapError),
    #[error("the map {0} is missing in the kernel programs' object")]
    MissingPart(&'static str),
    #[error("the counters cannot be mapped: {0}")]
    Mapping(#[source] io::Error),
    #[error("this kernel has no multi links: at most {limit} probes; asked for {asked}")]
    TooManyProbes { limit: usize, asked: usize },
    #[error("the target went away while attaching")]
    TargetGone,
}

impl Diagnostic for ProbeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Load(_) | Self::Program(_) => "kernel-refused",
            Self::Map(_) | Self::MissingPart(_) | Self::Mapping(_) => "kernel-maps",
            Self::TooManyProbes { .. } => "over-limit",
            Self::TargetGone => "target-gone",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::TargetGone => "start the target again, and attach to its new process id".into(),
            Self::TooManyProbes { .. } => format!(
                "choose functions with fewer exits, or fewer functions; Linux {}.{} has no such limit",
                Feature::MultiLinks.since().0,
                Feature::MultiLinks.since().1
            ),
            _ => "run `coral doctor`: it names the right or the kernel feature that is missing"
                .into(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::TargetGone => ExitStatus::TargetGone,
            Self::TooManyProbes { .. } => ExitStatus::Usage,
            _ => ExitStatus::Unsupported,
        }
    }
}
