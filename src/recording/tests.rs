use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, Bucket, CallRecord, Diagnostic, EndReason, ExitProbe, Function, FunctionId,
    FunctionStats, FunctionTable, FunctionTableBuilder, Histogram, InnerCall, InnerCalls, Language,
    Module, NewFunction, Overhead, ProbeReason, ProbeSummary, Probeability, SessionId, SessionInfo,
    SessionSettings, SessionState, Snapshot, SymbolSource, Target,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn target() -> Target {
    Target {
        agent_id: "local".into(),
        service: "checkout".into(),
        pid: 42,
        exe: "/srv/checkout".into(),
        build_id: None,
        language: Language::Rust,
        start_ticks: 7,
    }
}

fn table() -> FunctionTable {
    let mut builder = FunctionTableBuilder::new();
    let module = builder.add_module(Module {
        path: "/srv/checkout".into(),
        build_id: Some("c0ffee".into()),
        language: Language::Rust,
    });
    for (name, package, file, plan) in [
        ("a::a::f", 3..4, Some("a.rs"), None),
        (
            "\u{1b}\0\u{202e}",
            0..0,
            None,
            Some(ProbeSummary {
                probe: Probeability::None,
                exits: 0,
                reason: Some(ProbeReason::Breakpoint),
            }),
        ),
    ] {
        builder.push(&NewFunction {
            name,
            package,
            file,
            line: file.map(|_| 7),
            address: u64::MAX,
            size: 32,
            language: Language::Rust,
            source: SymbolSource::EhFrame,
            module,
            plan,
        });
    }
    builder.build()
}

