//! Sessions of an agent that is another program.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::{
    Escaped, FunctionTable, SessionInfo, SessionSettings, Snapshot, Target, escape, format_duration,
};
use coral_proto::agent::v1::EndSessionsRequest;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use super::arguments::{
    DetachArguments, Format, FunctionsArguments, ListArguments, TargetArguments,
};
use super::output::{self, say};
use super::progress::Progress;
use super::recording::create;
use super::session::{interrupted, out_of_resources, say_notices};
use crate::connection::ConnectionArguments;
use crate::failure::Failure;
use crate::signals::EndSignals;
use crate::source::remote::{
    BackOff, RemoteAgent, RemoteError, RemoteRequest, RemoteStart, RemoteTarget, Watching,
    has_ended,
};
use crate::source::{AttachWish, TraceFormat, TraceWish};

/// A link that is down for longer is given up.
const LINK_DOWN_MAX: Duration = Duration::from_secs(60);
/// How often it is asked whether somebody has agreed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| out_of_resources(&error))
}

/// Measures on an agent, until the session ends by itself or by a signal.
pub(super) fn measure(
    connection: &ConnectionArguments,
    target: &TargetArguments,
    wish: AttachWish,
    settings: SessionSettings,
    waits: bool,
    record: Option<&Path>,
) -> Result<Measured, Failure> {
    let request = RemoteRequest {
        wish,
        ..request(target, settings)
    };
    if let Some(path) = record.filter(|path| path.exists()) {
        // Found out now, and not when the session is over.
        create(path)?;
    }
    runtime()?.block_on(async {
        let mut agent = connection.connect().await?;
        let measured = run(&mut agent, &request, waits).await?;
        if let Some(path) = record.filter(|_| measured.lost.is_none()) {
            agent.recording(&measured.id, &mut create(path)?).await?;
        }
        Ok(measured)
    })
}

/// Traces on an agent, until the session ends by itself or by a signal.
pub(super) fn trace(
    connection: &ConnectionArguments,
    target: &TargetArguments,
    wish: &TraceWish,
    settings: SessionSettings,
    waits: bool,
    format: TraceFormat,
) -> Result<(Arc<Snapshot>, Vec<u8>), Failure> {
    let request = RemoteRequest {
        trace: Some(wish.clone()),
        ..request(target, settings)
    };
    runtime()?.block_on(async {
        let mut agent = connection.connect().await?;
        let measured = run(&mut agent, &request, waits).await?;
        if let Some(lost) = measured.lost {
            return Err(lost);
        }
        let document = agent.traces(&measured.id, format).await?;
        Ok((measured.snapshot, without_controls(document, format)))
    })
}

/// Text that another program has written must not act on the terminal.
pub(super) fn without_controls(document: Vec<u8>, format: TraceFormat) -> Vec<u8> {
    match format {
        TraceFormat::Json => document,
        TraceFormat::Text(_) => {
            let text = String::from_utf8_lossy(&document);
            let lines: Vec<_> = text.split('\n').map(escape).collect();
            lines.join("\n").into_bytes()
        }
    }
}

fn request(target: &TargetArguments, settings: SessionSettings) -> RemoteRequest {
    let target = RemoteTarget {
        service: target.service.clone(),
        pids: target.pid.clone(),
        libraries: target.library.clone(),
    };
    RemoteRequest::new(target, settings)
}

/// What was measured by an agent.
pub(super) struct Measured {
    id: String,
    pub(super) snapshot: Arc<Snapshot>,
    /// Why that is not all of it.
    pub(super) lost: Option<Failure>,
}

/// A session from its beginning to its end.
async fn run(
    agent: &mut RemoteAgent,
    request: &RemoteRequest,
    waits: bool,
) -> Result<Measured, Failure> {
    let mut signals = EndSignals::new().map_err(|error| out_of_resources(&error))?;
    let (id, attached) = match start(agent, request, waits, &mut signals).await? {
        RemoteStart::Started { session, attached } => (session, attached),
        RemoteStart::Costly(expected) => {
            let percent = expected.cpu_percent.unwrap_or_default();
            return Err(RemoteError::OverBudget { percent }.into());
        }
    };
    let mut watching = agent.watch(&id).await?;
    // From here on there is something to show, whatever happens.
    let mut latest = watching.next().await?;
    say!(
        "attached: {} functions, {} probes, session {id}",
        attached.functions.len(),
        attached.probes
    );
    let progress = Progress::new();
    let mut is_ending = false;
    let mut noticed = latest.as_ref().map_or(0, |it| say_notices(&it.notices, 0));
    let lost = loop {
        tokio::select! {
            snapshot = watching.next() => match snapshot {
                Ok(Some(snapshot)) => {
                    if snapshot.notices.len() > noticed {
                        progress.clear();
                    }
                    noticed = say_notices(&snapshot.notices, noticed);
                    progress.show(&snapshot);
                    latest = Some(snapshot);
                }
                Ok(None) => break None,
                Err(error) if error.is_of_link() && !is_ending => {
                    tokio::select! {
                        again = watch_again(agent, &id) => match again {
                            Ok(again) => watching = again,
                            Err(error) => break Some(error),
                        },
                        () = signals.any() => break Some(error),
                    }
                }
                Err(error) => break Some(error),
            },
            () = signals.any(), if !is_ending => {
                is_ending = true;
                agent.end_session(&id).await?;
            }
        }
    };
    progress.clear();
    let is_over = latest
        .as_deref()
        .is_some_and(|latest| has_ended(latest).is_some());
    match (latest, lost) {
        (Some(snapshot), None) if is_over => {
            say!("detached: {} probes", attached.probes);
            Ok(Measured {
                id,
                snapshot,
                lost: None,
            })
        }
        (Some(snapshot), lost) => {
            let lost = lost.unwrap_or(RemoteError::LinkLost);
            say!("note: the numbers are those of the session so far");
            Ok(Measured {
                id,
                snapshot,
                lost: Some(lost.into()),
            })
        }
        (None, lost) => Err(lost.unwrap_or(RemoteError::LinkLost).into()),
    }
}

