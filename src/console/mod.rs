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
mod host;
mod input;
mod local_host;
mod log;
mod look;
mod manual;
mod remote;
mod replay;
mod sessions;
mod source_files;
mod terminal;
mod views;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use coral_model::ExitStatus;
use coral_ui::{Colors, Options, Peer, Start, Theme};
use rustix::io::Errno;

use crate::command_line::{print, print_completions};
use crate::config::Config;
use crate::connection::AgentAddress;
use crate::demo::Demo;
use crate::failure::{Failure, of_command_line};
use crate::probe;
use crate::recording::Recording;
use crate::signals::EndSignals;
use arguments::Arguments;
use driver::Driver;
use event_loop::Frontend;
use local_host::LocalHost;
pub use manual::manual;
use remote::{RemoteHost, RemoteTarget};
use replay::Replay;

/// Who quits waits so long for the ends of sessions here, where older kernels take a tenth of a
/// second for each probe, and so long for those of an agent, which end by themselves.
const LEAVE_HERE_MAX: Duration = Duration::from_secs(10);
const LEAVE_AGENT_MAX: Duration = Duration::from_secs(3);

/// Runs the program with the process's own arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::of_process() {
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
    /// Processes that an agent knows; the service to open, if one was named.
    Agent(AgentAddress, Option<String>),
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
    let options = options(arguments, &config, &feed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| cannot_start(&error))?;
    if let Feed::Agent(address, _) = &feed {
        runtime.block_on(remote::try_once(address))?;
    }
    let result = runtime.block_on(play(&config, options, theme, feed));
    // Whatever still runs on other threads must not hold up the way out.
    runtime.shutdown_background();
    result
}

fn options(arguments: &Arguments, config: &Config, feed: &Feed) -> Options {
    let mut options = environment::options(config);
    let picked = || arguments.pid().map_or(Start::Picker, Start::Process);
    options.start = match feed {
        Feed::Live(Some(demo)) => Start::Process(demo.pid()),
        Feed::Live(None) | Feed::Agent(_, None) => picked(),
        Feed::Agent(_, Some(_)) | Feed::Replay(..) => Start::Source,
    };
    match feed {
        Feed::Live(_) => {}
        Feed::Agent(address, _) => {
            let endpoint = address.endpoint.to_string();
            options.has_history = address.is_colony;
            options.peer = Some(match address.is_colony {
                true => Peer::Colony(endpoint),
                false => Peer::Agent(endpoint),
            });
        }
        Feed::Replay(_, reason) => {
            options.replay = true;
            options.reason.clone_from(reason);
        }
    }
    let (saved, problem) = views::load();
    options.views = saved;
    // What feeds the screens matters more; a file that is broken is told again at the next saving.
    options.reason = options.reason.or(problem);
    options
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
            let (limits, redaction) = (options.limits, config.redaction());
            let attach_at_start = demo.is_some();
            let host = move |reports| LocalHost::new(limits, redaction, reports, attach_at_start);
            let (mut driver, reports) =
                Driver::start(host).map_err(|error| cannot_start(&error))?;
            if attach_at_start {
                driver.expect_session();
            }
            let result = event_loop::run(frontend, options, &mut driver, reports).await;
            // The kernel leaves a breakpoint where a thread that takes it out is killed with its
            // program; what cannot be waited for ends with the program.
            let _ = driver.leave(LEAVE_HERE_MAX).await;
            // The sample service lives as long as what measures it.
            drop(demo);
            result
        }
        Feed::Agent(address, service) => {
            play_over_agent(frontend, options, address, service).await?
        }
        Feed::Replay(recording, _) => {
            let (mut replay, reports) = Replay::start(recording);
            event_loop::run(frontend, options, &mut replay, reports).await
        }
    };
    match result {
        // The terminal was closed. Nobody is left to be told: it ends as by a hangup.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(()),
        result => result.map_err(|error| of_io("the terminal failed", &error)),
    }
}

/// The screens over an agent; at the end its sessions, as far as they are the console's.
async fn play_over_agent(
    frontend: Frontend,
    options: Options,
    address: AgentAddress,
    service: Option<String>,
) -> Result<io::Result<()>, Failure> {
    terminal::let_probes_outlive();
    let peer = address.clone();
    let first = service.map(|service| RemoteTarget {
        service: Some(service),
        ..RemoteTarget::default()
    });
    let host = move |reports| RemoteHost::new(address, reports, first);
    let (mut driver, reports) = Driver::start(host).map_err(|error| cannot_start(&error))?;
    let result = event_loop::run(frontend, options, &mut driver, reports).await;
    let left = driver.leave(LEAVE_AGENT_MAX).await;
    left.map_err(|failure| remote::of_leaving(&peer, &failure))?;
    Ok(result)
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
    if let Some(address) = arguments.agent()? {
        return Ok(Feed::Agent(address, arguments.service().map(str::to_owned)));
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

fn cannot_start(error: &io::Error) -> Failure {
    of_io("the program cannot start", error)
}

fn of_io(what: &str, error: &io::Error) -> Failure {
    Failure::new(
        "io",
        format!("{what}: {error}"),
        "run it in a terminal, and look at the log for more",
        ExitStatus::Failure,
    )
}
