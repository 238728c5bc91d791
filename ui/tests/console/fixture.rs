//! A shop in Go under observation, with numbers that look like a real one's.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, Bucket, CallRecord, EndReason, ExitProbe, FunctionId, FunctionStats, FunctionTable,
    FunctionTableBuilder, Histogram, Language, Module, NewFunction, Overhead, ProbeReason,
    ProbeSummary, Probeability, ProcessSummary, SessionId, SessionInfo, SessionSettings,
    SessionState, Snapshot, SymbolSource, Target, bucket_range_ns,
};

pub(crate) const CHECKOUT: FunctionId = FunctionId(6);
pub(crate) const ADD: FunctionId = FunctionId(5);
pub(crate) const PRICE: FunctionId = FunctionId(7);
pub(crate) const SERVE_FOREVER: FunctionId = FunctionId(8);

/// Name, package length, file, line, size, exits; negative exits: entry only, none.
const FUNCTIONS: [(&str, usize, &str, u32, u64, i32); 14] = [
    (
        "runtime.mallocgc",
        7,
        "/go/src/runtime/malloc.go",
        1026,
        2_912,
        5,
    ),
    (
        "runtime.memmove",
        7,
        "/go/src/runtime/memmove_amd64.s",
        33,
        1_600,
        -2,
    ),
    (
        "net/http.(*conn).serve",
        8,
        "/go/src/net/http/server.go",
        1862,
        5_408,
        9,
    ),
    (
        "github.com/acme/pay.(*Client).Charge",
        19,
        "/src/pay/client.go",
        88,
        1_120,
        4,
    ),
    (
        "github.com/acme/pay.retryable",
        19,
        "/src/pay/retry.go",
        12,
        96,
        2,
    ),
    ("main.(*Cart).Add", 4, "/src/shop/cart.go", 31, 448, 2),
    (
        "main.handleCheckout",
        4,
        "/src/shop/checkout.go",
        57,
        1_344,
        3,
    ),
    ("main.priceOf", 4, "/src/shop/price.go", 14, 224, 1),
    ("main.serveForever", 4, "/src/shop/main.go", 40, 160, -1),
    ("main.main", 4, "/src/shop/main.go", 18, 512, 1),
    (
        "encoding/json.Marshal",
        13,
        "/go/src/encoding/json/encode.go",
        171,
        480,
        2,
    ),
    ("sync.(*Mutex).Lock", 4, "/go/src/sync/mutex.go", 81, 64, 2),
    ("fmt.Fprintf", 3, "/go/src/fmt/print.go", 222, 256, 1),
    ("main.init", 4, "/src/shop/main.go", 9, 128, 1),
];

pub(crate) fn target() -> Target {
    Target {
        agent_id: "local".into(),
        service: "checkout".into(),
        pid: 4242,
        exe: "/srv/checkout".into(),
        build_id: Some("8d2f".into()),
        language: Language::Go,
        start_ticks: 77,
    }
}

fn plan(exits: i32) -> ProbeSummary {
    let (probe, reason) = match exits {
        -1 => (Probeability::EntryOnly, Some(ProbeReason::NoExit)),
        -2 => (Probeability::None, Some(ProbeReason::UnsafeEntry)),
        _ => (Probeability::Full, None),
    };
    ProbeSummary {
        probe,
        exits: exits.max(0) as u32,
        reason,
    }
}

fn builder() -> FunctionTableBuilder {
    let mut builder = FunctionTableBuilder::new();
    builder.add_module(Module {
        path: "/srv/checkout".into(),
        build_id: Some("8d2f".into()),
        language: Language::Go,
    });
    builder
}

pub(crate) fn table() -> Arc<FunctionTable> {
    let mut builder = builder();
    for (index, (name, package, file, line, size, exits)) in FUNCTIONS.into_iter().enumerate() {
        builder.push(&NewFunction {
            name,
            package: 0..package,
            file: Some(file),
            line: Some(line),
            address: 0x40_0000 + 0x1000 * index as u64,
            size,
            language: Language::Go,
            source: SymbolSource::Gopclntab,
            module: 0,
            plan: Some(plan(exits)),
        });
    }
    Arc::new(builder.build())
}

