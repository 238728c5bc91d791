//! The planner against objdump: every site is the start of an instruction, every RET is found.

#![allow(clippy::print_stderr, clippy::unwrap_used)] // a test reports and fails by these

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coral_tui::symbols::planner::{
    Architecture, ColdPart, Convention, FunctionCode, Plan, Planner, ReadOnlyData, SiteCost,
    SiteKind,
};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind, elf};

/// RETs that the planner may leave out of fully planned functions: dead code, and what only an
/// exception leads to.
const MAX_UNREACHED_PER_MILLE: usize = 1;

/// Who reads a processor's instructions, and how.
pub(crate) struct Reader {
    /// The processor.
    pub(crate) architecture: Architecture,
    /// The name of the program.
    pub(crate) objdump: &'static str,
    /// Whether an instruction is a RET.
    pub(crate) is_return: fn(&str) -> bool,
    /// Where a direct jump leads.
    pub(crate) jump_target: fn(&str) -> Option<u64>,
}

/// Holds the plans of all functions of a file against what objdump reads.
pub(crate) fn check(path: &Path, convention: Convention, reader: &Reader) {
    if !path.exists() {
        return skip(&format!("no {}", path.display()));
    }
    let Some(listing) = Listing::read(path, reader) else {
        return skip(&format!("no {}", reader.objdump));
    };
    let bytes = std::fs::read(path).unwrap();
    let binary = Binary::read(&bytes, convention, reader.architecture);
    let mut totals = Totals::default();
    let mut planner = Planner::new();
    for function in &binary.functions {
        let started = Instant::now();
        let plan = planner.plan(&function.code(), &binary);
        totals.duration += started.elapsed();
        totals.add(function, &plan, &listing);
    }
    totals.print(path);
    assert!(totals.full > 0);
    assert_eq!(totals.wrong, Vec::<String>::new());
    assert!(totals.unreached.len() * 1000 <= totals.returns * MAX_UNREACHED_PER_MILLE);
}

/// Says why a test cannot run; fails where it must.
pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    let required = std::env::var("CORAL_REQUIRE_KERNEL").is_ok_and(|value| value == "1");
    assert!(!required, "skipped: {reason}");
}

/// The first of the Go toolchains to test with.
pub(crate) fn go() -> PathBuf {
    let toolchains = std::env::var_os("CORAL_GO").unwrap_or_else(|| "go".into());
    std::env::split_paths(&toolchains).next().unwrap()
}

/// What objdump reads: where instructions start, and which of them are RETs.
#[derive(Default)]
struct Listing {
    starts: Vec<u64>,
    returns: Vec<u64>,
    /// Where direct jumps lead, by address.
    targets: Vec<u64>,
}

impl Listing {
    fn read(path: &Path, reader: &Reader) -> Option<Self> {
        let mut objdump = Command::new(reader.objdump)
            .args(["-d", "-w", "--no-show-raw-insn"])
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut listing = Self::default();
        for line in BufReader::new(objdump.stdout.take()?).lines() {
            let line = line.ok()?;
            let Some((address, text)) = line.split_once(":\t") else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address.trim(), 16) else {
                continue;
            };
            listing.starts.push(address);
            if (reader.is_return)(text) {
                listing.returns.push(address);
            }
            listing.targets.extend((reader.jump_target)(text));
        }
        listing.targets.sort_unstable();
        objdump.wait().ok()?.success().then_some(listing)
    }

    fn is_start(&self, address: u64) -> bool {
        self.starts.binary_search(&address).is_ok()
    }

    /// Whether objdump steps over an address that it shows a jump to: it reads data as code there.
    fn contradicts_itself(&self, address: u64) -> bool {
        !self.is_start(address) && self.targets.binary_search(&address).is_ok()
    }

    fn returns(&self, start: u64, length: usize) -> &[u64] {
        let first = self.returns.partition_point(|&address| address < start);
        let end = self
            .returns
            .partition_point(|&address| address < start + length as u64);
        &self.returns[first..end]
    }
}

/// An ELF file's functions and its read-only data.
struct Binary<'a> {
    functions: Vec<Function<'a>>,
    data: Vec<(u64, &'a [u8])>,
}

struct Function<'a> {
    name: &'a str,
    address: u64,
    code: &'a [u8],
    cold: Vec<ColdPart<'a>>,
    convention: Convention,
    architecture: Architecture,
}

impl<'a> Function<'a> {
    fn code(&self) -> FunctionCode<'_> {
        FunctionCode {
            address: self.address,
            code: self.code,
            cold: &self.cold,
            convention: self.convention,
            architecture: self.architecture,
        }
    }
}

