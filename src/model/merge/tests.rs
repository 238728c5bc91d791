use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    Accounting, CallNode, CallTree, FunctionStats, FunctionTableBuilder, Language, Module,
    NewFunction, ReplicaState, SessionId, SessionSettings, SessionState, SymbolSource, Target,
};

fn target(pid: u32) -> Target {
    Target {
        service: "shop".into(),
        pid,
        exe: "/srv/shop".into(),
        build_id: None,
        language: Language::Go,
        start_ticks: 1,
        agent_id: format!("node-{pid}"),
    }
}

fn session() -> SessionInfo {
    SessionInfo {
        id: SessionId("dbg-1".into()),
        target: target(0),
        other_pids: Vec::new(),
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: None,
        requested_by: "ann".into(),
        elapsed: Duration::from_secs(1),
        remaining: Duration::from_secs(9),
        state: SessionState::Active,
        probes: 2,
        settings: SessionSettings::default(),
    }
}

/// A replica whose functions have been called with these durations.
fn part(pid: u32, functions: &[(u32, &str, &[u64])]) -> ReplicaPart {
    let stats = |&(id, name, durations): &(u32, &str, &[u64])| {
        let mut stats = FunctionStats::new(FunctionId(id), name);
        for &ns in durations {
            stats.latency.record(ns);
        }
        stats.calls = durations.len() as u64;
        stats.returns = stats.calls;
        stats.errors = Some(1);
        Arc::new(stats)
    };
    let node = |&(id, _, durations): &(u32, &str, &[u64])| CallNode {
        parent: None,
        function: FunctionId(id),
        depth: 0,
        calls: durations.len() as u64,
        returns: durations.len() as u64,
        unwound: 0,
        errors: 0,
        total_ns: durations.iter().sum(),
        self_ns: durations.iter().sum(),
        max_ns: durations.iter().copied().max().unwrap_or_default(),
        probes_ns: 0,
        latency: None,
    };
    let hits: usize = functions.iter().map(|it| it.2.len() * 2).sum();
    let snapshot = Snapshot {
        session: session(),
        functions: functions.iter().map(stats).collect(),
        call_tree: Arc::new(CallTree {
            nodes: functions.iter().map(node).collect(),
            lost_calls: 1,
        }),
        slow_calls: functions
            .iter()
            .flat_map(|&(id, _, ns)| ns.iter().map(move |&ns| (id, ns)))
            .map(|(id, ns)| CallRecord::new(FunctionId(id), Timestamp::UNIX_EPOCH, ns))
            .collect(),
        in_flight: Vec::new(),
        notices: Vec::new(),
        accounting: Accounting {
            hits: hits as u64,
            aggregated: hits as u64,
            ..Accounting::default()
        },
        overhead: Overhead::default(),
        replicas: Vec::new(),
    };
    ReplicaPart {
        replica: Replica::new(target(pid), ReplicaState::Measuring),
        snapshot: Some(Arc::new(snapshot)),
    }
}

/// Functions of one name are one: in these tests names end in the number of the union.
fn by_name(_: usize, _: FunctionId, name: &str, _: usize) -> FunctionId {
    FunctionId(name[1..].parse().unwrap())
}

fn merge(merger: &mut Merger, parts: &[ReplicaPart]) -> Snapshot {
    merger.merge(session(), Vec::new(), parts, by_name)
}

#[test]
fn functions_of_one_name_are_added_whatever_their_numbers() {
    let parts = [
        part(1, &[(7, "f1", &[10, 20]), (8, "f2", &[5])]),
        part(2, &[(1, "f2", &[50, 60]), (2, "f3", &[1])]),
    ];
    let merged = merge(&mut Merger::new(), &parts);
    let calls: Vec<_> = merged
        .functions
        .iter()
        .map(|it| (it.id.0, &*it.name, it.calls, it.latency.max_ns, it.errors))
        .collect();
    assert_eq!(
        calls,
        [
            (1, "f1", 2, 20, Some(1)),
            (2, "f2", 3, 60, Some(2)),
            (3, "f3", 1, 1, Some(1)),
        ]
    );
    assert_eq!(merged.accounting.hits, 12);
    assert_eq!(merged.call_tree.lost_calls, 2);
    let slowest = &merged.slow_calls[0];
    assert_eq!((slowest.function.0, slowest.replica), (2, Some(1)));
    let of = |replica: usize, place| {
        let stats = merged.replicas[replica].function(place);
        stats.map(|stats| (stats.id.0, stats.calls))
    };
    assert_eq!(of(0, 0), Some((1, 2)));
    assert_eq!(of(1, 0), None);
    assert_eq!((of(0, 1), of(1, 1)), (Some((2, 1)), Some((2, 2))));
}