/// A table of functions with these names, and nothing else known.
pub(crate) fn table_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Arc<FunctionTable> {
    Arc::new(builder_of(names).build())
}

/// The same, to be planned.
pub(crate) fn builder_of<'a>(names: impl IntoIterator<Item = &'a str>) -> FunctionTableBuilder {
    let mut builder = builder();
    for (index, name) in names.into_iter().enumerate() {
        builder.push(&NewFunction {
            name,
            package: 0..name.find('.').unwrap_or(0),
            file: None,
            line: None,
            address: index as u64,
            size: 16,
            language: Language::Go,
            source: SymbolSource::Symtab,
            module: 0,
            plan: None,
        });
    }
    builder
}

fn bucket_of(duration_ns: u64) -> u16 {
    (0..u16::MAX)
        .find(|&index| bucket_range_ns(index).contains(&duration_ns))
        .unwrap()
}

/// Modes of a latency: the middle in nanoseconds, how many calls, and how wide in buckets.
pub(crate) fn latency(modes: &[(u64, u64, i32)]) -> Histogram {
    let mut counts = std::collections::BTreeMap::new();
    for &(middle_ns, calls, width) in modes {
        for offset in -width..=width {
            let index = (i32::from(bucket_of(middle_ns)) + offset).max(0) as u16;
            let distance = f64::from(offset) / f64::from(width.max(1));
            // A bucket of half the width holds half the calls: the mode is smooth, not the buckets.
            let bucket = bucket_range_ns(index);
            let width = (bucket.end - bucket.start) as f64 * 16.0 / bucket.start.max(16) as f64;
            let count = calls as f64 * width * (-4.0 * distance * distance).exp();
            *counts.entry(index).or_insert(0) += count.round() as u64;
        }
    }
    counts.retain(|_, count| *count > 0);
    let middle = |index: u16| bucket_range_ns(index).start;
    Histogram {
        total_ns: counts
            .iter()
            .map(|(&index, &count)| middle(index) * count)
            .sum(),
        min_ns: counts.keys().next().map_or(0, |&index| middle(index)),
        max_ns: counts.keys().last().map_or(0, |&index| middle(index)),
        buckets: counts
            .into_iter()
            .map(|(index, count)| Bucket { index, count })
            .collect(),
    }
}

pub(crate) fn stats(id: FunctionId, name: &str, modes: &[(u64, u64, i32)]) -> FunctionStats {
    let latency = latency(modes);
    let returns = latency.count();
    let rate = returns as f64 / 18.0;
    FunctionStats {
        exit_probe: ExitProbe::ReturnSites,
        attached: true,
        calls: returns + 3,
        returns,
        unwound: 2,
        in_flight: 1,
        latency,
        calls_per_s: rate,
        recent_calls_per_s: (0..20)
            .map(|step| rate * f64::from(5 + step * step % 7))
            .collect(),
        ..FunctionStats::new(id, name)
    }
}

/// 18 s into a session of 60 s on three functions.
pub(crate) fn snapshot() -> Snapshot {
    let mut checkout = stats(
        CHECKOUT,
        "main.handleCheckout",
        &[(180_000, 400, 14), (4_200_000, 60, 20), (310_000_000, 2, 1)],
    );
    checkout.errors = Some(17);
    let add = stats(ADD, "main.(*Cart).Add", &[(2_400, 9_000, 9)]);
    let mut forever = stats(SERVE_FOREVER, "main.serveForever", &[]);
    forever.exit_probe = ExitProbe::None;
    forever.reason = Some("never returns".into());
    (forever.calls, forever.unwound, forever.in_flight) = (1, 0, 1);
    let hits = 2 * (checkout.calls + add.calls) + 1;
    Snapshot {
        session: SessionInfo {
            id: SessionId("dbg-01JD2Q".into()),
            target: target(),
            other_pids: Vec::new(),
            started_at: "2026-03-01T03:12:09Z".parse().unwrap(),
            ended_at: None,
            requested_by: "kim".into(),
            elapsed: Duration::from_secs(18),
            remaining: Duration::from_secs(42),
            state: SessionState::Active,
            probes: 8,
            settings: SessionSettings::default(),
        },
        slow_calls: (0..6).map(slow_call).collect(),
        functions: [checkout, add, forever].map(Arc::new).to_vec(),
        replicas: Vec::new(),
        call_tree: Arc::default(),
        in_flight: Vec::new(),
        notices: Vec::new(),
        accounting: Accounting {
            hits,
            aggregated: hits - 219,
            events_stored: 200,
            throttled: 17,
            unmatched_exits: 2,
            ..Accounting::default()
        },
        overhead: Overhead {
            hits_per_s: 8_412.0,
            ns_per_hit: Some(1_240.0),
            cpu_percent: Some(1.04),
        },
    }
}

