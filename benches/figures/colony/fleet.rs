//! Hundreds of agents and a thousand sessions of history at one colony.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::made::CALLS_PER_ENTRY;
use super::nodes::{Nodes, SERVICE};
use super::{Client, end_all, past, start, watch};
use crate::Result;
use crate::table::{NONE, Table, number};
use crate::used::{Used, resident_mib};
use crate::world::{World, await_that};

/// So many agents, functions that a session measures, and agents that write as much as is taken.
const FLEETS: [(u32, u32, &[u32]); 2] = [(200, 50, &[1, 10, 200]), (1_000, 10, &[1_000])];
const SESSIONS: u32 = 1_000;
/// How long rows are counted.
const COUNTED: Duration = Duration::from_secs(10);
/// What is started takes a moment to become steady.
const SETTLING: Duration = Duration::from_secs(3);

pub(crate) fn run() -> Result<()> {
    println!(
        "colony, agents of a program beside it, each with a replica of one service; a session \
         measures\nfunctions of which all are called all the time\n"
    );
    for (agents, functions, writers) in FLEETS {
        fleet(agents, functions, writers)?;
    }
    Ok(())
}

fn fleet(agents: u32, functions: u32, writers: &[u32]) -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut world = World::bare();
    runtime.block_on(past::fill_with_sessions(&world.history, SESSIONS))?;
    world.start_colony();
    let pid = world.colony.as_ref().unwrap().pid();
    sleep(SETTLING);
    let mut table = Table::new(&["", "MiB", "% of a core", "updates/s", "merged/s", "KiB/s"]);
    let mut row = |name: &str, taken: &Taken| {
        let cell = |value: Option<f64>| value.map_or(NONE.to_owned(), number);
        let used = [taken.used.resident_mib, taken.used.percent].map(number);
        let told = [taken.updates_per_s, taken.merged_per_s, taken.kib_per_s].map(cell);
        table.row([name.to_owned()].into_iter().chain(used).chain(told));
    };
    row(
        &format!("{SESSIONS} sessions of history"),
        &Taken::of(pid, None, None),
    );
    let colony = world.address().parse()?;
    let nodes = runtime.block_on(Nodes::connect(agents, functions, &colony))?;
    world.await_replicas(agents as usize);
    row(&format!("and {agents} agents"), &Taken::of(pid, None, None));
    let mut client = runtime.block_on(world.client());
    let session = runtime.block_on(start(&mut client, SERVICE, "*", 1))?;
    sleep(SETTLING);
    let taken = Taken::of(pid, Some(&nodes), None);
    row(&format!("and a session of {functions} functions"), &taken);
    let console = Console::open(&runtime, &mut client, &session)?;
    sleep(SETTLING);
    let taken = Taken::of(pid, Some(&nodes), Some(&console));
    row("and a console that watches it", &taken);
    drop(console);
    nodes.shared.update_every_ms.store(1_000, Ordering::Relaxed);
    table.print();
    println!();
    entries(&nodes, pid, writers);
    println!();
    runtime.block_on(end_all(&mut client))
}

/// What a colony takes and tells in some seconds.
struct Taken {
    used: Used,
    /// Of agents.
    updates_per_s: Option<f64>,
    /// What a console is told.
    merged_per_s: Option<f64>,
    kib_per_s: Option<f64>,
}

impl Taken {
    fn of(pid: u32, nodes: Option<&Nodes>, console: Option<&Console>) -> Self {
        let updates = || nodes.map(|nodes| nodes.shared.updates.load(Ordering::Relaxed));
        let told = |place: usize| console.map(|it| it.told[place].load(Ordering::Relaxed));
        let counts = || [updates(), told(0), told(1)];
        let (before, began) = (counts(), Instant::now());
        let used = Used::by(pid);
        let (after, seconds) = (counts(), began.elapsed().as_secs_f64());
        let a_second = |place: usize| Some((after[place]? - before[place]?) as f64 / seconds);
        Self {
            used,
            updates_per_s: a_second(0),
            merged_per_s: a_second(1),
            kib_per_s: a_second(2).map(|bytes| bytes / 1024.0),
        }
    }
}

/// A console that watches a session, until it is dropped.
struct Console {
    /// Merged updates, and their bytes.
    told: Arc<[AtomicU64; 2]>,
    reading: JoinHandle<()>,
}

impl Console {
    fn open(runtime: &Runtime, client: &mut Client, session: &str) -> Result<Self> {
        let mut updates = runtime.block_on(watch(client, session))?;
        let told = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let counts = Arc::clone(&told);
        let reading = runtime.spawn(async move {
            while let Ok(Some(update)) = updates.message().await {
                let is_whole = u64::from(!update.continues);
                counts[0].fetch_add(is_whole, Ordering::Relaxed);
                counts[1].fetch_add(update.encoded_len() as u64, Ordering::Relaxed);
            }
        });
        Ok(Self { told, reading })
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// How many single calls are stored a second, and how many checkpoints.
fn entries(nodes: &Nodes, pid: u32, writers: &[u32]) {
    let mut table = Table::new(&["agents that write", "calls/s", "checkpoints/s", "MiB"]);
    let shared = &nodes.shared;
    let entries = || shared.entries.load(Ordering::Relaxed);
    let both = [false, true].into_iter();
    let all = both.flat_map(|checkpoints| writers.iter().map(move |&it| (it, checkpoints)));
    for (writers, checkpoints) in all {
        shared.writers.store(0, Ordering::Relaxed);
        // What is on its way is of the kind before.
        sleep(SETTLING);
        let none = entries();
        shared
            .writes_checkpoints
            .store(checkpoints, Ordering::Relaxed);
        shared.writers.store(writers, Ordering::Relaxed);
        await_that("something is stored", || entries() > none);
        let (before, began) = (entries(), Instant::now());
        sleep(COUNTED);
        let entries_per_s = (entries() - before) as f64 / began.elapsed().as_secs_f64();
        let mib = number(resident_mib(pid));
        let (calls, checkpoints) = match checkpoints {
            true => (NONE.to_owned(), number(entries_per_s)),
            false => (
                format!("{:.0}", entries_per_s * CALLS_PER_ENTRY as f64),
                NONE.to_owned(),
            ),
        };
        table.row([writers.to_string(), calls, checkpoints, mib]);
    }
    shared.writers.store(0, Ordering::Relaxed);
    table.print();
}
