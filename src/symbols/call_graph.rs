//! The call graph of a program's symbols, as a search for the path of requests sees it.

use coral_model::{Function, FunctionId, Language, Probeability};

use super::callees::{CallReader, Callees};
use super::discovery::{CallGraph, Role};
use super::own_packages::OwnPackages;
use super::table::Symbols;

/// A function that is shorter, in bytes, and calls nothing costs less than its probes.
const TRIVIAL_BYTES_MAX: u64 = 64;
/// The calls of so many own functions are looked at for those that register handlers.
const SCANNED_MAX: usize = 20_000;
/// What every Go function calls that may need more stack.
const GO_STACK_GROWTH: &str = "runtime.morestack";
/// Packages of Go's standard library that are everywhere and of which little is worth a trace,
/// those below them included.
const GO_HELPERS: [&str; 24] = [
    "runtime",
    "internal",
    "vendor",
    "sync/atomic",
    "unicode",
    "strings",
    "strconv",
    "bytes",
    "fmt",
    "reflect",
    "errors",
    "time",
    "sort",
    "slices",
    "maps",
    "cmp",
    "iter",
    "math",
    "hash",
    "path",
    "context",
    "bufio",
    "unsafe",
    "unique",
];
/// The same of Rust and of C++.
const RUST_HELPERS: [&str; 4] = ["core", "alloc", "compiler_builtins", "hashbrown"];
const CPP_HELPERS: [&str; 2] = ["std", "__gnu_cxx"];

/// The call graph of a process's executable.
pub struct SymbolGraph<'a> {
    symbols: &'a Symbols,
    own: OwnPackages,
    reader: CallReader<'a>,
}

impl<'a> SymbolGraph<'a> {
    /// The graph of those functions; nothing is read before it is asked for.
    pub fn new(symbols: &'a Symbols) -> Self {
        Self {
            symbols,
            own: OwnPackages::of(symbols),
            reader: CallReader::new(symbols),
        }
    }

    /// Whether a function is of the program's own packages.
    pub fn is_own(&self, function: FunctionId) -> bool {
        let function = self.symbols.table().get(function);
        function.is_some_and(|function| self.own.contains(&function))
    }

    fn name(&self, function: FunctionId) -> &'a str {
        let function = self.symbols.table().get(function);
        function.map_or("", |function| function.name)
    }

    /// All functions of own packages, those included that no request passes.
    fn all_own(&self) -> impl Iterator<Item = Function<'a>> + use<'a, '_> {
        let all = self.symbols.table().iter();
        all.filter(|function| self.own.contains(function))
    }
}

impl CallGraph for SymbolGraph<'_> {
    fn callees(&mut self, function: FunctionId) -> Callees {
        self.reader.callees(function)
    }

    fn role(&self, function: FunctionId) -> Role {
        let Some(function) = self.symbols.table().get(function) else {
            return Role::Ignored;
        };
        let is_probed = function
            .plan
            .is_none_or(|plan| plan.probe != Probeability::None);
        if !is_probed || runs_outside_of_requests(&function) {
            Role::Ignored
        } else if self.own.contains(&function) {
            Role::Own
        } else if is_helper(&function) {
            Role::Ignored
        } else {
            Role::Foreign
        }
    }

    fn is_trivial(&self, function: FunctionId, callees: &Callees) -> bool {
        let is_short = |function: Function<'_>| function.size < TRIVIAL_BYTES_MAX;
        let mut called = callees.direct.iter().map(|&callee| self.name(callee));
        callees.indirect == 0
            && self.symbols.table().get(function).is_some_and(is_short)
            && called.all(|name| name.starts_with(GO_STACK_GROWTH))
    }

    fn own(&self) -> Vec<FunctionId> {
        let own = self.all_own().map(|function| function.id);
        own.filter(|&id| self.role(id) == Role::Own).collect()
    }

    /// Functions that are called like handlers, and those that are passed on by a function that
    /// registers handlers.
    fn handlers(&mut self) -> Vec<FunctionId> {
        let own = self.all_own().map(|function| function.id);
        let own: Vec<FunctionId> = own.take(SCANNED_MAX).collect();
        let mut handlers: Vec<FunctionId> = Vec::new();
        for id in own {
            if is_called_like_a_handler(self.name(id)) {
                handlers.push(id);
            }
            let callees = self.callees(id);
            let mut called = callees.direct.iter().map(|&callee| self.name(callee));
            if called.any(registers_handlers) {
                handlers.extend(callees.referenced);
            }
        }
        handlers.retain(|&id| self.role(id) == Role::Own);
        handlers.sort_unstable();
        handlers.dedup();
        handlers
    }
}

/// Go's `main` and the initialisation of packages.
fn runs_outside_of_requests(function: &Function<'_>) -> bool {
    let is_go = matches!(function.language, Language::Go);
    let local = function.name.strip_prefix(function.package);
    let local = local.and_then(|local| local.strip_prefix('.'));
    is_go
        && local.is_some_and(|local| {
            let is_main = local == "main" && function.package == "main";
            let number = local.strip_prefix("init.");
            is_main
                || local == "init"
                || local.starts_with("map.init.")
                || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

fn is_helper(function: &Function<'_>) -> bool {
    let is_of = |package: &str, separator: char| {
        let rest = function.package.strip_prefix(package);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
    };
    match function.language {
        // Without a package it is generated: comparisons and hashes of types.
        Language::Go => {
            function.package.is_empty()
                || function.package.contains(':')
                || GO_HELPERS.iter().any(|package| is_of(package, '/'))
        }
        Language::Assembly => true,
        Language::Rust => RUST_HELPERS.iter().any(|package| is_of(package, ':')),
        Language::Cpp => CPP_HELPERS.iter().any(|package| is_of(package, ':')),
        Language::C | Language::Unknown => function.name.starts_with("__"),
    }
}

/// Whether a function's own name is one that handlers have.
fn is_called_like_a_handler(name: &str) -> bool {
    let last = name.rsplit(['.', ':', '/']).next().unwrap_or(name);
    ["handle", "Handle", "ServeHTTP"]
        .iter()
        .any(|start| last.starts_with(start))
        || last.ends_with("Handler")
}

/// Whether a function of net/http keeps handlers for later.
fn registers_handlers(name: &str) -> bool {
    let function = name.strip_prefix("net/http.");
    function.is_some_and(|function| {
        function.starts_with("(*ServeMux).") || function.starts_with("Handle")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_told_by_their_names() {
        let cases = [
            ("main.handleCheckout", true),
            ("main.(*Server).HandleList", true),
            ("example.com/shop/api.(*API).ServeHTTP", true),
            ("main.listHandler", true),
            ("shop::handle_checkout", true),
            ("main.checkout", false),
            ("main.rehandle", false),
            ("example.com/handlers.list", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_called_like_a_handler(name), expected, "{name}");
        }
    }
}
