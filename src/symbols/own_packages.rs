//! Which functions a program's developers wrote, and which came with language and libraries.

use std::path::Path;

use coral_model::{Function, Language};

use super::go_build_info;
use super::table::Symbols;

/// Crates that the standard library brings into every Rust program.
const RUST_RUNTIME: [&str; 13] = [
    "std",
    "core",
    "alloc",
    "compiler_builtins",
    "panic_unwind",
    "panic_abort",
    "rustc_demangle",
    "addr2line",
    "gimli",
    "object",
    "miniz_oxide",
    "hashbrown",
    "memchr",
];
/// Where systems install the headers and sources of others.
const INSTALLED: &str = "/usr/";

/// Tells a program's own packages from others.
///
/// In Go these are `main` and the packages of the program's module and workspace; in Rust the
/// crate that is called as the executable, and where there is none, every crate but the standard
/// library's; in C and C++ what the executable has from sources outside of `/usr`, and where it
/// has no debug information, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPackages {
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    GoModules(Vec<String>),
    RustCrate(String),
    RustCrates,
    NativeSources,
    Executable,
}

impl OwnPackages {
    /// The own packages of a program; source lines are known once the symbols are completed.
    pub fn of(symbols: &Symbols) -> Self {
        let functions = || {
            let all = symbols.table().iter();
            all.filter(|function| function.module == 0)
        };
        let image = symbols.image(0);
        let rule = match image.map(|image| image.language()) {
            Some(Language::Go) => {
                Rule::GoModules(image.map_or(Vec::new(), |image| go_build_info::own_modules(image)))
            }
            Some(Language::Rust) => {
                let name = crate_name(image.map_or("", |image| image.path()));
                if functions().any(|function| function.package == name) {
                    Rule::RustCrate(name)
                } else {
                    Rule::RustCrates
                }
            }
            _ if functions().any(|function| function.file.is_some()) => Rule::NativeSources,
            _ => Rule::Executable,
        };
        Self { rule }
    }

    /// Whether a function is of an own package.
    pub fn contains(&self, function: &Function<'_>) -> bool {
        let is_rust = function.language == Language::Rust;
        function.module == 0
            && match &self.rule {
                Rule::GoModules(modules) => is_of_go_modules(function.package, modules),
                Rule::RustCrate(name) => is_rust && function.package == name,
                Rule::RustCrates => is_rust && !RUST_RUNTIME.contains(&function.package),
                Rule::NativeSources => function
                    .file
                    .is_some_and(|file| !file.starts_with(INSTALLED)),
                Rule::Executable => true,
            }
    }
}

/// The crate that an executable is called after, if its name was not changed.
fn crate_name(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy().replace('-', "_")
}

fn is_of_go_modules(package: &str, modules: &[String]) -> bool {
    // Symbols have the dots of a path's last part escaped.
    let package = package.replace("%2e", ".");
    let is_of = |module: &String| {
        let rest = package.strip_prefix(module.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    package == "main" || modules.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_a_module_are_own() {
        let modules = ["example.com/shop.v2".to_owned()];
        let cases = [
            ("main", true),
            ("example.com/shop%2ev2", true),
            ("example.com/shop.v2/ledger", true),
            ("example.com/shop.v22", false),
            ("example.com", false),
            ("net/http", false),
            ("", false),
        ];
        for (package, expected) in cases {
            assert_eq!(is_of_go_modules(package, &modules), expected, "{package}");
        }
    }
}
