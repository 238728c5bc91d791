//! A session from the command line: opens its processes, attaches, waits for its end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use coral_model::{
    EndReason, Escaped, ExitStatus, ExpectedCost, SessionNotice, SessionState, Snapshot,
    format_count, format_duration,
};

use super::arguments::{Format, TargetArguments};
use super::output::{self, say};
use super::recording::Recording;
use crate::agent::{Agent, AttachRequest, Attached, Session, TracesHandle, Watched};
use crate::export::file;
use crate::failure::Failure;
use crate::probe::{Calibration, Links};
use crate::signals::EndSignals;
use crate::source::local;

/// A session that is over.
pub(super) struct Measured {
    pub(super) watched: Arc<Watched>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) traces: TracesHandle,
}

/// Measures what `request` asks for, until the session ends by itself or by a signal.
pub(super) fn measure(
    target: &TargetArguments,
    record: Option<&Path>,
    request: impl FnOnce(&Watched) -> Result<AttachRequest, Failure>,
) -> Result<Measured, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| out_of_resources(&error))?;
    let result = runtime.block_on(run(target, record, request));
    // What is still being read for a session that will not be must not hold up the way out.
    runtime.shutdown_background();
    result
}

async fn run(
    target: &TargetArguments,
    record: Option<&Path>,
    request: impl FnOnce(&Watched) -> Result<AttachRequest, Failure>,
) -> Result<Measured, Failure> {
    // From here on a signal ends the session instead of the program.
    let mut signals = EndSignals::new().map_err(|error| out_of_resources(&error))?;
    // Measured beside the reading of symbols: it takes no time of its own.
    let calibrating = tokio::task::spawn_blocking(Calibration::measure_once);
    let (pids, libraries) = (target.pids()?, target.library.clone());
    let opening = tokio::task::spawn_blocking(move || open(&pids, &libraries));
    let watched = tokio::select! {
        opened = opening => opened.map_err(|error| out_of_resources(&error.into()))??,
        // Nothing is attached yet, so there is no result to wait for.
        () = signals.any() => return Err(interrupted()),
    };
    let request = request(&watched)?;
    let mut recorder = match record {
        Some(path) => Some(Recording::create(path, &watched)?),
        None => None,
    };
    // Whether it succeeded shows in the costs.
    let _ = calibrating.await;
    let agent = Agent::new(coral_model::Limits::default());
    announce_cost(&watched, &request, &agent.expected(&watched, &request)?);
    let (session, attached) = agent.attach(Arc::clone(&watched), &request)?;
    announce(&watched, &session, &attached);
    let traces = session.traces();
    let mut snapshots = session.snapshots();
    let mut noticed = 0;
    loop {
        tokio::select! {
            changed = snapshots.changed() => {
                let snapshot = snapshots.borrow_and_update().clone();
                let is_over = changed.is_err() || snapshot.session.state != SessionState::Active;
                if is_over {
                    break;
                }
                noticed = say_notices(&snapshot.notices, noticed);
                if let Some(recorder) = &mut recorder {
                    recorder.frame(&snapshot)?;
                }
            }
            () = signals.any() => break,
        }
    }
    let snapshot = session.detach();
    say_notices(&snapshot.notices, noticed);
    say!("detached: {} probes", attached.probes);
    if let Some(mut recorder) = recorder {
        recorder.frame(&snapshot)?;
        recorder.finish()?;
    }
    Ok(Measured {
        watched,
        snapshot,
        traces,
    })
}

/// Opens the processes with all that can be known of their functions; for a large executable that
/// takes seconds.
fn open(pids: &[u32], libraries: &[String]) -> Result<Arc<Watched>, Failure> {
    let opened = local::open_all(pids, libraries)?;
    Ok(Arc::new(Watched {
        symbols: opened.symbols.completed(),
        ..opened
    }))
}

fn announce_cost(watched: &Watched, request: &AttachRequest, expected: &ExpectedCost) {
    let counted = format_duration(expected.counted);
    let least = if expected.is_at_least {
        "at least "
    } else {
        ""
    };
    let hits = format!("{least}{}", format_count(expected.hits_per_s));
    let Some(percent) = expected.cpu_percent else {
        say!("expected: {hits} hits/s (calls counted for {counted})");
        return;
    };
    say!("expected: {hits} hits/s, {percent:.1} % of a core (calls counted for {counted})");
    let budget = request.settings.budget_percent.unwrap_or(f64::INFINITY);
    if let Some((function, percent)) = expected.dearest
        && percent > budget
    {
        let function = watched.table().get(function);
        say!(
            "note: {} would cost {percent:.1} % of a core, over the budget of {budget} %: it will \
             be detached unless it is called less",
            Escaped(function.map_or("", |function| function.name))
        );
    }
}

fn announce(watched: &Watched, session: &Session, attached: &Attached) {
    if watched.process.state().is_ok_and(|state| state.stopped) {
        say!("note: no hits yet: the target is stopped");
    }
    if let Some(duration) = Links::of_this_kernel().detach_duration(attached.probes) {
        say!(
            "note: this kernel has no multi links: detaching takes about {}",
            format_duration(duration)
        );
    }
    say!(
        "attached: {} functions, {} probes, session {}",
        attached.functions.len(),
        attached.probes,
        session.id()
    );
}

/// Says the notices that were not said yet; returns how many there are.
pub(super) fn say_notices(notices: &[SessionNotice], noticed: usize) -> usize {
    for notice in notices.get(noticed..).unwrap_or_default() {
        say!("note: {}", Escaped(&notice.text));
    }
    notices.len()
}

/// Prints a result, or writes it into a directory.
pub(super) fn write(
    bytes: &[u8],
    snapshot: &Snapshot,
    format: Format,
    directory: Option<&Path>,
) -> Result<(), Failure> {
    let Some(directory) = directory else {
        return output::print(bytes);
    };
    let name = format!("coral-{}", snapshot.session.id);
    match file::write_new(directory, &name, format.extension(), bytes) {
        Ok(path) => {
            say!("written: {}", path.display());
            Ok(())
        }
        Err(error) => {
            // What was measured cannot be measured again.
            output::print(bytes)?;
            Err(error.into())
        }
    }
}

/// The status of a session that measured what it could.
pub(super) fn status(snapshot: &Snapshot) -> Result<ExitCode, Failure> {
    let measured_nothing = snapshot.accounting.hits == 0;
    let target_gone = snapshot.session.state == SessionState::Ended(EndReason::TargetExited);
    if target_gone && measured_nothing {
        return Err(Failure::new(
            "target-gone",
            "the target ended before a probe fired",
            "start it again, and attach to its new process id",
            ExitStatus::TargetGone,
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn interrupted() -> Failure {
    Failure::new(
        "interrupted",
        "ended by a signal before anything was attached",
        "start it again, and wait for the line that begins with `attached:`",
        ExitStatus::Failure,
    )
}

pub(super) fn out_of_resources(error: &std::io::Error) -> Failure {
    Failure::new(
        "out-of-resources",
        format!("the program cannot start: {error}"),
        "free some memory or file descriptors, and try again",
        ExitStatus::Failure,
    )
}
