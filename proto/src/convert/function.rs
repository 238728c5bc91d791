//! A function of a process, its module, and what the planner found.

use coral_model::{
    Function, Module, NewFunction, ProbeReason, ProbeSummary, Probeability, SymbolSource,
};

use super::ConvertError;
use super::process::language;
use super::text::{optional_text, text};
use crate::agent::v1 as wire;

/// A function from the wire, for a table with these modules.
///
/// # Errors
/// If its module is none of them, or its source or its plan is not known here.
pub fn new_function<'a>(
    function: &'a wire::Function,
    modules: &[Module],
) -> Result<NewFunction<'a>, ConvertError> {
    let module = u16::try_from(function.module).ok();
    let module = module.filter(|&module| usize::from(module) < modules.len());
    let module = module.ok_or(ConvertError::Place {
        field: "functions.module",
        place: function.module.into(),
        len: modules.len(),
    })?;
    let package_start = function.package_start as usize;
    Ok(NewFunction {
        name: &function.name,
        package: package_start..package_start.saturating_add(function.package_len as usize),
        file: function.file.as_deref(),
        line: function.line,
        address: function.address,
        size: function.size_bytes,
        language: language(function.language),
        source: function.source().try_into()?,
        module,
        plan: function.plan.as_ref().map(TryInto::try_into).transpose()?,
    })
}

impl From<Function<'_>> for wire::Function {
    fn from(function: Function<'_>) -> Self {
        let package = function.package_range();
        Self {
            id: function.id.0,
            name: text(function.name),
            // A table keeps both in 16 bits.
            package_start: package.start as u32,
            package_len: package.len() as u32,
            file: function.file.map(text),
            line: function.line,
            address: function.address,
            size_bytes: function.size,
            language: wire::Language::from(function.language).into(),
            source: wire::SymbolSource::from(function.source).into(),
            module: function.module.into(),
            plan: function.plan.map(Into::into),
            builds: Vec::new(),
        }
    }
}

impl From<&Module> for wire::Module {
    fn from(module: &Module) -> Self {
        Self {
            path: text(&module.path),
            build_id: optional_text(&module.build_id),
            language: wire::Language::from(module.language).into(),
        }
    }
}

impl From<&wire::Module> for Module {
    fn from(module: &wire::Module) -> Self {
        Self {
            path: module.path.clone(),
            build_id: module.build_id.clone(),
            language: language(module.language),
        }
    }
}

impl From<ProbeSummary> for wire::ProbePlan {
    fn from(plan: ProbeSummary) -> Self {
        let probe = match plan.probe {
            Probeability::Full => wire::Probeability::Full,
            Probeability::EntryOnly => wire::Probeability::EntryOnly,
            Probeability::None => wire::Probeability::None,
        };
        Self {
            probe: probe.into(),
            exits: plan.exits,
            reason: plan.reason.map(|reason| reason.name().to_owned()),
        }
    }
}

impl TryFrom<&wire::ProbePlan> for ProbeSummary {
    type Error = ConvertError;

    fn try_from(plan: &wire::ProbePlan) -> Result<Self, ConvertError> {
        let probe = match plan.probe() {
            wire::Probeability::Full => Probeability::Full,
            wire::Probeability::EntryOnly => Probeability::EntryOnly,
            wire::Probeability::None => Probeability::None,
            wire::Probeability::Unspecified => {
                let field = "plan.probe";
                return Err(ConvertError::Missing { field });
            }
        };
        Ok(Self {
            probe,
            exits: plan.exits,
            // A newer agent may have reasons that have no name here.
            reason: plan.reason.as_deref().and_then(ProbeReason::from_name),
        })
    }
}

impl From<SymbolSource> for wire::SymbolSource {
    fn from(source: SymbolSource) -> Self {
        match source {
            SymbolSource::Symtab => Self::Symtab,
            SymbolSource::Dwarf => Self::Dwarf,
            SymbolSource::Gopclntab => Self::Gopclntab,
            SymbolSource::EhFrame => Self::EhFrame,
            SymbolSource::Dynsym => Self::Dynsym,
            SymbolSource::Sdk => Self::Sdk,
        }
    }
}

impl TryFrom<wire::SymbolSource> for SymbolSource {
    type Error = ConvertError;

    fn try_from(source: wire::SymbolSource) -> Result<Self, ConvertError> {
        match source {
            wire::SymbolSource::Symtab => Ok(Self::Symtab),
            wire::SymbolSource::Dwarf => Ok(Self::Dwarf),
            wire::SymbolSource::Gopclntab => Ok(Self::Gopclntab),
            wire::SymbolSource::EhFrame => Ok(Self::EhFrame),
            wire::SymbolSource::Dynsym => Ok(Self::Dynsym),
            wire::SymbolSource::Sdk => Ok(Self::Sdk),
            wire::SymbolSource::Unspecified => {
                let field = "functions.source";
                Err(ConvertError::Missing { field })
            }
        }
    }
}
