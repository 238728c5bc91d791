//! Functions that were inlined, and how often the kernel sees their first instructions executed.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{compile, need, rights};
use coral_model::{Pattern, Probeability};
use coral_tui::symbols::{Image, InlinedInstance, Symbols};
use proptest::prelude::*;

/// What the programs are told.
const NUMBER: u64 = 100;

/// A function, the one that it was inlined into, and how often each such call is executed.
type Calls<'a> = (&'a str, &'a str, u64);

#[test]
fn inlined_calls_of_go_are_listed_and_counted() {
    need!(rights::probes());
    let exact = [
        ("main.(*T).add", "main.method", 1000),
        ("main.looped", "main.nested", 100),
        ("main.looped", "main.nestedLoop", 500),
        ("main.mix", "main.branch", 34),
        ("main.mix", "main.deep", 300),
        ("main.mix", "main.inLoop", 1000),
        ("main.mix", "main.straight", 100),
        ("main.mix", "main.twice", 100),
        ("main.mix", "main.twice", 100),
        ("main.outer", "main.deep", 300),
        ("main.pick[go.shape.uint64]", "main.generic", 100),
        ("main.store", "main.method", 1000),
        ("main.store", "main.method", 1000),
        ("main.tiny", "main.tinyLoop", 1000),
    ];
    for go in need!(compile::gos()) {
        for flags in [
            vec![],
            vec!["-ldflags=-s -w"],
            vec!["-buildmode=pie", "-ldflags=-s -w"],
        ] {
            let binary = need!(compile::go_module("inlined/go", &go, &flags));
            check(&binary, "main.*", &exact, &[]);
        }
    }
}

#[test]
fn inlined_calls_of_c_are_listed_and_counted() {
    need!(rights::probes());
    let exact = [
        ("mix", "branch", 34),
        ("mix", "straight", 100),
        ("mix", "twice", 100),
        ("mix", "twice", 100),
    ];
    // GCC moves a constant of `mix` out of the loop, and mixes the code of all four with the loops'.
    let inexact = [
        ("looped", "nested", 100),
        ("looped", "nested_loop", 500),
        ("mix", "in_loop", 1000),
        ("tiny", "tiny_loop", 1000),
    ];
    for level in ["-O1", "-O2", "-O3"] {
        for format in ["-gdwarf-4", "-gdwarf-5"] {
            let flags = [level, format];
            let binary = need!(compile::source("cc", "inlined/c/inlined.c", &flags));
            check(&binary, "/^(mix|tiny|looped)$/", &exact, &inexact);
        }
    }
}

#[test]
fn inlined_calls_of_rust_are_listed_and_counted() {
    need!(rights::probes());
    let exact = [
        ("inlined::mix", "inlined::branch", 34),
        ("inlined::mix", "inlined::straight", 100),
        ("inlined::mix", "inlined::twice", 100),
        ("inlined::mix", "inlined::twice", 100),
    ];
    // Loops are unrolled, and at the third level executed by vector instructions.
    let inexact = [
        ("inlined::mix", "inlined::in_loop", 1000),
        ("inlined::mix", "inlined::unrolled", 400),
        ("inlined::tiny", "inlined::tiny_loop", 1000),
    ];
    for level in ["-Copt-level=1", "-Copt-level=2", "-Copt-level=3"] {
        let flags = ["--edition=2024", "-Csymbol-mangling-version=v0", level];
        let binary = need!(compile::source("rustc", "inlined/rust/inlined.rs", &flags));
        check(&binary, "/^inlined::(mix|tiny)$/", &exact, &inexact);
    }
}

