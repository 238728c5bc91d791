//! From a mangled name to the one in the source, its language and its package.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::Range;

use coral_model::Language;
use cpp_demangle::{BorrowedSymbol, DemangleOptions, ParseOptions};

/// A demangled name may be this long; a longer one is shown mangled.
pub(super) const NAME_BYTES_MAX: usize = 16 << 10;
/// Mangled names longer than this stay as they are.
const MANGLED_BYTES_MAX: usize = 16 << 10;
const RECURSION_MAX: u32 = 128;

/// Demangles a symbol's name; `image_language` is what unmangled names are taken for.
///
/// Rust names lose their hash; C++ names keep their parameters, which tell overloads apart.
pub(super) fn demangle(name: &str, image_language: Language) -> (Cow<'_, str>, Language) {
    let language = language_of(name, image_language);
    let demangled = match language {
        _ if name.len() > MANGLED_BYTES_MAX => None,
        Language::Rust => demangle_rust(name),
        Language::Cpp => demangle_cpp(name),
        _ => None,
    };
    (demangled.map_or(name.into(), Cow::from), language)
}

/// The language that a name was mangled by; `image_language` is what others are taken for.
pub(super) fn language_of(name: &str, image_language: Language) -> Language {
    if is_v0_rust(name) || is_legacy_rust(name) {
        return Language::Rust;
    }
    if name.starts_with("_Z") {
        return Language::Cpp;
    }
    match image_language {
        Language::C | Language::Cpp | Language::Rust | Language::Go => Language::C,
        Language::Assembly | Language::Unknown => image_language,
    }
}

/// The package's place within a demangled name: Go's import path, Rust's crate, C++'s namespace.
pub(super) fn package(name: &str, language: Language) -> Range<usize> {
    match language {
        Language::Go | Language::Assembly => go_package(name),
        Language::Rust => rust_crate(name),
        Language::Cpp => cpp_namespace(name),
        Language::C | Language::Unknown => 0..0,
    }
}

fn demangle_rust(name: &str) -> Option<String> {
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    let mut bounded = Bounded(String::new());
    write!(bounded, "{demangled:#}").ok()?;
    Some(bounded.0)
}

/// Rust's names begin with the kind of a path; `_Reply` is a C function's.
fn is_v0_rust(name: &str) -> bool {
    name.strip_prefix("_R")
        .is_some_and(|path| path.starts_with(['C', 'M', 'X', 'Y', 'N', 'I', 'B']))
}

