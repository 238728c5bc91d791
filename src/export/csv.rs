//! Spreadsheets: a row for each function, under the names of the JSON documents.

use std::borrow::Cow;
use std::io;

use coral_model::{Function, Snapshot};

use super::functions::FunctionEntry;
use super::inlined::{self, InlinedCalls};
use super::session::{self, session_document};

/// Nested names are joined by `_`.
const SESSION_HEADER: [&str; 26] = [
    "name",
    "file",
    "line",
    "exit_probe",
    "reason",
    "calls",
    "returns",
    "unwound",
    "in_flight",
    "errors",
    "latency_count",
    "latency_min_ns",
    "latency_max_ns",
    "latency_mean_ns",
    "latency_total_ns",
    "latency_p50_ns",
    "latency_p90_ns",
    "latency_p95_ns",
    "latency_p99_ns",
    "latency_p999_ns",
    "self_ns",
    "probes_ns",
    "corrected_mean_ns",
    "cost_percent",
    "slowest_are_complete",
    "detached_because",
];

const FUNCTIONS_HEADER: [&str; 11] = [
    "name", "package", "file", "line", "address", "size", "language", "source", "exits", "probe",
    "reason",
];

/// Writes a session: a row for each of its functions, without the histograms.
///
/// # Errors
/// Those of `out`.
pub fn write_session(out: impl io::Write, snapshot: &Snapshot) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(SESSION_HEADER)?;
    for function in &session_document(snapshot).functions {
        writer.write_record(session_row(function))?;
    }
    writer.flush()
}

