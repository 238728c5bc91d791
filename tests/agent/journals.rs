//! Journals of sessions, read by a colony that is played here: over cut links, kills, restarts and a
//! full disk.

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use coral_model::{EndReason, SessionState, Snapshot};
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::convert::Assembled;
use rustix::process::Signal;
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::colony::{Colony, journalled, journals};
use crate::common::lines::DEADLINE;
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::daemon::{Daemon, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_has_every_call_once_and_the_final_numbers() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let _daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (first, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    end(&mut agent, &session_id).await;
    let mut stored = Stored::of(&session_id, first.epoch);
    stored.read_to_end(&mut agent).await;
    let session = stored.session();
    assert_eq!(
        session.session.state,
        SessionState::Ended(EndReason::Detached)
    );
    assert_eq!(session.functions[0].calls, calls);
    assert_eq!(session.accounting.events_stored, calls);
    let recorded = stored.calls();
    assert_eq!(recorded.len() as u64, calls);
    assert_eq!(stored.left_out(), 0);
    assert_eq!(
        recorded.iter().collect::<HashSet<_>>().len(),
        recorded.len()
    );

    let listed = journals(&mut agent).await.journals;
    let journal = wire::Journal {
        session_id: session_id.clone(),
        epoch: first.epoch,
        request_id: "of colony".into(),
        first_sequence: 1,
        last_sequence: stored.last_sequence(),
        is_complete: true,
    };
    assert_eq!(listed, [journal]);
    let all = wire::AcknowledgeJournalRequest {
        session_id,
        epoch: first.epoch,
        sequence: stored.last_sequence(),
    };
    agent.acknowledge_journal(all).await.unwrap();
    assert_eq!(journals(&mut agent).await.journals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_repeats_nothing_and_loses_nothing() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let mut daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (first, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let mut calls = target.run("pay").functions["pay"].calls;
    let mut stored = Stored::of(&session_id, first.epoch);
    stored
        .read(&mut agent, |it| it.calls().len() as u64 == calls)
        .await;
    colony.way.cut();
    daemon.coral.await_line("colony: cut off (");
    calls += target.run("pay").functions["pay"].calls;
    colony.way.heal();
    let (greeting, mut agent) = colony.link().await;
    assert_eq!(greeting.epoch, first.epoch);
    stored
        .read(&mut agent, |it| it.calls().len() as u64 == calls)
        .await;
    calls += target.run("pay").functions["pay"].calls;
    end(&mut agent, &session_id).await;
    stored.read_to_end(&mut agent).await;
    let recorded = stored.calls();
    assert_eq!(recorded.len() as u64, calls);
    assert_eq!(stored.left_out(), 0);
    assert_eq!(
        recorded.iter().collect::<HashSet<_>>().len(),
        recorded.len()
    );
    assert_eq!(stored.session().functions[0].calls, calls);
    drop(agent);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_leaves_its_journals_and_their_ends() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (first, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    let mut stored = Stored::of(&session_id, first.epoch);
    stored
        .read(&mut agent, |it| it.calls().len() as u64 == calls)
        .await;
    daemon.coral.signal(Signal::KILL);
    let Daemon {
        coral,
        folder,
        loopback,
    } = daemon;
    assert_eq!(coral.wait().status.code(), None);
    let key = colony.key();
    let setup = Setup {
        keys: &["id: node-7", &key],
        ..Setup::default()
    };
    let _daemon = Daemon::start_in(folder, &loopback, &setup);
    let (greeting, mut agent) = colony.link().await;
    assert!(greeting.epoch > first.epoch);
    let listed = journals(&mut agent).await;
    assert_eq!(listed.epoch, greeting.epoch);
    let [journal] = &listed.journals[..] else {
        panic!("{listed:#?}");
    };
    assert_eq!(
        (&journal.session_id, journal.epoch),
        (&session_id, first.epoch)
    );
    assert!(journal.is_complete);
    stored.read_to_end(&mut agent).await;
    assert_eq!(stored.calls().len() as u64, calls);
    let session = stored.session();
    assert_eq!(
        session.session.state,
        SessionState::Ended(EndReason::Failed)
    );
    let notices: Vec<_> = session.notices.iter().map(|it| &it.text).collect();
    assert!(notices[0].starts_with("the agent ended"), "{notices:?}");
    // A session of the new start has a journal beside it.
    let other = start(&mut agent, &target).await;
    end(&mut agent, &other).await;
    Stored::of(&other, greeting.epoch)
        .read_to_end(&mut agent)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_told_to_end_ends_its_journals_first() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (first, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    let key = colony.key();
    let setup = Setup {
        keys: &["id: node-7", &key],
        ..Setup::default()
    };
    let _daemon = daemon.restart(&setup);
    let (_, mut agent) = colony.link().await;
    let mut stored = Stored::of(&session_id, first.epoch);
    stored.read_to_end(&mut agent).await;
    assert_eq!(stored.calls().len() as u64, calls);
    let session = stored.session();
    assert_eq!(
        session.session.state,
        SessionState::Ended(EndReason::Detached)
    );
    assert_eq!(session.functions[0].calls, calls);
}

/// What the disk has no room for is named, and what comes after it is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_calls_of_the_journal_and_no_number() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let disk = SmallDisk::mount(colony.spool.path().join("spool"));
    let _daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (first, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let mut notices = Notices::of(&mut agent, &session_id).await;
    let filler = disk.fill();
    let mut calls = 0;
    while !notices.have("the journal cannot be written") {
        calls += target.run("pay").functions["pay"].calls;
        notices.next().await;
    }
    std::fs::remove_file(filler).unwrap();
    while !notices.have("the journal is written again") {
        calls += target.run("pay").functions["pay"].calls;
        notices.next().await;
    }
    end(&mut agent, &session_id).await;
    let mut stored = Stored::of(&session_id, first.epoch);
    stored.read_to_end(&mut agent).await;
    assert!(stored.left_out() > 0);
    let recorded = stored.calls();
    assert_eq!(recorded.len() as u64 + stored.left_out(), calls);
    assert_eq!(
        recorded.iter().collect::<HashSet<_>>().len(),
        recorded.len()
    );
    assert_eq!(stored.session().functions[0].calls, calls);
}

/// A file system of some KiB; dropping it unmounts it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "none"]);
        assert!(mount.arg(&at).status().unwrap().success());
        Self(at)
    }

    /// Leaves no page free; the file that has them.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The agent may still have files there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The notices of a session.
struct Notices {
    updates: Streaming<wire::SessionUpdate>,
    texts: Vec<String>,
}

impl Notices {
    async fn of(agent: &mut AgentClient<Channel>, session_id: &str) -> Self {
        let watch = wire::WatchSessionRequest {
            session_id: session_id.to_owned(),
            interval: None,
        };
        Self {
            updates: agent.watch_session(watch).await.unwrap().into_inner(),
            texts: Vec::new(),
        }
    }

    /// Takes what comes next of the session.
    async fn next(&mut self) {
        let update = timeout(DEADLINE, self.updates.message()).await;
        let update = update.expect("an update comes").unwrap().unwrap();
        self.texts
            .extend(update.notices.into_iter().map(|it| it.text));
    }

    fn have(&self, text: &str) -> bool {
        self.texts.iter().any(|notice| notice.starts_with(text))
    }
}

/// A session goes on where its journal cannot be kept, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_without_a_place_for_its_journal() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    std::fs::write(colony.spool.path().join("spool"), "no folder").unwrap();
    let earlier = colony.agent();
    let (before, _) = colony.link().await;
    drop(earlier);
    let _daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (greeting, mut agent) = colony.link().await;
    // The start is another one all the same.
    assert!(greeting.epoch > before.epoch);
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    end(&mut agent, &session_id).await;
    let watch = wire::WatchSessionRequest {
        session_id,
        interval: None,
    };
    let mut updates = agent.watch_session(watch).await.unwrap().into_inner();
    let (mut assembled, mut session) = (Assembled::new(), None);
    while let Some(update) = updates.message().await.unwrap() {
        session = assembled.apply(update).unwrap().or(session);
    }
    let session = session.unwrap();
    assert_eq!(session.functions[0].calls, calls);
    let notices: Vec<_> = session.notices.iter().map(|it| &it.text).collect();
    assert!(
        notices
            .iter()
            .any(|text| text.starts_with("there is no journal")),
        "{notices:?}"
    );
}

async fn start(agent: &mut AgentClient<Channel>, target: &Target) -> String {
    let started = agent.start_session(journalled(target, "of colony")).await;
    started.unwrap().into_inner().session_id
}

async fn end(agent: &mut AgentClient<Channel>, session_id: &str) {
    let request = wire::EndSessionsRequest {
        session_id: session_id.to_owned(),
        ..wire::EndSessionsRequest::default()
    };
    agent.end_sessions(request).await.unwrap();
}

/// What is stored of a journal.
#[derive(Default)]
struct Stored {
    session_id: String,
    epoch: u64,
    entries: Vec<wire::JournalEntry>,
}

impl Stored {
    fn of(session_id: &str, epoch: u64) -> Self {
        Self {
            session_id: session_id.to_owned(),
            epoch,
            entries: Vec::new(),
        }
    }

    fn last_sequence(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.sequence)
    }

    /// How many calls entries say that were left out.
    fn left_out(&self) -> u64 {
        let gaps = self.entries.iter().filter_map(|entry| entry.gap.as_ref());
        gaps.map(|gap| gap.calls).sum()
    }

    /// Reads on until that holds, or the last entry has come.
    async fn read(&mut self, agent: &mut AgentClient<Channel>, is_enough: impl Fn(&Self) -> bool) {
        let request = wire::ReadJournalRequest {
            session_id: self.session_id.clone(),
            epoch: self.epoch,
            after_sequence: self.last_sequence(),
        };
        let mut entries = agent.read_journal(request).await.unwrap().into_inner();
        while !is_enough(self) {
            let next = timeout(DEADLINE, entries.message()).await;
            let Some(entry) = next.expect("an entry comes").unwrap() else {
                break;
            };
            assert_eq!(entry.sequence, self.last_sequence() + 1);
            self.entries.push(entry);
        }
    }

    async fn read_to_end(&mut self, agent: &mut AgentClient<Channel>) {
        self.read(agent, |_| false).await;
        assert!(self.entries.last().unwrap().is_last);
    }

    /// When and how long each recorded call was.
    fn calls(&self) -> Vec<(String, u32, u64)> {
        let calls = self.entries.iter().flat_map(|entry| &entry.calls);
        calls
            .map(|call| {
                assert_eq!(call.function, "pay");
                let record = call.record.as_ref().unwrap();
                let started_at = format!("{:?}", record.started_at.unwrap());
                (started_at, record.tid, record.duration_ns)
            })
            .collect()
    }

    /// The session as it was at last.
    fn session(&self) -> Arc<Snapshot> {
        let mut session = Assembled::new();
        let updates = self.entries.iter().filter_map(|it| it.checkpoint.clone());
        let snapshots = updates.filter_map(|update| session.apply(update).unwrap());
        snapshots.last().unwrap()
    }
}
