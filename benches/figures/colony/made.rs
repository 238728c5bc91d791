//! What made-up agents measure: functions of a busy service, their updates, and their calls.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, CallRecord, CallTree, ExitProbe, FunctionId, FunctionStats, Language, Overhead,
    SessionId, SessionInfo, SessionSettings, SessionState, Snapshot, Target,
};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::{SessionUpdates, journal_call, timestamp_to_wire};
use jiff::Timestamp;

/// Calls in one entry of a journal: a session stores up to that many at once.
pub(crate) const CALLS_PER_ENTRY: u64 = 500;
/// Calls of each function between two updates.
pub(crate) const CALLS_PER_UPDATE: u64 = 20;
/// Updates of a session, after which it begins anew.
pub(crate) const UPDATES: u64 = 500;
/// Agents write one every 10 s.
const UPDATES_PER_CHECKPOINT: u64 = 50;
/// The process of every node.
const PID: u32 = 4_242;

/// Made once for all nodes, so that making it costs nothing while it is measured.
pub(crate) struct Made {
    functions: u32,
    updates: Vec<wire::SessionUpdate>,
    /// The whole session, every few updates.
    checkpoints: Vec<wire::SessionUpdate>,
    entry: wire::JournalEntry,
}

impl Made {
    pub(crate) fn of(functions: u32) -> Self {
        let mut updates = SessionUpdates::new();
        let mut snapshot = snapshot(functions, Timestamp::now());
        let (mut made, mut checkpoints) = (Vec::new(), Vec::new());
        for round in 0..UPDATES {
            measure(Arc::make_mut(&mut snapshot), round);
            made.extend(updates.next(&snapshot));
            if round % UPDATES_PER_CHECKPOINT == 0 {
                checkpoints.extend(SessionUpdates::new().next(&snapshot));
            }
        }
        let calls = (0..CALLS_PER_ENTRY).map(|number| {
            let name = function_name((number % u64::from(functions)) as u32);
            journal_call(&call(number, Timestamp::now()), &name, usize::MAX)
        });
        let entry = wire::JournalEntry {
            calls: calls.collect(),
            ..wire::JournalEntry::default()
        };
        Self {
            functions,
            updates: made,
            checkpoints,
            entry,
        }
    }

    /// An update of a session, by its place in the stream. After the last the first one follows,
    /// which holds everything.
    pub(crate) fn update(&self, place: u64, session: &str) -> wire::SessionUpdate {
        let mut update = self.updates[place as usize % self.updates.len()].clone();
        update.sequence = place + 1;
        if let Some(info) = &mut update.session {
            session.clone_into(&mut info.session_id);
        }
        update
    }

    /// The update that ends a session.
    pub(crate) fn last(&self, place: u64, session: &str) -> wire::SessionUpdate {
        let mut update = self.update(place, session);
        if let Some(info) = &mut update.session {
            info.set_status(wire::SessionStatus::Detached);
            info.ended_at = Some(timestamp_to_wire(Timestamp::now()));
        }
        update
    }

    pub(crate) fn entry(&self, sequence: u64) -> wire::JournalEntry {
        wire::JournalEntry {
            sequence,
            ..self.entry.clone()
        }
    }

    /// An entry that holds all that was measured so far.
    pub(crate) fn checkpoint(&self, sequence: u64) -> wire::JournalEntry {
        let place = sequence as usize % self.checkpoints.len();
        wire::JournalEntry {
            sequence,
            checkpoint: Some(self.checkpoints[place].clone()),
            ..wire::JournalEntry::default()
        }
    }

    pub(crate) fn processes(&self, count: u32) -> impl Iterator<Item = wire::Process> {
        (PID..PID + count).map(|pid| wire::Process {
            pid,
            name: "shop".into(),
            start_ticks: 77,
            build_id: Some("made".into()),
            ..wire::Process::default()
        })
    }

    pub(crate) fn functions(&self) -> wire::ListFunctionsResponse {
        let functions = (0..self.functions).map(|id| wire::Function {
            id,
            name: function_name(id),
            size_bytes: 64,
            address: u64::from(id) * 64,
            ..wire::Function::default()
        });
        wire::ListFunctionsResponse {
            functions: functions.collect(),
            target: self.updates[0].session.as_ref().unwrap().target.clone(),
            total: self.functions.into(),
            modules: vec![wire::Module::default()],
            ..wire::ListFunctionsResponse::default()
        }
    }

    pub(crate) fn attached(&self) -> wire::Attached {
        wire::Attached {
            function_ids: (0..self.functions).collect(),
            probes: 2 * self.functions,
            refused: Vec::new(),
        }
    }
}

/// A busy service's function.
pub(crate) fn function_name(id: u32) -> String {
    format!("shop/internal/checkout.(*Handler{}).Serve{id}", id % 7)
}

/// A recorded call of one of them.
pub(crate) fn call(number: u64, started_at: Timestamp) -> CallRecord {
    let functions = number % 50;
    CallRecord {
        pid: PID,
        tid: PID + (number % 8) as u32,
        goroutine: Some(number % 1_000),
        ..CallRecord::new(
            FunctionId(functions as u32),
            started_at,
            duration_ns(number, functions),
        )
    }
}

/// A session of one replica in which nothing was measured yet.
pub(crate) fn snapshot(functions: u32, started_at: Timestamp) -> Arc<Snapshot> {
    let stats = |id| {
        let mut stats = FunctionStats::new(FunctionId(id), function_name(id));
        stats.exit_probe = ExitProbe::ReturnSites;
        stats.file = Some("internal/checkout/serve.go".into());
        stats.line = Some(id);
        Arc::new(stats)
    };
    let target = Target {
        agent_id: String::new(),
        service: super::nodes::SERVICE.into(),
        pid: PID,
        exe: "/srv/shop".into(),
        build_id: Some("made".into()),
        language: Language::Go,
        start_ticks: 77,
    };
    Arc::new(Snapshot {
        session: SessionInfo {
            id: SessionId("made".into()),
            target,
            other_pids: Vec::new(),
            started_at,
            ended_at: None,
            requested_by: "made".into(),
            elapsed: Duration::ZERO,
            remaining: Duration::from_secs(600),
            state: SessionState::Active,
            probes: 2 * functions,
            settings: SessionSettings::default(),
        },
        functions: (0..functions).map(stats).collect(),
        call_tree: Arc::new(CallTree::default()),
        slow_calls: Vec::new(),
        in_flight: Vec::new(),
        notices: Vec::new(),
        accounting: Accounting::default(),
        overhead: Overhead::default(),
        replicas: Vec::new(),
    })
}

/// Adds some calls of every function.
pub(crate) fn measure(snapshot: &mut Snapshot, round: u64) {
    snapshot.session.elapsed += Duration::from_millis(200);
    for (id, function) in (0..).zip(&mut snapshot.functions) {
        let function = Arc::make_mut(function);
        for call in 0..CALLS_PER_UPDATE {
            let number = CALLS_PER_UPDATE * round + call;
            function.latency.record(duration_ns(number, id));
        }
        function.calls += CALLS_PER_UPDATE;
        function.returns += CALLS_PER_UPDATE;
        function.self_ns = function.latency.total_ns;
        snapshot.accounting.hits += 2 * CALLS_PER_UPDATE;
        snapshot.accounting.aggregated += 2 * CALLS_PER_UPDATE;
    }
}

/// Durations from some microseconds to some hundred milliseconds, most of them short.
fn duration_ns(number: u64, function: u64) -> u64 {
    let noise = (number + function * 7_919).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let scale = 1 << (noise % 13);
    2_000 + function * 500 + (noise % 1_000) * scale * 10
}
