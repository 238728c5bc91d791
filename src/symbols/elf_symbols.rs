//! Functions from the symbol tables of an ELF file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use coral_model::SymbolSource;
use object::elf;

use super::bytes::{c_string_at, names_budget, slice_at, u16_at, u32_at, u64_at};
use super::image::Image;

const SYMBOL_BYTES: usize = 24;
const NAME_LEN_MAX: usize = 64 << 10;

/// A function symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) address: u64,
    /// 0 if nothing tells.
    pub(super) size: u64,
    name: u32,
    name_len: u32,
    /// The number of the source file that a local symbol belongs to; 0 for global ones.
    unit: u32,
    /// Whether it is a resolver that picks the function at load time.
    pub(super) is_resolver: bool,
}

/// The functions of a symbol table: one for each address, by address.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    names: Vec<u8>,
    pub(super) symbols: Vec<Symbol>,
    /// The parts that the compiler moved away from a function, by the function's address.
    pub(super) cold: HashMap<u64, Vec<Range<u64>>>,
    /// How many functions are left out because the names before them are too long together.
    pub(super) left_out: u32,
}

impl SymbolTable {
    /// Reads `.symtab` or `.dynsym`; `None` if the file has no functions there.
    pub(super) fn read(image: &Image, source: SymbolSource) -> Option<Self> {
        let kind = match source {
            SymbolSource::Symtab => elf::SHT_SYMTAB.0,
            _ => elf::SHT_DYNSYM.0,
        };
        let sections = &image.headers().sections;
        let section = sections.iter().find(|section| section.kind == kind)?;
        let names = image.section_bytes(sections.get(section.link as usize)?)?;
        let bytes = image.section_bytes(section)?;
        let mut table = Self {
            names,
            ..Self::default()
        };
        table.read_functions(&bytes);
        drop(bytes);
        table.symbols.sort_unstable_by_key(|symbol| symbol.address);
        table.join_aliases();
        if source == SymbolSource::Symtab {
            table.fill_sizes(image);
            table.join_cold_parts();
        }
        (!table.symbols.is_empty()).then_some(table)
    }

    /// A symbol's name, mangled as it is in the file.
    pub(super) fn name(&self, symbol: &Symbol) -> Cow<'_, str> {
        String::from_utf8_lossy(self.raw_name(symbol))
    }

    fn raw_name(&self, symbol: &Symbol) -> &[u8] {
        slice_at(
            &self.names,
            u64::from(symbol.name),
            u64::from(symbol.name_len),
        )
        .unwrap_or_default()
    }

    fn read_functions(&mut self, bytes: &[u8]) {
        let mut names_left = names_budget(self.names.len());
        let mut unit = 0;
        for entry in bytes.as_chunks::<SYMBOL_BYTES>().0 {
            let (binding, kind) = (entry[4] >> 4, entry[4] & 0xf);
            if kind == elf::STT_FILE.0 {
                unit += 1;
                continue;
            }
            let unit = if binding == 0 { unit } else { 0 };
            let Some(mut symbol) = read_function(entry, kind, unit) else {
                continue;
            };
            let name = c_string_at(&self.names, u64::from(symbol.name), NAME_LEN_MAX);
            let name_len = name.map_or(0, |name| without_version(name).len());
            if name_len > names_left {
                names_left = 0;
                self.left_out += 1;
                continue;
            }
            names_left -= name_len;
            symbol.name_len = name_len as u32;
            self.symbols.push(symbol);
        }
    }

    /// Of several names of one address the nicest stays.
    fn join_aliases(&mut self) {
        let mut symbols = std::mem::take(&mut self.symbols);
        let rank = |symbol: &Symbol| {
            let name = self.raw_name(symbol);
            // Mangled names begin with underscores by design.
            let underscores = if is_mangled(name) {
                0
            } else {
                name.iter().take_while(|&&byte| byte == b'_').count()
            };
            (symbol.unit != 0, underscores, name.len(), name)
        };
        symbols.dedup_by(|other, kept| {
            if other.address != kept.address {
                return false;
            }
            let size = kept.size.max(other.size);
            let is_resolver = kept.is_resolver || other.is_resolver;
            if rank(other) < rank(kept) {
                *kept = *other;
            }
            kept.size = size;
            kept.is_resolver = is_resolver;
            true
        });
        self.symbols = symbols;
    }

    /// A function without a size reaches to the next symbol or to the end of its section.
    fn fill_sizes(&mut self, image: &Image) {
        let mut next_address = u64::MAX;
        for symbol in self.symbols.iter_mut().rev() {
            if symbol.size == 0 {
                let section_end = image
                    .headers()
                    .sections
                    .iter()
                    .filter_map(|section| {
                        let end = section.address.checked_add(section.size)?;
                        (section.address..end)
                            .contains(&symbol.address)
                            .then_some(end)
                    })
                    .min();
                let end = section_end.unwrap_or(symbol.address).min(next_address);
                symbol.size = end - symbol.address;
            }
            next_address = symbol.address;
        }
    }

    /// Takes the `.cold` parts out of the list and gives them to their functions.
    fn join_cold_parts(&mut self) {
        let names: Vec<_> = self
            .symbols
            .iter()
            .filter_map(|symbol| Some((parent_name(self.raw_name(symbol))?, symbol)))
            .collect();
        if names.is_empty() {
            return;
        }
        // Both the file and the name tell a local function; a global one is told by its name.
        let mut parents: HashMap<(&[u8], u32), u64> = names
            .iter()
            .flat_map(|(name, symbol)| [((*name, symbol.unit), 0), ((*name, 0), 0)])
            .collect();
        for symbol in &self.symbols {
            if let Some(address) = parents.get_mut(&(self.raw_name(symbol), symbol.unit)) {
                *address = symbol.address;
            }
        }
        let mut cold: HashMap<u64, Vec<Range<u64>>> = HashMap::new();
        let mut joined = Vec::new();
        for (name, symbol) in names {
            let parent = [(name, symbol.unit), (name, 0)]
                .iter()
                .find_map(|key| parents.get(key).copied().filter(|&address| address != 0));
            let Some(parent) = parent else { continue };
            let range = symbol.address..symbol.address.saturating_add(symbol.size);
            cold.entry(parent).or_default().push(range);
            joined.push(symbol.address);
        }
        self.symbols
            .retain(|symbol| joined.binary_search(&symbol.address).is_err());
        self.cold = cold;
    }
}

