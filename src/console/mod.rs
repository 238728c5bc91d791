//! `coral-tui`: a terminal, a loop, and a source that feeds the screens.
//!
//! One loop awaits input, signals and the source, hands each event to the pure `update` of
//! coral-ui, and draws when something changed, at most 30 times a second. Everything that may
//! take time happens on the driver's thread, so that a key is never waited for.

mod arguments;
mod background;
mod driver;
mod environment;
mod event_loop;
mod exports;
mod input;
mod log;
mod look;
mod manual;
mod replay;
mod sessions;
mod source_files;
mod terminal;
mod views;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use coral_model::ExitStatus;
use coral_ui::{Colors, Options, Start, Theme};
use rustix::io::Errno;

use crate::command_line::{print, print_completions};
use crate::config::Config;
use crate::demo::Demo;
use crate::failure::{Failure, of_command_line};
use crate::probe;
use crate::recording::Recording;
use crate::signals::EndSignals;
use arguments::Arguments;
use driver::Driver;
use event_loop::Frontend;
pub use manual::manual;
use replay::Replay;

/// Runs the program with the process's own arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return of_command_line(&error),
    };
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What feeds the screens.
enum Feed {
    /// Processes of this node; the sample service, if it is one of ours.
    Live(Option<Demo>),
    /// A recording, and why it is shown instead of something live.
    Replay(Recording, Option<String>),
}

fn start(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.check_theme {
        return look::theme_of_file(path).map(drop);
    }
    let of_print = |error: &io::Error| of_io("it cannot be printed", error);
    if let Some(shell) = arguments.completions {
        return print_completions(shell, Arguments::command()).map_err(|error| of_print(&error));
    }
    let config = arguments.config()?;
    if arguments.print_config {
        return print(config.to_string().as_bytes()).map_err(|error| of_print(&error));
    }
    if arguments.print_keys {
        return look::print_keys(&config.keymap).map_err(|error| of_print(&error));
    }
    let theme = look::theme(&config.console.theme)?;
    let feed = feed(arguments)?;
    let mut options = environment::options(&config);
    options.start = match &feed {
        Feed::Live(Some(demo)) => Start::Process(demo.pid()),
        Feed::Live(None) => arguments.pid().map_or(Start::Picker, Start::Process),
        Feed::Replay(..) => Start::Source,
    };
    if let Feed::Replay(_, reason) = &feed {
        options.replay = true;
        options.reason.clone_from(reason);
    }
    let (saved, problem) = views::load();
    options.views = saved;
    // What feeds the screens matters more; a file that is broken is told again at the next saving.
    options.reason = options.reason.or(problem);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| of_io("the program cannot start", &error))?;
    let result = runtime.block_on(play(&config, options, theme, feed));
    // Whatever still runs on other threads must not hold up the way out.
    runtime.shutdown_background();
    result
}

/// Without a theme, it is the one for the terminal's background.
async fn play(
    config: &Config,
    mut options: Options,
    theme: Option<Theme>,
    feed: Feed,
) -> Result<(), Failure> {
    let is_told = theme.is_none() && options.colors != Colors::None;
    options.theme =
        theme.unwrap_or_else(|| look::theme_on(background::of_environment(environment::variable)));
    let frontend = frontend(config.console.mouse, is_told)
        .map_err(|error| of_io("the terminal cannot be used", &error))?;
    let result = match feed {
        Feed::Live(demo) => {
            let attach_at_start = demo.is_some();
            let (driver, reports) =
                Driver::start(options.limits, config.redaction(), attach_at_start);
            // The sample service lives as long as the loop.
            let result = event_loop::run(frontend, options, driver, reports).await;
            drop(demo);
            result
        }
        Feed::Replay(recording, _) => {
            let (replay, reports) = Replay::start(recording);
            event_loop::run(frontend, options, replay, reports).await
        }
    };
    match result {
        // The terminal was closed. Nobody is left to be told: it ends as by a hangup.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(()),
        result => result.map_err(|error| of_io("the terminal failed", &error)),
    }
}

/// Takes the terminal; with `is_told`, the terminal tells the theme.
fn frontend(mouse: bool, is_told: bool) -> io::Result<Frontend> {
    // First of all: a signal must not end the program before the terminal is restored.
    let signals = EndSignals::new()?;
    let terminal = terminal::enter(mouse)?;
    let (input, background) = input::events();
    if is_told {
        background::ask(environment::variable)?;
    }
    Ok(Frontend {
        signals,
        terminal,
        input,
        background: is_told.then_some(background),
    })
}

fn feed(arguments: &Arguments) -> Result<Feed, Failure> {
    if let Some(path) = &arguments.replay {
        let file = std::fs::File::open(path)
            .map_err(|error| of_io(&format!("{} cannot be read", path.display()), &error))?;
        return Ok(Feed::Replay(Recording::read(file)?, None));
    }
    if !arguments.demo {
        return Ok(Feed::Live(None));
    }
    match probe::can_probe() {
        Ok(()) => Ok(Feed::Live(Some(Demo::start()?))),
        Err(missing) => {
            let reason = format!("{missing}; this is the shipped recording instead");
            Ok(Feed::Replay(crate::demo::recording()?, Some(reason)))
        }
    }
}

fn of_io(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        "io",
        format!("{what}: {error}"),
        "run it in a terminal, and look at the log for more",
        ExitStatus::Failure,
    )
}
