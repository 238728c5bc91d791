//! The functions of this program: read when somebody asks, forgotten again soon.

mod cache;
mod demangle;
mod elf;
mod executable;
mod places;
mod search;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant};

use coral_proto::sdk::v1::{Binary, FunctionInfo};
use object::NativeEndian as Native;
use object::elf::{self as abi, Sym64};
use object::pod::slice_from_bytes;

pub(crate) use cache::IndexCache;
pub(crate) use executable::Executable;
pub(crate) use search::{Page, compile, page};

use elf::Elf;

/// A million symbols; what is behind them is left out.
const SYMBOLS_BYTES_MAX: u64 = 24_000_000;
const STRINGS_BYTES_MAX: u64 = 80 << 20;
/// Names are at most so long together.
const NAMES_BYTES_MAX: usize = 64 << 20;
/// So long debug information is read.
const PLACES_TIME_MAX: Duration = Duration::from_secs(1);
/// So long names are demangled; further ones stay mangled.
const DEMANGLING_TIME_MAX: Duration = Duration::from_secs(2);
const SYMBOLS_PER_CLOCK_LOOK: usize = 1024;

/// Why there is no list of functions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("the executable cannot be read: {0}")]
    Read(#[source] io::Error),
    #[error("the executable is damaged: {0} cannot be read")]
    Damaged(&'static str),
    #[error("the executable is no 64-bit ELF file of this machine's byte order")]
    NotSupported,
    #[error("the executable has no symbols: build it without `strip`, or keep `.symtab`")]
    NoSymbols,
}

/// All functions that the program names, by name.
pub(crate) struct Index {
    pub(crate) binary: Binary,
    pub(crate) left_out: usize,
    names: String,
    files: Vec<String>,
    functions: Vec<Function>,
}

struct Function {
    name_start: u32,
    name_len: u32,
    offset: u64,
    size_bytes: u64,
    /// An index of the files.
    file: u32,
    /// 0 if nothing tells.
    line: u32,
}

impl Function {
    fn name<'n>(&self, names: &'n str) -> &'n str {
        let start = self.name_start as usize;
        &names[start..start + self.name_len as usize]
    }

    fn key<'n>(&self, names: &'n str) -> (&'n str, u64) {
        (self.name(names), self.offset)
    }
}