/// Whether a name is one that Rust or C++ compilers made up.
pub(super) fn is_mangled(name: &[u8]) -> bool {
    name.starts_with(b"_Z") || name.starts_with(b"_R")
}

/// The function that `f.cold` or `f.cold.1` is a part of.
fn parent_name(name: &[u8]) -> Option<&[u8]> {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let mut stem = &name[..name.len() - digits.count()];
    if stem.len() < name.len() {
        stem = stem.strip_suffix(b".")?;
    }
    stem.strip_suffix(b".cold")
        .filter(|parent| !parent.is_empty())
}

/// A name without the version of its library's interface, as in `clock_nanosleep@@GLIBC_2.17`.
fn without_version(name: &[u8]) -> &[u8] {
    match name.iter().position(|&byte| byte == b'@') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

fn read_function(entry: &[u8], kind: u8, unit: u32) -> Option<Symbol> {
    let is_resolver = kind == elf::STT_GNU_IFUNC.0;
    let address = u64_at(entry, 8)?;
    let is_defined = u16_at(entry, 6)? != elf::SHN_UNDEF.0 && address != 0;
    let is_function = is_resolver || kind == elf::STT_FUNC.0;
    (is_defined && is_function).then_some(Symbol {
        address,
        size: u64_at(entry, 16)?,
        name: u32_at(entry, 0)?,
        name_len: 0,
        unit,
        is_resolver,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cold_parts_name_their_function() {
        let cases: [(&str, Option<&str>); 6] = [
            ("checkout.cold", Some("checkout")),
            ("checkout.cold.12", Some("checkout")),
            ("_ZN4shop8checkoutEv.cold", Some("_ZN4shop8checkoutEv")),
            ("checkout.part.0.cold", Some("checkout.part.0")),
            ("checkout.colder", None),
            (".cold", None),
        ];
        for (name, parent) in cases {
            assert_eq!(
                parent_name(name.as_bytes()),
                parent.map(str::as_bytes),
                "{name}"
            );
        }
    }

    #[test]
    fn many_symbols_cannot_share_one_long_name() {
        let mut entry = [0; SYMBOL_BYTES];
        entry[4] = elf::STT_FUNC.0;
        entry[6] = 1;
        entry[8] = 16;
        let mut table = SymbolTable {
            names: vec![b'a'; NAME_LEN_MAX],
            ..SymbolTable::default()
        };
        table.read_functions(&entry.repeat(1000));
        let taken = names_budget(NAME_LEN_MAX) / NAME_LEN_MAX;
        assert_eq!(taken, 258);
        assert_eq!((table.symbols.len(), table.left_out), (taken, 742));
    }

    #[test]
    fn of_several_names_the_nicest_stays() {
        let names = b"\0__libc_malloc\0malloc\0_malloc_local\0other\0";
        let offset = |name: &str| {
            let at = names
                .windows(name.len())
                .position(|window| window == name.as_bytes());
            at.unwrap() as u32
        };
        let symbol = |name, address, unit, size| Symbol {
            address,
            size,
            name: offset(name),
            name_len: name.trim_end_matches('\0').len() as u32,
            unit,
            is_resolver: false,
        };
        let mut table = SymbolTable {
            names: names.to_vec(),
            symbols: vec![
                symbol("__libc_malloc", 16, 0, 8),
                symbol("malloc\0", 16, 0, 4),
                symbol("_malloc_local", 16, 3, 4),
                symbol("other", 32, 1, 4),
            ],
            ..SymbolTable::default()
        };
        table.join_aliases();
        let found: Vec<_> = table
            .symbols
            .iter()
            .map(|symbol| (table.name(symbol), symbol.address, symbol.size))
            .collect();
        assert_eq!(found, [("malloc".into(), 16, 8), ("other".into(), 32, 4)]);
    }
}
