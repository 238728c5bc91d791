//! The SQL screen: typing, completing, running, giving up, and looking at rows.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{SqlColumn, SqlResult};
use coral_ui::{Effect, Event, Failure, Options, Peer, Screen, SourceEvent, ViewExport};

use crate::harness::Console;
use crate::screens::check_at;
use crate::{colony, fixture};

const QUERY: &str = "select * from function_stats";

fn options() -> Options {
    Options {
        has_history: true,
        peer: Some(Peer::Colony("https://colony:9000".into())),
        ..Options::default()
    }
}

/// On the SQL screen, its tables known.
fn console() -> Console {
    let mut console = Console::open_with(options(), fixture::table());
    assert_eq!(console.press("7"), [Effect::ReadSqlSchema]);
    console.send(SourceEvent::SqlSchema(Arc::new(colony::schema())));
    console
}

/// The same, with the answer to the first query.
fn answered(result: SqlResult) -> Console {
    let mut console = console();
    console.type_text(QUERY);
    assert_eq!(console.press("Enter"), [run(1, QUERY)]);
    rows(&mut console, 1, result);
    console
}

fn run(query: u64, sql: &str) -> Effect {
    Effect::RunSql {
        query,
        sql: sql.into(),
    }
}

fn rows(console: &mut Console, query: u64, result: SqlResult) {
    let result = Arc::new(result);
    console.send(SourceEvent::SqlRows { query, result });
}

fn failed(console: &mut Console, query: u64) {
    console.send(SourceEvent::SqlFailed {
        query,
        failure: Failure {
            code: "sql-invalid".into(),
            message: "column `p98_ns` does not exist".into(),
            help: "function_stats has p50_ns, p95_ns, p99_ns".into(),
        },
    });
}

