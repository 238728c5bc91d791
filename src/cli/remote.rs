//! Sessions of an agent that is another program.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use coral_model::{
    Escaped, FunctionTable, SessionInfo, SessionSettings, Snapshot, Target, escape, format_duration,
};
use coral_proto::agent::v1::EndSessionsRequest;
use tokio::runtime::{Builder, Runtime};

use super::arguments::{
    DetachArguments, Format, FunctionsArguments, ListArguments, TargetArguments,
};
use super::output::{self, say};
use super::recording::create;
use super::session::{out_of_resources, say_notices};
use crate::connection::ConnectionArguments;
use crate::failure::Failure;
use crate::signals::EndSignals;
use crate::source::remote::{
    RemoteAgent, RemoteError, RemoteRequest, RemoteStart, RemoteTarget, has_ended,
};
use crate::source::{AttachWish, TraceFormat, TraceWish};

fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| out_of_resources(&error))
}

/// Measures on an agent, until the session ends by itself or by a signal.
pub(super) fn measure(
    connection: &ConnectionArguments,
    target: &TargetArguments,
    wish: AttachWish,
    settings: SessionSettings,
    record: Option<&Path>,
) -> Result<Arc<Snapshot>, Failure> {
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
        let (id, snapshot) = run(&mut agent, &request).await?;
        if let Some(path) = record {
            agent.recording(&id, &mut create(path)?).await?;
        }
        Ok(snapshot)
    })
}

/// Traces on an agent, until the session ends by itself or by a signal.
pub(super) fn trace(
    connection: &ConnectionArguments,
    target: &TargetArguments,
    wish: &TraceWish,
    settings: SessionSettings,
    format: TraceFormat,
) -> Result<(Arc<Snapshot>, Vec<u8>), Failure> {
    let request = RemoteRequest {
        trace: Some(wish.clone()),
        ..request(target, settings)
    };
    runtime()?.block_on(async {
        let mut agent = connection.connect().await?;
        let (id, snapshot) = run(&mut agent, &request).await?;
        let document = agent.traces(&id, format).await?;
        Ok((snapshot, without_controls(document, format)))
    })
}

/// Text that another program has written must not act on the terminal.
fn without_controls(document: Vec<u8>, format: TraceFormat) -> Vec<u8> {
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

/// A session from its beginning to its end, and its id.
async fn run(
    agent: &mut RemoteAgent,
    request: &RemoteRequest,
) -> Result<(String, Arc<Snapshot>), Failure> {
    let mut signals = EndSignals::new().map_err(|error| out_of_resources(&error))?;
    let (id, attached) = match agent.start(request).await? {
        RemoteStart::Started { session, attached } => (session, attached.unwrap_or_default()),
        RemoteStart::Costly(expected) => {
            let percent = expected.cpu_percent.unwrap_or_default();
            return Err(RemoteError::OverBudget { percent }.into());
        }
    };
    let mut watching = agent.watch(&id).await?;
    say!(
        "attached: {} functions, {} probes, session {id}",
        attached.functions.len(),
        attached.probes
    );
    let mut latest = None;
    let mut is_ending = false;
    let mut noticed = 0;
    loop {
        tokio::select! {
            snapshot = watching.next() => match snapshot? {
                Some(snapshot) => {
                    noticed = say_notices(&snapshot.notices, noticed);
                    latest = Some(snapshot);
                }
                None => break,
            },
            () = signals.any(), if !is_ending => {
                is_ending = true;
                agent.end_session(&id).await?;
            }
        }
    }
    let snapshot = latest.filter(|snapshot| has_ended(snapshot).is_some());
    let snapshot = snapshot.ok_or(RemoteError::LinkLost)?;
    say!("detached: {} probes", attached.probes);
    Ok((id, snapshot))
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
