//! What is large: it is split, cut or refused, and never more than a message may hold.

use std::sync::Arc;

use coral_model::{
    CallNode, CallRecord, CallTree, Diagnostic, FunctionId, FunctionStats, Snapshot, StackFrame,
};
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use coral_proto::convert::{Assembled, SessionUpdates, TEXT_BYTES_MAX, TRUNCATED};
use prost::Message;

use crate::round_trip::apply_all;
use crate::tape::Tape;

fn empty() -> Snapshot {
    Tape::new(Vec::new()).snapshot(None)
}

fn function(place: u32, name: String) -> FunctionStats {
    let mut function = FunctionStats::new(FunctionId(place), name);
    function.file = Some("/src/checkout/handler.go".to_owned());
    function.recent_calls_per_s = vec![0.0; 60];
    function
}

fn node(id: u32) -> CallNode {
    CallNode {
        parent: id.checked_sub(1).map(|before| before / 3),
        function: FunctionId(id % 100),
        depth: std::iter::successors(id.checked_sub(1), |&before| (before / 3).checked_sub(1))
            .count() as u32,
        calls: 0,
        returns: 0,
        unwound: 0,
        errors: 0,
        total_ns: 0,
        self_ns: 0,
        max_ns: 0,
        probes_ns: 0,
        latency: Some(Arc::default()),
    }
}

/// What a session looks like some time later: every function and every node was called.
fn busier(snapshot: &Snapshot, step: u64) -> Snapshot {
    let mut next = snapshot.clone();
    next.session.elapsed += std::time::Duration::from_millis(200);
    for (place, function) in (0..).zip(&mut next.functions) {
        let function = Arc::make_mut(function);
        for call in 0..20 {
            function
                .latency
                .record(900_000 + place * 1_000 + call * step * 37);
        }
        function.calls += 20;
        function.returns += 20;
        function.self_ns += 20 * 400_000;
        function.calls_per_s = 100.0 + step as f64;
    }
    let tree = Arc::make_mut(&mut next.call_tree);
    for (place, node) in (0..).zip(&mut tree.nodes) {
        let latency = Arc::make_mut(node.latency.get_or_insert_default());
        latency.record(300_000 + place * 100 + step * 37);
        node.calls += 1;
        node.returns += 1;
        node.total_ns = latency.total_ns;
        node.max_ns = latency.max_ns;
        node.self_ns = latency.total_ns / 2;
    }
    next
}

#[test]
fn a_steady_load_costs_few_bytes() {
    let mut snapshot = empty();
    for place in 0..100 {
        let name = format!("github.com/coral-io/checkout/internal/cart.(*Cart).Step{place}");
        snapshot.functions.push(Arc::new(function(place, name)));
    }
    let nodes = (0..2_000).map(node).collect();
    snapshot.call_tree = Arc::new(CallTree {
        nodes,
        lost_calls: 0,
    });
    let mut updates = SessionUpdates::new();
    let mut assembled = Assembled::new();
    let mut bytes = Vec::new();
    for step in 0..20 {
        let messages = updates.next(&Arc::new(snapshot.clone()));
        assert_eq!(messages[0].is_whole, step == 0);
        bytes.push(messages.iter().map(Message::encoded_len).sum::<usize>());
        assert_eq!(apply_all(&mut assembled, messages), snapshot);
        snapshot = busier(&snapshot, step);
    }
    let steady = bytes[10..].iter().sum::<usize>() / bytes[10..].len();
    println!(
        "100 functions, 2,000 nodes, all called: {} B at first, {steady} B an update",
        bytes[0]
    );
    let mut quiet = snapshot.clone();
    updates.next(&Arc::new(snapshot.clone()));
    quiet.session.elapsed += std::time::Duration::from_millis(200);
    let messages = updates.next(&Arc::new(quiet.clone()));
    let quiet = messages.iter().map(Message::encoded_len).sum::<usize>();
    println!("nothing called: {quiet} B an update");
    assert!(steady < 200_000, "{steady}");
    assert!(quiet < 500, "{quiet}");
}