fn exported(console: &mut Console) -> ViewExport {
    match console.press("e").into_iter().next() {
        Some(Effect::ExportView(view)) => view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_query_is_typed_run_and_its_rows_are_a_table() {
    let mut console = console();
    check_at("sql_empty", &mut console, (80, 24));
    console.type_text("select function_name from func");
    check_at("sql_typing", &mut console, (80, 24));
    console.press("Tab");
    let sql = "select function_name from function_";
    assert_eq!(console.press("Enter"), [run(1, sql)]);
    rows(&mut console, 1, colony::result(40));
    for size in [(60, 20), (80, 24), (160, 48)] {
        check_at("sql_rows", &mut console, size);
    }
    console.press("G");
    let text = console.text(80, 24);
    assert!(text.contains("main.handler39"), "{text}");
    assert!(
        text.contains("note: a note that is rather\n   long, of row 39, and goes on"),
        "{text}"
    );
    assert!(!text.contains("main.handler0 "), "{text}");
}

#[test]
fn what_runs_says_so_and_can_be_given_up() {
    let mut console = console();
    console.type_text(QUERY);
    console.press("Enter");
    console.advance(Duration::from_secs(3));
    let text = console.text(80, 24);
    assert!(text.contains("running for 3 s"), "{text}");
    assert!(text.contains("Press Ctrl-K to give it up."), "{text}");
    assert_eq!(console.press("Ctrl-K"), [Effect::CancelSql { query: 1 }]);
    rows(&mut console, 1, colony::result(3));
    let text = console.text(80, 24);
    assert!(
        !text.contains("main.handler0"),
        "what was given up is not shown: {text}"
    );
    // Another one takes the place of the one that runs.
    assert_eq!(console.press("Enter Enter"), [run(2, QUERY)]);
    assert_eq!(
        console.press("Enter Enter"),
        [Effect::CancelSql { query: 2 }, run(3, QUERY)]
    );
    assert_eq!(console.press("Esc"), [Effect::CancelSql { query: 3 }]);
    assert_eq!(
        console.state.screen(),
        Screen::Sql,
        "only the query was left"
    );
}

#[test]
fn a_sign_turns_while_one_waits_and_only_then() {
    let mut console = console();
    console.type_text(QUERY);
    console.press("Enter");
    console.state.take_redraw();
    console.advance(Duration::from_millis(300));
    assert!(console.state.take_redraw());
    rows(&mut console, 1, colony::result(1));
    console.state.take_redraw();
    console.advance(Duration::from_millis(300));
    assert!(!console.state.take_redraw());
}

#[test]
fn errors_stand_below_the_query_with_their_code() {
    let mut console = console();
    console.type_text("select p98_ns from function_stats");
    console.press("Enter");
    failed(&mut console, 1);
    check_at("sql_failed", &mut console, (80, 24));
    let text = console.text(80, 24);
    assert!(
        text.contains("error[sql-invalid]: column `p98_ns` does not exist"),
        "{text}"
    );
    assert!(text.contains("help: function_stats has"), "{text}");
    console.type_text(" ");
    console.press("Enter");
    rows(&mut console, 2, colony::result(1));
    assert!(!console.text(80, 24).contains("sql-invalid"), "it is over");
}

#[test]
fn queries_are_gone_back_to() {
    let mut console = console();
    for sql in ["select 1", "select 2"] {
        console.type_text(sql);
        console.press("Enter");
        console.press("i Ctrl-U");
    }
    console.type_text("typed");
    for (key, shown) in [
        ("Up", "select 2"),
        ("Up", "select 1"),
        ("Down", "select 2"),
        ("Down", "typed"),
    ] {
        console.press(key);
        let text = console.text(80, 24);
        assert!(text.contains(&format!("\u{25b8} {shown}")), "{key}: {text}");
    }
}

#[test]
fn columns_are_gone_through_and_numbers_stand_at_the_right() {
    let mut console = answered(colony::result(3));
    let text = console.text(80, 24);
    let row = text
        .lines()
        .find(|line| line.contains("main.handler1"))
        .unwrap();
    assert!(row.contains("     NULL  a note"), "{text}");
    console.press("l l");
    let text = console.text(80, 24);
    assert!(
        !text.contains("p99_ns") && text.contains("+2 note"),
        "{text}"
    );
    console.press("l l h h h");
    assert!(
        console.text(80, 24).contains("function_name"),
        "not beyond the ends"
    );
}

#[test]
fn the_table_is_exported_and_its_command_copied() {
    let mut console = answered(colony::result(3));
    let view = exported(&mut console);
    assert_eq!(view.view, "sql");
    assert_eq!(view.columns, ["function_name", "p99_ns", "note"]);
    assert_eq!(view.rows[1][..2], ["main.handler1", ""]);
    let command = "coral sql --colony https://colony:9000 'select * from function_stats'";
    assert_eq!(view.command.as_deref(), Some(command));
    assert_eq!(console.press("y"), [Effect::Copy(command.into())]);
}

#[test]
fn rows_and_values_of_any_size_are_drawn() {
    let mut odd = colony::result(2);
    odd.rows = Arc::new(vec![
        vec![],
        vec![None; 9],
        vec![Some("\u{1b}[2J".repeat(50_000))],
    ]);
    odd.columns.push(SqlColumn {
        name: "x".repeat(10_000),
        type_name: String::new(),
    });
    let mut many = colony::result(1);
    many.rows = Arc::new(vec![vec![Some("a".into())]; 300_000]);
    let none = SqlResult {
        columns: Vec::new(),
        ..colony::result(0)
    };
    for result in [odd, many, none, colony::result(0)] {
        let mut console = answered(result);
        for size in [(160, 48), (60, 20), (40, 10), (3, 3), (0, 0)] {
            console.press("G l l l l g");
            console.buffer(size.0, size.1);
        }
        exported(&mut console);
    }
    assert!(
        answered(colony::result(1_000))
            .text(80, 24)
            .contains("more were left out")
    );
}

#[test]
fn a_pasted_query_is_one_line_that_wraps() {
    let mut console = console();
    let pasted = "select function_name,\n  p99_ns\nfrom function_stats\nwhere p99_ns > 1000000 and function_name like 'main.%'";
    console.event(Event::Paste(pasted.into()));
    let text = console.text(60, 20);
    assert!(
        text.contains("like 'main.%'") && text.contains("\u{25b8} select"),
        "{text}"
    );
    assert_eq!(console.press("Enter"), [run(1, &pasted.replace('\n', " "))]);
}

#[test]
fn without_a_history_there_is_no_such_screen() {
    let mut console = Console::live();
    assert_eq!(console.press("7"), []);
    assert_eq!(console.state.screen(), Screen::Functions);
    let text = console.text(80, 24);
    assert!(
        text.contains("There is no history to ask here") && !text.contains("7 SQL"),
        "{text}"
    );
    console.press("6 Tab");
    assert_eq!(console.state.screen(), Screen::Processes);
    let mut console = self::console();
    assert!(console.text(80, 24).contains("7 SQL"));
    console.press("Esc Tab");
    assert_eq!(console.state.screen(), Screen::Processes);
}
