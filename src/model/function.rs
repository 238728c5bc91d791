//! The function table of a process: every function of its executable, and of libraries on request.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names a function within one [`FunctionTable`]; stays valid when modules are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionId(pub u32);

/// The language a function was compiled from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum Language {
    Go,
    Rust,
    C,
    #[serde(rename = "c++")]
    Cpp,
    Assembly,
    #[default]
    Unknown,
}

impl Language {
    /// The name in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "c++",
            Self::Assembly => "assembly",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a function's name and bounds were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum SymbolSource {
    Symtab,
    Dwarf,
    Gopclntab,
    EhFrame,
    Dynsym,
    Sdk,
}

impl SymbolSource {
    /// The name in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Symtab => "symtab",
            Self::Dwarf => "dwarf",
            Self::Gopclntab => "gopclntab",
            Self::EhFrame => "eh_frame",
            Self::Dynsym => "dynsym",
            Self::Sdk => "sdk",
        }
    }
}

/// How much of a function's calls probes can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probeability {
    /// Entries and every exit: calls and durations.
    Full,
    /// Entries only: calls are counted, durations are not invented.
    EntryOnly,
    /// No probe may be placed.
    None,
}

impl Probeability {
    /// The name in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::EntryOnly => "entry_only",
            Self::None => "none",
        }
    }
}

/// Why a function is probed at its entry only, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeReason {
    /// No instruction leaves the function: it loops for ever or ends the thread.
    NoExit,
    /// A byte sequence that no known instruction has.
    Undecodable,
    /// The last instruction reaches beyond the function's end.
    Overrun,
    /// Two control flows read the same bytes as different instructions.
    OverlappingInstructions,
    /// An indirect jump whose targets are not known.
    IndirectJump,
    /// A conditional jump leaves the function; whether it is taken is not known at the probe.
    ConditionalTailCall,
    /// More exits than the planner's cap.
    TooManyExits,
    /// The only place for the entry probe would be an instruction that must not be probed.
    UnsafeEntry,
    /// An exit instruction that must not be probed.
    UnsafeExit,
    /// Entry and exit are one instruction.
    SingleInstruction,
    /// The file itself holds a breakpoint where the probe would go.
    Breakpoint,
    /// The symbol is a resolver that picks the function at load time.
    Ifunc,
    /// The symbol is not inside an executable segment of the file.
    NotCode,
    /// The symbol has no size and nothing else tells where it ends.
    UnknownSize,
    /// The planner does not know this processor's instructions.
    UnsupportedArchitecture,
    /// A Go version whose calling convention does not keep the goroutine in a register.
    UnsupportedGo,
    /// It is a call that was inlined: it has a first instruction, but no frame and no return.
    Inlined,
}

impl ProbeReason {
    /// All reasons.
    pub const ALL: [Self; 17] = [
        Self::NoExit,
        Self::Undecodable,
        Self::Overrun,
        Self::OverlappingInstructions,
        Self::IndirectJump,
        Self::ConditionalTailCall,
        Self::TooManyExits,
        Self::UnsafeEntry,
        Self::UnsafeExit,
        Self::SingleInstruction,
        Self::Breakpoint,
        Self::Ifunc,
        Self::NotCode,
        Self::UnknownSize,
        Self::UnsupportedArchitecture,
        Self::UnsupportedGo,
        Self::Inlined,
    ];

    /// The stable name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoExit => "no_exit",
            Self::Undecodable => "undecodable",
            Self::Overrun => "overrun",
            Self::OverlappingInstructions => "overlapping_instructions",
            Self::IndirectJump => "indirect_jump",
            Self::ConditionalTailCall => "conditional_tail_call",
            Self::TooManyExits => "too_many_exits",
            Self::UnsafeEntry => "unsafe_entry",
            Self::UnsafeExit => "unsafe_exit",
            Self::SingleInstruction => "single_instruction",
            Self::Breakpoint => "breakpoint",
            Self::Ifunc => "ifunc",
            Self::NotCode => "not_code",
            Self::UnknownSize => "unknown_size",
            Self::UnsupportedArchitecture => "unsupported_architecture",
            Self::UnsupportedGo => "unsupported_go",
            Self::Inlined => "inlined",
        }
    }

    /// The reason of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The reason as a phrase for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoExit => "never returns",
            Self::Undecodable => "holds bytes that no known instruction has",
            Self::Overrun => "its last instruction reaches beyond its end",
            Self::OverlappingInstructions => "its instructions overlap",
            Self::IndirectJump => "leaves by an indirect jump that cannot be followed",
            Self::ConditionalTailCall => "leaves by a conditional jump to another function",
            Self::TooManyExits => "has more exits than the cap",
            Self::UnsafeEntry => "its first instructions must not be probed",
            Self::UnsafeExit => "one of its exits must not be probed",
            Self::SingleInstruction => "is entered and left by the same instruction",
            Self::Breakpoint => "the file holds a breakpoint there",
            Self::Ifunc => "is a resolver that runs at load time",
            Self::NotCode => "is not inside executable code",
            Self::UnknownSize => "its size is unknown",
            Self::UnsupportedArchitecture => "this processor's code cannot be planned",
            Self::UnsupportedGo => "this Go version does not keep the goroutine in a register",
            Self::Inlined => "inlined: executions of its first instruction are counted, not timed",
        }
    }
}

