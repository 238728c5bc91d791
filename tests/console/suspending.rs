//! Ctrl-Z gives the terminal to the shell, and `fg` brings the screens back.

use crate::terminal::{End, LARGE, PROGRAM, Terminal};

/// A shell with job control, as people have it: it goes on when its job is stopped.
const SHELL: &str = r#"set -m; "$0" --demo; echo "stopped: $?"; read -r _; fg; echo "ended: $?""#;

/// What a shell makes of SIGTSTP.
const STOPPED: &str = "stopped: 148";

#[test]
fn ctrl_z_leaves_the_terminal_to_the_shell_until_it_is_continued() {
    let command = ["bash", "-c", SHELL, PROGRAM];
    // The demo's recording: nothing here needs probes.
    let mut terminal = Terminal::start(LARGE, &command, &[("CORAL_TEST_KERNEL", "5.4")]);
    terminal.wait_for_text("● checkout::");
    terminal.press("\x1a");
    let shown = terminal.wait_until(|seen| seen.text().contains(STOPPED).then(|| seen.text()));
    assert!(!shown.contains("checkout::"), "{shown}");
    terminal.assert_restored();
    let frames = terminal.frames();
    terminal.press("\n");
    let again = terminal.wait_until(|seen| {
        let is_drawn = seen.frames > frames && seen.frame.contains("● checkout::");
        is_drawn.then(|| seen.frame.clone())
    });
    assert!(!again.contains(STOPPED), "{again}");
    terminal.press("q");
    let expected = End {
        status: 0,
        said: "ended: 0\r\n".into(),
    };
    assert_eq!(terminal.end(), expected);
}
