//! Real agents and real targets: how long people wait, and what crosses a link.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use coral_proto::agent::v1::{ListSessionsRequest, ReplicaStatus, SessionUpdate};
use tokio::runtime::{Builder, Runtime};
use tonic::Streaming;

use super::{end_all, start, watch};
use crate::Result;
use crate::common::compile;
use crate::table::{Table, median, number};
use crate::workload::Workload;
use crate::world::World;

const ATTACHES: usize = 10;
const RESTARTS: usize = 5;
/// How long bytes are counted: several checkpoints, which come every 10 s.
const COUNTED: Duration = Duration::from_secs(30);
/// What a session begins with is not its pace.
const SETTLING: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(5);

pub(crate) fn run() -> Result<()> {
    let binary = compile::source("cc", "../../benches/targets/ticks.c", &["-O2", "-pthread"])?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    waits(&runtime, &binary)?;
    println!();
    bytes(&runtime, &binary)
}

/// A target that calls its function so often each second, for ever.
fn flood(program: &Path, calls_per_s: u32) -> Result<Workload> {
    let mut target = Workload::start(program)?;
    if calls_per_s > 0 {
        target.say(&format!("flood {calls_per_s}"))?;
        target.answer()?;
    }
    Ok(target)
}

/// How long people wait for the first numbers, and for what they had after a restart.
fn waits(runtime: &Runtime, binary: &Path) -> Result<()> {
    println!("colony, two agents, each with a replica that makes 1000 calls a second\n");
    let mut world = World::start(2, binary);
    let targets = [
        flood(&world.programs[0], 1_000)?,
        flood(&world.programs[1], 1_000)?,
    ];
    world.await_replicas(2);
    let mut first_ms = Vec::new();
    for _ in 0..ATTACHES {
        first_ms.push(runtime.block_on(async {
            let mut client = world.client().await;
            let began = Instant::now();
            let session = start(&mut client, "shop", "tick", 1).await?;
            let mut updates = watch(&mut client, &session).await?;
            until(&mut updates, |update| {
                update.functions.iter().any(has_durations)
            })
            .await?;
            let waited_ms = began.elapsed().as_secs_f64() * 1e3;
            end_all(&mut client).await?;
            Ok::<_, Box<dyn std::error::Error>>(waited_ms)
        })?);
    }
    let mut waits_ms: [Vec<f64>; 3] = Default::default();
    let session =
        runtime.block_on(async { start(&mut world.client().await, "shop", "tick", 1).await })?;
    for _ in 0..RESTARTS {
        let began = Instant::now();
        world.kill_colony();
        world.start_colony();
        let mut wait = |place: usize| waits_ms[place].push(began.elapsed().as_secs_f64() * 1e3);
        wait(0);
        while !runtime.block_on(is_listed(&world, &session))? {
            sleep(POLL);
        }
        wait(1);
        runtime.block_on(async {
            let mut updates = watch(&mut world.client().await, &session).await?;
            until(&mut updates, are_measured).await
        })?;
        wait(2);
    }
    let [listening, listed, measured] = waits_ms;
    let mut table = Table::new(&["from", "to", "median ms", "max ms"]);
    for (from, to, waits_ms) in [
        ("StartSession", "the first merged histogram", first_ms),
        ("SIGKILL and restart", "it listens", listening),
        ("SIGKILL and restart", "the session is listed", listed),
        (
            "SIGKILL and restart",
            "both replicas are measured",
            measured,
        ),
    ] {
        let max = waits_ms.iter().copied().fold(0.0, f64::max);
        let row = [
            from.into(),
            to.into(),
            number(median(waits_ms)),
            number(max),
        ];
        table.row(row);
    }
    table.print();
    drop(targets);
    Ok(())
}

fn has_durations(function: &coral_proto::agent::v1::FunctionStats) -> bool {
    let latency = function.latency.as_ref();
    latency.is_some_and(|latency| !latency.index.is_empty())
}

