//! Sessions of an agent that is another program.

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Diagnostic, Escaped, ExitStatus, FunctionTable, SessionInfo, SessionSettings, Snapshot, Target,
    format_duration,
};
use coral_proto::agent::v1::EndSessionsRequest;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

use super::arguments::{
    DetachArguments, Format, FunctionsArguments, ListArguments, TargetArguments,
};
use super::output::{self, say};
use super::progress::Progress;
use super::recording::create;
use super::session::{interrupted, out_of_resources, say_notices};
use crate::connection::ConnectionArguments;
use crate::export::csv;
use crate::failure::Failure;
use crate::signals::EndSignals;
use crate::source::remote::{
    BackOff, RemoteAgent, RemoteError, RemoteRequest, RemoteStart, RemoteTarget, Watching,
    has_ended,
};
use crate::source::{AttachWish, TraceFormat, TraceWish};

/// A link that is down for longer is given up.
const LINK_DOWN_MAX: Duration = Duration::from_secs(60);
/// How long a session may take to begin that is to end at once.
const END_MAX: Duration = Duration::from_secs(5);
/// What a list of sessions in CSV has.
const COLUMNS: [&str; 7] = [
    "id",
    "service",
    "pid",
    "requested_by",
    "started_at",
    "remaining_s",
    "probes",
];
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
    check_target(connection, target.service.as_deref())?;
    // Found out now, and not when the session is over.
    if record.is_some() && connection.address()?.is_colony {
        return Err(no_recording());
    }
    if let Some(path) = record.filter(|path| path.exists()) {
        create(path)?;
    }
    runtime()?.block_on(async {
        let mut agent = connection.connect().await?;
        let mut measured = run(&mut agent, &request, waits).await?;
        if let Some(path) = record.filter(|_| measured.lost.is_none()) {
            // What was measured is shown all the same.
            measured.lost = fetch_recording(&mut agent, &measured.id, path).await.err();
        }
        Ok(measured)
    })
}

async fn fetch_recording(agent: &mut RemoteAgent, id: &str, path: &Path) -> Result<(), Failure> {
    Ok(agent.recording(id, &mut create(path)?).await?)
}

fn no_recording() -> Failure {
    Failure::new(
        "no-recording",
        "a colony records no sessions",
        "leave out --record, or name the agent of a node: --agent",
        ExitStatus::Usage,
    )
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
    check_target(connection, target.service.as_deref())?;
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
        let format = match format {
            TraceFormat::Json => Format::Json,
            TraceFormat::Text(_) => Format::Text,
        };
        Ok((
            measured.snapshot,
            output::without_controls(&document, format)?,
        ))
    })
}

/// Refuses a process where services are meant.
fn check_target(connection: &ConnectionArguments, service: Option<&str>) -> Result<(), Failure> {
    if service.is_some() || !connection.address()?.is_colony {
        return Ok(());
    }
    Err(Failure::new(
        "usage",
        "a colony knows services, and --pid names a process",
        "name the service (`coral services` lists them), or the agent of the process's node: \
         --agent",
        ExitStatus::Usage,
    ))
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
    /// Why that is not all of it, or is not recorded.
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
    let (watching, latest) = tokio::select! {
        first = persistently(async || first_look(agent, &id).await) => first?,
        () = signals.any() => {
            // Where that fails, its lease ends it.
            let _ = timeout(END_MAX, agent.end_session(&id)).await;
            return Err(interrupted());
        }
    };
    // From here on there is something to show, whatever happens.
    say!(
        "attached: {} functions, {} probes, session {id}",
        attached.functions.len(),
        attached.probes
    );
    let mut shown = Shown {
        progress: Progress::new(),
        noticed: 0,
        latest: None,
    };
    if let Some(latest) = latest {
        shown.show(latest);
    }
    let lost = follow(agent, &id, watching, &mut shown, &mut signals).await;
    shown.progress.clear();
    let latest = shown.latest.as_deref();
    let is_over = latest.is_some_and(|latest| has_ended(latest).is_some());
    // What comes behind the end has no numbers.
    let lost = (!is_over).then(|| lost.unwrap_or_else(|| RemoteError::LinkLost.into()));
    match (shown.latest, lost) {
        (Some(snapshot), lost) => {
            match lost {
                None => say!("detached: {} probes", attached.probes),
                Some(_) => say!("note: the numbers are those of the session so far"),
            }
            Ok(Measured { id, snapshot, lost })
        }
        (None, lost) => Err(lost.unwrap_or_else(|| RemoteError::LinkLost.into())),
    }
}