impl Index {
    /// Reads the symbol table, or where there is none that of the dynamic linker.
    pub(crate) fn read(executable: &Executable) -> Result<Self, IndexError> {
        let elf = Elf::read(&executable.file)?;
        let (table, strings) = elf
            .table_with_strings(abi::SHT_SYMTAB)
            .or_else(|| elf.table_with_strings(abi::SHT_DYNSYM))
            .ok_or(IndexError::NoSymbols)?;
        let symbols = elf.section_bytes(table, SYMBOLS_BYTES_MAX)?;
        let strings_bytes = elf.section_bytes(strings, STRINGS_BYTES_MAX)?;
        let mut index = Self {
            binary: executable.binary_of(elf.build_id()),
            left_out: (table.sh_size.get(Native) as usize - symbols.len())
                / size_of::<Sym64<Native>>(),
            names: String::new(),
            files: Vec::new(),
            functions: Vec::new(),
        };
        let addresses = index.add_symbols(&elf, &symbols, &strings_bytes)?;
        drop((symbols, strings_bytes));
        index.add_places(&elf, &addresses);
        index.sort();
        Ok(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.functions.len()
    }

    /// The name of the function at a place in the order of names.
    pub(crate) fn name(&self, at: usize) -> &str {
        self.functions[at].name(&self.names)
    }

    pub(crate) fn info(&self, at: usize) -> FunctionInfo {
        let function = &self.functions[at];
        let file = self
            .files
            .get(function.file as usize)
            .filter(|_| function.line > 0);
        FunctionInfo {
            name: self.name(at).to_owned(),
            offset: function.offset,
            file: file.cloned().unwrap_or_default(),
            line: function.line,
            params: Vec::new(),
            size_bytes: function.size_bytes,
        }
    }

    /// The offsets of the functions with exactly this name.
    pub(crate) fn offsets(&self, name: &str) -> Vec<u64> {
        let own = |function: &Function| function.name(&self.names).cmp(name);
        let first = self
            .functions
            .partition_point(|function| own(function).is_lt());
        let same = self.functions[first..]
            .iter()
            .take_while(|function| own(function).is_eq());
        same.map(|function| function.offset).collect()
    }

    /// Adds the functions among the symbols; returns their addresses in this order.
    fn add_symbols(
        &mut self,
        elf: &Elf<'_>,
        symbols: &[u8],
        strings: &[u8],
    ) -> Result<Vec<u64>, IndexError> {
        let count = symbols.len() / size_of::<Sym64<Native>>();
        let (symbols, _) = slice_from_bytes::<Sym64<Native>>(symbols, count)
            .map_err(|()| IndexError::Damaged("the symbol table"))?;
        let deadline = Instant::now() + DEMANGLING_TIME_MAX;
        let mut is_late = false;
        let mut addresses = Vec::new();
        for (number, symbol) in symbols.iter().enumerate() {
            if number.is_multiple_of(SYMBOLS_PER_CLOCK_LOOK) {
                is_late = Instant::now() >= deadline;
            }
            let address = symbol.st_value.get(Native);
            let is_function =
                symbol.st_type() == abi::STT_FUNC && symbol.st_shndx.get(Native) != abi::SHN_UNDEF;
            let Some(offset) = is_function.then(|| elf.file_offset(address)).flatten() else {
                continue;
            };
            let name = name_at(strings, symbol.st_name.get(Native) as usize);
            if name.as_deref().is_some_and(is_cold_part) {
                continue;
            }
            let Some((name_start, name_len)) = name.and_then(|name| self.add_name(&name, is_late))
            else {
                self.left_out += 1;
                continue;
            };
            self.functions.push(Function {
                name_start,
                name_len,
                offset,
                size_bytes: symbol.st_size.get(Native),
                file: 0,
                line: 0,
            });
            addresses.push(address);
        }
        Ok(addresses)
    }

    fn add_places(&mut self, elf: &Elf<'_>, addresses: &[u64]) {
        let mut wanted = addresses.to_vec();
        wanted.sort_unstable();
        let places = places::read(elf, &wanted, Instant::now() + PLACES_TIME_MAX);
        for (function, address) in self.functions.iter_mut().zip(addresses) {
            let place = places.by_address.get(address).copied();
            (function.file, function.line) = place.unwrap_or_default();
        }
        self.files = places.files;
    }

    /// Keeps a name, and tells where and how long; `None` if there is no room.
    fn add_name(&mut self, mangled: &str, is_late: bool) -> Option<(u32, u32)> {
        let name = if is_late {
            mangled.into()
        } else {
            demangle::demangle(mangled)
        };
        let start = self.names.len();
        if start + name.len() > NAMES_BYTES_MAX {
            return None;
        }
        self.names.push_str(&name);
        Some((start as u32, name.len() as u32))
    }

    /// Brings the functions in the order of their names; what is said twice is said once.
    fn sort(&mut self) {
        let names = &self.names;
        self.functions
            .sort_unstable_by(|a, b| a.key(names).cmp(&b.key(names)));
        self.functions.dedup_by(|a, b| a.key(names) == b.key(names));
    }
}

/// The symbol's name; `None` if it is missing, empty or too long.
fn name_at(strings: &[u8], at: usize) -> Option<Cow<'_, str>> {
    let rest = strings.get(at..)?;
    let rest = &rest[..rest.len().min(demangle::NAME_BYTES_MAX + 1)];
    let len = rest
        .iter()
        .position(|&byte| byte == 0)
        .filter(|&len| len > 0)?;
    Some(String::from_utf8_lossy(&rest[..len]))
}

/// Whether it is a part of a function that the compiler moved away: `f.cold` or `f.cold.1`.
fn is_cold_part(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.ends_with(".cold") || stem.ends_with(".cold.")
}
