//! Whose code a function is: a newcomer's own functions come first.

use coral_model::{Function, Language, Target};

/// How near a function is to the person who debugs; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// The application itself.
    Own,
    /// What it was built with: modules, crates.
    Dependency,
    /// The language's own library and runtime.
    Standard,
    /// What compilers generate, and shared libraries.
    Other,
}

/// First elements of the import paths of Go's standard library.
const GO_STANDARD: &[&str] = &[
    "archive",
    "bufio",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "structs",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
    "unique",
    "unsafe",
    "vendor",
    "weak",
];

const RUST_STANDARD: &[&str] = &[
    "std",
    "core",
    "alloc",
    "proc_macro",
    "test",
    "hashbrown",
    "gimli",
    "addr2line",
    "miniz_oxide",
    "rustc_demangle",
    "std_detect",
    "object",
    "compiler_builtins",
    "panic_unwind",
];

/// Whose code a function of this target is.
pub(crate) fn nearness(function: &Function<'_>, target: &Target) -> Nearness {
    if function.module != 0 {
        return Nearness::Other;
    }
    match function.language {
        Language::Go => go(function.package),
        Language::Rust => rust(function.package, &target.exe),
        _ => native(function.name, function.package),
    }
}

fn go(package: &str) -> Nearness {
    let first = package.split('/').next().unwrap_or_default();
    match first {
        "main" => Nearness::Own,
        "" => Nearness::Other,
        "golang.org" => Nearness::Dependency,
        generated if generated.contains(':') || generated.starts_with('_') => Nearness::Other,
        standard if GO_STANDARD.contains(&standard) => Nearness::Standard,
        _ => Nearness::Dependency,
    }
}

fn rust(package: &str, exe: &str) -> Nearness {
    let program = exe.rsplit('/').next().unwrap_or(exe).replace('-', "_");
    if package.is_empty() {
        Nearness::Other
    } else if package == program {
        Nearness::Own
    } else if RUST_STANDARD.contains(&package) {
        Nearness::Standard
    } else {
        Nearness::Dependency
    }
}

fn native(name: &str, package: &str) -> Nearness {
    let first = package.split("::").next().unwrap_or_default();
    match first {
        "std" | "__gnu_cxx" | "__cxxabiv1" => Nearness::Standard,
        _ if name.starts_with('_') || name.starts_with("std::") => Nearness::Other,
        _ => Nearness::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applications_own_code_is_nearest() {
        let cases = [
            (go("main"), Nearness::Own),
            (go("github.com/acme/shop"), Nearness::Dependency),
            (go("net/http"), Nearness::Standard),
            (go("type:"), Nearness::Other),
            (rust("my_shop", "/usr/bin/my-shop"), Nearness::Own),
            (rust("tokio", "/usr/bin/my-shop"), Nearness::Dependency),
            (rust("core", "/usr/bin/my-shop"), Nearness::Standard),
            (native("handle_checkout", ""), Nearness::Own),
            (native("_start", ""), Nearness::Other),
            (native("std::sort<int*>", "std"), Nearness::Standard),
        ];
        for (index, (found, expected)) in cases.into_iter().enumerate() {
            assert_eq!(found, expected, "case {index}");
        }
        assert!(Nearness::Own < Nearness::Dependency && Nearness::Dependency < Nearness::Standard);
    }
}
