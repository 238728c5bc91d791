//! Which key does what where: the table's keys, and what is configured instead.

use crate::commands::{COMMANDS, Command, CommandInfo, Scope};
use crate::key::{Key, KeyError};

/// Keys for every command.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap {
    /// The keys of each line of [`COMMANDS`], in its order.
    keys: Vec<Vec<Key>>,
}

/// Why configured keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No command has that name.
    #[error("no command is named `{0}`")]
    UnknownCommand(String),
    /// A key's name means no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Two commands that are active at the same time have the same key.
    #[error("`{key}` is both `{first}` and `{second}`")]
    Duplicate {
        /// The key.
        key: String,
        /// The name of one command.
        first: &'static str,
        /// The name of the other.
        second: &'static str,
    },
    /// `quit-now` would have no key left.
    #[error("`quit-now` must keep Ctrl-C, which always ends the program")]
    NoWayOut,
}

impl Keymap {
    /// The table's keys, with other keys for the commands that are named.
    ///
    /// # Errors
    /// If a name means nothing, or two commands that are active together share a key.
    pub fn new(overrides: &[(String, Vec<String>)]) -> Result<Self, KeymapError> {
        let parse = |names: &[&str]| names.iter().map(|name| name.parse()).collect();
        let mut keys = COMMANDS
            .iter()
            .map(|info| parse(info.keys))
            .collect::<Result<Vec<Vec<Key>>, KeyError>>()?;
        for (name, names) in overrides {
            let index = COMMANDS
                .iter()
                .position(|info| info.name == name)
                .ok_or_else(|| KeymapError::UnknownCommand(name.clone()))?;
            if COMMANDS[index].command == Command::QuitNow {
                return Err(KeymapError::NoWayOut);
            }
            keys[index] = names
                .iter()
                .map(|name| name.parse())
                .collect::<Result<_, _>>()?;
        }
        let keymap = Self { keys };
        keymap.check()?;
        Ok(keymap)
    }

    /// What a key does while a scope is in front.
    pub fn command(&self, scope: Scope, key: Key) -> Option<Command> {
        self.active(scope)
            .find(|(_, keys)| keys.contains(&key))
            .map(|(info, _)| info.command)
    }

    /// All commands with their keys, in the table's order.
    pub fn all(&self) -> impl Iterator<Item = (&'static CommandInfo, &[Key])> {
        COMMANDS.iter().zip(self.keys.iter().map(Vec::as_slice))
    }

    /// The commands of exactly this scope with their keys, in the table's order.
    pub fn of(&self, scope: Scope) -> impl Iterator<Item = (&'static CommandInfo, &[Key])> {
        self.all()
            .filter(move |(info, _)| info.scopes.contains(&scope))
    }

    /// The first key of a command, as it is written; empty if it was configured away.
    pub fn key(&self, command: Command) -> String {
        self.all()
            .find(|(info, _)| info.command == command)
            .and_then(|(_, keys)| keys.first())
            .map_or_else(String::new, Key::to_string)
    }

    /// All commands whose keys work while a scope is in front.
    pub(crate) fn active(
        &self,
        scope: Scope,
    ) -> impl Iterator<Item = (&'static CommandInfo, &[Key])> {
        scope.active().iter().flat_map(|&scope| self.of(scope))
    }

    fn check(&self) -> Result<(), KeymapError> {
        for scope in Scope::ALL {
            let mut seen: Vec<(Key, &'static str)> = Vec::new();
            for (info, keys) in self.active(scope) {
                for &key in keys {
                    if let Some(&(_, first)) = seen.iter().find(|(known, _)| *known == key) {
                        return Err(KeymapError::Duplicate {
                            key: key.to_string(),
                            first,
                            second: info.name,
                        });
                    }
                    seen.push((key, info.name));
                }
            }
        }
        Ok(())
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(&[]).expect("a test checks the table's own keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(name: &str, key: &str) -> Result<Keymap, KeymapError> {
        Keymap::new(&[(name.into(), vec![key.into()])])
    }

    #[test]
    fn the_tables_own_keys_are_without_duplicates() {
        assert!(Keymap::new(&[]).is_ok());
    }

    #[test]
    fn a_key_does_what_it_is_configured_for() {
        let keymap = configured("toggle-probe", "t").unwrap();
        let command = |key: &str| keymap.command(Scope::Functions, key.parse().unwrap());
        assert_eq!(command("t"), Some(Command::ToggleProbe));
        assert_eq!(command("Space"), None);
        assert_eq!(keymap.key(Command::ToggleProbe), "t");
    }

    #[test]
    fn duplicates_are_refused_with_both_names() {
        let error = configured("toggle-probe", "q").unwrap_err();
        assert_eq!(error.to_string(), "`q` is both `toggle-probe` and `quit`");
        assert!(
            configured("open", "Space").is_ok(),
            "never active with toggle-probe"
        );
    }

    #[test]
    fn wrong_configurations_say_why() {
        assert_eq!(
            configured("fly", "f"),
            Err(KeymapError::UnknownCommand("fly".into()))
        );
        assert_eq!(configured("help", "FF"), Err(KeyError("FF".into()).into()));
        assert_eq!(configured("quit-now", "x"), Err(KeymapError::NoWayOut));
    }
}