async fn first_look(
    agent: &mut RemoteAgent,
    id: &str,
) -> Result<(Watching, Option<Arc<Snapshot>>), RemoteError> {
    let mut watching = agent.watch(id).await?;
    let latest = watching.next().await?;
    Ok((watching, latest))
}

/// What is seen of a session while it runs.
struct Shown {
    progress: Progress,
    /// How many notices were said.
    noticed: usize,
    latest: Option<Arc<Snapshot>>,
}

impl Shown {
    fn show(&mut self, snapshot: Arc<Snapshot>) {
        if snapshot.notices.len() > self.noticed {
            self.progress.clear();
        }
        self.noticed = say_notices(&snapshot.notices, self.noticed);
        self.progress.show(&snapshot);
        self.latest = Some(snapshot);
    }
}

/// Watches a session until it is over; returns why its end is not known, if it is not. The first
/// signal ends the session, and the second one the waiting for its end.
async fn follow(
    agent: &mut RemoteAgent,
    id: &str,
    mut watching: Watching,
    shown: &mut Shown,
    signals: &mut EndSignals,
) -> Option<Failure> {
    let mut is_ending = false;
    loop {
        tokio::select! {
            snapshot = watching.next() => match snapshot {
                Ok(Some(snapshot)) => shown.show(snapshot),
                Ok(None) => return None,
                Err(error) if error.is_of_link() && !is_ending => {
                    shown.progress.clear();
                    tokio::select! {
                        again = watch_again(agent, id) => match again {
                            Ok(again) => watching = again,
                            Err(error) => return Some(error.into()),
                        },
                        () = signals.any() => return Some(error.into()),
                    }
                }
                Err(error) => return Some(error.into()),
            },
            () = signals.any() => {
                if is_ending {
                    return Some(not_waited_for());
                }
                is_ending = true;
                tokio::select! {
                    ended = agent.end_session(id) => if let Err(error) = ended {
                        return Some(error.into());
                    },
                    () = signals.any() => return Some(not_waited_for()),
                }
            }
        }
    }
}

/// Starts a session. With `waits`, not before somebody else has agreed, where that is needed.
async fn start(
    agent: &mut RemoteAgent,
    request: &RemoteRequest,
    waits: bool,
    signals: &mut EndSignals,
) -> Result<RemoteStart, Failure> {
    let started = start_once(agent, request, signals).await?;
    let approval = started.as_ref().err().and_then(RemoteError::approval);
    let (Some(approval), Err(error)) = (approval.filter(|_| waits), &started) else {
        return Ok(started?);
    };
    say!("note: {error}");
    loop {
        tokio::select! {
            waits = persistently(async || agent.waits_for_approval(approval).await) => {
                if !waits? {
                    break;
                }
            }
            () = signals.any() => return Err(interrupted()),
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = signals.any() => return Err(interrupted()),
        }
    }
    // Asked for again, it is the same session.
    let mut back_off = BackOff::new();
    let began = Instant::now();
    loop {
        match start_once(agent, request, signals).await? {
            Err(error) if error.is_of_link() && began.elapsed() < LINK_DOWN_MAX => {}
            started => return Ok(started?),
        }
        tokio::select! {
            () = sleep(back_off.wait()) => {}
            () = signals.any() => return Err(interrupted()),
        }
    }
}

/// Asks for a session once. After a signal there is none: if it began all the same, it is ended.
async fn start_once(
    agent: &RemoteAgent,
    request: &RemoteRequest,
    signals: &mut EndSignals,
) -> Result<Result<RemoteStart, RemoteError>, Failure> {
    let mut asked = agent.clone();
    let mut starting = pin!(asked.start(request));
    tokio::select! {
        started = &mut starting => return Ok(started),
        () = signals.any() => {}
    }
    let ending = async {
        if let Ok(RemoteStart::Started { session, .. }) = starting.await {
            // Where that fails, its lease ends it.
            let _ = agent.clone().end_session(&session).await;
        }
    };
    tokio::select! {
        _ = timeout(END_MAX, ending) => {}
        () = signals.any() => {}
    }
    Err(interrupted())
}