/// Writes a list of functions. Columns of what the planner has not looked at are empty.
///
/// # Errors
/// Those of `out`.
pub fn write_functions(out: impl io::Write, functions: &[Function<'_>]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(FUNCTIONS_HEADER)?;
    for function in functions {
        writer.write_record(functions_row(&FunctionEntry::of(function)))?;
    }
    writer.flush()
}

/// Writes inlined calls, a line each.
///
/// # Errors
/// Those of `out`.
pub fn write_inlined(out: impl io::Write, inlined: &[InlinedCalls<'_>]) -> io::Result<()> {
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
    let rows = inlined::rows(inlined).map(|(function, call)| {
        vec![
            function.name.to_owned(),
            file(function.file),
            line(function.line),
            call.into.to_owned(),
            file(call.file),
            line(call.line),
            call.kind().to_owned(),
        ]
    });
    write_table(out, &COLUMNS, &rows.collect::<Vec<_>>())
}

/// Writes any table of plain values; text in it may come from a target.
///
/// # Errors
/// Those of `out`.
pub fn write_table(
    out: impl io::Write,
    columns: &[impl AsRef<str>],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    // Those of a query are as foreign as its values.
    writer.write_record(
        columns
            .iter()
            .map(|name| text(&coral_model::escape(name.as_ref()))),
    )?;
    for row in rows {
        writer.write_record(row.iter().map(|value| text(&coral_model::escape(value))))?;
    }
    writer.flush()
}

fn session_row(function: &session::FunctionEntry<'_>) -> [String; SESSION_HEADER.len()] {
    let latency = &function.latency;
    [
        text(&function.name),
        optional_text(function.file.as_ref()),
        optional_number(function.line),
        function.exit_probe.to_owned(),
        optional_text(function.reason.as_ref()),
        function.calls.to_string(),
        function.returns.to_string(),
        function.unwound.to_string(),
        function.in_flight.to_string(),
        optional_number(function.errors),
        latency.count.to_string(),
        latency.min_ns.to_string(),
        latency.max_ns.to_string(),
        latency.mean_ns.to_string(),
        latency.total_ns.to_string(),
        latency.p50_ns.to_string(),
        latency.p90_ns.to_string(),
        latency.p95_ns.to_string(),
        latency.p99_ns.to_string(),
        latency.p999_ns.to_string(),
        function.self_ns.to_string(),
        function.probes_ns.to_string(),
        optional_number(function.corrected_mean_ns),
        optional_number(function.cost_percent),
        function.slowest_are_complete.to_string(),
        optional_text(function.detached_because.as_ref()),
    ]
}

fn functions_row(function: &FunctionEntry<'_>) -> [String; FUNCTIONS_HEADER.len()] {
    [
        text(&function.name),
        text(&function.package),
        optional_text(function.file.as_ref()),
        optional_number(function.line),
        function.address.to_string(),
        function.size.to_string(),
        function.language.to_owned(),
        function.source.to_owned(),
        optional_number(function.exits),
        function.probe.unwrap_or_default().to_owned(),
        function.reason.unwrap_or_default().to_owned(),
    ]
}

/// A cell that no spreadsheet takes for a formula: what could begin one is quoted by an apostrophe.
/// Negative numbers are none.
fn text(escaped: &str) -> String {
    // Full-width signs count as signs where a spreadsheet runs in Chinese, Japanese or Korean.
    // A tab or a carriage return arrives here escaped, hence begins with a backslash.
    const FORMULA_STARTS: [char; 10] = [
        '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    let is_formula = escaped.starts_with(FORMULA_STARTS)
        || escaped.starts_with("\\u{9}")
        || escaped.starts_with("\\u{d}");
    if is_formula && escaped.parse::<f64>().is_err() {
        format!("'{escaped}")
    } else {
        escaped.to_owned()
    }
}

fn optional_text(escaped: Option<&Cow<'_, str>>) -> String {
    escaped.map_or_else(String::new, |escaped| text(escaped))
}

fn optional_number(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::export::{fixture, functions_document};

    /// The names of an object's fields; those of objects in it are joined by `_`.
    fn field_names(object: &Value) -> Vec<String> {
        let mut names = Vec::new();
        for (name, value) in object.as_object().unwrap() {
            match value {
                Value::Object(_) => {
                    names.extend(
                        field_names(value)
                            .iter()
                            .map(|inner| format!("{name}_{inner}")),
                    );
                }
                // What is of several values or of few functions has no column.
                Value::Array(_) => {}
                _ if name == "joined" => {}
                _ => names.push(name.clone()),
            }
        }
        names
    }

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn headers_are_the_names_of_the_json_documents() {
        let snapshot = fixture::snapshot();
        let session = serde_json::to_value(session_document(&snapshot)).unwrap();
        let mut names = field_names(&session["functions"][0]);
        names.sort();
        assert_eq!(names, sorted(&SESSION_HEADER));

        let (table, target) = (fixture::table(), fixture::target());
        let functions: Vec<_> = table.iter().collect();
        let list = serde_json::to_value(functions_document(&target, &functions, None)).unwrap();
        let mut names = field_names(&list["functions"][0]);
        names.sort();
        assert_eq!(names, sorted(&FUNCTIONS_HEADER));
    }

    #[test]
    fn a_session_is_a_row_for_each_function() {
        let mut out = Vec::new();
        write_session(&mut out, &fixture::snapshot()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("{}\n", SESSION_HEADER.join(","))
                + "main.handleCheckout,main.go,42,return_sites,,6,4,1,1,2,\
                   4,100,400,250,1000,252,400,400,400,400,400,40,240,0.25,false,\n"
                + "'=cmd()\\u{202e},,,none,never returns,3,0,0,3,,0,0,0,0,0,0,0,0,0,0,0,0,,,false,\n"
        );
    }

    #[test]
    fn a_list_is_a_row_for_each_function() {
        let table = fixture::table();
        let functions: Vec<_> = table.iter().collect();
        let mut out = Vec::new();
        write_functions(&mut out, &functions).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("{}\n", FUNCTIONS_HEADER.join(","))
                + "main.handleCheckout,main,main.go,42,4096,64,go,gopclntab,3,full,\n"
                + "main.serve,main,main.go,90,4160,32,go,gopclntab,0,entry_only,never returns\n"
                + "'=cmd()\\u{202e},,,,8192,16,c,symtab,,,\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for start in ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"] {
            let name = format!("{start}1+1");
            let cell = text(&coral_model::escape(&name));
            assert!(cell.starts_with('\''), "{cell}");
        }
        for plain in ["main.f", "a=b", "1+1", "", "\\u{a}x", "'quoted", "-86.10"] {
            assert_eq!(text(plain), plain);
        }
    }
}
