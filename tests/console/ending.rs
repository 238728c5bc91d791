//! However the program ends, the terminal is as before and no probe is left.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::common::lines::eventually;
use crate::common::target::Target;
use crate::common::{code, need};
use crate::measuring::{begin_to_probe, probe, target_binary};
use crate::terminal::{End, LARGE, Terminal, spawn_target, start, start_with};

#[test]
fn a_panic_anywhere_restores_the_terminal_and_says_where_the_log_is() {
    let binary = need!(target_binary());
    for (place, message) in [
        ("main", "a panic was asked for"),
        ("task", "a panic in a task was asked for"),
        ("thread", "a panic on a thread was asked for"),
    ] {
        let target = spawn_target(&binary);
        let pid = target.pid().to_string();
        let panics = [("CORAL_TEST_PANIC", place)];
        let mut terminal = start_with(LARGE, &["--local", &pid], &panics);
        begin_to_probe(&mut terminal, "plain_step");
        let End { status, said } = terminal.end();
        assert_eq!(status, 101);
        let [error, help] = said.lines().collect::<Vec<_>>()[..] else {
            panic!("{said}");
        };
        let log = terminal.folder().join("state/coral/coral-tui.log");
        let error_starts = format!("error[panic]: coral-tui failed: {message} (src/console/");
        assert!(error.starts_with(&error_starts), "{error}");
        assert_eq!(
            help,
            format!(
                "help: every probe is gone; please report this, the log is {}",
                log.display()
            )
        );
        assert!(fs::read_to_string(log).unwrap().contains(message));
        assert_untouched(target);
    }
}

#[test]
fn signals_end_it_in_order() {
    let binary = need!(target_binary());
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let (target, mut terminal) = probed(&binary);
        terminal.signal(signal);
        assert_eq!(terminal.end(), End::in_order(), "{signal:?}");
        assert_untouched(target);
    }
}

#[test]
fn a_terminal_that_is_closed_ends_it() {
    let (target, terminal) = probed(&need!(target_binary()));
    assert_eq!(terminal.close(), 0);
    assert_untouched(target);
}

#[test]
fn a_killed_console_leaves_no_probe() {
    let (target, terminal) = probed(&need!(target_binary()));
    terminal.signal(Signal::KILL);
    drop(terminal);
    assert_untouched(target);
}

#[test]
fn ctrl_c_ends_it_while_a_large_program_is_opened() {
    // This program is larger than most, and so are its symbols.
    let large = start(LARGE, &["--local"]);
    large.wait_for_text("Processes");
    let mut terminal = start(LARGE, &["--local", &large.pid().to_string()]);
    terminal.wait_until(|seen| seen.text().contains("OPENING").then_some(()));
    terminal.press("\x03");
    assert_eq!(terminal.end(), End::in_order());
    // It did not wait for the functions.
    assert!(!terminal.output().contains("READY"));
}

/// A target, and the console with probes on it.
fn probed(binary: &Path) -> (Target, Terminal) {
    let target = spawn_target(binary);
    let mut terminal = start(LARGE, &["--local", &target.pid().to_string()]);
    probe(&mut terminal, "plain_step");
    assert_ne!(code::changed(target.pid()), Vec::<u64>::new());
    (target, terminal)
}

/// The target's code is as in its file, and it ends well.
fn assert_untouched(mut target: Target) {
    // The kernel frees the probes of a process that has ended in the background.
    assert!(eventually(|| code::changed(target.pid()).is_empty()));
    target.assert_answers_as_ever();
    assert_eq!(target.quit().code(), Some(0));
}
