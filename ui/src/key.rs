//! Keys as people write them: `Space`, `Ctrl-C`, `Shift-Tab`, `g`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers. Shift is part of the character where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// A key's name that means no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no key; keys are written like `Space`, `Ctrl-D`, `PgUp`, `F5` or `x`")]
pub struct KeyError(pub String);

const NAMES: [(&str, KeyCode); 15] = [
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Shift-Tab", KeyCode::BackTab),
    ("Tab", KeyCode::Tab),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
];

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let kept = KeyModifiers::CONTROL | KeyModifiers::ALT;
        let modifiers = event.modifiers & kept;
        let code = match event.code {
            // Terminals differ in the case that they report with Ctrl.
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
                KeyCode::Char(c.to_ascii_lowercase())
            }
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Self { code, modifiers }
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let fail = || KeyError(text.to_owned());
        let mut modifiers = KeyModifiers::NONE;
        let mut name = text;
        for (prefix, modifier) in [
            ("Ctrl-", KeyModifiers::CONTROL),
            ("Alt-", KeyModifiers::ALT),
        ] {
            if let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                (name, modifiers) = (rest, modifiers | modifier);
            }
        }
        let named = NAMES.iter().find(|(known, _)| *known == name);
        let mut characters = name.chars();
        let code = match (named, characters.next(), characters.as_str()) {
            (Some(&(_, code)), ..) => code,
            (None, Some(c), "") if modifiers.contains(KeyModifiers::CONTROL) => {
                KeyCode::Char(c.to_ascii_lowercase())
            }
            (None, Some(c), "") => KeyCode::Char(c),
            (None, Some('F'), number) => KeyCode::F(
                number
                    .parse()
                    .ok()
                    .filter(|n| (1..=12).contains(n))
                    .ok_or_else(fail)?,
            ),
            _ => return Err(fail()),
        };
        Ok(Self { code, modifiers })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let control = self.modifiers.contains(KeyModifiers::CONTROL);
        if control {
            formatter.write_str("Ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            formatter.write_str("Alt-")?;
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return formatter.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) if control => write!(formatter, "{}", c.to_ascii_uppercase()),
            KeyCode::Char(c) => write!(formatter, "{c}"),
            KeyCode::F(number) => write!(formatter, "F{number}"),
            other => write!(formatter, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_are_written() {
        for name in [
            "Space",
            "Ctrl-C",
            "Shift-Tab",
            "g",
            "G",
            "?",
            "F5",
            "Alt-x",
            "PgDn",
            "-",
        ] {
            assert_eq!(name.parse::<Key>().unwrap().to_string(), name);
        }
        for name in ["", "Ctrl-", "F13", "Spacebar", "gg"] {
            assert_eq!(name.parse::<Key>(), Err(KeyError(name.into())));
        }
    }

    #[test]
    fn events_are_the_keys_that_people_mean() {
        let event = |code, modifiers| Key::from(KeyEvent::new(code, modifiers));
        let cases = [
            (event(KeyCode::Char('G'), KeyModifiers::SHIFT), "G"),
            (event(KeyCode::Char('C'), KeyModifiers::CONTROL), "Ctrl-C"),
            (event(KeyCode::BackTab, KeyModifiers::SHIFT), "Shift-Tab"),
            (event(KeyCode::Tab, KeyModifiers::SHIFT), "Shift-Tab"),
        ];
        for (key, name) in cases {
            assert_eq!(key, name.parse().unwrap());
        }
    }
}
