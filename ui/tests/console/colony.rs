//! What a colony adds: one service as several replicas.

use std::sync::Arc;
use std::time::Duration;

use coral_model::merge::{Merger, ReplicaPart};
use coral_model::{EndReason, InFlightCall, Replica, ReplicaState, Snapshot, Target};

use crate::fixture::{self, CHECKOUT};

/// A process of the service on one of the nodes.
fn replica(agent: &str, pid: u32, build: &str, state: ReplicaState) -> Replica {
    let target = Target {
        agent_id: agent.into(),
        pid,
        build_id: Some(build.into()),
        ..fixture::target()
    };
    Replica::new(target, state)
}

/// What a replica measured whose checkouts take so many times the usual.
fn part(replica: Replica, times: u64) -> ReplicaPart {
    let mut checkout = fixture::stats(
        CHECKOUT,
        "main.handleCheckout",
        &[(180_000 * times, 400, 14), (4_200_000 * times, 60, 20)],
    );
    checkout.errors = Some(times - 1);
    let mut snapshot = fixture::snapshot();
    snapshot.functions[0] = Arc::new(checkout);
    snapshot.slow_calls.truncate(2);
    for call in &mut snapshot.slow_calls {
        call.duration_ns *= times;
        call.pid = replica.target.pid;
    }
    snapshot.in_flight = vec![InFlightCall {
        function: CHECKOUT,
        age_ns: 90_000_000 * times,
        pid: replica.target.pid,
        tid: Some(7),
        goroutine: Some(18),
        callers: Vec::new(),
        is_innermost: true,
        stack: Vec::new(),
        replica: None,
    }];
    ReplicaPart {
        replica,
        snapshot: Some(Arc::new(snapshot)),
    }
}

/// Three replicas on two nodes, of which the last one runs another build and is slow.
pub(crate) fn parts() -> Vec<ReplicaPart> {
    let live = ReplicaState::Measuring;
    vec![
        part(replica("node-1", 4242, "8d2f11c09a7e", live), 1),
        part(replica("node-1", 4301, "8d2f11c09a7e", live), 1),
        part(replica("node-2", 991, "c40b7a1e55d2", live), 4),
    ]
}

/// What they have measured together.
pub(crate) fn merged(parts: &[ReplicaPart]) -> Snapshot {
    let session = fixture::snapshot().session;
    Merger::new().merge(session, Vec::new(), parts, |_, id, _| id)
}

pub(crate) fn snapshot() -> Snapshot {
    merged(&parts())
}

/// The same with the second replica silent, one refused and one that has ended.
pub(crate) fn troubled() -> Snapshot {
    let mut parts = parts();
    parts[1].replica.state = ReplicaState::Silent;
    parts[1].replica.trouble = Some("its agent is cut off".into());
    let mut refused = replica("node-3", 17, "8d2f11c09a7e", ReplicaState::Refused);
    refused.trouble = Some("node-3 lacks the right for probes (cap-missing)".into());
    let ended = ReplicaState::Ended(EndReason::TargetExited);
    for replica in [refused, replica("node-2", 640, "8d2f11c09a7e", ended)] {
        parts.push(ReplicaPart {
            replica,
            snapshot: None,
        });
    }
    let mut snapshot = merged(&parts);
    snapshot.session.elapsed += Duration::from_secs(12);
    snapshot
}
