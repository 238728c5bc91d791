//! Clicks and the wheel.

use coral_ui::{Effect, Options, Screen, SourceEvent};
use crossterm::event::{MouseButton, MouseEventKind};

use crate::harness::Console;
use crate::rows::rows;
use crate::{calls, fixture};

const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

/// Where a text stands on the screen.
fn find(console: &mut Console, text: &str) -> (u16, u16) {
    let screen = console.text(80, 24);
    let lines = screen.lines().enumerate();
    let place = |(row, line): (usize, &str)| {
        let column = line[..line.find(text)?].chars().count();
        Some((column as u16, row as u16))
    };
    lines
        .filter_map(place)
        .next()
        .unwrap_or_else(|| panic!("no {text} on\n{screen}"))
}

fn click(console: &mut Console, text: &str) -> Vec<Effect> {
    let (column, row) = find(console, text);
    let effects = console.mouse(CLICK, column, row);
    console.settle();
    effects
}

/// Clicks on the title of a column, in the row that begins with that of the first one.
fn click_title(console: &mut Console, first: &str, title: &str) {
    let (_, row) = find(console, &format!("   {first}"));
    let screen = console.text(80, 24);
    let line = screen.lines().nth(usize::from(row)).unwrap();
    let column = line[..line.find(title).unwrap()].chars().count() as u16;
    console.mouse(CLICK, column, row);
    console.settle();
}

fn wheel(console: &mut Console, text: &str) {
    let (column, row) = find(console, text);
    console.mouse(MouseEventKind::ScrollDown, column, row);
}

#[test]
fn a_click_on_a_title_sorts_and_another_one_turns_the_order_round() {
    let mut console = Console::live();
    let sorts = [
        ("max ", "sort: max,"),
        ("p95", "sort: p95,"),
        ("p95", "sort: p95, reversed"),
        ("p50", "sort: p50,"),
        ("function", "sort: name,"),
        ("function", "sort: name, reversed"),
    ];
    for (title, sort) in sorts {
        click_title(&mut console, "function", title);
        let text = console.text(80, 24);
        assert!(text.contains(sort), "{title}: {text}");
    }
}

#[test]
fn a_click_on_a_title_sorts_processes() {
    let mut console = Console::new(Options::default());
    console.send(SourceEvent::Processes(fixture::processes()));
    for (title, sort) in [
        ("memory", "sort: memory"),
        ("pid", "sort: pid"),
        ("name", "sort: name"),
    ] {
        click_title(&mut console, "name", title);
        assert!(console.text(80, 24).contains(sort), "{title}");
    }
}

#[test]
fn a_click_on_a_tab_lists_processes_as_its_key_does() {
    let mut console = Console::live();
    assert_eq!(click(&mut console, "1 Processes"), [Effect::ListProcesses]);
    assert_eq!(console.state.screen(), Screen::Processes);
}

#[test]
fn rows_that_are_found_are_taken_by_a_click_and_a_click_beside_them_closes() {
    let mut console = Console::live();
    console.press(":");
    console.type_text("detach");
    assert_eq!(click(&mut console, "detach-all"), [Effect::DetachAll]);
    console.press("@");
    console.type_text("price");
    click(&mut console, "main.priceOf");
    assert!(rows(&mut console).contains(&">main.priceOf".into()));
    console.press("'");
    click(&mut console, "most calls");
    assert!(console.text(80, 24).contains("sort: calls"));
    console.press(": Esc :");
    click(&mut console, "checkout  pid");
    assert!(!console.text(80, 24).contains("Commands"));
}

#[test]
fn the_wheel_scrolls_what_is_under_the_pointer() {
    let mut console = Console::live();
    wheel(&mut console, "─ Latency");
    assert_eq!(
        rows(&mut console)[0],
        ">main.handleCheckout",
        "not the list above"
    );
    wheel(&mut console, "main.handleCheckout");
    assert_eq!(rows(&mut console)[3], ">main.init");
    console.press("?");
    wheel(&mut console, "Keys");
    assert!(
        !console
            .text(80, 24)
            .contains("attach to the selected function")
    );
    click(&mut console, "checkout  pid");
    assert!(!console.text(80, 24).contains("Keys"));
    console.press(":");
    let first = find(&mut console, "▌");
    wheel(&mut console, "Commands");
    assert_eq!(find(&mut console, "▌").1, first.1 + 3);
}

#[test]
fn a_click_on_a_title_sorts_the_call_tree() {
    let mut console = calls::console();
    for title in ["self", "calls", "errors", "total"] {
        click_title(&mut console, "function, by ", title);
        let text = console.text(80, 24);
        assert!(text.contains(&format!("function, by {title}")), "{text}");
    }
}
