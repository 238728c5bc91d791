//! What functions of real programs call, and which of them a trace of requests needs.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{compile, need};
use coral_model::{Function, FunctionId, Language};
use coral_tui::symbols::{
    CallReader, Callees, Image, OwnPackages, Start, SymbolGraph, Symbols, TracePlan, Why, discover,
};

const GO_FLAGS: [&[&str]; 3] = [&[], &["-ldflags=-s -w", "-trimpath"], &["-buildmode=pie"]];

/// The RFD's chain, with the own functions that each function calls.
const CHAIN: [(&str, &[&str]); 9] = [
    (
        "main.handleCheckout",
        &[
            "main.processPayment",
            "main.sendConfirmation",
            "main.validateCart",
        ],
    ),
    ("main.validateCart", &["main.checkInventory"]),
    ("main.checkInventory", &[]),
    (
        "main.processPayment",
        &["main.recordTransaction", "main.validateCard"],
    ),
    ("main.validateCard", &["main.callExternalAPI"]),
    ("main.callExternalAPI", &[]),
    ("main.recordTransaction", &[]),
    ("main.sendConfirmation", &[]),
    ("main.handleList", &["main.loadPage"]),
];

#[test]
fn a_go_service_has_the_chain_of_its_source() {
    for_each_service(|program| {
        for (caller, expected) in CHAIN {
            let callees = program.callees(caller);
            let names = program.names(&callees.direct);
            let own: Vec<_> = names
                .into_iter()
                .filter(|name| name.starts_with("main."))
                .collect();
            assert_eq!(own, expected, "{caller}");
        }
        let sleep = program.callees("main.callExternalAPI");
        assert_eq!(
            program.names(&sleep.direct),
            ["runtime.morestack_noctxt", "time.Sleep"]
        );
        // The ledger is behind an interface.
        assert_eq!(program.callees("main.recordTransaction").indirect, 1);
    });
}

#[test]
fn handlers_and_goroutines_are_referenced() {
    for_each_service(|program| {
        let names = program.names(&program.callees("main.main").referenced);
        for handler in [
            "main.handleCheckout",
            "main.handleHealth",
            "main.handleList",
            "main.handleTruth",
            "main.main.func1",
        ] {
            assert!(names.contains(&handler), "{handler}: {names:?}");
        }
    });
}

#[test]
fn deferred_calls_are_found_behind_their_wrappers() {
    for go in need!(compile::gos()) {
        let program = Program::read(&need!(compile::go(&go, &[])));
        let plan = program.discover("main.panicOuter", Start::Root);
        let found: Vec<_> = plan.functions.iter().map(|found| found.function).collect();
        let names = program.names(&found);
        assert!(names.contains(&"main.recoverAll"), "{names:?}");
    }
}

#[test]
fn a_named_root_leads_to_what_it_calls() {
    for_each_service(|program| {
        let plan = program.discover("main.handleCheckout", Start::Root);
        let own: BTreeMap<&str, Option<u32>> = plan
            .functions
            .iter()
            .filter(|found| found.why != Why::Called)
            .map(|found| (program.name(found.function), found.distance))
            .collect();
        let expected = [
            ("main.handleCheckout", 0),
            ("main.validateCart", 1),
            ("main.processPayment", 1),
            ("main.sendConfirmation", 1),
            ("main.checkInventory", 2),
            ("main.validateCard", 2),
            ("main.recordTransaction", 2),
            ("main.callExternalAPI", 3),
        ];
        let expected = expected.map(|(name, distance)| (name, Some(distance)));
        assert_eq!(own, BTreeMap::from(expected));
        assert_eq!(
            program.name(plan.functions[0].function),
            "main.handleCheckout"
        );
        let others: Vec<_> = plan
            .functions
            .iter()
            .filter(|found| found.why == Why::Called)
            .map(|found| program.name(found.function))
            .collect();
        assert!(others.contains(&"net/http.Error"), "{others:?}");
        let helpers = ["runtime.", "fmt.", "time.", "strings."];
        let is_helper = |name: &&&str| helpers.iter().any(|helper| name.starts_with(helper));
        assert_eq!(others.iter().find(is_helper), None);
        assert_eq!(plan.left_out, 0);
    });
}

