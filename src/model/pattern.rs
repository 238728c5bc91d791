//! How a user names functions: a name, its last parts, a glob, or a regex between slashes.

use regex::{Regex, RegexBuilder};

use crate::{FunctionId, FunctionTable};

/// A pattern for function names; matched against the demangled name.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The whole name, or its last parts.
    Name,
    Regex(Regex),
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{text}` cannot be used: {why}")]
pub struct PatternError {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// A compiled regex may take this much memory; larger ones are refused.
const REGEX_SIZE_LIMIT_BYTES: usize = 1 << 20;

impl Pattern {
    /// Reads a pattern: `/regex/`, a glob with `*`, or a name.
    ///
    /// # Errors
    /// If it is empty, or its regex is wrong or too large.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let fail = |why: String| PatternError {
            text: text.to_owned(),
            why,
        };
        if text.is_empty() {
            return Err(fail("it is empty".into()));
        }
        let regex = if let Some(inner) = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
        {
            Some(inner.to_owned())
        } else if text.contains('*') && !is_pointer_receiver(text) {
            Some(glob_to_regex(text))
        } else {
            None
        };
        let kind = match regex {
            None => Kind::Name,
            Some(regex) => Kind::Regex(
                RegexBuilder::new(&regex)
                    .size_limit(REGEX_SIZE_LIMIT_BYTES)
                    .build()
                    .map_err(|error| fail(error.to_string()))?,
            ),
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
        })
    }

    /// What the user wrote.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the pattern may select many functions without being ambiguous.
    pub fn selects_many(&self) -> bool {
        matches!(self.kind, Kind::Regex(_))
    }

    /// Which of the functions that match are meant: a whole name goes before last parts of longer
    /// ones.
    pub fn meant(&self, matching: Vec<FunctionId>, table: &FunctionTable) -> Vec<FunctionId> {
        if self.selects_many() {
            return matching;
        }
        let is_whole = |&id: &FunctionId| {
            let function = table.get(id);
            function.is_some_and(|function| function.name == self.text)
        };
        let whole: Vec<FunctionId> = matching.iter().copied().filter(is_whole).collect();
        if whole.is_empty() { matching } else { whole }
    }

    /// Whether a function of that name matches.
    pub fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Regex(regex) => regex.is_match(name),
            Kind::Name => {
                ends_with_parts(name, &self.text, &['.', ':', '/'])
                    || without_parameters(name).is_some_and(|name| {
                        // A C++ template's name begins with the type that it returns.
                        ends_with_parts(name, &self.text, &[':', ' '])
                    })
            }
        }
    }
}

/// Whether a name is that text, or ends with it behind a separator.
fn ends_with_parts(name: &str, text: &str, separators: &[char]) -> bool {
    name.strip_suffix(text)
        .is_some_and(|head| head.is_empty() || head.ends_with(separators))
}

/// A C++ function's name without its parameters: `shop::add` of `shop::add(int) const`.
fn without_parameters(name: &str) -> Option<&str> {
    let name = name.split(" [clone").next()?;
    let name = name.trim_end_matches('&').trim_end();
    let name = name.strip_suffix(" const").unwrap_or(name);
    let mut depth = 0_u32;
    for (at, byte) in name.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return (byte == b'(').then(|| &name[..at]);
        }
    }
    None
}

/// `(*Cart).Add` is a Go method's name; its star is no glob.
fn is_pointer_receiver(text: &str) -> bool {
    text.matches('*').count() == text.matches("(*").count()
}

fn glob_to_regex(glob: &str) -> String {
    let parts: Vec<String> = glob
        .replace("(*", "(\0")
        .split('*')
        .map(|part| regex::escape(&part.replace('\0', "*")))
        .collect();
    format!("^{}$", parts.join(".*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_the_functions_that_are_meant() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "handleCheckout",
                &[
                    "main.handleCheckout",
                    "handleCheckout",
                    "shop::handleCheckout",
                ],
                &["main.handleCheckout.func1", "main.rehandleCheckout"],
            ),
            (
                "(*Cart).Add",
                &["main.(*Cart).Add", "(*Cart).Add"],
                &["main.(*MyCart).Add", "main.(*Cart).AddAll"],
            ),
            ("Cart).Add", &[], &["main.(*Cart).Add"]),
            (
                "add",
                &[
                    "add(int)",
                    "shop::add(int) const",
                    "shop::add(void (*)(int), long) [clone .constprop.0]",
                ],
                &[
                    "shop::readd(int)",
                    "shop::add(int)::helper()",
                    "shop::f(shop::add)",
                ],
            ),
            ("shop::add(int)", &["shop::add(int)"], &["shop::add(long)"]),
            (
                "shop::largest<int>",
                &["int shop::largest<int>(int, int)"],
                &["int workshop::largest<int>(int, int)"],
            ),
            (
                "main.*",
                &["main.f", "main.(*T).f"],
                &["domain.f", "xmain.f"],
            ),
            (
                "main.(*Cart).*",
                &["main.(*Cart).Add"],
                &["main.Cart.Add", "main.x"],
            ),
            ("/^main\\./", &["main.f"], &["domain.f"]),
        ];
        for (text, meant, not_meant) in cases {
            let pattern = Pattern::parse(text).unwrap();
            for name in *meant {
                assert!(pattern.matches(name), "{text} should match {name}");
            }
            for name in *not_meant {
                assert!(!pattern.matches(name), "{text} should not match {name}");
            }
        }
    }

    #[test]
    fn wrong_patterns_say_why() {
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse("/(/").unwrap_err().why.contains("unclosed"));
        assert!(Pattern::parse("/(a{1000}){1000}/").is_err());
    }
}
