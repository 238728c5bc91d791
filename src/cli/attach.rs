//! `coral debug attach`

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, Escaped, ExitStatus, SessionState, Snapshot, format_duration};
use jiff::Timestamp;

use super::arguments::{AttachArguments, Format};
use super::output::{self, say};
use crate::agent::{Agent, AttachRequest, Attached, RecordRule, Session, Watched};
use crate::export::{csv, file, session_document, text};
use crate::failure::Failure;
use crate::probe::Links;
use crate::recording::Recorder;
use crate::signals::EndSignals;
use crate::source::{local, select};

pub(super) fn attach(arguments: &AttachArguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| out_of_resources(&error))?;
    if let Some(directory) = &arguments.output {
        file::check_directory(directory)?;
    }
    let result = runtime.block_on(measure(arguments));
    // What is still being read for a session that will not be must not hold up the way out.
    runtime.shutdown_background();
    let snapshot = result?;
    write(arguments, &snapshot)?;
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

async fn measure(arguments: &AttachArguments) -> Result<Arc<Snapshot>, Failure> {
    // From here on a signal ends the session instead of the program.
    let mut signals = EndSignals::new().map_err(|error| out_of_resources(&error))?;
    let (pid, libraries) = (arguments.pid, arguments.library.clone());
    let opening = tokio::task::spawn_blocking(move || open(pid, &libraries));
    let watched = tokio::select! {
        opened = opening => opened.map_err(|error| out_of_resources(&error.into()))??,
        // Nothing is attached yet, so there is no result to wait for.
        () = signals.any() => return Err(interrupted()),
    };
    let functions = select(watched.table(), &arguments.functions)?;
    let agent = Agent::new(coral_model::Limits::default());
    let request = AttachRequest {
        duration: arguments.duration,
        records: RecordRule {
            sample_rate: arguments.sample_rate,
            min: arguments.min_duration.unwrap_or(Duration::ZERO),
            max: arguments.max_duration.unwrap_or(Duration::MAX),
            slow: arguments.slow.unwrap_or(Duration::MAX),
        },
        budget_percent: arguments.budget.0,
        fold_recursion: !arguments.show_recursion,
        fast_returns: arguments.fast_returns,
        ..AttachRequest::new(functions, local::user_name())
    };
    let mut recorder = match &arguments.record {
        Some(path) => Some(Recording::create(path, &watched)?),
        None => None,
    };
    let (session, attached) = agent.attach(Arc::clone(&watched), &request)?;
    announce(&watched, &session, &attached);
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
                for notice in &snapshot.notices[noticed..] {
                    say!("note: {}", Escaped(&notice.text));
                }
                noticed = snapshot.notices.len();
                if let Some(recorder) = &mut recorder {
                    recorder.frame(&snapshot)?;
                }
            }
            () = signals.any() => break,
        }
    }
    let snapshot = session.detach();
    for notice in &snapshot.notices[noticed..] {
        say!("note: {}", Escaped(&notice.text));
    }
    say!("detached: {} probes", attached.probes);
    if let Some(mut recorder) = recorder {
        recorder.frame(&snapshot)?;
        recorder.finish()?;
    }
    Ok(snapshot)
}

/// Opens the process with all that can be known of its functions; for a large one that takes
/// seconds.
fn open(pid: u32, libraries: &[String]) -> Result<Arc<Watched>, Failure> {
    let opened = local::open(pid, libraries)?;
    Ok(Arc::new(Watched {
        symbols: opened.symbols.completed(),
        ..opened
    }))
}

fn announce(watched: &Watched, session: &Session, attached: &Attached) {
    for refused in &attached.refused {
        let name = watched
            .table()
            .get(refused.function)
            .map_or("", |function| function.name);
        say!("note: {} is left out: {}", Escaped(name), refused.reason);
    }
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

fn write(arguments: &AttachArguments, snapshot: &Snapshot) -> Result<(), Failure> {
    let bytes = match arguments.format {
        Format::Json => output::json(&session_document(snapshot))?,
        Format::Csv => output::written(|out| csv::write_session(out, snapshot))?,
        Format::Text => output::written(|out| text::write_session(out, snapshot, output::width()))?,
    };
    let Some(directory) = &arguments.output else {
        return output::print(&bytes);
    };
    let name = format!("coral-{}", snapshot.session.id);
    match file::write_new(directory, &name, arguments.format.extension(), &bytes) {
        Ok(path) => {
            say!("written: {}", path.display());
            Ok(())
        }
        Err(error) => {
            // What was measured cannot be measured again.
            output::print(&bytes)?;
            Err(error.into())
        }
    }
}

/// A session on its way to a file.
struct Recording<'a> {
    path: &'a Path,
    recorder: Recorder<File>,
}

impl<'a> Recording<'a> {
    fn create(path: &'a Path, watched: &Watched) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| of_recording(path, &error))?;
        let recorder = Recorder::create(file, &watched.target, watched.table(), Timestamp::now())
            .map_err(|error| of_recording(path, &error))?;
        Ok(Self { path, recorder })
    }

    fn frame(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        self.recorder
            .frame(snapshot.session.elapsed, snapshot)
            .map_err(|error| of_recording(self.path, &error))
    }

    fn finish(self) -> Result<(), Failure> {
        self.recorder
            .finish()
            .map(drop)
            .map_err(|error| of_recording(self.path, &error))
    }
}

fn of_recording(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        "recording-not-written",
        format!("{} cannot be written: {error}", path.display()),
        "choose a file that does not exist, on a disk with room",
        ExitStatus::Failure,
    )
}

fn interrupted() -> Failure {
    Failure::new(
        "interrupted",
        "ended by a signal before anything was attached",
        "start it again, and wait for the line that begins with `attached:`",
        ExitStatus::Failure,
    )
}

fn out_of_resources(error: &std::io::Error) -> Failure {
    Failure::new(
        "out-of-resources",
        format!("the program cannot start: {error}"),
        "free some memory or file descriptors, and try again",
        ExitStatus::Failure,
    )
}