/// Rust's old names look like C++'s, but end with a hash: `17h0123456789abcdefE`.
fn is_legacy_rust(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("_ZN") else {
        return false;
    };
    // Optimisers append this.
    let rest = rest.split_once(".llvm.").map_or(rest, |(rest, _)| rest);
    rest.strip_suffix('E')
        .and_then(|rest| rest.len().checked_sub(19).and_then(|at| rest.get(at..)))
        .and_then(|hash| hash.strip_prefix("17h"))
        .is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn demangle_cpp(name: &str) -> Option<String> {
    let parsing = ParseOptions::default().recursion_limit(RECURSION_MAX);
    // A version that the linker appended is left out.
    let (symbol, _appended) =
        BorrowedSymbol::with_tail_and_options(name.as_bytes(), &parsing).ok()?;
    let options = DemangleOptions::new().recursion_limit(RECURSION_MAX);
    let mut bounded = Bounded(String::new());
    symbol.structured_demangle(&mut bounded, &options).ok()?;
    Some(bounded.0)
}

/// Text that refuses to grow without end.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > NAME_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// The import path: up to the first dot behind the last slash. Type arguments contain both.
fn go_package(name: &str) -> Range<usize> {
    let end = name.find(['[', '(']).unwrap_or(name.len());
    let last_element = name[..end].rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[last_element..].find('.');
    dot.map_or(0..0, |dot| 0..last_element + dot)
}

/// The first path in the name begins with the crate: `<shop::Cart as core::fmt::Debug>::fmt`.
fn rust_crate(name: &str) -> Range<usize> {
    let is_identifier = |c: char| c.is_alphanumeric() || c == '_';
    let mut start = 0;
    for (at, c) in name.char_indices() {
        if c == ':' && at > start && name[at..].starts_with("::") {
            return start..at;
        }
        if !is_identifier(c) {
            start = at + c.len_utf8();
        }
    }
    0..0
}

/// Everything before the last `::` that is not inside template arguments.
fn cpp_namespace(name: &str) -> Range<usize> {
    const ANONYMOUS: &str = "(anonymous namespace)";
    let (mut start, mut end, mut depth, mut at) = (0, 0, 0_usize, 0);
    while let Some(c) = name[at..].chars().next() {
        let rest = &name[at..];
        if depth == 0 && rest.starts_with(ANONYMOUS) {
            at += ANONYMOUS.len();
            continue;
        }
        if depth == 0 && at == end.max(start) && rest.starts_with("operator") {
            break;
        }
        match c {
            '<' | '{' => depth += 1,
            '(' if depth == 0 => break,
            '(' => depth += 1,
            '>' | '}' | ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => (start, end) = (at + 1, at + 1),
            ':' if depth == 0 && rest.starts_with("::") => {
                end = at + 2;
                at += 1;
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    start..end.saturating_sub(2).max(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_demangled_by_their_form() {
        let cases = [
            (
                "_ZN4shop4Cart3add17h0123456789abcdefE",
                "shop::Cart::add",
                Language::Rust,
            ),
            (
                "_ZN4shop3add17h0123456789abcdefE.llvm.1234567890",
                "shop::add",
                Language::Rust,
            ),
            (
                "_RNvCs15kBYyAo9fc_4shop8checkout",
                "shop::checkout",
                Language::Rust,
            ),
            ("_ZN4shop8checkoutEi", "shop::checkout(int)", Language::Cpp),
            (
                "_ZN4shop3addIiEET_S1_",
                "int shop::add<int>(int)",
                Language::Cpp,
            ),
            ("_ZN4shop4CartC2Ev", "shop::Cart::Cart()", Language::Cpp),
            (
                "_Z3addi.constprop.0",
                "add(int) [clone .constprop.0]",
                Language::Cpp,
            ),
            ("_Znonsense", "_Znonsense", Language::Cpp),
            ("_Reply", "_Reply", Language::C),
            ("checkout", "checkout", Language::C),
        ];
        for (mangled, expected, language) in cases {
            assert_eq!(
                demangle(mangled, Language::Cpp),
                (expected.into(), language),
                "{mangled}"
            );
        }
    }

    #[test]
    fn an_unmangled_name_is_no_proof_of_c() {
        assert_eq!(demangle("main", Language::Unknown).1, Language::Unknown);
    }

    #[test]
    fn the_package_is_part_of_the_name() {
        let cases = [
            (Language::Go, "main.handleCheckout", "main"),
            (Language::Go, "main.(*Cart).Add", "main"),
            (Language::Go, "net/http.(*conn).serve", "net/http"),
            (Language::Go, "github.com/x/y%2ez.Do", "github.com/x/y%2ez"),
            (
                Language::Go,
                "slices.Sort[go.shape.[]github.com/x/y.T]",
                "slices",
            ),
            (
                Language::Go,
                "github.com/x/y.(*T[...]).Do",
                "github.com/x/y",
            ),
            (Language::Go, "_rt0_amd64_linux", ""),
            (Language::Rust, "shop::cart::add", "shop"),
            (
                Language::Rust,
                "<shop::Cart as core::fmt::Debug>::fmt",
                "shop",
            ),
            (Language::Rust, "<&T as core::fmt::Debug>::fmt", "core"),
            (Language::Rust, "main", ""),
            (Language::Cpp, "shop::cart::add", "shop::cart"),
            (
                Language::Cpp,
                "std::vector<shop::Cart>::push",
                "std::vector<shop::Cart>",
            ),
            (
                Language::Cpp,
                "(anonymous namespace)::add",
                "(anonymous namespace)",
            ),
            (Language::Cpp, "shop::operator<", "shop"),
            (Language::Cpp, "shop::Cart::operator()", "shop::Cart"),
            (Language::Cpp, "void shop::add<int>(shop::Cart)", "shop"),
            (Language::Cpp, "shop::Cart::total(int) const", "shop::Cart"),
            (Language::Cpp, "main", ""),
            (Language::C, "a::b", ""),
        ];
        for (language, name, expected) in cases {
            assert_eq!(&name[package(name, language)], expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_bounded(prefix in "_ZN|_R|_Z|", rest in "[ -~é]{0,64}") {
            let name = format!("{prefix}{rest}");
            for image_language in [Language::Rust, Language::Go] {
                let (demangled, language) = demangle(&name, image_language);
                prop_assert!(demangled.len() <= NAME_BYTES_MAX);
                prop_assert!(demangled.get(package(&demangled, language)).is_some());
            }
        }

        #[test]
        fn a_package_is_always_inside_the_name(name in any::<String>()) {
            for language in [Language::Go, Language::Rust, Language::Cpp] {
                prop_assert!(name.get(package(&name, language)).is_some());
            }
        }
    }
}
