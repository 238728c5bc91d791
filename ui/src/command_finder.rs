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
                let rest = format!("{} {}", info.help, keymap.key(info.command)).to_lowercase();
                let score = query.score(&format!("{} {rest}", info.name), &mut matcher)?;
                let distance = distance(self.input.text(), info.name, &rest);
                Some((index, distance, Reverse(score)))
            })
            .collect();
        found.sort_by_key(|&(index, distance, score)| {
            let is_scattered = distance.is_none();
            let is_elsewhere = !self.applies(&COMMANDS[index]);
            // Of scattered letters only their score says anything.
            let score = is_scattered.then_some(score);
            (is_scattered, is_elsewhere, distance, score)
        });
        // Scattered letters mean something only where nothing else does.
        if found.iter().any(|(_, distance, _)| distance.is_some()) {
            found.retain(|(_, distance, _)| distance.is_some());
        }
        self.rows = found.into_iter().map(|(index, ..)| index).collect();
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

/// How far a command is from what is typed: the sum over its words. Nothing if the letters of one
/// of them are only scattered over the command.
fn distance(typed: &str, name: &str, rest: &str) -> Option<u32> {
    let typed = typed.to_lowercase();
    if typed.trim() == name {
        return Some(0);
    }
    let words = typed.split_whitespace();
    words
        // Signs of queries are no part of what is looked for.
        .map(|word| {
            word.trim_start_matches(['\'', '^', '!'])
                .trim_end_matches('$')
        })
        .map(|word| match (place(word, name), place(word, rest)) {
            (Some(Place::Start), _) => Some(1),
            (Some(Place::Word), _) => Some(2),
            (_, Some(Place::Start | Place::Word)) => Some(3),
            (Some(Place::Inside), _) => Some(4),
            (None, Some(Place::Inside)) => Some(5),
            (None, None) => None,
        })
        .sum()
}

/// Where a word stands in a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Start,
    /// At the begin of one of its words.
    Word,
    Inside,
}

/// The best place of a word in a text.
fn place(word: &str, text: &str) -> Option<Place> {
    let places = text.match_indices(word).map(|(at, _)| match at {
        0 => Place::Start,
        _ if text[..at].ends_with(char::is_alphanumeric) => Place::Inside,
        _ => Place::Word,
    });
    places.min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Command;

    fn found(text: &str) -> CommandFinder {
        found_in(Scope::Functions, text)
    }

    fn found_in(scope: Scope, text: &str) -> CommandFinder {
        let mut finder = CommandFinder::new(scope, &Keymap::default());
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

    #[test]
    fn words_and_their_beginnings_come_before_scattered_letters() {
        for (scope, text, first) in [
            (Scope::Functions, "detach", "detach-all"),
            (Scope::Functions, "quit", "quit"),
            (Scope::Functions, "sort", "sort"),
            (Scope::Functions, "reverse", "reverse-sort"),
            (Scope::Functions, "probe", "toggle-probe"),
            (Scope::Functions, "toggle", "toggle-probe"),
            (Scope::Functions, "attach", "attach-matching"),
            (Scope::Functions, "help", "help"),
            (Scope::Functions, "mark", "mark"),
            (Scope::Functions, "save", "save-view"),
            (Scope::Functions, "lease", "extend"),
            (Scope::Functions, "zoom", "zoom"),
            (Scope::Functions, "func", "show-functions"),
            (Scope::Functions, "dtall", "detach-all"),
            (Scope::Calls, "flame", "next-view"),
            (Scope::Calls, "zoom", "zoom"),
            (Scope::Latency, "heat", "next-view"),
            (Scope::Sessions, "repeat", "repeat-session"),
        ] {
            let finder = found_in(scope, text);
            let name = finder.selected().map(|info| info.name);
            assert_eq!(name, Some(first), "{text} in {scope:?}");
        }
    }
}
