//! Which functions an image has: from the best of the tables that are left in it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use coral_model::{
    FunctionId, FunctionTableBuilder, Language, NewFunction, ProbeReason, ProbeSummary,
    Probeability, SymbolSource,
};

use super::bytes::names_budget;
use super::code_reader::CodeReader;
use super::demangle::{NAME_BYTES_MAX, demangle, language_of, package};
use super::elf_symbols::{SymbolTable, is_mangled};
use super::gopclntab::{GoFunction, Pclntab};
use super::image::Image;
use super::planner::Architecture;
use super::{dwarf_functions, eh_frame};

/// So many names are demangled at a time; on all processors if the batch is full.
const BATCH_LEN: usize = 32_768;
/// So long the entries of `.debug_info` are read, where nothing else names functions.
const DWARF_TIME_MAX: Duration = Duration::from_secs(2);
/// This symbol marks the end of a Go program's code; it is no function.
const GO_TEXT_END: &str = "runtime.etext";
/// Go aligns functions to 32 bytes and fills the gap with this instruction.
const PADDING: u8 = 0xcc;
const PADDING_LEN_MAX: u64 = 31;

/// Demangled names may take so much memory together; further ones stay mangled. A short mangled
/// name can stand for a very long one.
const DEMANGLED_BYTES_MAX: usize = 256 << 20;
/// The same for the share of one thread in one batch.
const SHARE_DEMANGLED_BYTES_MAX: usize = 16 << 20;

/// The parts that compilers moved away from functions.
pub(super) type ColdParts = HashMap<FunctionId, Vec<Range<u64>>>;

/// What was found beside the functions themselves.
pub(super) struct Added {
    pub(super) cold: ColdParts,
    /// How many functions are left out because the names before them are too long together.
    pub(super) left_out: u32,
}

/// Adds all functions of an image to a table, by address; `debug` is its separate debug file.
pub(super) fn add_functions(
    builder: &mut FunctionTableBuilder,
    module: u16,
    image: &Image,
    debug: Option<&Image>,
) -> Added {
    let mut list = List {
        builder,
        module,
        image,
        added: Added {
            cold: ColdParts::new(),
            left_out: 0,
        },
        demangled_left: DEMANGLED_BYTES_MAX,
    };
    let symtab = SymbolTable::read(image, SymbolSource::Symtab)
        .or_else(|| SymbolTable::read(debug?, SymbolSource::Symtab));
    list.added.left_out += symtab.as_ref().map_or(0, |symtab| symtab.left_out);
    if let Some(pclntab) = Pclntab::find(image) {
        // What the linker added to a Go program is listed around it: C code, for instance.
        let natives = symtab.as_ref().map(from_symtab).into_iter().flatten();
        let text = pclntab.text();
        let (before, after): (Vec<_>, Vec<_>) = natives
            .filter(|native| !text.contains(&native.address) && native.name != GO_TEXT_END)
            .partition(|native| native.address < text.start);
        list.add_native(before.into_iter());
        list.add_go(&pclntab);
        list.add_native(after.into_iter());
    } else if let Some(symtab) = &symtab {
        list.add_native(from_symtab(symtab));
    } else {
        let dwarf = from_dwarf(debug.unwrap_or(image));
        if dwarf.is_empty() {
            let dynsym = SymbolTable::read(image, SymbolSource::Dynsym).unwrap_or_default();
            list.added.left_out += dynsym.left_out;
            list.add_native(from_leftovers(image, &dynsym).into_iter());
        } else {
            list.add_native(dwarf.into_iter());
        }
    }
    list.added
}

/// A function of C, C++, Rust or assembly, its name as it is in the file.
struct Native<'a> {
    name: Cow<'a, str>,
    address: u64,
    /// 0 if it is unknown.
    size: u64,
    source: SymbolSource,
    is_resolver: bool,
    cold: Vec<Range<u64>>,
}