#[test]
fn large_sessions_arrive_in_messages_of_less_than_the_limit() {
    let mut names = empty();
    for place in 0..200 {
        let name = "é".repeat(TEXT_BYTES_MAX / 2);
        names.functions.push(Arc::new(function(place, name)));
    }
    let mut functions = empty();
    for place in 0..4_000 {
        let name = format!("github.com/coral-io/checkout/internal/cart.(*Cart).Step{place}");
        functions.functions.push(Arc::new(function(place, name)));
    }
    let mut tree = empty();
    let nodes = (0..100_000).map(node).collect();
    tree.call_tree = Arc::new(CallTree {
        nodes,
        lost_calls: 7,
    });
    for first in [names, functions, tree] {
        let mut updates = SessionUpdates::new();
        let mut assembled = Assembled::new();
        for snapshot in [first.clone(), busier(&first, 1)] {
            let messages = updates.next(&Arc::new(snapshot.clone()));
            for message in &messages {
                assert!(message.encoded_len() <= SessionUpdates::BYTES_MAX);
            }
            assert_eq!(apply_all(&mut assembled, messages), snapshot);
        }
    }
}

#[test]
fn what_is_larger_than_a_message_is_cut_and_says_so() {
    let huge = "h".repeat(3 << 20);
    let mut snapshot = empty();
    snapshot.session.requested_by.clone_from(&huge);
    snapshot.functions.push(Arc::new(function(0, huge.clone())));
    let frame = StackFrame {
        function: huge.clone(),
        file: Some(huge.clone()),
        line: Some(1),
        inlined: false,
    };
    let call = CallRecord {
        stack: vec![frame; 3],
        ..CallRecord::new(FunctionId(0), jiff::Timestamp::UNIX_EPOCH, 5)
    };
    snapshot.slow_calls = vec![call; 3];
    let messages = SessionUpdates::new().next(&Arc::new(snapshot.clone()));
    for message in &messages {
        assert!(message.encoded_len() <= SessionUpdates::BYTES_MAX);
    }
    let arrived = apply_all(&mut Assembled::new(), messages);
    let cut = format!("{}{TRUNCATED}", &huge[..TEXT_BYTES_MAX]);
    assert_eq!(arrived.session.requested_by, cut);
    assert_eq!(arrived.functions[0].name, cut);
    assert_eq!(arrived.slow_calls.len(), 3);
    assert_eq!(arrived.slow_calls[0].stack.len(), 3);
    assert!(arrived.slow_calls[0].stack[0].function.ends_with(TRUNCATED));
}

/// A stream without an end, of functions with names as long as a message allows.
#[test]
fn a_session_without_an_end_is_refused() {
    let mut assembled = Assembled::with_bytes_max(16 << 20);
    assembled
        .apply(SessionUpdates::new().next(&Arc::new(empty())).remove(0))
        .unwrap();
    let name = "n".repeat(MESSAGE_BYTES_MAX);
    let mut place = 0;
    let error = loop {
        let function = wire::FunctionStats {
            place,
            name: name.clone(),
            exit_probe: wire::ExitProbe::None.into(),
            ..Default::default()
        };
        place += 1;
        let update = wire::SessionUpdate {
            sequence: 1 + u64::from(place),
            continues: true,
            functions: vec![function],
            ..Default::default()
        };
        match assembled.apply(update) {
            Ok(snapshot) => assert_eq!(snapshot, None),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), "wire-too-large");
    assert_eq!(
        place, 16,
        "the 16th no longer fits beside what functions need"
    );
}

/// Many replicas, of each of which one number is known: that of the last function.
#[test]
fn places_for_what_is_not_known_count() {
    const FUNCTIONS: u32 = 10_000;
    let mut assembled = Assembled::with_bytes_max(16 << 20);
    let mut snapshot = empty();
    for place in 0..FUNCTIONS {
        let function = FunctionStats::new(FunctionId(place), format!("main.f{place}"));
        snapshot.functions.push(Arc::new(function));
    }
    let mut sequence = 0;
    for update in SessionUpdates::new().next(&Arc::new(snapshot)) {
        sequence = update.sequence;
        assembled.apply(update).unwrap();
    }
    let refused = (0..200).find_map(|replica| {
        let head = wire::Replica {
            place: replica,
            target: Some(wire::Target::default()),
            status: wire::ReplicaStatus::Measuring.into(),
            elapsed: Some(Default::default()),
            ..Default::default()
        };
        let stats = wire::FunctionStats {
            place: FUNCTIONS - 1,
            name: "main.last".into(),
            exit_probe: wire::ExitProbe::None.into(),
            ..Default::default()
        };
        sequence += 1;
        let update = wire::SessionUpdate {
            sequence,
            replicas: vec![head],
            replica_functions: vec![wire::ReplicaFunction {
                replica,
                stats: Some(stats),
            }],
            ..Default::default()
        };
        assembled.apply(update).err()
    });
    assert_eq!(refused.unwrap().code(), "wire-too-large");
}
