//! The SQL screen: the query that is typed, those before it, and the rows that the last one gave.

mod completion;

use std::sync::Arc;
use std::time::Duration;

use coral_model::{SqlResult, SqlSchema};
use unicode_width::UnicodeWidthStr;

use crate::event::Failure;
use crate::filter_input::FilterInput;
use crate::selection::Selection;
use completion::Completion;

/// Queries that are kept for going back to them.
const PAST_MAX: usize = 200;

/// Rows that the widths of the columns are taken from: those that come later are cut to fit.
const MEASURED_ROWS: usize = 1_000;

/// A column is at most so wide; the selected row is shown in full below the table.
const COLUMN_MAX: usize = 40;

/// The screen's state.
#[derive(Debug)]
pub(crate) struct SqlScreen {
    pub(crate) input: FilterInput,
    pub(crate) schema: Arc<SqlSchema>,
    /// Whether the tables were asked for.
    pub(crate) is_schema_asked: bool,
    pub(crate) running: Option<Running>,
    pub(crate) result: Option<Table>,
    /// Why the last query gave nothing.
    pub(crate) failure: Option<Failure>,
    pub(crate) selection: Selection<usize>,
    /// The first column that is shown.
    pub(crate) first_column: usize,
    past: Vec<String>,
    /// Which of them is in the line, and what was typed before one went back.
    recalled: Option<(usize, String)>,
    next_query: u64,
}

/// A query that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) query: u64,
    pub(crate) since: Duration,
    pub(crate) sql: String,
}

/// An answer, and how wide its columns are.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) result: Arc<SqlResult>,
    /// The query that it answers.
    pub(crate) sql: String,
    pub(crate) widths: Vec<u16>,
    /// The numbers of the rows, which name them.
    keys: Vec<usize>,
}

impl Default for SqlScreen {
    fn default() -> Self {
        let mut input = FilterInput::long();
        input.editing = true;
        Self {
            input,
            schema: Arc::default(),
            is_schema_asked: false,
            running: None,
            result: None,
            failure: None,
            selection: Selection::default(),
            first_column: 0,
            past: Vec::new(),
            recalled: None,
            next_query: 0,
        }
    }
}

impl SqlScreen {
    /// Takes what is typed as the query that runs now; nothing if there is none.
    pub(crate) fn start(&mut self, now: Duration) -> Option<Running> {
        let sql = self.input.text().trim().to_owned();
        if sql.is_empty() {
            return None;
        }
        self.recalled = None;
        if self.past.last() != Some(&sql) {
            self.past.push(sql.clone());
        }
        if self.past.len() > PAST_MAX {
            self.past.remove(0);
        }
        self.next_query += 1;
        let running = Running {
            query: self.next_query,
            since: now,
            sql,
        };
        self.failure = None;
        // Whoever runs a query wants to go through its rows; who types on meanwhile is not disturbed.
        self.input.editing = false;
        self.running = Some(running.clone());
        Some(running)
    }

    /// Takes the answer to the query that runs; that of another one comes too late.
    pub(crate) fn take(&mut self, query: u64, answer: Result<Arc<SqlResult>, Failure>) {
        let Some(running) = self.running.take_if(|running| running.query == query) else {
            return;
        };
        match answer {
            Err(failure) => {
                self.failure = Some(failure);
                self.input.editing = true;
            }
            Ok(result) => {
                let table = Table::new(result, running.sql);
                self.selection = Selection::default();
                self.selection.restore(&table.keys);
                self.first_column = 0;
                self.result = Some(table);
            }
        }
    }

    /// The query before the one in the line, or the one after it.
    pub(crate) fn recall(&mut self, back: bool) {
        let (at, typed) = match self.recalled.take() {
            None if back => (self.past.len(), self.input.text().to_owned()),
            None => return,
            Some(recalled) => recalled,
        };
        let to = if back {
            at.checked_sub(1)
        } else {
            Some(at + 1)
        };
        let text = match to {
            Some(to) if to < self.past.len() => {
                self.recalled = Some((to, typed));
                self.past[to].clone()
            }
            Some(_) => typed,
            None => {
                self.recalled = Some((at, typed));
                return;
            }
        };
        self.input.set(&text);
    }

    /// What the word before the caret could become.
    pub(crate) fn completion(&self) -> Completion<'_> {
        let (before, _) = self.input.around_caret();
        Completion::of(&self.schema, &before, self.input.text())
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        if let Some(table) = &self.result {
            self.selection.move_by(delta, &table.keys, height);
        }
    }

    /// Shows the columns from the next one on, or from the one before.
    pub(crate) fn sideways(&mut self, right: bool) {
        let columns = self.result.as_ref().map_or(0, |table| table.widths.len());
        self.first_column = if right {
            (self.first_column + 1).min(columns.saturating_sub(1))
        } else {
            self.first_column.saturating_sub(1)
        };
    }

    pub(crate) fn row_count(&self) -> usize {
        self.result.as_ref().map_or(0, |table| table.keys.len())
    }
}

impl Table {
    fn new(result: Arc<SqlResult>, sql: String) -> Self {
        let rows = result.rows.iter().take(MEASURED_ROWS);
        let mut widths: Vec<usize> = result.columns.iter().map(|it| cells(&it.name)).collect();
        for row in rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(value.as_deref().map_or(NULL.len(), cells));
            }
        }
        let widths = widths
            .into_iter()
            .map(|width| width.clamp(1, COLUMN_MAX) as u16);
        Self {
            widths: widths.collect(),
            keys: (0..result.rows.len()).collect(),
            sql,
            result,
        }
    }
}

/// How a value that is none is written.
pub(crate) const NULL: &str = "NULL";

/// How wide a text is at most as far as that matters; long ones are not looked at to their ends.
fn cells(text: &str) -> usize {
    let end = text.floor_char_boundary(4 * COLUMN_MAX);
    coral_model::escape(&text[..end]).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_back_to_queries_and_on_to_what_was_typed() {
        let mut screen = SqlScreen::default();
        for sql in ["select 1", "select 2", "select 2"] {
            screen.input.set(sql);
            assert!(screen.start(Duration::ZERO).is_some());
        }
        screen.input.set("typed");
        let mut recall = |back| {
            screen.recall(back);
            screen.input.text().to_owned()
        };
        assert_eq!(recall(false), "typed", "there is nothing after it");
        assert_eq!(recall(true), "select 2");
        assert_eq!(recall(true), "select 1");
        assert_eq!(recall(true), "select 1");
        assert_eq!(recall(false), "select 2");
        assert_eq!(recall(false), "typed");
    }

    #[test]
    fn only_the_answer_to_what_runs_is_taken() {
        let mut screen = SqlScreen::default();
        let failure = || Failure {
            code: "x".into(),
            message: String::new(),
            help: String::new(),
        };
        screen.input.set("select 1");
        let first = screen.start(Duration::ZERO).unwrap().query;
        let second = screen.start(Duration::ZERO).unwrap().query;
        screen.take(first, Err(failure()));
        assert!(screen.running.is_some() && screen.failure.is_none());
        screen.take(second, Err(failure()));
        assert!(screen.running.is_none() && screen.failure.is_some());
    }
}
