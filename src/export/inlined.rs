//! Where functions were inlined, as lists of them show it.

use std::borrow::Cow;
use std::io;

use coral_model::escape;
use serde::{Serialize, Serializer};

use super::csv;
use super::table::{Column, Kind, write_table};
use super::text::location;

/// A function that was inlined.
#[derive(Clone, Debug, Serialize)]
pub struct InlinedCalls<'a> {
    /// Its name.
    #[serde(serialize_with = "escaped")]
    pub name: &'a str,
    /// The source file that it is defined in.
    #[serde(serialize_with = "escaped_option")]
    pub file: Option<&'a str>,
    /// The line of its definition, from 1.
    pub line: Option<u32>,
    /// The calls that were inlined where that can be counted.
    pub calls: Vec<InlinedCall<'a>>,
    /// How many more there are where nothing may be probed.
    pub uncountable: u32,
}

/// A call that was inlined.
#[derive(Clone, Debug, Serialize)]
pub struct InlinedCall<'a> {
    /// The function whose code it is in now.
    #[serde(serialize_with = "escaped")]
    pub into: &'a str,
    /// The source file of the call.
    #[serde(serialize_with = "escaped_option")]
    pub file: Option<&'a str>,
    /// The line of the call, from 1.
    pub line: Option<u32>,
    /// Whether its count is exact as far as the code tells; an estimate otherwise.
    pub is_exact: bool,
}

/// Writes them as a table that fits `width` columns, if there are any.
///
/// # Errors
/// Those of `out`.
pub fn write_text(
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
            kind(call).into(),
        ]
    })?;
    let uncountable: u32 = inlined.iter().map(|function| function.uncountable).sum();
    let count = rows.len();
    writeln!(
        out,
        "\n{count} inlined calls, and {uncountable} that cannot be counted"
    )
}

/// Writes them as CSV, a line each.
///
/// # Errors
/// Those of `out`.
pub fn write_csv(out: impl io::Write, inlined: &[InlinedCalls<'_>]) -> io::Result<()> {
    const COLUMNS: [&str; 7] = [
        "name",
        "file",
        "line",
        "into",
        "call_file",
        "call_line",
        "count",
    ];
    let line = |line: Option<u32>| line.map_or(String::new(), |line| line.to_string());
    let file = |file: Option<&str>| file.unwrap_or_default().to_owned();
    let rows = rows(inlined).map(|(function, call)| {
        vec![
            function.name.to_owned(),
            file(function.file),
            line(function.line),
            call.into.to_owned(),
            file(call.file),
            line(call.line),
            kind(call).to_owned(),
        ]
    });
    csv::write_table(out, &COLUMNS, &rows.collect::<Vec<_>>())
}

/// Every call beside its function.
fn rows<'a, 'b>(
    inlined: &'b [InlinedCalls<'a>],
) -> impl Iterator<Item = (&'b InlinedCalls<'a>, &'b InlinedCall<'a>)> {
    let of =
        |function: &'b InlinedCalls<'a>| function.calls.iter().map(move |call| (function, call));
    inlined.iter().flat_map(of)
}

fn kind(call: &InlinedCall<'_>) -> &'static str {
    if call.is_exact { "exact" } else { "estimate" }
}

fn escaped<S: Serializer>(text: &&str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape(text))
}

fn escaped_option<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let text: Option<Cow<'_, str>> = text.map(escape);
    text.serialize(serializer)
}
