//! Which rows are shown, in which order, and that the selection stays where it is.

use std::sync::Arc;
use std::time::Duration;

use coral_ui::Options;

use crate::fixture;
use crate::harness::Console;

/// The names in the list, with `>` before the selected one.
pub(crate) fn rows(console: &mut Console) -> Vec<String> {
    let text = console.text(80, 60);
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("   function"));
    let rows = table
        .skip(1)
        .take_while(|line| !line.starts_with('─') && !line.trim().is_empty());
    rows.map(|line| {
        let selected = if line.starts_with('▌') { ">" } else { "" };
        let name = line.chars().skip(3).collect::<String>();
        format!(
            "{selected}{}",
            name.split_whitespace().next().unwrap_or_default()
        )
    })
    .collect()
}

fn first(console: &mut Console, count: usize) -> Vec<String> {
    rows(console).into_iter().take(count).collect()
}

#[test]
fn the_applications_own_functions_come_first() {
    assert_eq!(
        first(&mut Console::open(), 7),
        [
            ">main.(*Cart).Add",
            "main.handleCheckout",
            "main.init",
            "main.main",
            "main.priceOf",
            "main.serveForever",
            "github.co…ay.(*Client).Charge",
        ]
    );
}

#[test]
fn probing_moves_no_row_until_one_goes_to_the_top() {
    let mut console = Console::open();
    console.press("j j j");
    let before = rows(&mut console);
    console.snapshot(fixture::snapshot());
    assert_eq!(rows(&mut console), before);
    console.press("g");
    assert_eq!(
        first(&mut console, 4),
        [
            ">main.handleCheckout",
            "main.(*Cart).Add",
            "main.serveForever",
            "main.init"
        ]
    );
}

#[test]
fn a_filter_selects_the_best_match_and_esc_keeps_it_selected() {
    let mut console = Console::open();
    console.press("/");
    console.type_text("hchk");
    assert_eq!(rows(&mut console), [">main.handleCheckout"]);
    console.press("Enter Esc");
    let all = rows(&mut console);
    assert_eq!(all.len(), 14);
    assert_eq!(all[1], ">main.handleCheckout");
}

#[test]
fn a_filter_narrows_and_widens_as_it_is_typed() {
    let mut console = Console::open();
    console.press("/");
    let table = fixture::table();
    let matching = |query: &str| {
        let names = table.iter().map(|function| function.name.to_lowercase());
        names.filter(|name| is_subsequence(query, name)).count()
    };
    for typed in ["m", "ma", "mai", "main", "main.", "main.s"] {
        console.type_text(&typed[typed.len() - 1..]);
        assert_eq!(rows(&mut console).len(), matching(typed), "after {typed}");
    }
    assert_eq!(matching("main.s"), 1);
    console.press("Backspace Backspace");
    console.settle();
    assert_eq!(rows(&mut console).len(), matching("main"));
}

fn is_subsequence(query: &str, name: &str) -> bool {
    let mut rest = name.chars();
    query
        .chars()
        .all(|wanted| rest.any(|character| character == wanted))
}

#[test]
fn the_next_match_is_found_after_the_filter_was_cleared() {
    let mut console = Console::open();
    console.press("/");
    console.type_text("'http");
    console.press("Enter Esc g n");
    let selected = |console: &mut Console| {
        let rows = rows(console);
        rows.into_iter().find(|row| row.starts_with('>')).unwrap()
    };
    assert_eq!(selected(&mut console), ">net/http.(*conn).serve");
}

#[test]
fn live_orders_move_rows_at_most_once_a_second_and_never_the_selection() {
    let mut console = Console::live();
    console.press("s");
    console.press("j");
    assert_eq!(
        first(&mut console, 2),
        ["main.(*Cart).Add", ">main.handleCheckout"]
    );
    let mut busier = fixture::snapshot();
    Arc::make_mut(&mut busier.functions[0]).calls_per_s = 1e6;
    console.advance(Duration::from_secs(1));
    console.snapshot(busier.clone());
    assert_eq!(
        first(&mut console, 2),
        [">main.handleCheckout", "main.(*Cart).Add"]
    );
    Arc::make_mut(&mut busier.functions[0]).calls_per_s = 0.0;
    console.advance(Duration::from_millis(900));
    console.snapshot(busier.clone());
    assert_eq!(
        first(&mut console, 1),
        [">main.handleCheckout"],
        "not within the second"
    );
    console.advance(Duration::from_millis(100));
    console.snapshot(busier);
    assert_eq!(
        first(&mut console, 2),
        ["main.(*Cart).Add", ">main.handleCheckout"]
    );
}

#[test]
fn sorting_keeps_the_selection() {
    let mut console = Console::live();
    console.press("j k");
    for sort in 0..10 {
        console.press("s");
        console.settle();
        let selected = rows(&mut console)
            .into_iter()
            .find(|row| row.starts_with('>'));
        assert_eq!(
            selected.unwrap(),
            ">main.handleCheckout",
            "after {sort} times"
        );
    }
    console.press("s s s s s s s S P");
    console.settle();
    assert_eq!(
        first(&mut console, 2),
        ["sync.(*Mutex).Lock", "runtime.memmove"]
    );
}

#[test]
fn functions_that_are_found_later_keep_the_selection() {
    let mut console =
        Console::open_with(Options::default(), fixture::table_of(["main.b", "main.c"]));
    console.press("j");
    assert_eq!(rows(&mut console), ["main.b", ">main.c"]);
    console.send(coral_ui::SourceEvent::Functions {
        target: fixture::target(),
        table: fixture::table_of(["main.b", "main.c", "main.a"]),
        complete: true,
    });
    console.settle();
    assert_eq!(rows(&mut console), ["main.a", "main.b", ">main.c"]);
}