#[test]
fn roots_of_native_programs_lead_to_what_they_call() {
    // Optimised, the inner one is too short to be worth a probe.
    let c = need!(compile::c(&["-O0"]));
    let rust = need!(compile::rust(&["-Copt-level=2"]));
    for (binary, root, expected) in [
        (c, "plain_outer", ["plain_outer", "plain_step"]),
        (
            rust,
            "target::plain_outer",
            ["target::plain_outer", "target::plain_step"],
        ),
    ] {
        let program = Program::read(&binary);
        let plan = program.discover(root, Start::Root);
        let found: Vec<_> = plan.functions.iter().map(|found| found.function).collect();
        let names = program.names(&found);
        // The target's own counting is on the path too.
        let names: Vec<_> = names
            .into_iter()
            .filter(|name| name.contains("plain_"))
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn a_request_may_pass_all_own_packages() {
    for_each_service(|program| {
        let plan = program.discover("net/http.serverHandler.ServeHTTP", Start::Requests);
        let order: Vec<&str> = plan
            .functions
            .iter()
            .map(|found| program.name(found.function))
            .collect();
        assert_eq!(order[0], "net/http.serverHandler.ServeHTTP");
        let mut handlers = order[1..5].to_vec();
        handlers.sort_unstable();
        assert_eq!(
            handlers,
            [
                "main.handleCheckout",
                "main.handleHealth",
                "main.handleList",
                "main.handleTruth"
            ]
        );
        let place = |name: &str| order.iter().position(|found| *found == name);
        let own_end = plan
            .functions
            .iter()
            .position(|found| found.why == Why::Called);
        for name in CHAIN.map(|(name, _)| name) {
            assert!(
                place(name).is_some() && place(name) < own_end,
                "{name}: {order:?}"
            );
        }
        // Nothing calls it directly.
        assert!(
            place("example.com/shop/ledger.(*Memory).Append").is_some(),
            "{order:?}"
        );
        for outside in ["main.main", "main.init"] {
            assert_eq!(place(outside), None);
        }
        assert_eq!(plan.left_out, 0);
        for found in &plan.functions {
            let probes = program.symbols.plan(found.function);
            assert!(matches!(probes, Some(Ok(_))), "{found:?}: {probes:?}");
        }

        let cut = program.discover_at_most("net/http.serverHandler.ServeHTTP", Start::Requests, 4);
        assert_eq!(cut.functions, plan.functions[..4]);
        assert_eq!(cut.left_out, plan.functions.len() - 4);
    });
}

#[test]
fn own_packages_of_a_go_service_are_those_of_its_module() {
    for_each_service(|program| {
        let own = OwnPackages::of(&program.symbols);
        let mut packages: Vec<&str> = program
            .symbols
            .table()
            .iter()
            .filter(|function| own.contains(function))
            .map(|function| function.package)
            .collect();
        packages.sort_unstable();
        packages.dedup();
        assert_eq!(packages, ["example.com/shop/ledger", "main"]);
    });
}

#[test]
fn calls_are_those_of_objdump() {
    let whole = ["-O2", "-fno-reorder-blocks-and-partition"];
    for binary in [need!(compile::c(&whole)), need!(compile::c(&["-O0"]))] {
        agrees_with_objdump(&binary, Difference::None);
    }
    // What only an exception leads to is not on the flow of calls that return.
    agrees_with_objdump(&need!(compile::cpp(&whole)), Difference::Fewer);
    agrees_with_objdump(&need!(compile::rust(&["-Copt-level=2"])), Difference::Fewer);
    // Wrappers are looked through.
    for go in need!(compile::gos()) {
        agrees_with_objdump(&need!(compile::go_http(&go, &[])), Difference::More);
    }
}

#[test]
fn tail_calls_and_callbacks_of_c_are_found() {
    let text = "
        #include <stdlib.h>
        __attribute__((noinline)) int leaf(int x) { __asm__(\"\"); return x + 1; }
        __attribute__((noinline)) int tail(int x) { __asm__(\"\"); return leaf(x * 3); }
        static int order(const void *a, const void *b) { return *(int *)a - *(int *)b; }
        __attribute__((noinline)) int again(int x) { return x < 2 ? x : again(x - 1) + again(x - 2) + 1; }
        __attribute__((noinline)) void sort(int *all) { qsort(all, 3, sizeof *all, order); __asm__(\"\"); }
        __attribute__((noinline)) int through(int (*f)(int)) { int x = f(3); __asm__(\"\"); return x; }
        int main(void) { int all[3] = {3, 1, 2}; sort(all); return tail(all[0]) + again(5) + through(leaf); }";
    let program = Program::read(&need!(compile::c_texts(&[text], &["-O2"])));
    let check = |name: &str, direct: &[&str], referenced: &[&str], indirect: u32| {
        let callees = program.callees(name);
        assert_eq!(program.names(&callees.direct), direct, "{name}");
        assert_eq!(program.names(&callees.referenced), referenced, "{name}");
        assert_eq!(callees.indirect, indirect, "{name}");
    };
    check("leaf", &[], &[], 0);
    check("tail", &["leaf"], &[], 0);
    check("again", &["again"], &[], 0);
    check("sort", &[], &["order"], 1);
    check("through", &[], &[], 1);
}

#[test]
fn own_functions_of_native_programs_are_those_of_their_sources() {
    let cases = [
        (need!(compile::c(&["-O2"])), "plain_step", "_start"),
        (
            need!(compile::cpp(&["-O2"])),
            "target::plain_step(unsigned long)",
            "_start",
        ),
        (
            need!(compile::rust(&["-Copt-level=2"])),
            "target::plain_step",
            "std::env::args",
        ),
    ];
    for (binary, own, foreign) in cases {
        let symbols = read(&binary);
        let packages = OwnPackages::of(&symbols.completed());
        let is_own = |symbols: &Symbols, name: &str| {
            let function = symbols.table().iter().find(|found| found.name == name);
            function.map(|function| packages.contains(&function))
        };
        let symbols = symbols.completed();
        assert_eq!(is_own(&symbols, own), Some(true), "{own}");
        assert_ne!(is_own(&symbols, foreign), Some(true), "{foreign}");
        let count = symbols
            .table()
            .iter()
            .filter(|function| packages.contains(function));
        assert!(count.count() < symbols.table().len(), "{own}");
    }
}

/// How the calls that are found may differ from those that objdump lists.
#[derive(Clone, Copy, PartialEq)]
enum Difference {
    None,
    Fewer,
    More,
}

/// Each function calls what objdump sees it call or jump to.
fn agrees_with_objdump(binary: &Path, difference: Difference) {
    let program = Program::read(binary);
    let listing = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn"])
        .arg(binary)
        .output();
    let Ok(listing) = listing else {
        return common::skip("no objdump");
    };
    let branches = branches(&String::from_utf8_lossy(&listing.stdout));
    let table = program.symbols.table();
    let by_address: BTreeMap<u64, FunctionId> = table
        .iter()
        .map(|function| (function.address, function.id))
        .collect();
    let mut compared = 0;
    let mut reader = CallReader::new(&program.symbols);
    // Go's assembly has code that nothing leads to.
    let compiled = |function: &Function<'_>| function.language != Language::Assembly;
    for function in table.iter().filter(compiled) {
        let range = function.address..function.address + function.size;
        let leads_out = |branch: &&Branch| branch.is_call || !range.contains(&branch.target);
        let seen: BTreeSet<FunctionId> = branches
            .range(range.clone())
            .map(|(_, branch)| branch)
            .filter(leads_out)
            .filter_map(|branch| by_address.get(&branch.target).copied())
            .collect();
        let found = BTreeSet::from_iter(reader.callees(function.id).direct);
        let names = |a: &BTreeSet<FunctionId>, b| {
            let names = a.difference(b).map(|&id| program.name(id).to_owned());
            names.collect::<Vec<_>>()
        };
        if difference != Difference::Fewer {
            assert_eq!(
                names(&seen, &found),
                [""; 0],
                "{} calls them",
                function.name
            );
        }
        if difference != Difference::More {
            assert_eq!(
                names(&found, &seen),
                [""; 0],
                "{} calls none",
                function.name
            );
        }
        compared += seen.intersection(&found).count();
    }
    assert!(compared > 20, "{compared} calls were compared");
}

#[derive(Clone, Copy)]
struct Branch {
    is_call: bool,
    target: u64,
}

/// The calls and jumps of a listing whose targets stand in it, by address.
fn branches(listing: &str) -> BTreeMap<u64, Branch> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let branch = |line: &str| {
        let (address, instruction) = line.trim().split_once(':')?;
        let mut words = instruction
            .split_whitespace()
            .skip_while(|word| ["addr32", "bnd", "notrack"].contains(word));
        let mnemonic = words.next()?;
        let is_call = mnemonic.starts_with("call");
        let target = words
            .next()
            .filter(|_| is_call || mnemonic.starts_with('j'))?;
        Some((
            number(address)?,
            Branch {
                is_call,
                target: number(target)?,
            },
        ))
    };
    listing.lines().filter_map(branch).collect()
}

fn for_each_service(check: impl Fn(&Program)) {
    for go in need!(compile::gos()) {
        for flags in GO_FLAGS {
            check(&Program::read(&need!(compile::go_http(&go, flags))));
        }
    }
}

struct Program {
    symbols: Symbols,
}

impl Program {
    fn read(binary: &Path) -> Self {
        Self {
            symbols: read(binary),
        }
    }

    fn id(&self, name: &str) -> FunctionId {
        let function = self.symbols.table().iter().find(|found| found.name == name);
        function.unwrap_or_else(|| panic!("no {name}")).id
    }

    fn name(&self, id: FunctionId) -> &str {
        self.symbols.table().get(id).unwrap().name
    }

    fn names(&self, ids: &[FunctionId]) -> Vec<&str> {
        let mut names: Vec<_> = ids.iter().map(|&id| self.name(id)).collect();
        names.sort_unstable();
        names
    }

    fn callees(&self, name: &str) -> Callees {
        self.symbols.callees(self.id(name))
    }

    fn discover(&self, root: &str, start: fn(FunctionId) -> Start) -> TracePlan {
        self.discover_at_most(root, start, 300)
    }

    fn discover_at_most(
        &self,
        root: &str,
        start: fn(FunctionId) -> Start,
        limit: usize,
    ) -> TracePlan {
        let mut graph = SymbolGraph::new(&self.symbols);
        discover(&mut graph, start(self.id(root)), limit)
    }
}

fn read(binary: &Path) -> Symbols {
    let image = Image::open(File::open(binary).unwrap(), binary.to_string_lossy()).unwrap();
    Symbols::read(Arc::new(image)).unwrap()
}
