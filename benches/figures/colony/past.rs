//! The history of a busy day, and how long it takes to answer from it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::{
    EndReason, Language, ReplicaState, SessionId, SessionSettings, SessionState, Snapshot, Target,
};
use coral_proto::colony::v1 as wire;
use coral_tui::store::{
    Batch, Content, Entry, JournalKey, NewSession, ReplicaRow, Store, StoreSettings, StoredCall,
};
use jiff::{Timestamp, ToSpan};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::Client;
use super::made::{CALLS_PER_ENTRY, call, function_name, measure, snapshot};
use super::nodes::SERVICE;
use crate::Result;
use crate::table::{Table, median, number};
use crate::world::World;

const HOURS: u64 = 24;
const REPLICAS: u64 = 3;
const FUNCTIONS: u32 = 50;
/// Single calls of the day; agents record a part of all.
const CALLS: u64 = 5_000_000;
const CHECKPOINTS_PER_HOUR: u64 = 60;
const ROUNDS: usize = 5;

pub(crate) fn run() -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut world = World::bare();
    let began = Instant::now();
    runtime.block_on(fill_with_a_day(&world.history))?;
    let seconds = began.elapsed().as_secs_f64();
    let mib = std::fs::metadata(&world.history)?.len() >> 20;
    println!(
        "colony, {HOURS} sessions of an hour on {REPLICAS} replicas, {FUNCTIONS} functions, \
         {CALLS} single calls:\na file of {mib} MiB, written in {seconds:.0} s\n"
    );
    world.start_colony();
    let mut table = Table::new(&["query over 24 h", "first ms", "median ms"]);
    runtime.block_on(async {
        let mut client = world.client().await;
        for (name, function) in [
            ("QueryHistory of one function", function_name(7)),
            ("QueryHistory of all functions", String::new()),
        ] {
            let mut waits_ms = Vec::new();
            for _ in 0..ROUNDS {
                let began = Instant::now();
                query(&mut client, &function).await?;
                waits_ms.push(began.elapsed().as_secs_f64() * 1e3);
            }
            table.row([name.into(), number(waits_ms[0]), number(median(waits_ms))]);
        }
        for (name, sql) in [
            ("SQL: p99 of each hour, from single calls", P99_OF_CALLS),
            ("SQL: calls of each function and hour", CALLS_OF_HOURS),
        ] {
            let mut waits_ms = Vec::new();
            for _ in 0..ROUNDS {
                let began = Instant::now();
                ask(&mut client, sql).await?;
                waits_ms.push(began.elapsed().as_secs_f64() * 1e3);
            }
            table.row([name.into(), number(waits_ms[0]), number(median(waits_ms))]);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    table.print();
    Ok(())
}

const P99_OF_CALLS: &str = "select date_trunc('hour', started_at) as hour, \
     quantile_cont(duration_ns, 0.99) as p99_ns, count(*) as calls \
     from uprobe_events group by all order by hour";
const CALLS_OF_HOURS: &str = "select date_trunc('hour', s.started_at) as hour, \
     f.function_name, sum(f.calls) as calls from function_stats f \
     join debug_sessions s using (session_id) group by all order by all";

async fn query(client: &mut Client, function: &str) -> Result<()> {
    let request = wire::QueryHistoryRequest {
        service_name: SERVICE.into(),
        function: function.into(),
        since: Some(prost_types::Duration {
            seconds: 25 * 3_600,
            nanos: 0,
        }),
    };
    let found = client.query_history(request).await?.into_inner();
    let expected = if function.is_empty() {
        FUNCTIONS as usize
    } else {
        1
    };
    if found.functions.len() != expected || found.sessions.len() != HOURS as usize {
        let (functions, sessions) = (found.functions.len(), found.sessions.len());
        return Err(format!("{functions} functions in {sessions} sessions").into());
    }
    Ok(())
}

async fn ask(client: &mut Client, sql: &str) -> Result<()> {
    let request = wire::QuerySqlRequest {
        sql: sql.into(),
        ..wire::QuerySqlRequest::default()
    };
    let mut answer = client.query_sql(request).await?.into_inner();
    while answer.message().await?.is_some() {}
    Ok(())
}

/// A history of so many sessions of a minute, one after the other, each on one replica.
pub(crate) async fn fill_with_sessions(path: &Path, sessions: u32) -> Result<()> {
    let (store, _) = Store::open(StoreSettings::at(path))?;
    let now = Timestamp::now();
    let mut writing = JoinSet::new();
    for number in 0..sessions {
        let session = Past {
            number: u64::from(number),
            began: now - i64::from(sessions - number).minutes(),
            length: Duration::from_secs(60),
            replicas: 1,
            checkpoints: 1,
            entries: 0,
        };
        let store = store.clone();
        writing.spawn(async move { session.write(&store).await.map_err(|it| it.to_string()) });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    store.close().await;
    Ok(())
}

/// A history of a day in which somebody always measured.
async fn fill_with_a_day(path: &Path) -> Result<()> {
    let (store, _) = Store::open(StoreSettings::at(path))?;
    // A moment is left before the oldest call is too old.
    let now = Timestamp::now() + 30.minutes();
    for number in 0..HOURS {
        let session = Past {
            number,
            began: now - i64::try_from(HOURS - number)?.hours(),
            length: Duration::from_secs(3_600),
            replicas: REPLICAS,
            checkpoints: CHECKPOINTS_PER_HOUR,
            entries: CALLS / (HOURS * REPLICAS * CALLS_PER_ENTRY),
        };
        session.write(&store).await?;
    }
    store.close().await;
    Ok(())
}

/// A session that is over.
struct Past {
    number: u64,
    began: Timestamp,
    length: Duration,
    replicas: u64,
    /// Of each replica.
    checkpoints: u64,
    /// Of single calls, of each replica.
    entries: u64,
}

impl Past {
    async fn write(&self, store: &Store) -> Result<()> {
        let id = SessionId(format!("dbg-{:06}", self.number));
        let session = NewSession {
            id: id.clone(),
            service: SERVICE.into(),
            requested_by: "ann".into(),
            requested_via: "token".into(),
            started_at: self.began,
            expires_at: self.began + self.length,
            functions: vec!["*".into()],
            settings: SessionSettings::default(),
            request: Vec::new(),
        };
        store.begin_session(session).await?;
        for replica in 0..self.replicas {
            self.write_replica(store, &id, replica).await?;
        }
        let ended_at = self.began + self.length;
        store.end_session(id, ended_at, EndReason::Expired).await?;
        Ok(())
    }

    async fn write_replica(&self, store: &Store, id: &SessionId, replica: u64) -> Result<()> {
        let journal = JournalKey {
            session: id.clone(),
            agent_id: format!("node-{replica:03}"),
            epoch: 1,
            agent_session: SessionId(format!("{id}-{replica}")),
        };
        store
            .add_replicas(vec![replica_row(&journal, self.began)])
            .await?;
        let mut state = snapshot(FUNCTIONS, self.began);
        let mut sequence = 0;
        for checkpoint in 1..=self.checkpoints {
            let mut entries = Vec::new();
            let due = self.entries * checkpoint / self.checkpoints;
            while sequence + 1 < due + checkpoint {
                sequence += 1;
                entries.push(Entry::new(sequence, self.calls(sequence, checkpoint)));
            }
            sequence += 1;
            let passed = self.length / self.checkpoints as u32 * checkpoint as u32;
            let current = Arc::make_mut(&mut state);
            measure(current, checkpoint);
            current.session.elapsed = passed;
            let is_last = checkpoint == self.checkpoints;
            if is_last {
                end(current, self.began + self.length);
            }
            entries.push(Entry {
                is_last,
                ..Entry::new(sequence, Content::Checkpoint(Arc::clone(&state)))
            });
            let batch = Batch {
                journal: journal.clone(),
                entries,
            };
            store.append(batch).await?;
        }
        Ok(())
    }

    /// Calls that began between two checkpoints.
    fn calls(&self, sequence: u64, checkpoint: u64) -> Content {
        let between = self.length / self.checkpoints as u32;
        let calls = (0..CALLS_PER_ENTRY).map(|place| {
            let number = sequence * CALLS_PER_ENTRY + place;
            let since =
                between * (checkpoint - 1) as u32 + between / 1_000 * (place % 1_000) as u32;
            let record = call(number, self.began + since);
            StoredCall {
                function: function_name(record.function.0),
                record,
            }
        });
        Content::Calls(calls.collect())
    }
}

fn end(snapshot: &mut Snapshot, ended_at: Timestamp) {
    snapshot.session.ended_at = Some(ended_at);
    snapshot.session.state = SessionState::Ended(EndReason::Expired);
}

fn replica_row(journal: &JournalKey, started_at: Timestamp) -> ReplicaRow {
    ReplicaRow {
        journal: journal.clone(),
        target: Target {
            agent_id: journal.agent_id.clone(),
            service: SERVICE.into(),
            pid: 4_242,
            exe: "/srv/shop".into(),
            build_id: Some("made".into()),
            language: Language::Go,
            start_ticks: 77,
        },
        started_at: Some(started_at),
        state: ReplicaState::Measuring,
        trouble: None,
    }
}
