//! Whatever comes from the other side is refused, or becomes numbers that one can reckon with.

use std::sync::Arc;

use coral_model::{Diagnostic, Snapshot};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::{Assembled, SessionUpdates};
use proptest::prelude::*;
use prost::Message;

use crate::tape::Tape;

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(mut update) = wire::SessionUpdate::decode(bytes.as_slice()) {
            let mut assembled = begun();
            let _ = assembled.apply(update.clone()).map(reckon);
            update.sequence = 2;
            let _ = begun().apply(update).map(reckon);
        }
    }

    #[test]
    fn damaged_messages_do_no_harm(
        numbers in prop::collection::vec(any::<u32>(), 0..2_000),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut tape = Tape::new(numbers);
        let mut updates = SessionUpdates::new();
        let mut assembled = Assembled::new();
        let mut last: Option<Snapshot> = None;
        for _ in 0..3 {
            let snapshot = tape.snapshot(last.as_ref());
            for message in updates.next(&Arc::new(snapshot.clone())) {
                let mut bytes = message.encode_to_vec();
                for (place, byte) in &damages {
                    let place = place.index(bytes.len());
                    bytes[place] = *byte;
                }
                if let Ok(update) = wire::SessionUpdate::decode(bytes.as_slice()) {
                    let _ = assembled.apply(update).map(reckon);
                }
            }
            last = Some(snapshot);
        }
    }
}

/// Does what screens do with a snapshot.
fn reckon(snapshot: Option<std::sync::Arc<Snapshot>>) {
    let Some(snapshot) = snapshot else { return };
    for function in &snapshot.functions {
        function.latency.percentiles();
        function.corrected_mean_ns();
        let rates = &function.recent_calls_per_s;
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
    }
    let tree = snapshot.call_tree.folded();
    assert!(tree.preorder().len() <= snapshot.call_tree.nodes.len());
    assert_eq!(
        snapshot.call_tree.preorder().len(),
        snapshot.call_tree.nodes.len()
    );
    snapshot.accounting.is_balanced();
}

/// A session whose first update has come, with one function and one node.
fn begun() -> Assembled {
    let mut assembled = Assembled::new();
    assembled.apply(whole()).unwrap().unwrap();
    assembled
}

fn whole() -> wire::SessionUpdate {
    let mut updates = SessionUpdates::new();
    let mut whole = updates
        .next(&Arc::new(Tape::new(Vec::new()).snapshot(None)))
        .remove(0);
    whole.functions.push(function(0));
    whole.nodes.push(node(0, None, 0));
    whole
}

fn function(place: u32) -> wire::FunctionStats {
    wire::FunctionStats {
        place,
        exit_probe: wire::ExitProbe::None.into(),
        ..Default::default()
    }
}

fn node(id: u32, parent: Option<u32>, depth: u32) -> wire::CallNode {
    wire::CallNode {
        id,
        parent,
        depth,
        ..Default::default()
    }
}

fn histogram(index: &[u32], count: &[u64]) -> Option<wire::Histogram> {
    Some(wire::Histogram {
        index: index.to_vec(),
        count: count.to_vec(),
        ..Default::default()
    })
}