#[test]
fn no_more_instances_are_listed_than_asked_for() {
    let gos = need!(compile::gos());
    let symbols = read(&need!(compile::go_module("inlined/go", &gos[0], &[])));
    let pattern = Pattern::parse("main.mix").unwrap();
    for (max, expected) in [(0, 0), (2, 2), (100, 6)] {
        let functions = symbols.inlined(&pattern, max);
        let count: usize = functions.iter().map(|found| found.instances.len()).sum();
        assert_eq!(count, expected, "at most {max}");
    }
    let nothing = Pattern::parse("main.straight").unwrap();
    assert_eq!(symbols.inlined(&nothing, 100), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is damaged, looking ends: with fewer answers.
    #[test]
    fn damage_is_survived(
        is_go: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4000),
    ) {
        let binary = if is_go {
            compile::gos().and_then(|gos| compile::go_module("inlined/go", &gos[0], &[]))
        } else {
            compile::source("cc", "inlined/c/inlined.c", &["-O2"])
        };
        let Ok(binary) = binary else { return Ok(()) };
        let mut bytes = fs::read(binary).unwrap();
        for (index, value) in changes {
            // The headers stay: what they lead to is what is looked at here.
            let at = index.index(bytes.len());
            if at >= 4096 && at < bytes.len() - 4096 {
                bytes[at] = value;
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let Ok(symbols) = Symbols::read(Arc::new(Image::open(file, "a file").unwrap())) else {
            return Ok(());
        };
        for function in symbols.table().iter().step_by(97) {
            let locations = symbols.locate(0, function.address + function.size / 2);
            prop_assert!(locations.len() <= 256);
        }
        let all = Pattern::parse("*").unwrap();
        let functions = symbols.inlined(&all, 300);
        let count: usize = functions.iter().map(|found| found.instances.len()).sum();
        prop_assert!(count <= 300);
    }
}

/// The instances are those expected, each where its source says; and those that are exact are
/// executed as often as their calls are.
fn check(binary: &Path, pattern: &str, exact: &[Calls<'_>], inexact: &[Calls<'_>]) {
    let symbols = read(binary);
    let functions = symbols.inlined(&Pattern::parse(pattern).unwrap(), 1000);
    let own: Vec<(&str, &InlinedInstance)> = functions
        .iter()
        .filter(|function| is_own(function.file.as_deref()))
        .flat_map(|function| {
            assert_eq!(function.uncountable, 0, "{function:?}");
            let name = last_part(&function.name);
            assert_defines(function.file.as_deref(), function.line, name);
            let instances = function.instances.iter();
            instances.map(|instance| (function.name.as_str(), instance))
        })
        .collect();
    let counts = count(&symbols, binary, own.iter().map(|(_, instance)| *instance));
    let mut found: [Vec<Calls<'_>>; 2] = Default::default();
    for (name, instance) in &own {
        let host = symbols.table().get(instance.host).unwrap();
        let call = line(instance.call_file.as_deref(), instance.call_line);
        assert!(call.contains(last_part(name)), "{call}");
        let plan = instance.plan();
        assert_eq!(plan.entry.unwrap().address, instance.entry_address);
        assert_eq!(plan.summary.probe, Probeability::EntryOnly);
        let list = &mut found[usize::from(!instance.is_exact)];
        list.push((name, host.name, counts[&instance.entry_address]));
    }
    found.iter_mut().for_each(|list| list.sort_unstable());
    assert_eq!(found[0], exact, "{}", binary.display());
    // What is not exact is only listed.
    let places = |calls: &[Calls<'_>]| -> Vec<(String, String)> {
        let calls = calls.iter();
        calls
            .map(|(name, host, _)| ((*name).to_owned(), (*host).to_owned()))
            .collect()
    };
    assert_eq!(places(&found[1]), places(inexact), "{}", binary.display());
}

fn read(binary: &Path) -> Symbols {
    let image = Image::open(File::open(binary).unwrap(), binary.to_str().unwrap()).unwrap();
    Symbols::read(Arc::new(image)).unwrap()
}

/// A function's name without its package and type arguments.
fn last_part(name: &str) -> &str {
    let name = name.split('[').next().unwrap();
    name.rsplit(['.', ':']).next().unwrap()
}

fn is_own(file: Option<&str>) -> bool {
    file.is_some_and(|file| file.contains("tests/targets/inlined"))
}

fn line(file: Option<&str>, line: Option<u32>) -> String {
    let text = fs::read_to_string(file.unwrap()).unwrap();
    text.lines()
        .nth(line.unwrap() as usize - 1)
        .unwrap()
        .to_owned()
}

fn assert_defines(file: Option<&str>, number: Option<u32>, name: &str) {
    let line = line(file, number);
    let is_definition = ["func ", "fn ", "static inline "]
        .iter()
        .any(|word| line.contains(word));
    assert!(is_definition && line.contains(name), "{name}: {line}");
}

/// How often the kernel sees each instance's entry executed while the program runs once.
fn count<'a>(
    symbols: &Symbols,
    binary: &Path,
    instances: impl Iterator<Item = &'a InlinedInstance>,
) -> BTreeMap<u64, u64> {
    let group = Events::new();
    let mut offsets = BTreeMap::new();
    for instance in instances {
        let image = symbols.image(instance.module).unwrap();
        let offset = image.file_offset(instance.entry_address).unwrap();
        offsets.insert(instance.entry_address, offset);
    }
    for (address, offset) in &offsets {
        let place = format!("{}:{offset:#x}", binary.display());
        group.write(
            "uprobe_events",
            &format!("p:{}/at_{address:x} {place}", group.name),
        );
    }
    group.write(&format!("events/{}/enable", group.name), "1");
    let run = Command::new(binary)
        .arg(NUMBER.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(run.unwrap().success());
    let profile = fs::read_to_string(group.root.join("uprobe_profile")).unwrap();
    let hits = |address: u64| {
        let event = format!("at_{address:x}");
        let line = profile
            .lines()
            .find(|line| line.contains(&event) && line.contains(binary.to_str().unwrap()));
        let line = line.unwrap_or_else(|| panic!("no {event} in {profile}"));
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    offsets
        .keys()
        .map(|&address| (address, hits(address)))
        .collect()
}

/// A group of the kernel's own probe events; dropping it removes them.
struct Events {
    root: PathBuf,
    name: String,
}

impl Events {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            root: "/sys/kernel/tracing".into(),
            name: format!("inlined_{}_{number}", std::process::id()),
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.root.join(file);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        if let Err(error) = file.write_all(text.as_bytes()) {
            panic!("{text} to {}: {error}", path.display());
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.write(&format!("events/{}/enable", self.name), "0");
        self.write("uprobe_events", &format!("-:{}/", self.name));
    }
}