impl<'a> Binary<'a> {
    fn read(bytes: &'a [u8], convention: Convention, architecture: Architecture) -> Self {
        let file = object::File::parse(bytes).unwrap();
        let mut code = Vec::new();
        let mut data = Vec::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                continue;
            };
            let has = |flag: elf::SectionFlags| sh_flags.0 & flag.0 != 0;
            let range = (section.address(), section.data().unwrap());
            if has(elf::SHF_EXECINSTR) {
                code.push(range);
            } else if has(elf::SHF_ALLOC) && !has(elf::SHF_WRITE) {
                data.push(range);
            }
        }
        let mut symbols: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
        for symbol in file.symbols().chain(file.dynamic_symbols()) {
            if symbol.kind() == SymbolKind::Text && symbol.size() > 0 && symbol.is_definition() {
                symbols.insert(symbol.address(), (symbol.name().unwrap(), symbol.size()));
            }
        }
        let mut functions = Vec::new();
        let mut cold: HashMap<&str, Vec<ColdPart<'a>>> = HashMap::new();
        for (address, (name, size)) in symbols {
            let Some(code) = slice(&code, address, size as usize) else {
                continue;
            };
            match name.strip_suffix(".cold") {
                Some(parent) => cold
                    .entry(parent)
                    .or_default()
                    .push(ColdPart { address, code }),
                None => functions.push(Function {
                    name,
                    address,
                    code,
                    cold: Vec::new(),
                    architecture,
                    convention: match convention {
                        Convention::GoRegisters if name.ends_with(".abi0") => {
                            Convention::GoAssembly
                        }
                        convention => convention,
                    },
                }),
            }
        }
        for function in &mut functions {
            function.cold = cold.remove(function.name).unwrap_or_default();
        }
        Self { functions, data }
    }
}

impl ReadOnlyData for Binary<'_> {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        slice(&self.data, address, len)
    }
}

fn slice<'a>(ranges: &[(u64, &'a [u8])], address: u64, len: usize) -> Option<&'a [u8]> {
    ranges.iter().find_map(|(start, bytes)| {
        let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
        bytes.get(offset..offset.checked_add(len)?)
    })
}

#[derive(Default)]
struct Totals {
    functions: usize,
    full: usize,
    emulated_entries: usize,
    refiring_entries: usize,
    sites: usize,
    disputed: usize,
    returns: usize,
    tail_calls: u32,
    limited: BTreeMap<String, usize>,
    wrong: Vec<String>,
    unreached: Vec<String>,
    duration: Duration,
}

impl Totals {
    fn add(&mut self, function: &Function<'_>, plan: &Plan, listing: &Listing) {
        self.functions += 1;
        let name = function.name;
        for site in plan.entry.iter().chain(&plan.exits) {
            self.sites += 1;
            if listing.contradicts_itself(site.address) {
                self.disputed += 1;
            } else if !listing.is_start(site.address) {
                self.wrong
                    .push(format!("{name}: {:#x} starts no instruction", site.address));
            }
        }
        if let Some(reason) = plan.summary.reason {
            let limit = format!("{:?} {reason:?}", plan.summary.probe);
            *self.limited.entry(limit).or_default() += 1;
        }
        if let Some(entry) = plan.entry {
            self.emulated_entries += usize::from(entry.cost == SiteCost::Emulated);
            self.refiring_entries += usize::from(plan.entry_may_refire);
        }
        if plan.summary.reason.is_none() {
            self.full += 1;
            self.tail_calls += plan.tail_calls;
            self.compare_returns(function, plan, listing);
        }
    }

    fn compare_returns(&mut self, function: &Function<'_>, plan: &Plan, listing: &Listing) {
        let name = function.name;
        let found = plan
            .exits
            .iter()
            .filter(|exit| exit.kind == SiteKind::Return);
        let found: Vec<u64> = found.map(|exit| exit.address).collect();
        let mut listed = listing
            .returns(function.address, function.code.len())
            .to_vec();
        for part in &function.cold {
            listed.extend(listing.returns(part.address, part.code.len()));
        }
        listed.sort_unstable();
        self.returns += listed.len();
        for address in &found {
            let listed = listed.binary_search(address).is_ok();
            if !listed && !listing.contradicts_itself(*address) {
                self.wrong.push(format!("{name}: {address:#x} is no RET"));
            }
        }
        for address in &listed {
            if found.binary_search(address).is_err() {
                self.unreached.push(format!("{name} {address:#x}"));
            }
        }
    }

    fn print(&self, path: &Path) {
        eprintln!("{}", path.display());
        eprintln!(
            "  {} functions in {:?}: {} full ({:.1} %), {} sites, {} disputed, {} emulated entries, {} refiring",
            self.functions,
            self.duration,
            self.full,
            self.full as f64 * 100.0 / self.functions as f64,
            self.sites,
            self.disputed,
            self.emulated_entries,
            self.refiring_entries,
        );
        eprintln!(
            "  {} RETs, {} not reached, {} tail calls",
            self.returns,
            self.unreached.len(),
            self.tail_calls
        );
        for name in self.unreached.iter().take(10) {
            eprintln!("    not reached: {name}");
        }
        for (limit, count) in &self.limited {
            eprintln!("  {limit}: {count}");
        }
    }
}