fn from_symtab(table: &SymbolTable) -> impl Iterator<Item = Native<'_>> {
    table.symbols.iter().map(|symbol| Native {
        name: table.name(symbol),
        address: symbol.address,
        size: symbol.size,
        source: SymbolSource::Symtab,
        is_resolver: symbol.is_resolver,
        cold: table.cold.get(&symbol.address).cloned().unwrap_or_default(),
    })
}

fn from_dwarf(image: &Image) -> Vec<Native<'static>> {
    dwarf_functions::read(image, Instant::now() + DWARF_TIME_MAX)
        .into_iter()
        .map(|function| Native {
            name: function.name.into(),
            address: function.range.start,
            size: function.range.end - function.range.start,
            source: SymbolSource::Dwarf,
            is_resolver: false,
            cold: function.cold,
        })
        .collect()
}

/// What `strip` leaves: the exported functions, and the bounds of all others.
fn from_leftovers<'a>(image: &Image, dynsym: &'a SymbolTable) -> Vec<Native<'a>> {
    let ranges = eh_frame::ranges(image);
    let mut natives: Vec<_> = dynsym
        .symbols
        .iter()
        .map(|symbol| {
            let range = ranges.binary_search_by_key(&symbol.address, |range| range.start);
            let unwound = range.map_or(0, |index| ranges[index].end - ranges[index].start);
            Native {
                name: dynsym.name(symbol),
                address: symbol.address,
                size: if symbol.size == 0 {
                    unwound
                } else {
                    symbol.size
                },
                source: SymbolSource::Dynsym,
                is_resolver: symbol.is_resolver,
                cold: Vec::new(),
            }
        })
        .collect();
    let exported = natives.len();
    for range in ranges {
        let named = &natives[..exported];
        let next = named.partition_point(|native| native.address <= range.start);
        let is_named = next.checked_sub(1).is_some_and(|index| {
            let native = &named[index];
            native.address == range.start || range.start - native.address < native.size
        });
        if !is_named {
            natives.push(Native {
                name: format!("sub_{:x}", range.start).into(),
                address: range.start,
                size: range.end - range.start,
                source: SymbolSource::EhFrame,
                is_resolver: false,
                cold: Vec::new(),
            });
        }
    }
    natives.sort_by_key(|native| native.address);
    natives
}

/// The list that functions are added to.
struct List<'a> {
    builder: &'a mut FunctionTableBuilder,
    module: u16,
    image: &'a Image,
    added: Added,
    demangled_left: usize,
}

impl List<'_> {
    fn add_native<'n>(&mut self, mut natives: impl Iterator<Item = Native<'n>>) {
        loop {
            let mut batch: Vec<_> = natives.by_ref().take(BATCH_LEN).collect();
            if batch.is_empty() {
                return;
            }
            let (languages, len) =
                demangle_all(&mut batch, self.image.language(), self.demangled_left);
            self.demangled_left = self.demangled_left.saturating_sub(len);
            for (native, language) in batch.into_iter().zip(languages) {
                self.add_one(native, language);
            }
        }
    }

    fn add_one(&mut self, native: Native<'_>, language: Language) {
        let end = native.address.saturating_add(native.size);
        let reason = if native.is_resolver {
            Some(ProbeReason::Ifunc)
        } else if !self.image.is_code_at(native.address) {
            Some(ProbeReason::NotCode)
        } else if native.size == 0 {
            Some(ProbeReason::UnknownSize)
        } else if !self.image.is_code(&(native.address..end)) {
            Some(ProbeReason::NotCode)
        } else {
            None
        };
        let id = self.builder.push(&NewFunction {
            name: &native.name,
            package: package(&native.name, language),
            file: None,
            line: None,
            address: native.address,
            size: native.size,
            language,
            source: native.source,
            module: self.module,
            plan: reason.map(unprobeable),
        });
        if !native.cold.is_empty() {
            self.added.cold.insert(id, native.cold);
        }
    }

    fn add_go(&mut self, pclntab: &Pclntab) {
        let mut code = CodeReader::new(self.image);
        let mut names_left = names_budget(pclntab.len());
        let unsupported = !pclntab.has_register_convention();
        for function in pclntab.functions() {
            if function.is_synthetic() {
                continue;
            }
            let names_len = function.name.len() + function.file.map_or(0, str::len);
            if names_len > names_left {
                self.added.left_out += 1;
                break;
            }
            names_left -= names_len;
            let size = size_without_padding(self.image, &mut code, &function);
            let language = if function.assembly {
                Language::Assembly
            } else {
                Language::Go
            };
            let reason = if size == 0 {
                Some(ProbeReason::NotCode)
            } else {
                unsupported.then_some(ProbeReason::UnsupportedGo)
            };
            self.builder.push(&NewFunction {
                name: &function.name,
                package: package(&function.name, language),
                file: function.file,
                line: function.line,
                address: function.range.start,
                size,
                language,
                source: SymbolSource::Gopclntab,
                module: self.module,
                plan: reason.map(unprobeable),
            });
        }
    }
}

