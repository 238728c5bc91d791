//! The stacks of goroutines and threads that wait, against where their sources say they do.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::lines::{Lines, eventually};
use common::{compile, need};
use coral_tui::symbols::{AddressMap, Location, Process, Stack, StackEnd, StackReader, Symbols};

#[test]
fn goroutines_that_wait_tell_their_stacks() {
    let channel = [
        ("main.receive", "receive", true),
        ("main.take", "take", true),
        ("main.third", "third", false),
        ("main.second", "second", false),
        ("main.first", "first", false),
    ];
    let mut deep = vec![("main.recurse", "bottom", false)];
    deep.extend([("main.recurse", "recurse", false); 1000]);
    let stacks: [(&str, &[Expected<'_>]); 5] = [
        ("channel", &channel),
        ("deep", &deep),
        ("mutex", &[("main.(*shop).enter", "enter", false)]),
        ("sleep", &[("main.sleep", "sleep", false)]),
        ("poll", &[("main.readPipe", "read", false)]),
    ];
    let source = Source::read("waiting/go/main.go");
    for go in need!(compile::gos()) {
        for flags in [
            vec![],
            vec!["-ldflags=-s -w"],
            vec!["-buildmode=pie"],
            vec!["-buildmode=pie", "-ldflags=-s -w"],
        ] {
            let waiting = Waiting::spawn(
                &need!(compile::go_module("waiting/go", &go, &flags)),
                stacks.len(),
            );
            for (name, expected) in stacks {
                let g = waiting.numbers[name];
                let (stack, locations) = waiting.stack(|reader| reader.goroutine(g, 2000));
                let own = source.own(&locations, "main.");
                assert_eq!(own, source.expected(expected), "{flags:?} {locations:?}");
                assert_eq!(stack.end, StackEnd::Complete, "{flags:?} {locations:?}");
                assert_eq!(locations[0].function, "runtime.gopark");
                assert_eq!(locations.last().unwrap().function, "runtime.goexit");
            }
        }
    }
}

#[test]
fn goroutines_in_system_calls_are_found_by_their_threads() {
    let source = Source::read("waiting/go/main.go");
    for go in need!(compile::gos()) {
        let binary = need!(compile::go_module("waiting/go", &go, &["-ldflags=-s -w"]));
        let waiting = Waiting::spawn(&binary, 5);
        let expected = source.expected(&[("main.main", "system call", false)]);
        let waits = eventually(|| {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", waiting.child.id())).unwrap();
            let mut tids =
                tasks.filter_map(|task| task.unwrap().file_name().to_str()?.parse().ok());
            let mut reader = waiting.reader();
            tids.any(|tid| {
                let stack = reader.thread(tid, 100);
                stack.is_some_and(|stack| {
                    let locations = reader.locate(&stack);
                    let last = locations.last().map(|last| last.function.as_str());
                    source.own(&locations, "main.") == expected
                        && (last, stack.end) == (Some("runtime.goexit"), StackEnd::Complete)
                })
            })
        });
        assert!(waits, "{go:?}");
    }
}

#[test]
fn a_stack_has_no_more_frames_than_asked_for() {
    let gos = need!(compile::gos());
    let waiting = Waiting::spawn(&need!(compile::go_module("waiting/go", &gos[0], &[])), 5);
    let g = waiting.numbers["deep"];
    let (whole, _) = waiting.stack(|reader| reader.goroutine(g, usize::MAX));
    for max in [1, 10] {
        let (stack, _) = waiting.stack(|reader| reader.goroutine(g, max));
        let expected = Stack {
            addresses: whole.addresses[..max].to_vec(),
            end: StackEnd::Unknown,
        };
        assert_eq!(stack, expected);
    }
    let mut reader = waiting.reader();
    for nothing in [0, 8, g + 8, g - 8, u64::MAX - 7] {
        assert_eq!(reader.goroutine(nothing, 10), None, "{nothing:#x}");
    }
    assert_eq!(reader.thread(1, 10), None, "not of this process");
}

#[test]
fn threads_that_wait_in_the_kernel_tell_their_stacks() {
    let main = [
        ("wait_for_input", "read", false),
        ("serve", "serve", false),
        ("main", "main", false),
    ];
    let mutex = [
        ("take", "take", true),
        ("enter", "enter", false),
        ("enter", "recurse", false),
        ("enter", "recurse", false),
        ("enter", "recurse", false),
        ("with_array", "with_array", false),
        ("thread", "thread", false),
    ];
    for flags in [
        ["-O2", "-pie"],
        ["-O2", "-no-pie"],
        ["-O1", "-static"],
        ["-O0", "-pie"],
    ] {
        // A recursion that is made a loop has no frames.
        let flags = [&flags[..], &["-pthread", "-fno-optimize-sibling-calls"]].concat();
        let binary = need!(compile::source("cc", "waiting/c/waiting.c", &flags));
        check_thread(&binary, "waiting/c/waiting.c", "main", &main);
        check_thread(&binary, "waiting/c/waiting.c", "mutex", &mutex);
    }
}

#[test]
fn threads_of_rust_tell_their_stacks() {
    let main = [
        ("waiting::take", "take", true),
        ("waiting::wait_for_input", "bottom", false),
        ("waiting::wait_for_input", "recurse", false),
        ("waiting::wait_for_input", "recurse", false),
        ("waiting::serve", "serve", false),
        ("waiting::main", "main", false),
    ];
    for level in ["-Copt-level=0", "-Copt-level=2"] {
        let flags = ["--edition=2024", "-Csymbol-mangling-version=v0", level];
        let binary = need!(compile::source("rustc", "waiting/rust/waiting.rs", &flags));
        check_thread(&binary, "waiting/rust/waiting.rs", "main", &main);
    }
}

#[test]
fn what_is_in_no_module_is_named_by_its_mapping() {
    let binary = need!(compile::source(
        "cc",
        "waiting/c/waiting.c",
        &["-O2", "-pthread"]
    ));
    let waiting = Waiting::spawn(&binary, 2);
    let map = AddressMap::read(&waiting.process, &waiting.symbols).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", waiting.child.id())).unwrap();
    let start_of = |name: &str| {
        let line = maps.lines().find(|line| line.ends_with(name)).unwrap();
        u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()
    };
    let vdso = start_of("[vdso]");
    for (address, expected) in [(vdso + 0x10, "[vdso]+0x10"), (0x123, "0x123")] {
        assert_eq!(map.module_address(address), None);
        let location = Location {
            function: expected.into(),
            file: None,
            line: None,
            inlined: false,
        };
        assert_eq!(map.locate(&waiting.symbols, address), [location]);
    }
    let bias = waiting.process.load_bias(waiting.process.executable());
    let bias = bias.unwrap().unwrap();
    let mut functions = waiting.symbols.table().iter();
    let serve = functions.find(|found| found.name == "serve").unwrap();
    let known = map.module_address(serve.address.wrapping_add(bias));
    assert_eq!(known, Some((0, serve.address)));
}

fn check_thread(binary: &Path, source: &str, name: &str, expected: &[Expected<'_>]) {
    let source = Source::read(source);
    let count = source.text.matches("say(\"").count().max(1);
    let waiting = Waiting::spawn(binary, count);
    let tid = waiting.numbers[name] as u32;
    let expected = source.expected(expected);
    let shown = std::cell::RefCell::new(Vec::new());
    // That the thread waits at all is not yet that it waits there.
    let waits = eventually(|| {
        let (stack, locations) = waiting.stack(|reader| reader.thread(tid, 100));
        let own = source.own(&locations, "");
        let is_so = own == expected && stack.end == StackEnd::Complete;
        *shown.borrow_mut() = locations;
        is_so
    });
    assert!(waits, "{binary:?} {name} {expected:?}\n{shown:#?}");
}

/// A function, the mark of its line, and whether it was inlined.
type Expected<'a> = (&'a str, &'a str, bool);

/// A source file with marks at the ends of lines.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/targets")
            .join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        Self { path, text }
    }

    fn expected(&self, expected: &[Expected<'_>]) -> Vec<Location> {
        let line_of = |mark: &str| {
            let end = format!("// {mark}");
            let mut lines = self.text.lines().zip(1..);
            lines.find(|(line, _)| line.ends_with(&end)).unwrap().1
        };
        expected
            .iter()
            .map(|&(function, mark, inlined)| Location {
                function: function.into(),
                file: Some(self.path.to_string_lossy().into_owned()),
                line: Some(line_of(mark)),
                inlined,
            })
            .collect()
    }

    /// Those locations that are in this file.
    fn own(&self, locations: &[Location], prefix: &str) -> Vec<Location> {
        let path = self.path.to_str();
        let own = locations.iter().filter(|found| {
            // What is begun with `go` is called by a function that the compiler made.
            let is_made = found.function.starts_with("main.main.");
            found.file.as_deref() == path && found.function.starts_with(prefix) && !is_made
        });
        own.cloned().collect()
    }
}

/// A running target that has said where its threads wait.
struct Waiting {
    child: Child,
    numbers: BTreeMap<String, u64>,
    process: Process,
    symbols: Symbols,
}

impl Waiting {
    fn spawn(binary: &Path, count: usize) -> Self {
        let mut child = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = Lines::of(child.stdout.take().unwrap());
        let numbers = (0..count).map(|_| {
            let line = lines.next().unwrap().unwrap();
            let (name, number) = line.split_once(' ').unwrap();
            (name.to_owned(), number.parse().unwrap())
        });
        let numbers = numbers.collect();
        let process = Process::open(child.id()).unwrap();
        let symbols = Symbols::read(process.executable().clone()).unwrap();
        Self {
            child,
            numbers,
            process,
            symbols,
        }
    }

    fn reader(&self) -> StackReader<'_> {
        StackReader::new(&self.process, &self.symbols).unwrap()
    }

    /// The stack, once there is one.
    fn stack(
        &self,
        read: impl Fn(&mut StackReader<'_>) -> Option<Stack>,
    ) -> (Stack, Vec<Location>) {
        let found = std::cell::RefCell::new(None);
        let waits = eventually(|| {
            *found.borrow_mut() = read(&mut self.reader());
            found.borrow().is_some()
        });
        assert!(waits, "it waits");
        let stack = found.into_inner().unwrap();
        let locations = self.reader().locate(&stack);
        (stack, locations)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
