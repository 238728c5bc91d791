//! What the terminal can show, told by the environment.

use coral_ui::{Colors, Glyphs, Options};

use crate::failure::Failure;

/// Options that fit this terminal.
pub(super) fn options() -> Result<Options, Failure> {
    Ok(Options {
        colors: colors(|name| std::env::var(name).ok()),
        glyphs: glyphs(|name| std::env::var(name).ok()),
        ..Options::default()
    })
}

fn colors(variable: impl Fn(&str) -> Option<String>) -> Colors {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let term = variable("TERM").unwrap_or_default();
    if is_set("NO_COLOR") || term == "dumb" {
        return Colors::None;
    }
    match variable("COLORTERM").as_deref() {
        Some("truecolor" | "24bit") => Colors::True,
        _ if term.contains("direct") => Colors::True,
        _ if term.contains("256color") => Colors::Ansi256,
        _ => Colors::Ansi16,
    }
}

fn glyphs(variable: impl Fn(&str) -> Option<String>) -> Glyphs {
    // The first one that is set decides, by POSIX.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| variable(name))
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Glyphs::UNICODE
    } else {
        Glyphs::ASCII
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(
        variables: &'a [(&'a str, &'a str)],
    ) -> impl Fn(&str) -> Option<String> + use<'a> {
        |name| {
            variables
                .iter()
                .find(|(candidate, _)| *candidate == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn colors_are_those_that_the_terminal_says_it_has() {
        for (variables, expected) in [
            (&[][..], Colors::Ansi16),
            (&[("TERM", "xterm-256color")], Colors::Ansi256),
            (
                &[("TERM", "xterm"), ("COLORTERM", "truecolor")],
                Colors::True,
            ),
            (
                &[("COLORTERM", "truecolor"), ("NO_COLOR", "1")],
                Colors::None,
            ),
            (
                &[("TERM", "xterm-256color"), ("NO_COLOR", "")],
                Colors::Ansi256,
            ),
            (&[("TERM", "dumb")], Colors::None),
        ] {
            assert_eq!(colors(environment(variables)), expected, "{variables:?}");
        }
    }

    #[test]
    fn glyphs_follow_the_locale() {
        for (variables, expected) in [
            (&[][..], Glyphs::ASCII),
            (&[("LANG", "C.UTF-8")], Glyphs::UNICODE),
            (&[("LANG", "de_DE.utf8")], Glyphs::UNICODE),
            (&[("LANG", "C.UTF-8"), ("LC_ALL", "C")], Glyphs::ASCII),
            (&[("LANG", "C"), ("LC_ALL", "")], Glyphs::ASCII),
        ] {
            assert_eq!(glyphs(environment(variables)), expected, "{variables:?}");
        }
    }
}
