//! What must hold at the end.

use std::collections::BTreeSet;

use crate::colony::simulated::Stored;
use crate::node::simulated::Recorded;

/// What makes sure how much of a journal may be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// There was always room.
    pub(super) is_roomy: bool,
    /// Its agent has not started again since.
    pub(super) is_latest: bool,
}

/// What is stored of a session has to be what it has recorded, or to be named.
pub(super) fn check(
    recorded: &Recorded,
    stored: Option<&Stored>,
    known: Known,
) -> Result<(), &'static str> {
    let Some(stored) = stored else {
        let is_nothing = recorded.calls.is_empty() && recorded.elapsed_ms.is_none();
        return if is_nothing || recorded.is_lost {
            Ok(())
        } else {
            Err("nothing is stored")
        };
    };
    let names: BTreeSet<u64> = recorded.calls.iter().copied().collect();
    if !stored.calls.is_sorted_by(|one, next| one < next) {
        return Err("calls are stored twice, or in another order");
    }
    if !stored.calls.iter().all(|name| names.contains(name)) {
        return Err("calls are stored that nobody has recorded");
    }
    if stored.unnamed > 0 {
        return Err("entries are missing that no gap names");
    }
    let missing = recorded.calls.len() as u64 + recorded.left_out - stored.calls.len() as u64;
    let most = stored.named + stored.named_at_most + recorded.lost + recorded.torn;
    if missing < stored.named || missing > most {
        return Err("calls are missing that no gap names, or the other way round");
    }
    if known.is_latest && !stored.is_read_again && missing != stored.named {
        return Err("more calls are named than are missing");
    }
    if known.is_roomy && recorded.torn == 0 && stored.calls != recorded.calls {
        return Err("calls were forgotten before they were stored");
    }
    if recorded.is_lost {
        return Ok(());
    }
    if !stored.mark.is_complete {
        return Err("its end is not stored");
    }
    let stored_ms = stored.elapsed.map(|it| it.as_millis());
    let recorded_ms = recorded.elapsed_ms.map(u128::from);
    // Without room, nothing may be left of a journal but that it has ended.
    if stored_ms > recorded_ms || (known.is_roomy && stored_ms < recorded_ms) {
        return Err("another checkpoint is stored last");
    }
    Ok(())
}
