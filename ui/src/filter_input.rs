//! The line in which a filter is typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

/// A filter longer than this matches nothing that a person could mean.
const CHARACTERS_MAX: usize = 256;

/// What is longer is no query that a person has typed.
const LONG_CHARACTERS_MAX: usize = 8_192;

/// A filter's text, and whether keys go to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterInput {
    input: Input,
    pub(crate) editing: bool,
    /// Whether it takes a query of many lines, as one.
    is_long: bool,
}

impl FilterInput {
    /// An empty line that takes keys at once.
    pub(crate) fn typing() -> Self {
        Self {
            editing: true,
            ..Self::default()
        }
    }

    /// A line for what is longer than a filter; line breaks in it are spaces.
    pub(crate) fn long() -> Self {
        Self {
            is_long: true,
            ..Self::default()
        }
    }

    /// Takes a text in the place of what was typed.
    pub(crate) fn set(&mut self, text: &str) {
        self.input = Input::default();
        self.insert(text);
    }

    pub(crate) fn text(&self) -> &str {
        self.input.value()
    }

    /// The text before and after the place where the next character goes.
    pub(crate) fn around_caret(&self) -> (String, String) {
        let characters = self.text().chars();
        let caret = self.input.cursor();
        (
            characters.clone().take(caret).collect(),
            characters.skip(caret).collect(),
        )
    }

    /// Whether there is something to filter by.
    pub(crate) fn is_active(&self) -> bool {
        !self.text().trim().is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self {
            is_long: self.is_long,
            ..Self::default()
        };
    }

    /// Types a key; returns whether the text has changed.
    pub(crate) fn type_key(&mut self, event: KeyEvent) -> bool {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let request = match event.code {
            KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
            KeyCode::Char('u') if control => InputRequest::DeleteLine,
            KeyCode::Char('a') if control => InputRequest::GoToStart,
            KeyCode::Char('e') if control => InputRequest::GoToEnd,
            KeyCode::Char(c) if !control => return self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => InputRequest::DeletePrevChar,
            KeyCode::Delete => InputRequest::DeleteNextChar,
            KeyCode::Left => InputRequest::GoToPrevChar,
            KeyCode::Right => InputRequest::GoToNextChar,
            KeyCode::Home => InputRequest::GoToStart,
            KeyCode::End => InputRequest::GoToEnd,
            _ => return false,
        };
        self.input
            .handle(request)
            .is_some_and(|change| change.value)
    }

    /// Inserts text up to its first line break, of a query all of it; returns whether there was any.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let (max, line) = if self.is_long {
            let line = text.lines().collect::<Vec<_>>().join(" ");
            (LONG_CHARACTERS_MAX, line)
        } else {
            let line = text.lines().next().unwrap_or_default();
            (CHARACTERS_MAX, line.to_owned())
        };
        let room = max.saturating_sub(self.text().chars().count());
        let mut inserted = false;
        for character in line.chars().take(room) {
            self.input.handle(InputRequest::InsertChar(character));
            inserted = true;
        }
        inserted
    }
}