/// Applies the second update of a session and says how that ended.
fn check(change: impl FnOnce(&mut wire::SessionUpdate), code: Option<&str>) {
    let mut update = wire::SessionUpdate {
        sequence: 2,
        ..Default::default()
    };
    change(&mut update);
    let described = format!("{update:?}");
    let mut assembled = begun();
    let result = assembled.apply(update);
    let error = result.as_ref().err();
    assert_eq!(error.map(Diagnostic::code), code, "{described}: {error:?}");
    if code.is_some() {
        let next = wire::SessionUpdate {
            sequence: 3,
            ..Default::default()
        };
        let error = assembled.apply(next).unwrap_err();
        assert_eq!(error.code(), "wire-not-whole", "{described}");
        assert!(assembled.apply(whole()).unwrap().is_some(), "{described}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_the_stream_begins_anew() {
    check(|_| {}, None);
    check(|it| it.sequence = 3, Some("wire-gap"));
    check(|it| it.sequence = 1, Some("wire-gap"));
    check(|it| it.is_whole = true, Some("wire-missing-field"));
    check(
        |it| it.session = Some(Default::default()),
        Some("wire-missing-field"),
    );
    check_functions();
    check_nodes();
    check_calls();
    let accounting = wire::Accounting {
        aggregated: u64::MAX,
        sampled_out: 1,
        ..Default::default()
    };
    check(|it| it.accounting = Some(accounting), Some("wire-overflow"));
    let at = Some(prost_types::Duration {
        seconds: -1,
        nanos: 0,
    });
    let notice = wire::SessionNotice {
        at,
        ..Default::default()
    };
    check(|it| it.notices.push(notice), Some("wire-out-of-range"));
}

fn check_functions() {
    let changed = |change: fn(&mut wire::FunctionStats), code| {
        let mut changed = function(0);
        change(&mut changed);
        check(|it| it.functions.push(changed), code);
    };
    changed(|_| {}, None);
    changed(|it| it.place = 1, None);
    changed(|it| it.place = 2, Some("wire-no-such-place"));
    changed(|it| it.place = u32::MAX, Some("wire-no-such-place"));
    changed(
        |it| (it.place, it.is_known) = (1, true),
        Some("wire-missing-field"),
    );
    changed(|it| it.exit_probe = 77, Some("wire-missing-field"));
    changed(|it| it.recent_kept = 1, Some("wire-no-such-place"));
    changed(|it| it.calls_per_s = f64::NAN, None);
    changed(
        |it| it.latency = histogram(&[3], &[]),
        Some("wire-missing-field"),
    );
    changed(
        |it| it.latency = histogram(&[3, 3], &[1, 1]),
        Some("wire-out-of-range"),
    );
    changed(
        |it| it.latency = histogram(&[4, 3], &[1, 1]),
        Some("wire-out-of-range"),
    );
    changed(
        |it| it.latency = histogram(&[u32::MAX], &[1]),
        Some("wire-out-of-range"),
    );
    changed(
        |it| it.latency = histogram(&[1, 2], &[u64::MAX, 1]),
        Some("wire-overflow"),
    );
    let [mut one, mut other] = [function(0), function(1)];
    (one.calls, other.calls) = (u64::MAX, 1);
    check(
        |it| it.functions.extend([one, other]),
        Some("wire-overflow"),
    );
}

fn check_nodes() {
    let nodes = |nodes: &[wire::CallNode], code| {
        check(|it| it.nodes.extend_from_slice(nodes), code);
    };
    nodes(&[node(1, Some(0), 1), node(2, Some(1), 2)], None);
    nodes(
        &[node(1, Some(2), 1), node(2, None, 0)],
        Some("wire-broken-tree"),
    );
    nodes(&[node(1, Some(1), 1)], Some("wire-broken-tree"));
    nodes(&[node(1, Some(0), 2)], Some("wire-broken-tree"));
    nodes(&[node(1, None, 1)], Some("wire-broken-tree"));
    nodes(&[node(0, Some(0), 1)], Some("wire-broken-tree"));
    nodes(&[node(2, Some(0), 1)], Some("wire-no-such-place"));
    nodes(&[node(u32::MAX, None, 0)], Some("wire-no-such-place"));
    let [mut one, mut other] = [node(0, None, 0), node(1, None, 0)];
    (one.self_ns, other.self_ns) = (u64::MAX, 1);
    nodes(&[one, other], Some("wire-overflow"));
}

fn check_calls() {
    let calls = |change: fn(&mut wire::CallRecord), code| {
        let mut call = wire::CallRecord {
            started_at: Some(Default::default()),
            ..Default::default()
        };
        change(&mut call);
        let calls = vec![call];
        check(|it| it.slow_calls = Some(wire::SlowCalls { calls }), code);
    };
    let inner = |depths: &[u32]| {
        let call = |&depth| wire::InnerCall {
            depth,
            ..Default::default()
        };
        Some(wire::InnerCalls {
            calls: depths.iter().map(call).collect(),
            ..Default::default()
        })
    };
    calls(|_| {}, None);
    calls(|it| it.started_at = None, Some("wire-missing-field"));
    calls(|it| it.duration_ns = u64::MAX, None);
    calls(
        |it| {
            let seconds = 253_402_200_000;
            it.started_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
            it.duration_ns = u64::MAX;
        },
        Some("wire-overflow"),
    );
    for (depths, code) in [
        (&[1, 2, 3, 1][..], None),
        (&[0], Some("wire-out-of-range")),
        (&[2], Some("wire-out-of-range")),
        (&[1, 3], Some("wire-out-of-range")),
    ] {
        let call = wire::CallRecord {
            started_at: Some(Default::default()),
            inner: inner(depths),
            ..Default::default()
        };
        let calls = vec![call];
        check(|it| it.slow_calls = Some(wire::SlowCalls { calls }), code);
    }
}
