//! What an agent costs its node, and how long it takes until a client sees a call.

use std::thread::sleep;
use std::time::{Duration, Instant};

use coral_model::{Capture, SessionSettings};
use coral_proto::agent::v1 as wire;
use coral_tui::source::AttachWish;
use coral_tui::source::remote::{RemoteAgent, RemoteRequest, RemoteStart, RemoteTarget};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::Result;
use crate::common::compile;
use crate::daemon::{Daemon, Setup};
use crate::used::Used;
use crate::workload::Workload;

/// How many calls are waited for.
const CALLS: usize = 40;
/// Clients at the same time.
const CLIENTS: usize = 50;
/// Calls a second, where something has to be told all the time.
const FLOOD: u32 = 5_000;

pub(crate) fn run() -> Result<()> {
    let binary = compile::source("cc", "../../benches/targets/ticks.c", &["-O2", "-pthread"])?;
    let daemon = Daemon::start_with(&Setup::default());
    sleep(Duration::from_secs(1));
    println!("agent                               % of a core      MiB");
    let idle = Used::by(daemon.coral.pid());
    println!("idle                                {idle}");
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut target = Workload::start(&binary)?;
    runtime.block_on(delays(&daemon, &mut target))?;
    target.say(&format!("flood {FLOOD}"))?;
    target.answer()?;
    clients(&runtime, &daemon, &target)
}

/// From a call in the target to who shows it.
async fn delays(daemon: &Daemon, target: &mut Workload) -> Result<()> {
    let mut agent = RemoteAgent::connect(&daemon.socket().parse()?, None, None).await?;
    let session = start(&mut agent, target).await?;
    let mut watching = agent.watch(&session).await?;
    let mut updates_ms = Vec::new();
    for call in 1..=CALLS as u64 {
        let began = Instant::now();
        target.say("call")?;
        while let Some(snapshot) = watching.next().await? {
            if snapshot.functions[0].calls >= call {
                break;
            }
        }
        updates_ms.push(began.elapsed().as_secs_f64() * 1e3);
        target.answer()?;
        // At another moment between two updates.
        tokio::time::sleep(Duration::from_millis(37 * call % 190)).await;
    }
    end(&mut agent).await?;
    let mut client = daemon.client().await;
    let attach = wire::AttachUprobeRequest {
        function_name: "tick".into(),
        pid: target.pid(),
        ..wire::AttachUprobeRequest::default()
    };
    let mut events = client.attach_uprobe(attach).await?.into_inner();
    let mut events_ms = Vec::new();
    for call in 0..CALLS as u64 {
        let began = Instant::now();
        target.say("call")?;
        // Its entry, and its exit.
        events.message().await?;
        events_ms.push(began.elapsed().as_secs_f64() * 1e3);
        events.message().await?;
        target.answer()?;
        tokio::time::sleep(Duration::from_millis(7 * call % 19)).await;
    }
    drop(events);
    end(&mut agent).await?;
    println!("\nfrom a call to a client             median ms   max ms   ({CALLS} calls)");
    println!(
        "WatchSession, an update             {}",
        Delay::of(updates_ms)
    );
    println!(
        "AttachUprobe, an event              {}",
        Delay::of(events_ms)
    );
    Ok(())
}

/// What clients cost that watch one session, whether they read or not.
fn clients(runtime: &Runtime, daemon: &Daemon, target: &Workload) -> Result<()> {
    println!("\none session, {FLOOD} calls a second    % of a core      MiB");
    let (mut agent, session_id) = runtime.block_on(async {
        let mut agent = RemoteAgent::connect(&daemon.socket().parse()?, None, None).await?;
        let session = start(&mut agent, target).await?;
        Ok::<_, Box<dyn std::error::Error>>((agent, session))
    })?;
    sleep(Duration::from_secs(2));
    println!(
        "nobody watches                      {}",
        Used::by(daemon.coral.pid())
    );
    for (name, reads) in [("clients that read", true), ("clients that do not", false)] {
        let mut watchers = JoinSet::new();
        for _ in 0..CLIENTS {
            let mut agent =
                runtime.block_on(RemoteAgent::connect(&daemon.socket().parse()?, None, None))?;
            let session_id = session_id.clone();
            watchers.spawn_on(
                async move {
                    let mut watching = agent.watch(&session_id).await.ok()?;
                    while reads && watching.next().await.ok()?.is_some() {}
                    std::future::pending::<Option<()>>().await
                },
                runtime.handle(),
            );
        }
        sleep(Duration::from_secs(2));
        println!(
            "{:<36}{}",
            format!("{CLIENTS} {name}"),
            Used::by(daemon.coral.pid())
        );
    }
    runtime.block_on(end(&mut agent))
}

/// A session on the target's function; its id.
async fn start(agent: &mut RemoteAgent, target: &Workload) -> Result<String> {
    let meant = RemoteTarget {
        pids: vec![target.pid()],
        ..RemoteTarget::default()
    };
    let settings = SessionSettings {
        duration: Duration::from_secs(300),
        // Probes may cost here what they cost.
        budget_percent: None,
        capture: Capture {
            arguments: true,
            results: true,
        },
        ..SessionSettings::default()
    };
    let request = RemoteRequest {
        wish: AttachWish {
            patterns: vec!["tick".into()],
            ..AttachWish::default()
        },
        ..RemoteRequest::new(meant, settings)
    };
    match agent.start(&request).await? {
        RemoteStart::Started { session, .. } => Ok(session),
        RemoteStart::Costly(_) => Err("it was not asked what it costs".into()),
    }
}

async fn end(agent: &mut RemoteAgent) -> Result<()> {
    let all = wire::EndSessionsRequest {
        all: true,
        ..wire::EndSessionsRequest::default()
    };
    agent.end(all).await?;
    Ok(())
}

struct Delay {
    median_ms: f64,
    max_ms: f64,
}

impl Delay {
    fn of(mut delays_ms: Vec<f64>) -> Self {
        delays_ms.sort_by(f64::total_cmp);
        Self {
            median_ms: delays_ms[delays_ms.len() / 2],
            max_ms: *delays_ms.last().unwrap(),
        }
    }
}

impl std::fmt::Display for Delay {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:9.1} {:8.1}", self.median_ms, self.max_ms)
    }
}
