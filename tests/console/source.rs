//! Source files: shown in place, and opened in the user's editor, which gets the whole terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::need;
use crate::measuring::target_binary;
use crate::terminal::{End, LARGE, spawn_target, start_with};

/// Says what it was asked for, and leaves when it is told to by the keyboard.
const EDITOR: &str = "#!/bin/sh\necho \"EDITING $*.\"\nread -r line\necho \"WAS TOLD $line.\"\n";

#[test]
fn the_source_of_a_function_is_shown_and_edited() {
    let target = spawn_target(&need!(target_binary()));
    let folder = tempfile::tempdir().unwrap();
    let editor = folder.path().join("editor");
    fs::write(&editor, EDITOR).unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let variables = [("VISUAL", ""), ("EDITOR", editor.to_str().unwrap())];
    let pid = target.pid().to_string();
    let mut terminal = start_with(LARGE, &["--local", &pid], &variables);
    terminal.wait_for_text("plain_step");
    terminal.press("/'plain_step");
    terminal.wait_for_text(" 1 match");
    terminal.press("\rw");
    let shown = terminal.wait_for_text("plain_step(");
    assert!(shown.contains("targets/c/target.c:"), "{shown}");
    terminal.press("o");
    let edited = terminal.wait_until(|seen| {
        let text = seen.text();
        text.contains("EDITING").then_some(text)
    });
    assert!(
        edited.contains("EDITING +") && edited.contains("target.c."),
        "{edited}"
    );
    let frames = terminal.frames();
    // The editor gets what is typed, and the console nothing of it.
    terminal.press("quick\n");
    terminal.wait_until(|seen| (seen.frames > frames).then_some(()));
    terminal.press("\x1b");
    terminal.wait_for(|frame| !frame.contains("opens it in your editor"));
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    assert_eq!(target.quit().code(), Some(0));
}