/// What the planner found out about a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSummary {
    /// How much probes can see.
    pub probe: Probeability,
    /// How many exit sites there are (0 unless `probe` is full).
    pub exits: u32,
    /// Why it is not full.
    pub reason: Option<ProbeReason>,
}

/// An ELF file that the process has mapped: its executable or a shared library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The path as the process sees it.
    pub path: String,
    /// The GNU build-id (or Go's build id) in lower-case hexadecimal, where there is one.
    pub build_id: Option<String>,
    /// The language most of it was compiled from.
    pub language: Language,
}

/// One function, as a view into its table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Function<'a> {
    /// Its name in the table.
    pub id: FunctionId,
    /// The demangled name, as it stands in the binary: escape it before showing it.
    pub name: &'a str,
    /// Go's import path, Rust's crate, C++'s namespace; empty where there is none.
    pub package: &'a str,
    /// The source file of its first instruction.
    pub file: Option<&'a str>,
    /// The source line of its first instruction.
    pub line: Option<u32>,
    /// The virtual address in the module's file (not in the process).
    pub address: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What it was compiled from.
    pub language: Language,
    /// Where name and bounds come from.
    pub source: SymbolSource,
    /// Index into [`FunctionTable::modules`].
    pub module: u16,
    /// What the planner found, once it has looked.
    pub plan: Option<ProbeSummary>,
}

impl Function<'_> {
    /// The package's place within the name, in bytes.
    pub fn package_range(&self) -> Range<usize> {
        let start = (self.package.as_ptr().addr()).wrapping_sub(self.name.as_ptr().addr());
        let range = start..start.saturating_add(self.package.len());
        if self.name.get(range.clone()).is_some() {
            range
        } else {
            0..0
        }
    }
}

/// A function to add to a table; see [`Function`] for the fields.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // documented at `Function`
pub struct NewFunction<'a> {
    pub name: &'a str,
    /// The package's place within `name`, in bytes.
    pub package: Range<usize>,
    pub file: Option<&'a str>,
    pub line: Option<u32>,
    pub address: u64,
    pub size: u64,
    pub language: Language,
    pub source: SymbolSource,
    pub module: u16,
    pub plan: Option<ProbeSummary>,
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    address: u64,
    name_start: u64,
    name_len: u32,
    size: u32,
    package_start: u16,
    package_len: u16,
    file: u32,
    line: u32,
    plan: Option<ProbeSummary>,
    module: u16,
    language: Language,
    source: SymbolSource,
}

const NO_FILE: u32 = u32::MAX;

/// All functions of a process, compact enough for a million of them.
///
/// Names lie in one buffer and files are interned, so a function costs about 60 bytes and its
/// name. The order is by module, then by address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionTable {
    modules: Vec<Module>,
    names: String,
    files: Vec<Arc<str>>,
    records: Vec<Record>,
}

impl FunctionTable {
    /// The modules; the executable is the first.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// How many functions there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no function at all.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The function of that id, if it is of this table.
    pub fn get(&self, id: FunctionId) -> Option<Function<'_>> {
        let record = self.records.get(id.0 as usize)?;
        let start = record.name_start as usize;
        let name = &self.names[start..start + record.name_len as usize];
        let package = record.package_start as usize;
        Some(Function {
            id,
            name,
            package: &name[package..package + record.package_len as usize],
            file: self.files.get(record.file as usize).map(|file| &**file),
            line: (record.line != 0).then_some(record.line),
            address: record.address,
            size: u64::from(record.size),
            language: record.language,
            source: record.source,
            module: record.module,
            plan: record.plan,
        })
    }

    /// All functions in the table's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Function<'_>> + '_ {
        (0..self.records.len()).map(|index| {
            self.get(FunctionId(index as u32))
                .expect("the index is below the length")
        })
    }
}

/// Builds a [`FunctionTable`] function by function.
#[derive(Debug, Default)]
pub struct FunctionTableBuilder {
    table: FunctionTable,
    file_index: HashMap<Arc<str>, u32>,
}