fn snapshot(functions: Vec<Arc<FunctionStats>>, slow_calls: Vec<CallRecord>) -> Snapshot {
    Snapshot {
        session: SessionInfo {
            id: SessionId("dbg-1".into()),
            target: target(),
            other_pids: Vec::new(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Some(Timestamp::MAX),
            requested_by: "root".into(),
            elapsed: Duration::new(1, 1),
            remaining: Duration::ZERO,
            state: SessionState::Ended(EndReason::Budget),
            probes: 3,
            settings: SessionSettings::default(),
        },
        functions,
        slow_calls,
        call_tree: Arc::default(),
        in_flight: Vec::new(),
        notices: Vec::new(),
        accounting: Accounting::default(),
        overhead: Overhead::default(),
        replicas: Vec::new(),
    }
}

fn record(frames: &[(Duration, Snapshot)]) -> Vec<u8> {
    let mut recorder =
        Recorder::create(Vec::new(), &target(), &table(), Timestamp::UNIX_EPOCH).unwrap();
    for (at, snapshot) in frames {
        recorder.frame(*at, snapshot).unwrap();
    }
    recorder.finish().unwrap()
}

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn decompress(bytes: &[u8]) -> String {
    std::io::read_to_string(flate2::read::GzDecoder::new(bytes)).unwrap()
}

fn frames_of(recording: &Recording) -> Vec<(Duration, Snapshot)> {
    recording
        .frames()
        .iter()
        .map(|(at, snapshot)| (*at, (**snapshot).clone()))
        .collect()
}

/// A frame for each count of calls, a second apart; the first function never changes.
fn plain_frames(calls: &[u64]) -> Vec<(Duration, Snapshot)> {
    let frame = |(second, &calls): (u64, &u64)| {
        let functions = vec![Arc::new(stats(0, 5)), Arc::new(stats(1, calls))];
        (Duration::from_secs(second), snapshot(functions, Vec::new()))
    };
    (0..).zip(calls).map(frame).collect()
}

fn stats(id: u32, calls: u64) -> FunctionStats {
    FunctionStats {
        exit_probe: ExitProbe::ReturnSites,
        attached: true,
        calls,
        returns: calls,
        ..FunctionStats::new(FunctionId(id), format!("function{id}\u{1b}"))
    }
}

#[test]
fn the_header_reads_back() {
    let recording = Recording::read(&*record(&[])).unwrap();
    assert_eq!(recording.target(), &target());
    assert_eq!(recording.started_at(), Timestamp::UNIX_EPOCH);
    assert_eq!(recording.table().modules(), table().modules());
    let read: Vec<Function<'_>> = recording.table().iter().collect();
    assert_eq!(read, table().iter().collect::<Vec<_>>());
    assert!(recording.frames().is_empty() && !recording.is_truncated());
}

#[test]
fn what_has_not_changed_is_not_written_and_is_shared_when_read() {
    let bytes = record(&plain_frames(&[1, 2, 2]));
    let text = decompress(&bytes);
    let written: Vec<usize> = text
        .lines()
        .skip(1)
        .map(|line| line.matches("\"name\"").count())
        .collect();
    assert_eq!(written, [2, 1, 0]);

    let recording = Recording::read(&*bytes).unwrap();
    let [(_, first), .., (_, last)] = recording.frames() else {
        panic!("three frames were written");
    };
    assert!(Arc::ptr_eq(&first.functions[0], &last.functions[0]));
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_has_flushed() {
    let frames = plain_frames(&[1, 2, 3]);
    let mut file = Vec::new();
    let mut recorder =
        Recorder::create(&mut file, &target(), &table(), Timestamp::UNIX_EPOCH).unwrap();
    for (at, snapshot) in &frames {
        recorder.frame(*at, snapshot).unwrap();
    }
    // Dropping would write the rest; a killed process does not get to that.
    std::mem::forget(recorder);
    let recording = Recording::read(&*file).unwrap();
    assert_eq!(
        recording.damage().map(Diagnostic::code),
        Some("recording-cut-off")
    );
    assert_eq!(frames_of(&recording), frames);
}

#[test]
fn damaged_files_keep_what_is_readable() {
    let good = decompress(&record(&plain_frames(&[1, 2])));
    let lines: Vec<&str> = good.lines().collect();
    let (first, second) = (lines[1], lines[2]);
    for (tail, frames, code) in [
        (String::new(), 1, None),
        (format!("{second}\n"), 2, None),
        (second.to_owned(), 1, Some("recording-cut-off")),
        (second[..40].to_owned(), 1, Some("recording-cut-off")),
        ("nonsense\n".to_owned(), 1, Some("recording-damaged")),
        (
            second.replace("[[1,", "[[3,") + "\n",
            1,
            Some("recording-damaged"),
        ),
        (
            second.replace("\"functions_len\":2", "\"functions_len\":9") + "\n",
            1,
            Some("recording-damaged"),
        ),
        (
            second.replace(
                "\"buckets\":[]",
                "\"buckets\":[{\"index\":65535,\"count\":1}]",
            ) + "\n",
            1,
            Some("recording-damaged"),
        ),
        (
            second.replace("\"calls\":2", "\"calls\":18446744073709551615") + "\n",
            1,
            Some("recording-damaged"),
        ),
        (format!("{second}\n{first}\n"), 2, Some("recording-damaged")),
    ] {
        let bytes = compress(&format!("{}\n{first}\n{tail}", lines[0]));
        let recording = Recording::read(&*bytes).unwrap();
        assert_eq!(recording.frames().len(), frames, "{tail}");
        assert_eq!(recording.damage().map(Diagnostic::code), code, "{tail}");
        assert_eq!(recording.is_truncated(), code.is_some());
    }
}

#[test]
fn other_files_are_no_recordings() {
    let header = decompress(&record(&[]));
    let header = header.trim_end();
    for (bytes, code) in [
        (b"plain text".to_vec(), "not-a-recording"),
        (Vec::new(), "recording-cut-off"),
        (compress(""), "recording-cut-off"),
        (compress("{}\n"), "not-a-recording"),
        (compress(header), "recording-cut-off"),
        (
            compress("{\"schema\":\"coral.recording.v9\"}\n"),
            "recording-schema",
        ),
        (
            compress(&(header.replace("\"module\":0", "\"module\":4") + "\n")),
            "not-a-recording",
        ),
    ] {
        assert_eq!(Recording::read(&*bytes).unwrap_err().code(), code);
    }
}

#[test]
fn a_file_that_explodes_is_refused() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let blank = vec![b' '; 1 << 20];
    for _ in 0..513 {
        encoder.write_all(&blank).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert_eq!(
        Recording::read(&*bomb).unwrap_err().code(),
        "recording-too-large"
    );
}

prop_compose! {
    fn any_histogram()(
        buckets in prop::collection::btree_map(0u16..960, 1u64..1 << 40, 0..4),
        total_ns in 0u64..1 << 60,
        min_ns in 0u64..1 << 30,
        span_ns in 0u64..1 << 30,
    ) -> Histogram {
        Histogram {
            buckets: buckets.into_iter().map(|(index, count)| Bucket { index, count }).collect(),
            total_ns,
            min_ns,
            max_ns: min_ns + span_ns,
        }
    }
}

prop_compose! {
    /// Rates are eighths, because JSON's shortest decimals need not give the last bit back.
    fn any_stats()(
        (id, name, file, line) in any::<(u32, String, Option<String>, Option<u32>)>(),
        (reason, attached) in any::<(Option<String>, bool)>(),
        counts in prop::array::uniform6(0u64..1 << 48),
        has_errors in any::<bool>(),
        exit_probe in prop::sample::select(
            vec![ExitProbe::ReturnSites, ExitProbe::Uretprobe, ExitProbe::None]
        ),
        latency in any_histogram(),
        rates in prop::collection::vec(0u32..1 << 24, 1..4),
    ) -> FunctionStats {
        let [calls, returns, unwound, in_flight, errors, unmatched_exits] = counts;
        let rates: Vec<f64> = rates.iter().map(|&eighths| f64::from(eighths) / 8.0).collect();
        FunctionStats {
            file, line, exit_probe, reason, attached,
            calls, returns, unwound, in_flight,
            errors: has_errors.then_some(errors),
            unmatched_exits,
            latency,
            calls_per_s: rates[0],
            recent_calls_per_s: rates,
            ..FunctionStats::new(FunctionId(id), name)
        }
    }
}

prop_compose! {
    fn any_inner()(
        calls in prop::collection::vec((any::<(u32, u64, u64)>(), any::<bool>()), 0..3),
        (left_out, self_ns, missing_ns) in any::<(u64, u64, u64)>(),
    ) -> InnerCalls {
        let call = |((function, started_after_ns, duration_ns), failed): (_, bool)| InnerCall {
            function: FunctionId(function),
            depth: 1,
            parent_missing: !failed,
            started_after_ns,
            duration_ns,
            self_ns: duration_ns / 2,
            failed,
            arguments: Vec::new(),
            results: Vec::new(),
        };
        let calls = calls.into_iter().map(call).collect();
        InnerCalls { calls, left_out, self_ns, missing_ns }
    }
}

prop_compose! {
    fn any_call()(
        (function, started_ns, duration_ns) in any::<(u32, i64, u64)>(),
        (pid, tid, goroutine) in any::<(u32, u32, Option<u64>)>(),
        inner in prop::option::of(any_inner()),
    ) -> CallRecord {
        CallRecord {
            pid, tid, goroutine,
            inner: inner.map(Arc::new),
            ..CallRecord::new(
                FunctionId(function),
                Timestamp::from_nanosecond(started_ns.into()).unwrap(),
                duration_ns,
            )
        }
    }
}

/// Snapshots that share functions, grow and shrink, as live ones do.
fn any_frames() -> impl Strategy<Value = Vec<(Duration, Snapshot)>> {
    let pool = prop::collection::vec(any_stats().prop_map(Arc::new), 1..5);
    let calls = prop::collection::vec(any_call(), 0..3);
    (pool, calls).prop_flat_map(|(pool, calls)| {
        let functions = prop::collection::vec(prop::sample::select(pool), 0..5);
        let frame = (0u64..2_000, functions, any::<bool>());
        prop::collection::vec(frame, 0..8).prop_map(move |frames| {
            let mut at = Duration::ZERO;
            frames
                .into_iter()
                .map(|(step_ms, functions, has_calls)| {
                    at += Duration::from_millis(step_ms);
                    let calls = if has_calls { calls.clone() } else { Vec::new() };
                    (at, snapshot(functions, calls))
                })
                .collect()
        })
    })
}

#[test]
fn what_is_inside_of_a_slow_call_is_written_once() {
    let inner = InnerCalls {
        left_out: 123_456_789,
        ..InnerCalls::default()
    };
    let slow = |inner: &InnerCalls| CallRecord {
        inner: Some(Arc::new(inner.clone())),
        ..CallRecord::new(FunctionId(0), Timestamp::UNIX_EPOCH, 5)
    };
    let other = CallRecord::new(FunctionId(1), Timestamp::UNIX_EPOCH, 6);
    let lists = [vec![slow(&inner)], vec![other, slow(&inner)]];
    let frames: Vec<_> = lists
        .into_iter()
        .map(|calls| (Duration::ZERO, snapshot(Vec::new(), calls)))
        .collect();
    let bytes = record(&frames);
    assert_eq!(decompress(&bytes).matches("123456789").count(), 1);
    let read = frames_of(&Recording::read(&*bytes).unwrap());
    assert_eq!(read, frames);
    let inner = |frame: usize, place: usize| read[frame].1.slow_calls[place].inner.clone().unwrap();
    assert!(Arc::ptr_eq(&inner(0, 0), &inner(1, 1)), "and kept once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_read_back_as_they_were_written(frames in any_frames()) {
        let bytes = record(&frames);
        prop_assert_eq!(&bytes, &record(&frames), "the same input gives the same bytes");
        let recording = Recording::read(&*bytes).unwrap();
        prop_assert!(!recording.is_truncated());
        prop_assert_eq!(frames_of(&recording), frames);
    }

    #[test]
    fn a_cut_file_gives_a_beginning_of_its_frames(
        frames in any_frames(),
        share in 0.0f64..1.0,
    ) {
        let bytes = record(&frames);
        let cut = &bytes[..(bytes.len() as f64 * share) as usize];
        if let Ok(recording) = Recording::read(cut) {
            prop_assert!(recording.is_truncated());
            prop_assert!(frames.starts_with(&frames_of(&recording)));
        }
    }

    #[test]
    fn a_changed_byte_is_no_panic(
        frames in any_frames(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = decompress(&record(&frames)).into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        let bytes = compress(&String::from_utf8_lossy(&text));
        let _ = Recording::read(&*bytes);
    }
}