#[test]
fn what_has_not_changed_is_shared_with_the_snapshot_before() {
    let mut merger = Merger::new();
    let mut parts = vec![part(1, &[(1, "f1", &[10])]), part(2, &[(1, "f2", &[10])])];
    let first = merge(&mut merger, &parts);
    parts[1] = part(2, &[(1, "f2", &[10, 11])]);
    let second = merge(&mut merger, &parts);
    assert!(Arc::ptr_eq(&first.functions[0], &second.functions[0]));
    assert!(Arc::ptr_eq(&first.replicas[0], &second.replicas[0]));
    assert_eq!(second.functions[1].calls, 2);
    let third = merge(&mut merger, &parts);
    assert_eq!(second, third);
    assert!(Arc::ptr_eq(&second.call_tree, &third.call_tree));
}

#[test]
fn a_replica_that_comes_later_moves_nothing() {
    let mut merger = Merger::new();
    let mut parts = vec![part(1, &[(1, "f1", &[10]), (2, "f2", &[10])])];
    merge(&mut merger, &parts);
    parts.push(part(2, &[(4, "f4", &[3]), (3, "f1", &[2])]));
    let merged = merge(&mut merger, &parts);
    let names: Vec<_> = merged.functions.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["f1", "f2", "f4"]);
    assert_eq!(merged.call_tree.nodes.len(), 3);
    assert_eq!(merged.call_tree.nodes[0].calls, 2);
}

fn table(names: &[&str]) -> crate::FunctionTable {
    let mut builder = FunctionTableBuilder::new();
    let module = builder.add_module(Module {
        path: "/srv/shop".into(),
        build_id: None,
        language: Language::Go,
    });
    for name in names {
        builder.push(&NewFunction {
            name,
            package: 0..0,
            file: None,
            line: None,
            address: 0,
            size: 1,
            language: Language::Go,
            source: SymbolSource::Symtab,
            module,
            plan: None,
        });
    }
    builder.build()
}

#[test]
fn a_union_numbers_the_functions_of_all_builds() {
    let mut union = FunctionUnion::new();
    let first = union
        .add(Some("a".into()), &table(&["x", "y", "x"]))
        .unwrap();
    let second = union
        .add(Some("b".into()), &table(&["y", "z", "x"]))
        .unwrap();
    let names: Vec<_> = union.table().iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(names, ["x", "y", "x", "z"]);
    assert_eq!(union.in_union(second, FunctionId(2)), Some(FunctionId(0)));
    assert_eq!(union.in_build(second, FunctionId(2)), None);
    assert_eq!(union.in_build(first, FunctionId(3)), None);
    assert_eq!(union.builds_with(FunctionId(1)), None);
    assert_eq!(union.builds_with(FunctionId(3)), Some(vec![second]));
    assert_eq!(union.build("b"), Some(second));
    assert_eq!(union.name_of(FunctionId(2)), Some(("x", 1)));
    for id in (0..4).map(FunctionId) {
        let (name, nth) = union.name_of(id).unwrap();
        assert_eq!(union.find(name, nth), Some(id));
    }
    assert_eq!(union.name_of(FunctionId(4)), None);
    assert_eq!(union.find("x", 2), None);
}

#[test]
fn functions_of_one_name_in_one_replica_stay_apart() {
    let parts = [
        part(1, &[(3, "f1", &[10]), (5, "f1", &[20, 30])]),
        part(2, &[(1, "f1", &[40]), (2, "f1", &[50])]),
    ];
    let union = std::cell::RefCell::new(FunctionUnion::new());
    let of_name =
        |_: usize, _: FunctionId, name: &str, nth| union.borrow_mut().of_name(name, nth).unwrap();
    let merged = Merger::new().merge(session(), Vec::new(), &parts, of_name);
    let calls: Vec<_> = merged
        .functions
        .iter()
        .map(|it| (it.id.0, it.calls))
        .collect();
    assert_eq!(calls, [(0, 2), (1, 3)]);
}

proptest! {
    /// The same durations in one histogram, and spread over replicas and added up.
    #[test]
    fn nothing_is_lost_or_invented(
        replicas in prop::collection::vec(
            prop::collection::vec((0u32..4, prop::collection::vec(0u64..1 << 40, 0..9)), 0..4),
            1..5,
        ),
    ) {
        let mut truth = std::collections::BTreeMap::<u32, crate::Histogram>::new();
        let mut parts = Vec::new();
        for (pid, functions) in (1u32..).zip(&replicas) {
            let mut distinct: Vec<(u32, String, Vec<u64>)> = Vec::new();
            for (id, durations) in functions {
                if distinct.iter().all(|it| it.0 != *id) {
                    distinct.push((*id, format!("f{id}"), durations.clone()));
                    let truth = truth.entry(*id).or_default();
                    durations.iter().for_each(|&ns| truth.record(ns));
                }
            }
            let functions: Vec<_> = distinct.iter().map(|it| (it.0, &*it.1, &*it.2)).collect();
            parts.push(part(pid, &functions));
        }
        let merged = merge(&mut Merger::new(), &parts);
        let sums: std::collections::BTreeMap<u32, crate::Histogram> = merged
            .functions
            .iter()
            .map(|it| (it.id.0, it.latency.clone()))
            .collect();
        prop_assert_eq!(sums, truth);
        prop_assert!(merged.accounting.is_balanced());
    }
}