/// Asks again and again while the link is down.
async fn persistently<T>(
    mut ask: impl AsyncFnMut() -> Result<T, RemoteError>,
) -> Result<T, RemoteError> {
    let began = Instant::now();
    let mut back_off = BackOff::new();
    loop {
        match ask().await {
            Err(error) if error.is_of_link() && began.elapsed() < LINK_DOWN_MAX => {
                sleep(back_off.wait()).await;
            }
            answer => return answer,
        }
    }
}

/// Watches a session once more when the link is back, which is tried again and again.
async fn watch_again(agent: &mut RemoteAgent, id: &str) -> Result<Watching, RemoteError> {
    say!("note: the link is down; its session goes on, and it is tried again");
    let began = Instant::now();
    sleep(BackOff::new().wait()).await;
    let watching = persistently(async || agent.watch(id).await).await?;
    let down = format_duration(began.elapsed());
    say!("note: the link was down for {down}; what was counted is not lost");
    Ok(watching)
}

/// Why the end of a session is not known after two signals.
fn not_waited_for() -> Failure {
    Failure::new(
        "interrupted",
        "a second signal came before the session had ended",
        "`coral debug list` shows whether it still runs; it ends with its lease at the latest",
        ExitStatus::Failure,
    )
}

/// The functions of a process, as the agent on its node knows them.
pub(super) fn functions(
    arguments: &FunctionsArguments,
) -> Result<(Target, FunctionTable), Failure> {
    check_target(&arguments.connection, arguments.service.as_deref())?;
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
        Format::Csv => output::written(|out| csv::write_table(out, &COLUMNS, &rows(&sessions)))?,
        Format::Text => table(&sessions).into_bytes(),
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn entry(info: &SessionInfo) -> serde_json::Value {
    serde_json::json!({
        "id": Escaped(&info.id.0).to_string(),
        "service": Escaped(&info.target.service).to_string(),
        "pid": pid(info),
        "requested_by": Escaped(&info.requested_by).to_string(),
        "started_at": info.started_at.to_string(),
        "remaining_s": info.remaining.as_secs_f64(),
        "probes": info.probes,
    })
}

/// The process; a colony's session has none that would be the only one.
fn pid(info: &SessionInfo) -> Option<u32> {
    Some(info.target.pid).filter(|&pid| pid != 0)
}

/// A row for each session, as in the JSON document.
fn rows(sessions: &[SessionInfo]) -> Vec<Vec<String>> {
    let row = |info: &SessionInfo| {
        vec![
            info.id.0.clone(),
            info.target.service.clone(),
            pid(info).map_or_else(String::new, |pid| pid.to_string()),
            info.requested_by.clone(),
            info.started_at.to_string(),
            info.remaining.as_secs_f64().to_string(),
            info.probes.to_string(),
        ]
    };
    sessions.iter().map(row).collect()
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
            pid(info).map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            Escaped(&info.requested_by).to_string(),
            format_duration(info.remaining),
            info.probes,
        );
    }
    text
}

/// Names the session that is not there.
pub(super) fn of_session(id: &str, error: RemoteError) -> Failure {
    if error.code() != "no-such-session" {
        return error.into();
    }
    let message = format!("there is no session `{}`", Escaped(id));
    Failure::new(error.code(), message, error.help(), error.exit_status())
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
        let named = request.session_id.clone();
        let ended = agent.end(request).await;
        ended.map_err(|error| of_session(&named, error))
    })?;
    for info in &ended {
        say!("detached: session {}", Escaped(&info.id.0));
    }
    say!("{} sessions ended", ended.len());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_that_is_down_is_tried_again_and_a_refusal_is_not() {
        let mut left = 2;
        let answer = persistently(async || {
            left -= 1;
            match left {
                0 => Ok("yes"),
                _ => Err(RemoteError::LinkLost),
            }
        });
        assert_eq!(answer.await.unwrap(), "yes");
        let mut asked = 0;
        let refused = persistently(async || {
            asked += 1;
            Err::<(), _>(RemoteError::TooLong)
        });
        assert!(refused.await.is_err());
        assert_eq!(asked, 1);
    }
}
