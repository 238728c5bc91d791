//! What is configured is what the program does: keys, the mouse, and the theme that the terminal
//! tells.

use std::fs;

use crate::terminal::{End, LARGE, Terminal, start, start_with};

/// The foreground of a title: the blue of coral-light, and that of coral-dark.
const LIGHT: &str = "38;2;0;99;156";
const DARK: &str = "38;2;86;180;233";
/// What a terminal with a white background answers.
const WHITE: &str = "\x1b]11;rgb:ffff/ffff/ffff\x07";
const MOUSE_ON: &str = "\x1b[?1000h";

#[test]
fn a_configured_key_works_and_the_old_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("coral")).unwrap();
    let config = "[keys]\nhelp = 'F2'\nshow-events = []";
    fs::write(folder.path().join("coral/config.toml"), config).unwrap();
    let home = folder.path().to_str().unwrap();
    let mut terminal = start_with(LARGE, &[], &[("XDG_CONFIG_HOME", home)]);
    terminal.wait_for(|frame| frame.contains("F2 help") && !frame.contains("? help"));
    terminal.press("?6\x1bOQ");
    let help = terminal.wait_for_text("Keys");
    assert!(help.contains("Processes"), "6 shows no events: {help}");
    terminal.press("\x1b");
    terminal.wait_for(|frame| !frame.contains("Keys"));
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn the_mouse_is_left_to_the_terminal_by_choice() {
    let mut without = started(start(LARGE, &["--no-mouse"]));
    assert!(!without.output().contains(MOUSE_ON));
    without.press("q");
    assert_eq!(without.end(), End::in_order());
    let with = started(start(LARGE, &[]));
    assert!(with.output().contains(MOUSE_ON));
}

#[test]
fn the_theme_is_light_where_the_terminal_is_and_no_key_is_lost() {
    let mut terminal = start_with(LARGE, &[], &[("COLORTERM", "truecolor")]);
    // Typed ahead, and while the terminal answers.
    terminal.press("6");
    terminal.press(WHITE);
    terminal.press("?");
    terminal.wait_for_text("Keys");
    terminal.wait_until(|seen| seen.has_written(LIGHT).then_some(()));
    terminal.press("\x1b");
    terminal.wait_for(|frame| frame.contains("Events") && !frame.contains("Keys"));
}

#[test]
fn a_late_answer_changes_the_theme_and_is_not_typed() {
    let mut terminal = started(start_with(LARGE, &[], &[("COLORTERM", "truecolor")]));
    let output = terminal.output();
    assert!(
        output.contains(DARK) && !output.contains(LIGHT),
        "{output:?}"
    );
    terminal.press(WHITE);
    terminal.wait_until(|seen| seen.has_written(LIGHT).then_some(()));
    // `:` in the answer would have asked for a command.
    terminal.press("?");
    terminal.wait_for_text("Keys");
    terminal.press("\x1b");
    terminal.wait_for(|frame| frame.contains("Processes") && !frame.contains("Keys"));
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn the_environment_says_what_the_terminal_does_not() {
    let variables = [("COLORTERM", "truecolor"), ("COLORFGBG", "0;15")];
    let light = started(start_with(LARGE, &[], &variables)).output();
    assert!(light.contains(LIGHT) && !light.contains(DARK), "{light:?}");
}

/// A terminal that shows the first screen.
fn started(terminal: Terminal) -> Terminal {
    terminal.wait_for_text("Processes");
    terminal
}
