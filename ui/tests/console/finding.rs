//! Finding commands and functions by typing.

use coral_ui::{COMMANDS, Effect, Options, Screen};
use insta::assert_snapshot;

use crate::fixture;
use crate::harness::Console;

#[test]
fn the_palette_runs_the_command_that_was_found() {
    let mut console = Console::live();
    console.press(":");
    console.type_text("detach every");
    assert_eq!(console.press("Enter"), [Effect::DetachAll]);
    console.press(":");
    console.type_text("show-ses");
    assert_eq!(console.press("Enter"), []);
    assert_eq!(console.state.screen(), Screen::Sessions);
}

#[test]
fn the_palette_says_where_a_command_works_that_does_nothing_here() {
    let mut console = Console::live();
    console.press("6 :");
    console.type_text("toggle-probe");
    assert!(console.text(100, 30).contains("only in functions, latency"));
    assert_eq!(console.press("Enter"), []);
    let text = console.text(100, 30);
    assert!(text.contains("`toggle-probe` does nothing here"), "{text}");
}

#[test]
fn every_command_can_be_reached_in_the_palette() {
    let mut console = Console::live();
    console.press(":");
    let mut text = String::new();
    for _ in COMMANDS {
        text += &console.text(100, 30);
        console.press("Down");
    }
    for info in COMMANDS {
        assert!(text.contains(info.name), "{}", info.name);
    }
}

#[test]
fn a_function_is_found_and_selected_even_if_a_filter_hides_it() {
    let mut console = Console::open();
    console.press("/");
    console.type_text("nothingmatchesthis");
    console.press("Enter 6 @");
    console.type_text("hcheckout");
    console.press("Enter");
    assert_eq!(console.state.screen(), Screen::Functions);
    let effects = console.press("Space");
    let Some(Effect::Attach(coral_ui::Attach { functions, .. })) = effects.first() else {
        panic!("{effects:?}");
    };
    let table = fixture::table();
    assert_eq!(table.get(functions[0]).unwrap().name, "main.handleCheckout");
}

#[test]
fn a_million_functions_are_searched_in_pieces_and_the_best_is_found() {
    let names: Vec<String> = (0..1_000_000).map(|n| format!("pkg.function{n}")).collect();
    let table = fixture::table_of(names.iter().map(String::as_str));
    let mut console = Console::open_with(Options::default(), table);
    console.press("Ctrl-P");
    for key in "999999".chars() {
        console.press(&key.to_string());
        assert!(console.state.has_work(), "a key never looks at all names");
    }
    assert!(console.settle() > 10);
    assert!(console.text(100, 30).contains("pkg.function999999"));
}

#[test]
fn finding_screens() {
    let mut console = Console::live();
    console.press("Ctrl-P");
    console.type_text("chk");
    assert_snapshot!("find_function_80x24", console.screen(80, 24));
    console.press("Esc :");
    console.type_text("attach");
    assert_snapshot!("palette_80x24", console.screen(80, 24));
}
