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
    "__rustc",
];

/// What the C toolchain links into every program, besides names that begin with `_`.
const C_RUNTIME: &[&str] = &["deregister_tm_clones", "register_tm_clones", "frame_dummy"];

/// Whose code a function of this target is.
pub(crate) fn nearness(function: &Function<'_>, target: &Target) -> Nearness {
    if function.module != 0 {
        return Nearness::Other;
    }
    match (function.language, target.language) {
        (Language::Go, _) => go(function.package),
        (Language::Rust, _) => rust(function.name, &target.service),
        (Language::C, Language::Rust | Language::Go) => linked(function.name),
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

fn rust(name: &str, program: &str) -> Nearness {
    if name.contains("{shim:") {
        return Nearness::Other;
    }
    match rust_crate(name) {
        // Only the language itself adds functions to types such as `str`.
        None => Nearness::Standard,
        Some(krate) if krate == program.replace('-', "_") => Nearness::Own,
        Some(krate) if RUST_STANDARD.contains(&krate) => Nearness::Standard,
        Some(_) => Nearness::Dependency,
    }
}

/// The crate that a function belongs to: its path's, its type's (`<shop::Cart as core::fmt::Debug>`)
/// or, for a type of the language itself, its trait's (`<u8 as shop::Price>`).
fn rust_crate(name: &str) -> Option<&str> {
    first_element(name.trim_start_matches('<')).or_else(|| first_element(trait_path(name)?))
}

fn first_element(path: &str) -> Option<&str> {
    let (first, _) = path.split_once("::")?;
    let is_identifier = first.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_identifier && !first.is_empty()).then_some(first)
}

/// What stands behind the ` as ` of `<Type as Trait>`, not of a type within the type.
fn trait_path(name: &str) -> Option<&str> {
    let mut depth = 0;
    for (at, c) in name.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !name[..at].ends_with('-') => depth -= 1,
            ' ' if depth == 1 && name[at..].starts_with(" as ") => return name.get(at + 4..),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    None
}

/// A C function in a program of another language: a library, or what starts the program.
fn linked(name: &str) -> Nearness {
    if is_generated(name) || name == "main" || name.starts_with("rust_") {
        Nearness::Other
    } else {
        Nearness::Dependency
    }
}

fn native(name: &str, package: &str) -> Nearness {
    let first = package.split("::").next().unwrap_or_default();
    match first {
        "std" | "__gnu_cxx" | "__cxxabiv1" => Nearness::Standard,
        _ if is_generated(name) || name.starts_with("std::") => Nearness::Other,
        _ => Nearness::Own,
    }
}

fn is_generated(name: &str) -> bool {
    name.starts_with('_') || C_RUNTIME.contains(&name)
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
            (linked("sqlite3_step"), Nearness::Dependency),
            (linked("main"), Nearness::Other),
            (linked("rust_eh_personality"), Nearness::Other),
            (native("handle_checkout", ""), Nearness::Own),
            (native("main", ""), Nearness::Own),
            (native("_start", ""), Nearness::Other),
            (native("frame_dummy", ""), Nearness::Other),
            (native("std::sort<int*>", "std"), Nearness::Standard),
        ];
        for (index, (found, expected)) in cases.into_iter().enumerate() {
            assert_eq!(found, expected, "case {index}");
        }
        assert!(Nearness::Own < Nearness::Dependency && Nearness::Dependency < Nearness::Standard);
    }

    #[test]
    fn rust_functions_belong_to_a_crate_by_path_type_or_trait() {
        for (name, expected) in [
            ("my_shop::main", Nearness::Own),
            ("<my_shop::Cart>::add", Nearness::Own),
            ("<my_shop::Cart as core::fmt::Debug>::fmt", Nearness::Own),
            ("<u8 as my_shop::Price>::price", Nearness::Own),
            (
                "tokio::spawn::<my_shop::main::{closure#0}>",
                Nearness::Dependency,
            ),
            ("<adler2::Adler32>::write_slice", Nearness::Dependency),
            (
                "core::ptr::drop_in_place::<my_shop::Cart>",
                Nearness::Standard,
            ),
            (
                "<&my_shop::Cart as core::fmt::Debug>::fmt",
                Nearness::Standard,
            ),
            ("<str>::trim_start_matches::<&str>", Nearness::Standard),
            (
                "<[u64]>::sort_by_key::<u64, <my_shop::Cart as my_shop::Sort>::f>",
                Nearness::Standard,
            ),
            (
                "<&mut core::Cell<<u8 as my_shop::Price>::T> as core::ops::Deref>::deref",
                Nearness::Standard,
            ),
            (
                "<fn(u8) -> my_shop::Cart as my_shop::Sort>::sort",
                Nearness::Own,
            ),
            (
                "<u8 as <[_]>::to_vec_in::ConvertVec>::to_vec",
                Nearness::Standard,
            ),
            ("__rustc::__rust_alloc", Nearness::Standard),
            (
                "<my_shop::main::{closure#0} as core::ops::FnOnce<()>>::call_once::{shim:vtable#0}",
                Nearness::Other,
            ),
        ] {
            assert_eq!(rust(name, "my-shop"), expected, "{name}");
        }
    }
}
