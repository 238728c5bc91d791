//! The function table of a process, in pages.

use coral_model::{
    Function, FunctionTable, FunctionTableBuilder, Module, NewFunction, ProbeReason, ProbeSummary,
    Probeability, SymbolSource,
};
use prost::Message;

use super::ConvertError;
use super::process::language;
use super::text::{optional_text, text};
use crate::agent::v1 as wire;

/// What the function table of one process may take in the receiver's memory, in bytes, about.
pub const TABLE_BYTES_MAX: usize = 512 << 20;

/// What a function takes in a table beside its texts, in bytes, about.
const FUNCTION_BYTES: usize = 64;
/// What a function needs in a page beside itself: its field's tag and its length.
const ITEM_BYTES: usize = 8;

/// As many of these functions as one page holds: at most so many, in at most so many bytes, but at
/// least one if there is one. The next page begins behind the last one's number.
pub fn function_page<'a>(
    functions: impl IntoIterator<Item = Function<'a>>,
    functions_max: usize,
    bytes_max: usize,
) -> Vec<wire::Function> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for function in functions.into_iter().take(functions_max) {
        let function = wire::Function::from(function);
        bytes += ITEM_BYTES + function.encoded_len();
        if bytes > bytes_max && !page.is_empty() {
            break;
        }
        page.push(function);
    }
    page
}

/// Puts the whole function table of a process together from its pages, in their order. What it is
/// given is not trusted.
#[derive(Debug, Default)]
pub struct FunctionPages {
    builder: FunctionTableBuilder,
    modules: Vec<Module>,
    len: usize,
    total: u64,
    held_bytes: usize,
}

impl FunctionPages {
    /// A table of which no page has come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next page. Modules stand in the first page; where later pages repeat them, more
    /// may follow.
    ///
    /// # Errors
    /// If a function is missing or not one, or the table grows over [`TABLE_BYTES_MAX`].
    pub fn add(&mut self, page: &wire::ListFunctionsResponse) -> Result<(), ConvertError> {
        for module in page.modules.iter().skip(self.modules.len()) {
            self.hold(module.path.len() + FUNCTION_BYTES)?;
            let module = Module::from(module);
            self.builder.add_module(module.clone());
            self.modules.push(module);
        }
        for function in &page.functions {
            if function.id as usize != self.len {
                return Err(ConvertError::Place {
                    field: "functions.id",
                    place: function.id.into(),
                    len: self.len,
                });
            }
            let file_bytes = function.file.as_ref().map_or(0, String::len);
            self.hold(function.name.len() + file_bytes + FUNCTION_BYTES)?;
            self.builder.push(&new_function(function, &self.modules)?);
            self.len += 1;
        }
        self.total = page.total;
        Ok(())
    }

    /// The table, once the last page has come.
    ///
    /// # Errors
    /// If functions are missing at its end.
    pub fn build(self) -> Result<FunctionTable, ConvertError> {
        if (self.len as u64) < self.total {
            let field = "functions";
            return Err(ConvertError::Missing { field });
        }
        Ok(self.builder.build())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), ConvertError> {
        self.held_bytes += bytes;
        if self.held_bytes > TABLE_BYTES_MAX {
            return Err(ConvertError::TooLarge {
                what: "the function table",
                limit_bytes: TABLE_BYTES_MAX,
            });
        }
        Ok(())
    }
}

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
