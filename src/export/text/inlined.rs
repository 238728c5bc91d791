//! Where functions were inlined.

use std::io;

use coral_model::escape;

use super::super::inlined::{InlinedCalls, rows};
use super::super::table::{Column, Kind, write_table};
use super::location;

/// Writes inlined calls as a table that fits `width` columns, if there are any.
///
/// # Errors
/// Those of `out`.
pub fn write_inlined(
    out: &mut impl io::Write,
    inlined: &[InlinedCalls<'_>],
    width: usize,
) -> io::Result<()> {
    const fn name(title: &'static str) -> Column {
        Column {
            title,
            kind: Kind::Name,
        }
    }
    const COLUMNS: [Column; 4] = [
        name("INLINED"),
        name("INTO"),
        name("CALLED AT"),
        Column {
            title: "COUNT",
            kind: Kind::Phrase,
        },
    ];
    let rows: Vec<_> = rows(inlined).collect();
    if rows.is_empty() {
        return writeln!(out, "\nnone of them was inlined where that can be counted");
    }
    writeln!(out)?;
    write_table(out, COLUMNS, width, &rows, |(function, call)| {
        [
            escape(function.name),
            escape(call.into),
            location(call.file, call.line),
            call.kind().into(),
        ]
    })?;
    let uncountable: u32 = inlined.iter().map(|function| function.uncountable).sum();
    let count = rows.len();
    writeln!(
        out,
        "\n{count} inlined calls, and {uncountable} that cannot be counted"
    )
}
