//! Views of the functions that have a name.

use coral_ui::{Effect, Options, SavedView, Screen};
use insta::assert_snapshot;

use crate::fixture;
use crate::harness::Console;
use crate::rows::rows;

fn options(toml: &str) -> Options {
    Options {
        views: SavedView::read_all(toml).unwrap(),
        ..Options::default()
    }
}

#[test]
fn a_view_is_saved_with_filter_order_and_columns_and_found_again() {
    let mut console = Console::live();
    console.press("/");
    console.type_text("size > 400");
    console.press("Enter s s S c W");
    console.type_text(" big ones ");
    let effects = console.press("Enter");
    let Some(Effect::SaveView(view)) = effects.first() else {
        panic!("{effects:?}");
    };
    let toml = SavedView::write_all(vec![view.clone()]).unwrap();
    let expected = "[[view]]\nname = \"big ones\"\nfilter = \"size > 400\"\nsort = \"p99\"\n\
                    reversed = true\ncolumns = \"code\"\n";
    assert_eq!(toml, expected);

    let before = rows(&mut console);
    console.press("Esc s c 6 '");
    console.type_text("big");
    console.press("Enter");
    console.settle();
    assert_eq!(console.state.screen(), Screen::Functions);
    assert_eq!(rows(&mut console), before);
    assert!(console.text(100, 30).contains("sort: p99, reversed"));
}

#[test]
fn builtin_views_show_what_they_say() {
    for (view, first) in [
        ("slowest", ">main.handleCheckout"),
        ("calls", ">main.(*Cart).Add"),
        ("errors", ">main.handleCheckout"),
        ("flight", ">main.handleCheckout"),
        ("own", ">main.handleCheckout"),
    ] {
        let mut console = Console::live();
        console.press("'");
        console.type_text(view);
        console.press("Enter");
        console.settle();
        assert_eq!(rows(&mut console)[0], first, "{view}");
    }
}

#[test]
fn a_name_is_needed_and_a_filter_that_is_understood() {
    let mut console = Console::live();
    assert_eq!(console.press("W Enter Space Enter"), []);
    assert!(console.text(80, 24).contains("Save this view as"));
    console.press("Esc /");
    console.type_text("p99 >");
    assert_eq!(console.press("Enter W x Enter"), []);
    assert!(console.text(120, 30).contains("was not saved"));
}

#[test]
fn views_from_elsewhere_are_listed_first_and_drawn_escaped() {
    let toml = "[[view]]\nname = \"errors\"\nfilter = \"errors > 5%\"\n\
                [[view]]\nname = \"\\u202eodd\\u001b[31m\"\nsort = \"size\"\n";
    let mut console = Console::open_with(options(toml), fixture::table());
    console.press("'");
    let screen = console.screen(80, 24);
    assert!(!screen.contains(['\u{202e}', '\u{1b}']));
    assert_snapshot!("views_80x24", screen);
}
