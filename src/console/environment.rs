//! What the terminal can show, told by the configuration or the environment.

use coral_model::SessionSettings;
use coral_ui::{Colors, Glyphs, Options};

use crate::config::{ColorChoice, Config, GlyphChoice};

/// Options as configured that fit this terminal.
pub(super) fn options(config: &Config) -> Options {
    let Config {
        console,
        session,
        keymap,
        ..
    } = config;
    Options {
        settings: SessionSettings {
            duration: session.lease,
            budget_percent: session.budget_percent,
            ..SessionSettings::default()
        },
        record_memory_bytes: console.record_memory_mib << 20,
        colors: colors(console.colors, variable),
        glyphs: match console.glyphs {
            GlyphChoice::Auto => glyphs(variable),
            GlyphChoice::Unicode => Glyphs::UNICODE,
            GlyphChoice::Ascii => Glyphs::ASCII,
        },
        keymap: keymap.clone(),
        ..Options::default()
    }
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The colours that are configured; none if `NO_COLOR` says so, whatever is configured.
fn colors(choice: ColorChoice, variable: impl Fn(&str) -> Option<String>) -> Colors {
    if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Colors::None;
    }
    match choice {
        ColorChoice::Auto => colors_of_terminal(variable),
        ColorChoice::None => Colors::None,
        ColorChoice::Ansi16 => Colors::Ansi16,
        ColorChoice::Ansi256 => Colors::Ansi256,
        ColorChoice::True => Colors::True,
    }
}

fn colors_of_terminal(variable: impl Fn(&str) -> Option<String>) -> Colors {
    let term = variable("TERM").unwrap_or_default();
    if term == "dumb" {
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
            let found = colors(ColorChoice::Auto, environment(variables));
            assert_eq!(found, expected, "{variables:?}");
        }
    }

    #[test]
    fn configured_colors_win_over_the_terminal_but_not_over_no_color() {
        let of_256 = |variables| colors(ColorChoice::Ansi256, environment(variables));
        assert_eq!(of_256(&[("TERM", "dumb")]), Colors::Ansi256);
        assert_eq!(of_256(&[("COLORTERM", "truecolor")]), Colors::Ansi256);
        assert_eq!(of_256(&[("NO_COLOR", "1")]), Colors::None);
        assert_eq!(
            colors(ColorChoice::None, environment(&[("TERM", "xterm")])),
            Colors::None
        );
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
