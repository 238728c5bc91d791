//! The answer to a query as a table for a file.

use super::{ROWS_MAX, table};
use crate::command_line;
use crate::event::ViewExport;
use crate::state::State;

/// A value that is NULL is empty.
pub(super) fn view(state: &State) -> ViewExport {
    let Some(shown) = &state.sql.result else {
        return table("sql", None, &[], Vec::new());
    };
    let result = &shown.result;
    let width = result.columns.len();
    let rows = result.rows.iter().take(ROWS_MAX).map(|row| {
        let mut cells: Vec<String> = row
            .iter()
            .map(|it| it.clone().unwrap_or_default())
            .collect();
        cells.resize(width, String::new());
        cells
    });
    ViewExport {
        view: "sql",
        command: command_line::sql(state.peer(), &shown.sql),
        columns: result
            .columns
            .iter()
            .map(|column| column.name.clone().into())
            .collect(),
        rows: rows.collect(),
        rows_left_out: result.rows.len().saturating_sub(ROWS_MAX),
    }
}
