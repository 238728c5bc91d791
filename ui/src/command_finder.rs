//! The palette: every command of the table, the best matches of what is typed first.

use std::cmp::Reverse;

use crate::commands::{COMMANDS, CommandInfo, Scope};
use crate::filter_input::FilterInput;
use crate::keymap::Keymap;
use crate::scan::{NameMatcher, Query};
use crate::selection::Selection;

/// Commands found by what is typed.
#[derive(Debug)]
pub(crate) struct CommandFinder {
    pub(crate) input: FilterInput,
    /// Indices into [`COMMANDS`].
    pub(crate) selection: Selection<usize>,
    rows: Vec<usize>,
    /// The screen's scope, which commands are run in.
    scope: Scope,
}

impl CommandFinder {
    /// All commands, those that work on this screen first.
    pub(crate) fn new(scope: Scope, keymap: &Keymap) -> Self {
        let mut finder = Self {
            input: FilterInput::typing(),
            selection: Selection::default(),
            rows: Vec::new(),
            scope,
        };
        finder.find(keymap);
        finder
    }

    /// What is typed has changed.
    pub(crate) fn find(&mut self, keymap: &Keymap) {
        let query = Query::new(self.input.text());
        let mut matcher = NameMatcher::default();
        let mut found: Vec<_> = (0..COMMANDS.len())
            .filter_map(|index| {
                let info = &COMMANDS[index];
                // A name that matches is worth more than a word of the help.
                let name = query.score(info.name, &mut matcher);
                let text = format!("{} {} {}", info.name, info.help, keymap.key(info.command));
                let score = query.score(&text, &mut matcher)?;
                Some((index, Reverse(score + name.unwrap_or(0))))
            })
            .collect();
        found.sort_by_key(|&(index, score)| (!self.applies(&COMMANDS[index]), score));
        self.rows = found.into_iter().map(|(index, _)| index).collect();
        self.selection = Selection::default();
        self.selection.restore(&self.rows);
    }

    pub(crate) fn rows(&self) -> &[usize] {
        &self.rows
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.rows, height);
    }

    pub(crate) fn selected(&self) -> Option<&'static CommandInfo> {
        COMMANDS.get(self.selection.id()?)
    }

    /// Whether a command works on the screen in front.
    pub(crate) fn applies(&self, info: &CommandInfo) -> bool {
        let mut active = self.scope.active().iter();
        active.any(|scope| info.scopes.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Command;

    fn found(text: &str) -> CommandFinder {
        let mut finder = CommandFinder::new(Scope::Functions, &Keymap::default());
        finder.input.insert(text);
        finder.find(&Keymap::default());
        finder
    }

    #[test]
    fn every_command_has_an_entry() {
        let mut rows = found("").rows().to_vec();
        rows.sort_unstable();
        assert_eq!(rows, (0..COMMANDS.len()).collect::<Vec<_>>());
    }

    #[test]
    fn every_command_is_found_by_its_name() {
        for info in COMMANDS {
            let finder = found(&format!("'{}", info.name));
            let names: Vec<_> = finder
                .rows()
                .iter()
                .map(|&row| COMMANDS[row].name)
                .collect();
            assert!(
                names.contains(&info.name),
                "{} is not in {names:?}",
                info.name
            );
        }
    }

    #[test]
    fn names_help_and_keys_are_searched_and_what_works_here_comes_first() {
        for (text, command) in [
            ("pause", Command::Pause),
            ("detach everything", Command::DetachAll),
            ("ctrl-z", Command::Suspend),
        ] {
            assert_eq!(
                found(text).selected().map(|info| info.command),
                Some(command),
                "{text}"
            );
        }
        let first = found("open").selected().map(|info| info.command);
        assert_ne!(
            first,
            Some(Command::Open),
            "it opens a process, which is elsewhere"
        );
    }
}