/// The length of a Go function without what fills the gap to the next; 0 if it is not code.
fn size_without_padding(
    image: &Image,
    code: &mut CodeReader<'_>,
    function: &GoFunction<'_>,
) -> u64 {
    let range = &function.range;
    let size = range.end - range.start;
    let tail_len = size.min(PADDING_LEN_MAX + 1);
    let Some(tail) = code.read(range.end - tail_len..range.end) else {
        return 0;
    };
    if image.architecture() != Architecture::X86_64 {
        return size;
    }
    let is_padding = |&&byte: &&u8| byte == PADDING;
    let padding = tail.iter().rev().take_while(is_padding).count();
    let padding = padding.min(PADDING_LEN_MAX as usize);
    let code = &tail[..tail.len() - padding];
    // A short jump back over 52 bytes ends with the same byte as the padding.
    let ends_with_jump = padding > 0 && code.ends_with(&[0xeb]) && !code.ends_with(&[0xeb, 0xeb]);
    size - padding as u64 + u64::from(ends_with_jump)
}

fn unprobeable(reason: ProbeReason) -> ProbeSummary {
    ProbeSummary {
        probe: Probeability::None,
        exits: 0,
        reason: Some(reason),
    }
}

/// Demangles the names until they are `len_max` bytes together; returns the languages, and how
/// long the demangled names are.
fn demangle_all(
    natives: &mut [Native<'_>],
    image_language: Language,
    len_max: usize,
) -> (Vec<Language>, usize) {
    if natives.len() < BATCH_LEN {
        return demangle_share(natives, image_language, len_max);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = natives
            .chunks_mut(BATCH_LEN.div_ceil(threads))
            .map(|share| scope.spawn(move || demangle_share(share, image_language, len_max)))
            .collect();
        let mut all = (Vec::new(), 0);
        for worker in workers {
            let (languages, len) = worker.join().expect("demangling does not panic");
            all.0.extend(languages);
            all.1 += len;
        }
        all
    })
}

fn demangle_share(
    natives: &mut [Native<'_>],
    image_language: Language,
    len_max: usize,
) -> (Vec<Language>, usize) {
    let len_max = len_max.min(SHARE_DEMANGLED_BYTES_MAX);
    let mut len = 0;
    let languages = natives.iter_mut().map(|native| {
        if len >= len_max {
            return language_of(&native.name, image_language);
        }
        let (demangled, language) = demangle(&native.name, image_language);
        match demangled {
            Cow::Owned(demangled) => {
                len += demangled.len();
                native.name = demangled.into();
            }
            // That it failed took as long as the longest name does.
            Cow::Borrowed(name) if is_mangled(name.as_bytes()) => len += NAME_BYTES_MAX,
            Cow::Borrowed(_) => {}
        }
        language
    });
    let languages = languages.collect();
    (languages, len)
}
