//! From a mangled name to the one in the source.

use std::borrow::Cow;
use std::fmt::{self, Write};

use cpp_demangle::{BorrowedSymbol, DemangleOptions, ParseOptions};

/// No name is longer than this, mangled or not.
pub(crate) const NAME_BYTES_MAX: usize = 16 << 10;
const RECURSION_MAX: u32 = 128;

/// Demangles names of Rust, which lose their hash, and of C++, which keep their parameters.
pub(crate) fn demangle(name: &str) -> Cow<'_, str> {
    let demangled = rust(name).or_else(|| cpp(name));
    demangled.map_or(name.into(), Cow::from)
}

fn rust(name: &str) -> Option<String> {
    // Without it, names of C such as `RC4_init` are read as those of Rust on Windows.
    if !name.starts_with('_') {
        return None;
    }
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    let mut bounded = Bounded(String::new());
    write!(bounded, "{demangled:#}").ok()?;
    Some(bounded.0)
}

fn cpp(name: &str) -> Option<String> {
    if !name.starts_with("_Z") {
        return None;
    }
    let parsing = ParseOptions::default().recursion_limit(RECURSION_MAX);
    let (symbol, _version) =
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (mangled, expected) in [
            ("_ZN4shop4Cart3add17h0123456789abcdefE", "shop::Cart::add"),
            ("_RNvCs15kBYyAo9fc_4shop8checkout", "shop::checkout"),
            ("_ZN4shop8checkoutEi", "shop::checkout(int)"),
            ("_Znonsense", "_Znonsense"),
            ("checkout", "checkout"),
            ("RC4_init", "RC4_init"),
        ] {
            assert_eq!(demangle(mangled), expected, "{mangled}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_bounded(prefix in "_ZN|_R|_Z|", rest in "[ -~é]{0,64}") {
            let name = format!("{prefix}{rest}");
            prop_assert!(demangle(&name).len() <= NAME_BYTES_MAX);
        }
    }
}
