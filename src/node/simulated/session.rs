//! Sessions whose calls are made up, and journals that are not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coral_model::{
    Accounting, CallRecord, FunctionId, FunctionStats, Language, Overhead, SessionId, SessionInfo,
    SessionSettings, SessionState, Snapshot, Target,
};
use coral_proto::agent::v1::JournalCall;
use coral_proto::convert::{SessionUpdates, journal_call};
use jiff::Timestamp;
use tokio::time::sleep;

use super::{Key, Recorded, Simulated};
use crate::node::journal::spool::{Spool, SpoolError, Writer};

const FUNCTION: &str = "main.pay";
/// A checkpoint takes several entries.
const ENTRY_BYTES_MAX: usize = 400;
const CALL_BYTES_MAX: usize = 1_000;

/// Plays one session after the other, until it is to be quiet.
pub(super) async fn play_all(agent: Arc<Simulated>, spool: Arc<Spool>, place: u64) {
    for number in 1.. {
        if agent.is_quiet.load(Ordering::Relaxed) {
            return;
        }
        let session = format!("dbg-{place}-{number:03}");
        Session::begin(&agent, &spool, session).play().await;
    }
}

struct Session<'a> {
    agent: &'a Simulated,
    key: Key,
    writer: Writer,
    elapsed_ms: u64,
}

impl<'a> Session<'a> {
    fn begin(agent: &'a Simulated, spool: &Arc<Spool>, session: String) -> Self {
        let epoch = spool.epoch();
        // As a colony names its requests: its session, and the replica.
        let request_id = format!("cs-1/{}", agent.name);
        let mut begun = Self {
            writer: spool.begin(&session, &request_id),
            agent,
            key: (epoch, session),
            elapsed_ms: 0,
        };
        begun.note(|_| {});
        // Where there is no room for it, the session goes on all the same.
        let _ = begun.checkpoint(false);
        begun
    }

    async fn play(mut self) {
        for _ in 0..self.random(4..40) {
            self.sleep(20..900).await;
            match self.random(0..12) {
                0 => {
                    let calls = self.random(1..20);
                    self.writer.leave_out(calls);
                    self.note(|recorded| {
                        recorded.left_out += calls;
                        recorded.pending += calls;
                    });
                }
                1 | 2 => {
                    let _ = self.checkpoint(false);
                }
                _ => self.calls(),
            }
            if self.agent.is_quiet.load(Ordering::Relaxed) {
                break;
            }
        }
        while self.checkpoint(true).is_err() {
            self.sleep(1_000..1_001).await;
        }
    }

    fn calls(&mut self) {
        let count = self.random(1..12);
        let first = self.elapsed_ms * 1_000;
        let names: Vec<u64> = (first..first + count).collect();
        let written = self.writer.calls(names.iter().copied().map(call).collect());
        self.note(|recorded| match written {
            Ok(()) => {
                recorded.calls.extend(names);
                recorded.pending = 0;
            }
            Err(_) => {
                recorded.left_out += count;
                recorded.pending += count;
            }
        });
    }

    fn checkpoint(&mut self, is_last: bool) -> Result<(), SpoolError> {
        // Each is another one.
        self.elapsed_ms += 1;
        let elapsed_ms = self.elapsed_ms;
        let snapshot = Arc::new(self.snapshot(is_last));
        let updates = SessionUpdates::with_bytes_max(ENTRY_BYTES_MAX).next(&snapshot);
        self.writer.checkpoint(updates, is_last)?;
        self.note(|recorded| {
            recorded.pending = 0;
            recorded.elapsed_ms = Some(elapsed_ms);
        });
        Ok(())
    }

    fn snapshot(&self, is_last: bool) -> Snapshot {
        let functions = (0..4).map(|id| Arc::new(FunctionStats::new(FunctionId(id), FUNCTION)));
        Snapshot {
            session: SessionInfo {
                id: SessionId(self.key.1.clone()),
                target: target(&self.agent.name),
                other_pids: Vec::new(),
                started_at: Timestamp::UNIX_EPOCH,
                ended_at: is_last.then_some(Timestamp::UNIX_EPOCH),
                requested_by: "ann".into(),
                elapsed: Duration::from_millis(self.elapsed_ms),
                remaining: Duration::ZERO,
                state: match is_last {
                    true => SessionState::Ended(coral_model::EndReason::Expired),
                    false => SessionState::Active,
                },
                probes: 4,
                settings: SessionSettings::default(),
            },
            functions: functions.collect(),
            call_tree: Arc::default(),
            slow_calls: Vec::new(),
            in_flight: Vec::new(),
            notices: Vec::new(),
            accounting: Accounting::default(),
            overhead: Overhead::default(),
            replicas: Vec::new(),
        }
    }

    async fn sleep(&mut self, range_ms: std::ops::Range<u64>) {
        let ms = self.random(range_ms);
        self.elapsed_ms += ms;
        sleep(Duration::from_millis(ms)).await;
    }

    fn random(&self, range: std::ops::Range<u64>) -> u64 {
        self.agent.random().u64(range)
    }

    fn note(&self, change: impl FnOnce(&mut Recorded)) {
        change(self.agent.recorded().entry(self.key.clone()).or_default());
    }
}

fn call(duration_ns: u64) -> JournalCall {
    let record = CallRecord::new(FunctionId(0), Timestamp::UNIX_EPOCH, duration_ns);
    journal_call(&record, FUNCTION, CALL_BYTES_MAX)
}

fn target(agent: &str) -> Target {
    Target {
        agent_id: agent.into(),
        service: "checkout".into(),
        pid: 4_242,
        exe: "/srv/checkout".into(),
        build_id: None,
        language: Language::Unknown,
        start_ticks: 77,
    }
}
