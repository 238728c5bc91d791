//! The processes of a session that measures several, each with its own numbers.

use std::sync::Arc;

use coral_model::{Replica, ReplicaState, SessionId, SessionState, Snapshot};

use super::ConvertError;
use super::number::{duration_from_wire, duration_to_wire, figure};
use super::packer::Packer;
use super::stats;
use super::text::text;
use crate::agent::v1 as wire;

/// Adds the replicas that have changed, and those of their functions that have.
pub(super) fn add(packer: &mut Packer, now: &Snapshot, last: Option<&Snapshot>) {
    let last = last.map_or(&[][..], |last| &last.replicas);
    for (place, replica) in (0u32..).zip(&now.replicas) {
        let last = last.get(place as usize);
        if last.is_some_and(|last| Arc::ptr_eq(last, replica)) {
            continue;
        }
        let head = head(place, replica);
        if last.is_none_or(|last| self::head(place, last) != head) {
            packer.add(head, |update, head| update.replicas.push(head));
        }
        for (function, stats) in (0u32..).zip(&replica.functions) {
            let Some(stats) = stats else { continue };
            let last = last.and_then(|last| last.function(function as usize));
            if last.is_some_and(|last| Arc::ptr_eq(last, stats) || last == stats) {
                continue;
            }
            let stats = stats::to_wire(function, stats, last.map(Arc::as_ref));
            let changed = wire::ReplicaFunction {
                replica: place,
                stats: Some(stats),
            };
            packer.add(changed, |update, it| update.replica_functions.push(it));
        }
    }
}

/// Whether one list of replicas follows from the one before: none is gone, or is another one.
pub(super) fn follows(now: &[Arc<Replica>], last: &[Arc<Replica>]) -> bool {
    let is_same = |(now, last): (&Arc<Replica>, &Arc<Replica>)| {
        let is_kept = |(now, last): (&Option<_>, &Option<_>)| now.is_some() || last.is_none();
        Arc::ptr_eq(now, last)
            || now.target == last.target
                && now.functions.len() >= last.functions.len()
                && now.functions.iter().zip(&last.functions).all(is_kept)
    };
    now.len() >= last.len() && now.iter().zip(last).all(is_same)
}

fn head(place: u32, replica: &Replica) -> wire::Replica {
    let (status, ended) = match replica.state {
        ReplicaState::Measuring => (wire::ReplicaStatus::Measuring, None),
        ReplicaState::Silent => (wire::ReplicaStatus::Silent, None),
        ReplicaState::Refused => (wire::ReplicaStatus::Refused, None),
        ReplicaState::Ended(reason) => {
            let ended = wire::SessionStatus::from(SessionState::Ended(reason));
            (wire::ReplicaStatus::Ended, Some(ended))
        }
    };
    let session = replica.session.as_ref();
    wire::Replica {
        place,
        target: Some((&replica.target).into()),
        session_id: session.map(|id| text(&id.0)).unwrap_or_default(),
        status: status.into(),
        ended: ended.unwrap_or_default().into(),
        trouble: replica.trouble.as_deref().map(text).unwrap_or_default(),
        elapsed: Some(duration_to_wire(replica.elapsed)),
        accounting: Some((&replica.accounting).into()),
        cpu_percent: replica.cpu_percent.and_then(figure),
    }
}

/// Puts what is said of a replica where it belongs.
pub(super) fn put(
    replicas: &mut Vec<Arc<Replica>>,
    head: wire::Replica,
) -> Result<(), ConvertError> {
    let place = head.place as usize;
    let len = replicas.len();
    let before = match replicas.get(place) {
        Some(before) => before.functions.clone(),
        None if place == len => Vec::new(),
        None => {
            let field = "replicas";
            let place = place as u64;
            return Err(ConvertError::Place { field, place, len });
        }
    };
    let replica = Arc::new(Replica {
        functions: before,
        ..from_wire(head)?
    });
    match replicas.get_mut(place) {
        Some(before) => *before = replica,
        None => replicas.push(replica),
    }
    Ok(())
}

/// Puts a replica's numbers of a function where they belong; the session has so many functions.
pub(super) fn put_function(
    replicas: &mut [Arc<Replica>],
    changed: wire::ReplicaFunction,
    functions_len: usize,
) -> Result<(), ConvertError> {
    let len = replicas.len();
    let outside = |field, place: u32, len| ConvertError::Place {
        field,
        place: place.into(),
        len,
    };
    let replica = replicas.get_mut(changed.replica as usize).ok_or(outside(
        "replica_functions",
        changed.replica,
        len,
    ))?;
    let field = "replica_functions.stats";
    let stats = changed.stats.ok_or(ConvertError::Missing { field })?;
    let place = stats.place as usize;
    if place >= functions_len {
        return Err(outside(field, stats.place, functions_len));
    }
    let last = replica.function(place).map(Arc::clone);
    let stats = stats::from_wire(stats, last.as_deref())?;
    let functions = &mut Arc::make_mut(replica).functions;
    if functions.len() <= place {
        functions.resize(place + 1, None);
    }
    functions[place] = Some(Arc::new(stats));
    Ok(())
}

fn from_wire(head: wire::Replica) -> Result<Replica, ConvertError> {
    let missing = |field| ConvertError::Missing { field };
    let elapsed = head.elapsed.ok_or(missing("replicas.elapsed"))?;
    let state = match head.status() {
        wire::ReplicaStatus::Measuring => ReplicaState::Measuring,
        wire::ReplicaStatus::Silent => ReplicaState::Silent,
        wire::ReplicaStatus::Refused => ReplicaState::Refused,
        wire::ReplicaStatus::Ended => match head.ended().try_into()? {
            SessionState::Ended(reason) => ReplicaState::Ended(reason),
            SessionState::Active => return Err(missing("replicas.ended")),
        },
        wire::ReplicaStatus::Unspecified => return Err(missing("replicas.status")),
    };
    let target = head.target.ok_or(missing("replicas.target"))?;
    let said = |text: String| (!text.is_empty()).then_some(text);
    Ok(Replica {
        session: said(head.session_id).map(SessionId),
        trouble: said(head.trouble),
        elapsed: duration_from_wire(&elapsed, "replicas.elapsed")?,
        accounting: head.accounting.unwrap_or_default().try_into()?,
        cpu_percent: head.cpu_percent.and_then(figure),
        ..Replica::new(target.into(), state)
    })
}
