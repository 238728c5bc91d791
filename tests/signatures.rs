//! What the signatures of real functions say, against tables of what their source and the calling
//! conventions say, and against the running programs themselves.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{compile, need};
use coral_ebpf_common::{BASE_RESULT, BASE_STACK, ErrorTest, ValueSpec};
use coral_tui::symbols::signature::{
    ELEMENT_BYTES, GoTypeNames, Interface, Signature, SignatureReader, SignatureSource, TypeNames,
    Variable, go_http_path,
};
use coral_tui::symbols::{Image, Symbols};
use proptest::prelude::*;

const RUST: [&str; 3] = [
    "--edition=2024",
    "--crate-name=values",
    "-Csymbol-mangling-version=v0",
];
const RUST_SOURCE: &str = "rust/values.rs";

#[test]
fn go_signatures() {
    for go in need!(compile::gos()) {
        for flags in [&[][..], &["-buildmode=pie"], &["-gcflags=all=-N -l"]] {
            let binary = need!(compile::values_go(&go, flags));
            check(&binary, include_str!("targets/values/go/signatures.txt"));
        }
    }
}

#[test]
fn an_argument_without_a_name_takes_its_register() {
    for go in need!(compile::gos()) {
        for flags in [&[][..], &["-gcflags=all=-N -l"]] {
            let binary = need!(compile::values_go(&go, flags));
            let signature = signature(&read(&binary), "main.unnamed").unwrap();
            // Go 1.21 does not even list the first.
            let named = signature
                .arguments
                .iter()
                .skip_while(|found| found.name == "arg");
            let found: Vec<String> = named.map(how).collect();
            let expected = ["word8 rbx", "word8 rcx", "word8 rdi"];
            assert_eq!(found[..3], expected, "{}", binary.display());
        }
    }
}

#[test]
fn stripped_go_has_raw_registers() {
    for go in need!(compile::gos()) {
        let binary = need!(compile::values_go(&go, &["-ldflags=-s -w"]));
        let signature = signature(&read(&binary), "main.integers").unwrap();
        assert_eq!(signature.source, SignatureSource::Abi);
        let names: Vec<&str> = signature
            .arguments
            .iter()
            .map(|argument| argument.name.as_str())
            .collect();
        assert_eq!(names, ["rax", "rbx", "rcx", "rdi", "rsi", "r8"]);
        for variable in signature.arguments.iter().chain(&signature.results) {
            assert_eq!(how(variable), format!("word8 {}", variable.name));
        }
    }
}

#[test]
fn c_signatures() {
    for format in ["-gdwarf-4", "-gdwarf-5", "-gz"] {
        let flags = |level| [level, format];
        let plain = need!(compile::values("cc", "c/values.c", &flags("-O0")));
        check(&plain, include_str!("targets/values/c/signatures.O0.txt"));
        let optimised = need!(compile::values("cc", "c/values.c", &flags("-O2")));
        check(
            &optimised,
            include_str!("targets/values/c/signatures.O2.txt"),
        );
    }
}

#[test]
fn cpp_signatures() {
    let build = |level| compile::values("g++", "cpp/values.cpp", &["-std=c++17", level]);
    let plain = need!(build("-O0"));
    check(&plain, include_str!("targets/values/cpp/signatures.O0.txt"));
    let optimised = need!(build("-O2"));
    check(
        &optimised,
        include_str!("targets/values/cpp/signatures.O2.txt"),
    );
}

#[test]
fn rust_signatures() {
    let plain = need!(rust("-Copt-level=0"));
    check(
        &plain,
        include_str!("targets/values/rust/signatures.O0.txt"),
    );
    let optimised = need!(rust("-Copt-level=2"));
    check(
        &optimised,
        include_str!("targets/values/rust/signatures.O2.txt"),
    );
}

#[test]
fn rust_errors_are_told_from_what_functions_return() {
    for level in ["-Copt-level=0", "-Copt-level=2"] {
        let binary = need!(rust(level));
        let symbols = read(&binary);
        for name in [
            "stock_u64",
            "stock_dyn",
            "stock_text",
            "stock_small",
            "stock_io",
            "stock_float",
            "stock_unit",
            "stock_reference",
        ] {
            let signature = signature(&symbols, &format!("values::{name}")).unwrap();
            let test = signature.error.unwrap_or_else(|| panic!("{name} {level}"));
            // RSI: the first register holds the address of the result.
            let in_memory = signature.arguments[0].read.unwrap().base == 4;
            for outcome in ["ok", "err"] {
                let place = if in_memory { "memory" } else { "registers" };
                let mut run = Command::new(&binary);
                let output = run.args([name, place, outcome]).output().unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                let words: Vec<u64> = text
                    .split_whitespace()
                    .map(|word| word.parse().unwrap())
                    .collect();
                let failed = has_failed(&test, &words);
                assert_eq!(failed, outcome == "err", "{name} {level} {test:?} {text}");
            }
        }
    }
}

