//! The loop: awaits, updates, draws.

use std::io;
use std::time::{Duration, Instant};

use coral_ui::{Effect, Event, Level, Notice, Options, SourceEvent, State, draw, update};
use crossterm::event::{Event as TerminalEvent, KeyCode, KeyModifiers};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::background::{self, Background};
use super::terminal::Terminal;
use super::{look, source_files};
use crate::signals::EndSignals;

/// The shortest time from one frame to the next: 30 frames a second.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// How often countdowns and ages move while nothing else happens.
const IDLE_INTERVAL: Duration = Duration::from_millis(250);
/// How many reports of the source are taken between two looks at the keyboard.
const REPORTS_AT_ONCE: usize = 16;

/// Carries out what the screens ask for. Nothing here may block: answers come as reports.
pub(super) trait Backend {
    /// Begins to carry out an effect; `None` if it did, the effect itself if it is not its own.
    fn perform(&mut self, effect: Effect) -> Option<Effect>;
}

/// The user's side.
pub(super) struct Frontend {
    /// What ends the program from outside.
    pub(super) signals: EndSignals,
    pub(super) terminal: Terminal,
    /// What is typed.
    pub(super) input: Receiver<io::Result<TerminalEvent>>,
    /// What the terminal says of its background, where the theme follows it.
    pub(super) background: Option<oneshot::Receiver<Background>>,
}

/// Runs until the user, a signal or the terminal's end says so.
pub(super) async fn run(
    frontend: Frontend,
    options: Options,
    backend: &mut impl Backend,
    mut reports: Receiver<SourceEvent>,
) -> io::Result<()> {
    let Frontend {
        mut signals,
        mut terminal,
        mut input,
        mut background,
    } = frontend;
    let started = Instant::now();
    let (mut state, effects) = State::new(options);
    let mut flow = perform(&mut terminal, &mut state, backend, effects)?;
    // The first frame waits as long as any other, so that it has the theme that the terminal tells.
    let mut last_frame = match background {
        Some(_) => started,
        None => started.checked_sub(FRAME_INTERVAL).unwrap_or(started),
    };
    let mut is_dirty = true;
    resize(&mut state)?;
    while flow == Flow::Go {
        is_dirty |= state.take_redraw();
        let interval = if is_dirty || state.has_work() {
            FRAME_INTERVAL
        } else {
            IDLE_INTERVAL
        };
        let mut effects;
        // In this order: what the user does goes before what the source says.
        tokio::select! {
            biased;
            () = signals.any() => break,
            event = input.recv() => match event {
                Some(event) => effects = on_input(&mut state, event?),
                None => break,
            },
            background = background::answered(&mut background) => {
                state.set_theme(look::theme_on(background));
                effects = Vec::new();
            }
            () = sleep_until((last_frame + interval).into()) => {
                effects = update(&mut state, Event::Tick { now: started.elapsed() });
                is_dirty |= state.take_redraw();
                if is_dirty {
                    terminal.draw(|frame| draw(frame, &state))?;
                    is_dirty = false;
                }
                last_frame = Instant::now();
            }
            Some(report) = reports.recv() => {
                effects = on_report(&mut state, report);
                for _ in 1..REPORTS_AT_ONCE {
                    let Ok(report) = reports.try_recv() else { break };
                    effects.extend(on_report(&mut state, report));
                }
            }
        }
        flow = perform(&mut terminal, &mut state, backend, effects)?;
    }
    Ok(())
}

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Go,
    Quit,
}

fn on_input(state: &mut State, event: TerminalEvent) -> Vec<Effect> {
    match event {
        TerminalEvent::Key(key)
            if key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL =>
        {
            // Not left to the screens: it must work whatever they do.
            vec![Effect::Quit]
        }
        TerminalEvent::Key(key) => update(state, Event::Key(key)),
        TerminalEvent::Mouse(mouse) => update(state, Event::Mouse(mouse)),
        TerminalEvent::Paste(text) => update(state, Event::Paste(text)),
        TerminalEvent::Resize(columns, rows) => update(state, Event::Resize { columns, rows }),
        TerminalEvent::FocusGained | TerminalEvent::FocusLost => Vec::new(),
    }
}

fn on_report(state: &mut State, report: SourceEvent) -> Vec<Effect> {
    fault::inject(&report);
    update(state, Event::Source(report))
}

fn resize(state: &mut State) -> io::Result<()> {
    let (columns, rows) = crossterm::terminal::size()?;
    update(state, Event::Resize { columns, rows });
    Ok(())
}

fn perform(
    terminal: &mut Terminal,
    state: &mut State,
    backend: &mut impl Backend,
    effects: Vec<Effect>,
) -> io::Result<Flow> {
    for effect in effects {
        match backend.perform(effect) {
            Some(Effect::Quit) => return Ok(Flow::Quit),
            Some(Effect::Suspend) => {
                terminal.suspend()?;
                // Nobody tells a program in the background that its terminal has changed.
                resize(state)?;
            }
            Some(Effect::Copy(text)) => terminal.copy(&text)?,
            Some(Effect::Edit { file, line }) => {
                edit(terminal, state, &file, line)?;
                resize(state)?;
            }
            _ => {}
        }
    }
    Ok(Flow::Go)
}

/// Leaves the terminal to the user's editor. What the source says meanwhile waits.
fn edit(terminal: &mut Terminal, state: &mut State, file: &str, line: u32) -> io::Result<()> {
    let failed = match source_files::editor(file, line) {
        Ok(mut command) => match terminal.lend(&mut command) {
            Ok(true) => return Ok(()),
            Ok(false) => "the editor ended with an error".to_owned(),
            Err(error) => format!("the editor cannot be started: {error}"),
        },
        Err(error) => format!("the source cannot be opened: {error}"),
    };
    let notice = Notice {
        level: Level::Error,
        code: Some("no-editor".into()),
        message: failed,
        help: "set EDITOR to your editor, and run coral where the sources are".into(),
    };
    update(state, Event::Source(SourceEvent::Notice(notice)));
    Ok(())
}

/// Failures on demand, so that tests can see what the user would see.
mod fault {
    use coral_ui::SourceEvent;

    /// Panics once probes are live, where `CORAL_TEST_PANIC` says: in a `task`, on a `thread`, or
    /// here.
    pub(super) fn inject(report: &SourceEvent) {
        if !matches!(report, SourceEvent::Attached { .. }) {
            return;
        }
        match std::env::var("CORAL_TEST_PANIC").as_deref() {
            Ok("task") => {
                tokio::spawn(async { panic!("a panic in a task was asked for") });
            }
            Ok("thread") => {
                std::thread::spawn(|| panic!("a panic on a thread was asked for"));
            }
            Ok(_) => panic!("a panic was asked for"),
            Err(_) => {}
        }
    }
}
