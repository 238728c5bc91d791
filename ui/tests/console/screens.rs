//! Every screen at the sizes that people have, text and styles. Review changes by looking at them.

use std::sync::Arc;
use std::time::Duration;

use coral_model::Overhead;
use coral_ui::{Colors, Failure, Glyphs, Options, SourceEvent, Start, Theme};

use crate::fixture;
use crate::harness::Console;

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (160, 48)];

/// Compares a screen at all sizes.
fn check(name: &str, console: &mut Console) {
    for size in SIZES {
        check_at(name, console, size);
    }
}

pub(crate) fn check_at(name: &str, console: &mut Console, (columns, rows): (u16, u16)) {
    let screen = console.screen(columns, rows);
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), screen));
}

#[test]
fn the_picker_lists_processes() {
    let mut console = Console::new(Options::default());
    console.send(SourceEvent::Processes(fixture::processes()));
    console.press("j");
    check("picker", &mut console);
}

#[test]
fn functions_before_anything_is_probed() {
    check_at("functions_unprobed", &mut Console::open(), (80, 24));
}

#[test]
fn functions_while_three_are_probed() {
    check("functions", &mut Console::live());
}

#[test]
fn functions_with_columns_about_the_code() {
    let mut console = Console::live();
    console.press("c");
    check_at("functions_code", &mut console, (160, 48));
}

#[test]
fn a_filter_marks_what_it_matched() {
    let mut console = Console::live();
    console.press("/");
    console.type_text("cart");
    check_at("filter", &mut console, (80, 24));
}

#[test]
fn the_latency_of_a_function() {
    let mut console = Console::live();
    console.press("3");
    check("latency", &mut console);
    console.press("x");
    check_at("latency_log", &mut console, (80, 24));
}

#[test]
fn slow_calls() {
    let mut console = Console::live();
    console.press("4 v v v");
    check_at("calls", &mut console, (80, 24));
}

#[test]
fn sessions_live_and_ended() {
    let mut console = Console::open();
    let mut ended = fixture::ended();
    ended.session.id.0 = "dbg-01JD1X".into();
    ended.overhead = Overhead {
        ns_per_hit: None,
        cpu_percent: None,
        ..ended.overhead
    };
    console.send(SourceEvent::SessionEnded(Arc::new(ended)));
    console.press("Esc");
    console.snapshot(fixture::snapshot());
    console.press("5");
    check("sessions", &mut console);
}

#[test]
fn what_was_refused_stays_in_place_and_in_the_log() {
    let mut console = Console::live();
    console.send(SourceEvent::AttachFailed {
        functions: vec![fixture::PRICE],
        failure: Failure {
            code: "probe-refused".into(),
            message: "the kernel refuses the probe at main.priceOf+0x1c: the byte there is \
                      already a breakpoint"
                .into(),
            help: "another tracer or debugger is attached: detach it, or choose another function"
                .into(),
        },
    });
    check_at("refused", &mut console, (80, 24));
    console.press("6");
    check_at("events", &mut console, (80, 24));
}

#[test]
fn the_help_lists_the_keys_that_are_in_force() {
    let mut console = Console::live();
    console.press("?");
    check_at("help", &mut console, (80, 24));
}

#[test]
fn attaching_to_many_is_asked_about() {
    let names: Vec<String> = (0..120).map(|n| format!("main.handler{n}")).collect();
    let table = fixture::table_of(names.iter().map(String::as_str));
    let mut console = Console::open_with(Options::default(), table);
    console.press("/");
    console.type_text("handler");
    console.press("Enter A");
    check_at("question", &mut console, (80, 24));
}

#[test]
fn a_recording_says_so() {
    let mut console = Console::new(Options {
        start: Start::Source,
        replay: true,
        reason: Some("No right to probe here (CAP_BPF is missing): this is a recording".into()),
        theme: Theme::builtin("coral-light").unwrap(),
        ..Options::default()
    });
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table: fixture::table(),
        complete: true,
    });
    console.settle();
    console.snapshot(fixture::snapshot());
    check_at("replay", &mut console, (80, 24));
}

#[test]
fn terminals_without_colours_and_unicode_show_the_same() {
    let options = Options {
        colors: Colors::None,
        glyphs: Glyphs::ASCII,
        ..Options::default()
    };
    let mut console = Console::open_with(options, fixture::table());
    console.snapshot(fixture::snapshot());
    check_at("plain", &mut console, (80, 24));
    assert!(console.text(80, 24).is_ascii());
}

#[test]
fn numbers_that_stopped_coming_are_called_stale() {
    let mut console = Console::live();
    console.advance(Duration::from_secs(5));
    let text = console.text(80, 24);
    assert!(
        text.lines()
            .next()
            .unwrap()
            .contains("STALE for 5 s  00:37 left"),
        "{text}"
    );
}

#[test]
fn a_terminal_that_is_too_small_says_what_is_needed() {
    let text = Console::live().text(30, 4);
    assert_eq!(
        text,
        "coral needs 40 x 10 cells,\nhere are 30 x 4. Probes go on.\nCtrl-C quits.\n\n"
    );
}