impl FunctionTableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues a table: its functions keep their ids.
    pub fn extend(table: &FunctionTable) -> Self {
        let file_index = (0u32..)
            .zip(&table.files)
            .map(|(index, file)| (Arc::clone(file), index))
            .collect();
        Self {
            table: table.clone(),
            file_index,
        }
    }

    /// Adds a module and returns its index.
    pub fn add_module(&mut self, module: Module) -> u16 {
        self.table.modules.push(module);
        (self.table.modules.len() - 1) as u16
    }

    /// Adds a function and returns its id.
    ///
    /// A package range that is not inside the name, or not on character borders, counts as none.
    pub fn push(&mut self, function: &NewFunction<'_>) -> FunctionId {
        let file = function.file.map_or(NO_FILE, |file| self.intern(file));
        let name_start = self.table.names.len() as u64;
        self.table.names.push_str(function.name);
        let package = if function.name.get(function.package.clone()).is_some()
            && function.package.end <= usize::from(u16::MAX)
        {
            function.package.clone()
        } else {
            0..0
        };
        self.table.records.push(Record {
            address: function.address,
            name_start,
            name_len: function.name.len() as u32,
            size: u32::try_from(function.size).unwrap_or(u32::MAX),
            package_start: package.start as u16,
            package_len: package.len() as u16,
            file,
            line: function.line.unwrap_or(0),
            plan: function.plan,
            module: function.module,
            language: function.language,
            source: function.source,
        });
        FunctionId((self.table.records.len() - 1) as u32)
    }

    /// Gives a function another name, without a package.
    pub fn set_name(&mut self, id: FunctionId, name: &str, source: SymbolSource) {
        let name_start = self.table.names.len() as u64;
        if let Some(record) = self.table.records.get_mut(id.0 as usize) {
            self.table.names.push_str(name);
            record.name_start = name_start;
            record.name_len = name.len() as u32;
            (record.package_start, record.package_len) = (0, 0);
            record.source = source;
        }
    }

    /// Sets where a function's source is, found out after it was added.
    pub fn set_location(&mut self, id: FunctionId, file: &str, line: u32) {
        let file = self.intern(file);
        if let Some(record) = self.table.records.get_mut(id.0 as usize) {
            record.file = file;
            record.line = line;
        }
    }

    /// Sets the language that a function was compiled from, found out after it was added.
    pub fn set_language(&mut self, id: FunctionId, language: Language) {
        if let Some(record) = self.table.records.get_mut(id.0 as usize) {
            record.language = language;
        }
    }

    /// Sets what the planner found out about a function.
    pub fn set_plan(&mut self, id: FunctionId, plan: ProbeSummary) {
        if let Some(record) = self.table.records.get_mut(id.0 as usize) {
            record.plan = Some(plan);
        }
    }

    /// The table as it stands.
    pub fn build(mut self) -> FunctionTable {
        self.table.names.shrink_to_fit();
        self.table.records.shrink_to_fit();
        self.table
    }

    fn intern(&mut self, file: &str) -> u32 {
        if let Some(&index) = self.file_index.get(file) {
            return index;
        }
        let file: Arc<str> = file.into();
        let index = self.table.files.len() as u32;
        self.table.files.push(Arc::clone(&file));
        self.file_index.insert(file, index);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function<'a>(name: &'a str, package: Range<usize>) -> NewFunction<'a> {
        NewFunction {
            name,
            package,
            file: Some("main.go"),
            line: Some(7),
            address: 0x1000,
            size: 32,
            language: Language::Go,
            source: SymbolSource::Gopclntab,
            module: 0,
            plan: None,
        }
    }

    #[test]
    fn a_function_reads_back_as_it_was_added() {
        let mut builder = FunctionTableBuilder::new();
        let first = builder.push(&function("main.handleCheckout", 0..4));
        let second = builder.push(&function("é.f", 0..1));
        builder.set_location(second, "other.go", 9);
        let table = builder.build();
        let read = table.get(first).unwrap();
        assert_eq!(read.name, "main.handleCheckout");
        assert_eq!((read.package, read.package_range()), ("main", 0..4));
        assert_eq!((read.file, read.line), (Some("main.go"), Some(7)));
        let read = table.get(second).unwrap();
        assert_eq!(read.package, "", "a range inside a character is no package");
        assert_eq!((read.file, read.line), (Some("other.go"), Some(9)));
        assert_eq!(table.get(FunctionId(2)), None);
    }

    #[test]
    fn a_package_is_found_where_it_stands_in_the_name() {
        let mut builder = FunctionTableBuilder::new();
        builder.push(&function("f::<f::x>::f", 6..7));
        let table = builder.build();
        assert_eq!(table.get(FunctionId(0)).unwrap().package_range(), 6..7);
    }

    #[test]
    fn a_reason_has_one_name_in_documents_and_on_the_wire() {
        for reason in ProbeReason::ALL {
            let document = toml::Value::try_from(reason).unwrap();
            assert_eq!(document.as_str(), Some(reason.name()));
            assert_eq!(ProbeReason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(ProbeReason::from_name("because"), None);
    }

    #[test]
    fn ids_survive_an_extension() {
        let mut builder = FunctionTableBuilder::new();
        let id = builder.push(&function("main.a", 0..4));
        let table = builder.build();
        let mut builder = FunctionTableBuilder::extend(&table);
        builder.push(&function("main.b", 0..4));
        let longer = builder.build();
        assert_eq!(longer.get(id), table.get(id));
        assert_eq!(longer.len(), 2);
    }
}