fn are_measured(update: &SessionUpdate) -> bool {
    let replicas = &update.replicas;
    let is_measured =
        |it: &_| coral_proto::agent::v1::Replica::status(it) == ReplicaStatus::Measuring;
    replicas.len() == 2 && replicas.iter().all(is_measured)
}

async fn until(
    updates: &mut Streaming<SessionUpdate>,
    is_it: impl Fn(&SessionUpdate) -> bool,
) -> Result<()> {
    while let Some(update) = updates.message().await? {
        if is_it(&update) {
            return Ok(());
        }
    }
    Err("the session has ended".into())
}

async fn is_listed(world: &World, session: &str) -> Result<bool> {
    let mut client = world.client().await;
    let listed = client.list_sessions(ListSessionsRequest::default()).await?;
    let sessions = listed.into_inner().sessions;
    Ok(sessions.iter().any(|it| it.session_id == session))
}

/// What a session of one replica sends over the link, by how often its function is called.
fn bytes(runtime: &Runtime, binary: &Path) -> Result<()> {
    println!(
        "colony, the link of one agent: bytes a second, over {} s\n",
        COUNTED.as_secs()
    );
    let mut table = Table::new(&["", "from the agent", "to the agent"]);
    let mut world = World::bare();
    world.start_colony();
    let way = Way::to(&world.path("colony.sock"), &world.path("way.sock"))?;
    world.way = Some(format!("url: 'unix:{}'", world.path("way.sock").display()));
    world.add_agent(binary);
    for (name, asked) in [
        ("no session", None),
        ("a session, no calls", Some((0, 1))),
        ("1,000 calls/s, each recorded", Some((1_000, 1))),
        ("10,000 calls/s", Some((10_000, 1))),
        ("100,000 calls/s", Some((100_000, 1))),
        ("1,000 calls/s, one in 1,000", Some((1_000, 1_000))),
        ("10,000 calls/s", Some((10_000, 1_000))),
        ("100,000 calls/s", Some((100_000, 1_000))),
    ] {
        let calls_per_s = asked.map_or(0, |(calls_per_s, _)| calls_per_s);
        let target = flood(&world.programs[0], calls_per_s)?;
        world.await_replicas(1);
        let mut client = runtime.block_on(world.client());
        if let Some((_, sample_rate)) = asked {
            runtime.block_on(start(&mut client, "shop", "tick", sample_rate))?;
        }
        sleep(SETTLING);
        let before = way.carried();
        sleep(COUNTED);
        let after = way.carried();
        let a_second = |bytes: u64| number(bytes as f64 / COUNTED.as_secs_f64());
        let [from, to] = [0, 1].map(|way: usize| a_second(after[way] - before[way]));
        table.row([name.to_owned(), from, to]);
        runtime.block_on(end_all(&mut client))?;
        drop(target);
        world.await_replicas(0);
    }
    table.print();
    Ok(())
}

/// A way to a socket that counts what it carries: from who dials, and to it.
struct Way([Arc<AtomicU64>; 2]);

impl Way {
    fn to(target: &Path, path: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path)?;
        let carried: [Arc<AtomicU64>; 2] = Default::default();
        let (counts, target) = (carried.clone(), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(std::result::Result::ok) {
                let Ok(server) = UnixStream::connect(&target) else {
                    continue;
                };
                let pairs = [(&client, &server), (&server, &client)];
                for ((from, to), count) in pairs.into_iter().zip(&counts) {
                    let ends = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let count = Arc::clone(count);
                    thread::spawn(move || carry(ends, &count));
                }
            }
        });
        Ok(Self(carried))
    }

    fn carried(&self) -> [u64; 2] {
        [0, 1].map(|way: usize| self.0[way].load(Ordering::Relaxed))
    }
}

fn carry((mut from, mut to): (UnixStream, UnixStream), count: &AtomicU64) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // It may have ended by itself.
        let _ = end.shutdown(std::net::Shutdown::Both);
    }
}
