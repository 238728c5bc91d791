//! The agents of a world, and the colony's way to know them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use coral_model::SessionId;
use jiff::Timestamp;
use tempfile::TempDir;

use super::faults::COLONY;
use super::story::Story;
use crate::access::{Endpoint, Role, Services, Settings, Sha256, TokenGrant};
use crate::colony::simulated::Disk;
use crate::node::simulated::{Key, Simulated};
use crate::store::JournalKey;

pub(super) const PORT: u16 = 9000;

/// In memory if there is a file system for that: each seed waits for the disk some hundred times.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

pub(super) fn agent(
    name: String,
    spool: (PathBuf, u64),
    seed: u64,
    disk: &Arc<Mutex<Disk>>,
    story: &Story,
) -> Arc<Simulated> {
    let colony = format!("http://{COLONY}:{PORT}");
    let say = {
        let (name, story) = (name.clone(), story.clone());
        Arc::new(move |what: &str| story.tell(&name, what))
    };
    let on_acknowledged = {
        let (name, story, disk) = (name.clone(), story.clone(), Arc::clone(disk));
        move |key: &Key, sequence: u64| {
            let disk = disk.lock().unwrap();
            let stored = disk.journals.get(&journal(&name, key));
            if stored.is_none_or(|stored| stored.mark.last_sequence < sequence) {
                story.wrong(&format!(
                    "{name} {key:?}: {sequence} is acknowledged, and not stored"
                ));
            }
        }
    };
    let colony: Endpoint = colony.parse().unwrap();
    let token = format!("token of {name}");
    Arc::new(Simulated::new(
        (name, token),
        colony,
        spool,
        seed,
        (say, Box::new(on_acknowledged)),
    ))
}

/// Who may come to the colony.
pub(super) fn settings(agents: &[Arc<Simulated>]) -> Settings {
    let grants = agents.iter().map(|agent| TokenGrant {
        name: agent.name.clone(),
        sha256: Sha256::of(agent.token.as_bytes()),
        roles: [Role::Agent].into(),
        services: Services::all(),
        expires_at: Timestamp::MAX,
    });
    Settings {
        tokens: grants.collect(),
        ..Settings::default()
    }
}

pub(super) fn journal(agent: &str, (epoch, session): &Key) -> JournalKey {
    JournalKey {
        session: SessionId("cs-1".into()),
        agent_id: agent.into(),
        epoch: *epoch,
        agent_session: SessionId(session.clone()),
    }
}
