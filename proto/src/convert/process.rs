//! Processes: what a target is, and what a list says of each.

use coral_model::{Language, ProcessSummary, Target};

use prost::Message;

use super::text::{cut, optional_text, text};
use super::{ConvertError, ITEM_BYTES};
use crate::agent::v1 as wire;

/// To how many bytes command lines are cut, until a list fits.
const COMMAND_BYTES: [usize; 4] = [4 << 10, 512, 128, 32];

impl From<Language> for wire::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::Go => Self::Go,
            Language::Rust => Self::Rust,
            Language::C => Self::C,
            Language::Cpp => Self::Cpp,
            Language::Assembly => Self::Assembly,
            Language::Unknown => Self::Unspecified,
        }
    }
}

impl From<wire::Language> for Language {
    fn from(language: wire::Language) -> Self {
        match language {
            wire::Language::Go => Self::Go,
            wire::Language::Rust => Self::Rust,
            wire::Language::C => Self::C,
            wire::Language::Cpp => Self::Cpp,
            wire::Language::Assembly => Self::Assembly,
            wire::Language::Unspecified => Self::Unknown,
        }
    }
}

/// The language of that number; one that only a newer side knows is unknown here.
pub(super) fn language(number: i32) -> Language {
    wire::Language::try_from(number).map_or(Language::Unknown, Language::from)
}

impl From<&Target> for wire::Target {
    fn from(target: &Target) -> Self {
        Self {
            service: text(&target.service),
            pid: target.pid,
            exe: text(&target.exe),
            build_id: optional_text(&target.build_id),
            language: wire::Language::from(target.language).into(),
            start_ticks: target.start_ticks,
            agent_id: text(&target.agent_id),
        }
    }
}

impl From<wire::Target> for Target {
    fn from(target: wire::Target) -> Self {
        Self {
            language: language(target.language),
            agent_id: target.agent_id,
            service: target.service,
            pid: target.pid,
            exe: target.exe,
            build_id: target.build_id,
            start_ticks: target.start_ticks,
        }
    }
}

impl From<&ProcessSummary> for wire::Process {
    fn from(process: &ProcessSummary) -> Self {
        Self {
            pid: process.pid,
            user: text(&process.user),
            name: text(&process.name),
            command: text(&process.command),
            language: process
                .language
                .map(|language| wire::Language::from(language).into()),
            ports: process.ports.iter().copied().map(u32::from).collect(),
            container: optional_text(&process.container),
            resident_bytes: process.resident_bytes,
            refusal: optional_text(&process.refusal),
            sdk: None,
            start_ticks: process.start_ticks,
            agent_id: String::new(),
            build_id: None,
        }
    }
}

/// Cuts the command lines of a list of processes until the list takes at most so many bytes;
/// `false` where it takes more even then.
pub fn fit_processes(processes: &mut [wire::Process], bytes_max: usize) -> bool {
    let bytes = |processes: &[wire::Process]| -> usize {
        let lens = processes.iter().map(wire::Process::encoded_len);
        lens.map(|len| len + ITEM_BYTES).sum()
    };
    for command_bytes_max in COMMAND_BYTES {
        if bytes(processes) <= bytes_max {
            return true;
        }
        for process in processes.iter_mut() {
            process.command = cut(&process.command, command_bytes_max);
        }
    }
    bytes(processes) <= bytes_max
}

/// Services of which one may stand in several parts, one after the other, each whole.
pub fn joined_services(parts: impl IntoIterator<Item = wire::Service>) -> Vec<wire::Service> {
    let mut services: Vec<wire::Service> = Vec::new();
    for part in parts {
        match services.last_mut().filter(|last| last.name == part.name) {
            Some(last) => last.processes.extend(part.processes),
            None => services.push(part),
        }
    }
    services
}

impl TryFrom<wire::Process> for ProcessSummary {
    type Error = ConvertError;

    fn try_from(process: wire::Process) -> Result<Self, ConvertError> {
        let port =
            |port| u16::try_from(port).map_err(|_| ConvertError::range("ports", &port, "a port"));
        Ok(Self {
            pid: process.pid,
            user: process.user,
            name: process.name,
            command: process.command,
            language: process.language.map(language),
            ports: process
                .ports
                .into_iter()
                .map(port)
                .collect::<Result<_, _>>()?,
            container: process.container,
            resident_bytes: process.resident_bytes,
            refusal: process.refusal,
            start_ticks: process.start_ticks,
        })
    }
}