/// Starts a session. With `waits`, not before somebody else has agreed, where that is needed.
async fn start(
    agent: &mut RemoteAgent,
    request: &RemoteRequest,
    waits: bool,
    signals: &mut EndSignals,
) -> Result<RemoteStart, Failure> {
    let started = agent.start(request).await;
    let approval = started.as_ref().err().and_then(RemoteError::approval);
    let (Some(approval), Err(error)) = (approval.filter(|_| waits), &started) else {
        return Ok(started?);
    };
    say!("note: {error}");
    while agent.waits_for_approval(approval).await? {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = signals.any() => return Err(interrupted()),
        }
    }
    Ok(agent.start(request).await?)
}

/// Watches a session once more when the link is back, which is tried again and again.
async fn watch_again(agent: &mut RemoteAgent, id: &str) -> Result<Watching, RemoteError> {
    say!("note: the link is down; its session goes on, and it is tried again");
    let began = Instant::now();
    let mut back_off = BackOff::new();
    loop {
        sleep(back_off.wait()).await;
        match agent.watch(id).await {
            Ok(watching) => {
                let down = format_duration(began.elapsed());
                say!("note: the link was down for {down}; what was counted is not lost");
                return Ok(watching);
            }
            Err(error) if error.is_of_link() && began.elapsed() < LINK_DOWN_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

/// The functions of a process, as the agent on its node knows them.
pub(super) fn functions(
    arguments: &FunctionsArguments,
) -> Result<(Target, FunctionTable), Failure> {
    let target = RemoteTarget {
        service: arguments.service.clone(),
        pids: arguments.pid.into_iter().collect(),
        libraries: arguments.library.clone(),
    };
    runtime()?.block_on(async {
        let mut agent = arguments.connection.connect().await?;
        Ok::<_, Failure>(agent.functions(&target, |_, _| {}).await?)
    })
}

/// `coral debug list`
pub(super) fn list(arguments: &ListArguments) -> Result<ExitCode, Failure> {
    let sessions = runtime()?.block_on(async {
        let mut agent = arguments.connection.connect().await?;
        Ok::<_, Failure>(agent.sessions(arguments.service.as_deref()).await?)
    })?;
    let bytes = match arguments.format {
        Format::Json => output::json(&serde_json::json!({
            "schema": "coral.sessions.v1",
            "sessions": sessions.iter().map(entry).collect::<Vec<_>>(),
        }))?,
        _ => table(&sessions).into_bytes(),
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn entry(info: &SessionInfo) -> serde_json::Value {
    serde_json::json!({
        "id": Escaped(&info.id.0).to_string(),
        "service": Escaped(&info.target.service).to_string(),
        "pid": info.target.pid,
        "requested_by": Escaped(&info.requested_by).to_string(),
        "started_at": info.started_at.to_string(),
        "remaining_s": info.remaining.as_secs_f64(),
        "probes": info.probes,
    })
}

fn table(sessions: &[SessionInfo]) -> String {
    if sessions.is_empty() {
        return "No session is live.\n".to_owned();
    }
    let mut text = format!(
        "{:<32} {:<20} {:<8} {:<20} {:>10} {:>7}\n",
        "SESSION", "SERVICE", "PID", "BY", "EXPIRES IN", "PROBES"
    );
    for info in sessions {
        text += &format!(
            "{:<32} {:<20} {:<8} {:<20} {:>10} {:>7}\n",
            Escaped(&info.id.0).to_string(),
            Escaped(&info.target.service).to_string(),
            info.target.pid,
            Escaped(&info.requested_by).to_string(),
            format_duration(info.remaining),
            info.probes,
        );
    }
    text
}

/// `coral debug detach`
pub(super) fn detach(arguments: &DetachArguments) -> Result<ExitCode, Failure> {
    let request = EndSessionsRequest {
        session_id: arguments.session_id.clone().unwrap_or_default(),
        service_name: match &arguments.session_id {
            Some(_) => String::new(),
            None => arguments.service.clone().unwrap_or_default(),
        },
        all: arguments.all && arguments.service.is_none(),
    };
    let ended = runtime()?.block_on(async {
        let mut agent = arguments.connection.connect().await?;
        Ok::<_, Failure>(agent.end(request).await?)
    })?;
    for info in &ended {
        say!("detached: session {}", Escaped(&info.id.0));
    }
    say!("{} sessions ended", ended.len());
    Ok(ExitCode::SUCCESS)
}