#[test]
fn go_programs_know_the_same_offsets_and_names() {
    for go in need!(compile::gos()) {
        for flags in [&["-ldflags=-s -w"][..], &["-buildmode=pie"]] {
            let binary = need!(compile::values_go(&go, flags));
            let mut child = Command::new(&binary)
                .arg("tell")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let told: Vec<String> = lines
                .map(Result::unwrap)
                .take_while(|line| line != "ready")
                .collect();
            let spec = go_http_path();
            let path = format!("{} {}", spec.offsets[0], spec.offsets[1]);
            assert_eq!(told[0], path);
            let names = type_names(&binary, child.id());
            assert_eq!(told.len(), 11, "{told:?}");
            for line in &told[1..] {
                let mut words = line.splitn(3, ' ');
                let interface = match words.next().unwrap() {
                    "methods" => Interface::Methods,
                    _ => Interface::Empty,
                };
                let word: u64 = words.next().unwrap().parse().unwrap();
                let found = names.name(word, interface);
                assert_eq!(found.as_deref(), words.next(), "{line} {flags:?}");
            }
            assert_eq!(names.name(8, Interface::Empty), None);
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn damaged_debug_information_does_no_harm(
        damage in prop::collection::vec((0..u64::from(u16::MAX), any::<u8>()), 1..200),
    ) {
        for (compiler, source) in [("cc", "c/values.c"), ("g++", "cpp/values.cpp")] {
            let Ok(binary) = compile::values(compiler, source, &["-O2"]) else {
                continue;
            };
            let symbols = read_from(damaged(&binary, &damage));
            let mut reader = SignatureReader::new(&symbols);
            for function in symbols.table().iter() {
                if let Some(Ok(plan)) = symbols.plan(function.id) {
                    let signature = reader.read(function.id, &plan);
                    for variables in [&signature.arguments, &signature.results] {
                        let readable = variables.iter().filter(|found| found.read.is_ok());
                        prop_assert!(readable.count() <= coral_ebpf_common::VALUES_MAX);
                    }
                }
            }
        }
    }
}

/// A copy of a binary with other bytes at places in its debug information.
fn damaged(binary: &Path, damage: &[(u64, u8)]) -> File {
    let headers = Command::new("readelf").arg("-SW").arg(binary).output();
    let headers = String::from_utf8(headers.unwrap().stdout).unwrap();
    let copy = tempfile::tempfile().unwrap();
    copy.write_all_at(&std::fs::read(binary).unwrap(), 0)
        .unwrap();
    let number = |word: &str| u64::from_str_radix(word, 16).unwrap();
    let mut count = 0;
    for line in headers.lines().filter(|line| line.contains(" .debug_")) {
        let words: Vec<&str> = line.split(']').nth(1).unwrap().split_whitespace().collect();
        let (start, size) = (number(words[3]), number(words[4]));
        for (place, byte) in damage {
            copy.write_all_at(&[*byte], start + place % size).unwrap();
        }
        count += 1;
    }
    assert!(count > 5, "{headers}");
    copy
}

fn rust(level: &str) -> Result<std::path::PathBuf, String> {
    compile::values("rustc", RUST_SOURCE, &[&RUST[..], &[level]].concat())
}

/// The names of the types of a Go program that runs.
fn type_names(binary: &Path, pid: u32) -> impl TypeNames {
    let symbols = read(binary);
    let process = coral_tui::symbols::Process::open(pid).unwrap();
    let bias = process.load_bias(symbols.image(0).unwrap()).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let moduledata = symbols.go_moduledata(0).unwrap();
    let read = move |address, len| {
        let mut bytes = vec![0; len];
        memory.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    };
    GoTypeNames::new(moduledata.wrapping_add(bias.unwrap()), read).unwrap()
}

/// What the kernel program makes of RAX, RDX and the memory for the result.
fn has_failed(test: &ErrorTest, words: &[u64]) -> bool {
    let word = match test.kind {
        1 => words[usize::from(test.register)],
        2 => {
            assert_eq!((test.register, test.offset % 8), (BASE_RESULT, 0));
            words[2 + test.offset as usize / 8]
        }
        kind => panic!("kind {kind}"),
    };
    let mask = u64::MAX >> (64 - 8 * u32::from(test.size));
    (word & mask == test.value) != (test.unless == 1)
}

/// Holds the signatures of a program's functions against a table: the lines of each begin with
/// its name (or that up to its parameters), and those of its variables are indented.
fn check(binary: &Path, expected: &str) {
    let symbols = read(binary);
    let names = expected.lines().filter(|line| !line.starts_with(' '));
    let names = names.map(|line| line.split(" | ").next().unwrap());
    let found: Vec<String> = names.flat_map(|name| table(&symbols, name)).collect();
    let found = found.join("\n") + "\n";
    assert_eq!(found, expected, "{}", binary.display());
}

fn read(path: &Path) -> Symbols {
    read_from(File::open(path).unwrap())
}

fn read_from(file: File) -> Symbols {
    let image = Image::open(file, "the program");
    Symbols::read(Arc::new(image.unwrap())).unwrap()
}

fn signature(symbols: &Symbols, name: &str) -> Option<Signature> {
    let all = format!("{name}(");
    let mut functions = symbols.table().iter();
    let found = functions.find(|found| found.name == name || found.name.starts_with(&all))?;
    let plan = symbols.plan(found.id).unwrap().unwrap();
    let signature = symbols.signature(found.id, &plan);
    assert_eq!(
        SignatureReader::new(symbols).read(found.id, &plan),
        signature
    );
    Some(signature)
}

/// A function's signature as lines.
fn table(symbols: &Symbols, name: &str) -> Vec<String> {
    let Some(signature) = signature(symbols, name) else {
        return vec![format!("{name} | missing")];
    };
    assert_eq!(signature.source, SignatureSource::Dwarf, "{name}");
    let mut head = name.to_owned();
    if let Some(test) = signature.error {
        let place = match test.kind {
            1 => register(test.register),
            _ => format!("[{}{:+}]", register(test.register), test.offset),
        };
        let sign = if test.unless == 1 { "!=" } else { "==" };
        let (size, value) = (test.size, test.value);
        head += &format!(" | fails if {place}:{size} {sign} {value:#x}");
    }
    if let Some(future) = signature.future {
        let (place, size) = (future.spec.offset, future.spec.size);
        let pointer = register(future.register);
        head += &format!(" | polls [{pointer}+{place}]:{size}");
    }
    let mut lines = vec![head];
    for (sign, variables) in [("", &signature.arguments), ("-> ", &signature.results)] {
        lines.extend(variables.iter().map(|variable| {
            let (name, kind) = (&variable.name, &variable.type_name);
            format!("  {sign}{name}: {kind} = {}", how(variable))
        }));
    }
    lines
}

/// How a variable is read, such as `string rax rbx`, `text [rsi+8]`.
fn how(variable: &Variable) -> String {
    let spec = match variable.read {
        Ok(spec) => spec,
        Err(unreadable) => return unreadable.to_string(),
    };
    let (len, base) = (spec.len, register(spec.base));
    let pair = format!("{base} {}", register(spec.second));
    let chain = chain(&spec);
    let elements = match spec.offsets[ELEMENT_BYTES] {
        0 => String::new(),
        size => format!(" of {size} bytes"),
    };
    match spec.kind {
        1 => format!("word{len} {chain}"),
        2 => format!("signed{len} {chain}"),
        3 => format!("memory{len} {chain}"),
        4 => format!("string {pair}{elements}"),
        5 => format!("string at {chain}{elements}"),
        6 => format!("c string {chain}"),
        7 => format!("interface {pair}"),
        8 => format!("interface at {chain}"),
        kind => panic!("kind {kind}"),
    }
}

fn chain(spec: &ValueSpec) -> String {
    let mut chain = register(spec.base);
    let steps = usize::from(spec.steps);
    for offset in &spec.offsets[..steps] {
        chain = format!("[{chain}{offset:+}]");
    }
    match spec.offsets[steps] {
        0 => chain,
        offset => format!("{chain}{offset:+}"),
    }
}

fn register(number: u8) -> String {
    const NAMES: [&str; 18] = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15", "stack", "result",
    ];
    let of = |base: u8| NAMES[usize::from(base)];
    assert_eq!([BASE_STACK, BASE_RESULT].map(of), ["stack", "result"]);
    NAMES[usize::from(number)].to_owned()
}
