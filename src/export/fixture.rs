//! One small target and session with everything in it that is hard to write.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, Bucket, CallNode, CallRecord, CallTree, CallValue, EndReason, ExitProbe,
    FunctionId, FunctionStats, FunctionTable, FunctionTableBuilder, Histogram, InFlightCall,
    InnerCall, InnerCalls, Language, Module, NewFunction, Overhead, ProbeReason, ProbeSummary,
    Probeability, SessionId, SessionInfo, SessionNotice, SessionSettings, SessionState, Snapshot,
    StackFrame, SymbolSource, Target,
};

/// A name that is a formula for a spreadsheet and turns the reading direction on a terminal.
const HOSTILE_NAME: &str = "=cmd()\u{202e}";

pub(super) fn target() -> Target {
    Target {
        agent_id: "local".into(),
        service: "checkout".into(),
        pid: 42,
        exe: "/srv/\u{1b}[2Jcheckout".into(),
        build_id: Some("c0ffee".into()),
        language: Language::Go,
        start_ticks: 7,
    }
}

pub(super) fn snapshot() -> Snapshot {
    let latency = Histogram {
        buckets: vec![
            Bucket {
                index: 57,
                count: 1,
            },
            Bucket {
                index: 79,
                count: 2,
            },
            Bucket {
                index: 89,
                count: 1,
            },
        ],
        total_ns: 1_000,
        min_ns: 100,
        max_ns: 400,
    };
    Snapshot {
        session: session(),
        functions: vec![
            Arc::new(FunctionStats {
                file: Some("main.go".into()),
                line: Some(42),
                exit_probe: ExitProbe::ReturnSites,
                calls: 6,
                returns: 4,
                unwound: 1,
                in_flight: 1,
                errors: Some(2),
                latency,
                self_ns: 400,
                probes_ns: 40,
                cost_percent: Some(0.25),
                ..stats(0, "main.handleCheckout")
            }),
            Arc::new(FunctionStats {
                reason: Some("never returns".into()),
                calls: 3,
                in_flight: 3,
                ..stats(2, HOSTILE_NAME)
            }),
        ],
        slow_calls: vec![
            CallRecord {
                goroutine: Some(824_634_826_752),
                failed: true,
                arguments: vec![CallValue {
                    name: "user".into(),
                    type_name: "string".into(),
                    value: "\"u_1\u{202e}\"".into(),
                }],
                results: vec![CallValue {
                    name: "result".into(),
                    type_name: "error".into(),
                    value: "*errors.errorString(\"no stock\")".into(),
                }],
                stack: vec![frame("main.handleCheckout", "main.go", 44)],
                inner: Some(Arc::new(inner_calls())),
                ..slow_call(0, 400)
            },
            slow_call(9, 200),
        ],
        call_tree: Arc::new(call_tree()),
        in_flight: vec![InFlightCall {
            function: FunctionId(2),
            age_ns: 3_000_000_000,
            pid: 42,
            tid: None,
            goroutine: Some(824_634_826_752),
            callers: vec![FunctionId(0)],
            is_innermost: true,
            stack: vec![frame("runtime.gopark", "proc.go", 9)],
            replica: None,
        }],
        notices: vec![SessionNotice {
            at: std::time::Duration::from_millis(250),
            text: "main.hot was detached: it cost 83.0 % of a core\u{1b}[2J".into(),
        }],
        accounting: Accounting {
            hits: 13,
            aggregated: 9,
            events_stored: 2,
            ring_full: 1,
            unmatched_exits: 1,
            ..Accounting::default()
        },
        overhead: Overhead {
            hits_per_s: 2.6,
            ns_per_hit: Some(1250.5),
            cpu_percent: Some(0.25),
        },
        replicas: Vec::new(),
    }
}

pub(super) fn table() -> FunctionTable {
    let mut builder = FunctionTableBuilder::new();
    let module = builder.add_module(Module {
        path: "/srv/checkout".into(),
        build_id: None,
        language: Language::Go,
    });
    let plain = NewFunction {
        name: "main.handleCheckout",
        package: 0..4,
        file: Some("main.go"),
        line: Some(42),
        address: 4096,
        size: 64,
        language: Language::Go,
        source: SymbolSource::Gopclntab,
        module,
        plan: Some(ProbeSummary {
            probe: Probeability::Full,
            exits: 3,
            reason: None,
        }),
    };
    builder.push(&plain);
    builder.push(&NewFunction {
        name: "main.serve",
        line: Some(90),
        address: 4160,
        size: 32,
        plan: Some(ProbeSummary {
            probe: Probeability::EntryOnly,
            exits: 0,
            reason: Some(ProbeReason::NoExit),
        }),
        ..plain.clone()
    });
    builder.push(&NewFunction {
        name: HOSTILE_NAME,
        package: 0..0,
        file: None,
        line: None,
        address: 8192,
        size: 16,
        language: Language::C,
        source: SymbolSource::Symtab,
        plan: None,
        ..plain
    });
    builder.build()
}

fn session() -> SessionInfo {
    SessionInfo {
        id: SessionId("dbg-01J".into()),
        target: target(),
        other_pids: Vec::new(),
        started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        ended_at: Some("2026-01-02T03:04:10Z".parse().unwrap()),
        requested_by: "root".into(),
        elapsed: Duration::from_secs(5),
        remaining: Duration::ZERO,
        state: SessionState::Ended(EndReason::Expired),
        probes: 5,
        settings: SessionSettings::default(),
    }
}

fn stats(id: u32, name: &str) -> FunctionStats {
    FunctionStats {
        exit_probe: ExitProbe::None,
        attached: true,
        ..FunctionStats::new(FunctionId(id), name)
    }
}

fn slow_call(function: u32, duration_ns: u64) -> CallRecord {
    CallRecord {
        pid: 42,
        tid: 43,
        goroutine: None,
        ..CallRecord::new(
            FunctionId(function),
            "2026-01-02T03:04:06.5Z".parse().unwrap(),
            duration_ns,
        )
    }
}

/// What the slowest call spent its time in: another one of the same function, which called what
/// made no record.
fn inner_calls() -> InnerCalls {
    let inner = |function, depth, started_after_ns, duration_ns, self_ns| InnerCall {
        function: FunctionId(function),
        depth,
        parent_missing: depth > 1,
        started_after_ns,
        duration_ns,
        self_ns,
        failed: depth > 1,
        arguments: Vec::new(),
        results: Vec::new(),
    };
    InnerCalls {
        calls: vec![
            inner(0, 1, 20, 200, 60),
            inner(2, 2, 50, 100, 100),
            inner(2, 1, 300, 50, 50),
        ],
        left_out: 2,
        self_ns: 140,
        missing_ns: 50,
    }
}

fn frame(function: &str, file: &str, line: u32) -> StackFrame {
    StackFrame {
        function: function.into(),
        file: Some(file.into()),
        line: Some(line),
        inlined: false,
    }
}

fn call_tree() -> CallTree {
    let node = |parent, function, calls, total_ns, self_ns| CallNode {
        parent,
        function: FunctionId(function),
        depth: u32::from(parent.is_some()),
        calls,
        returns: calls,
        unwound: 0,
        errors: u64::from(function),
        total_ns,
        self_ns,
        max_ns: total_ns,
        probes_ns: 10,
        latency: None,
    };
    CallTree {
        nodes: vec![node(None, 0, 6, 1_000, 400), node(Some(0), 2, 3, 600, 600)],
        lost_calls: 1,
    }
}