/// The shop's session at each of its seconds: from the 24th one on, one checkout in six takes
/// 40 ms longer, and the slowest of them are recorded.
pub(crate) fn incident(seconds: u64) -> Vec<Snapshot> {
    let mut checkout = stats(CHECKOUT, "main.handleCheckout", &[]);
    let mut calls = Vec::new();
    let began_at = snapshot().session.started_at;
    (1..=seconds)
        .map(|second| {
            let mut modes = vec![(180_000, 40, 14), (4_200_000, 6 + second % 3, 20)];
            if second >= 24 {
                modes.push((44_000_000 + 500_000 * (second % 5), 8, 8));
                let began = began_at + Duration::from_millis(1_000 * second - 900);
                let record = CallRecord::new(CHECKOUT, began, 47_000_000 + second);
                calls.push(CallRecord {
                    goroutine: Some(second),
                    ..record
                });
            }
            checkout.latency.merge(&latency(&modes));
            checkout.returns = checkout.latency.count();
            (checkout.calls, checkout.unwound) = (checkout.returns + 1, 0);
            let mut snapshot = snapshot();
            snapshot.session.elapsed = Duration::from_secs(second);
            snapshot.session.remaining = Duration::from_secs(60 - second);
            snapshot.functions[0] = Arc::new(checkout.clone());
            snapshot.slow_calls = calls.clone();
            snapshot
        })
        .collect()
}

fn slow_call(rank: u32) -> CallRecord {
    CallRecord {
        pid: 4242,
        tid: 4250 + rank,
        goroutine: Some(18 + u64::from(rank)),
        ..CallRecord::new(
            CHECKOUT,
            format!("2026-03-01T03:12:{:02}.{:03}Z", 12 + rank, 91 * rank)
                .parse()
                .unwrap(),
            310_000_000 / u64::from(rank + 1),
        )
    }
}

/// The same session after its lease ran out.
pub(crate) fn ended() -> Snapshot {
    let mut snapshot = snapshot();
    let session = &mut snapshot.session;
    session.state = SessionState::Ended(EndReason::Expired);
    (session.elapsed, session.remaining) = (Duration::from_secs(60), Duration::ZERO);
    session.ended_at = Some("2026-03-01T03:13:09Z".parse().unwrap());
    for stats in &mut snapshot.functions {
        Arc::make_mut(stats).attached = false;
    }
    snapshot
}

pub(crate) fn processes() -> Arc<[ProcessSummary]> {
    let process = |pid, name: &str, language, ports: &[u16], mib: u64| ProcessSummary {
        pid,
        start_ticks: 1,
        user: "app".into(),
        name: name.into(),
        command: format!("/srv/{name} --config /etc/{name}.toml"),
        language,
        ports: ports.to_vec(),
        container: None,
        resident_bytes: mib << 20,
        refusal: None,
    };
    let mut checkout = process(4242, "checkout", Some(Language::Go), &[8080, 9102], 213);
    checkout.container = Some("3f1c9a0be2d4".into());
    let mut jit = process(977, "worker", None, &[], 340);
    jit.refusal = Some("runs generated code that no symbols describe".into());
    let mut kernel = process(2, "kthreadd", None, &[], 0);
    kernel.refusal = Some("a kernel thread".into());
    kernel.command = String::new();
    Arc::new([
        kernel,
        process(1201, "search", Some(Language::Rust), &[7700], 96),
        checkout,
        jit,
        process(1310, "imageproxy", Some(Language::Cpp), &[], 51),
    ])
}
