//! Another implementation reads the definitions, and what this one writes: Python's.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

#[path = "../../tests/common/python.rs"]
mod interpreter;

use std::fs;
use std::path::Path;
use std::process::Command;

use coral_proto::agent::v1 as wire;
use prost::Message;

#[test]
fn python_reads_and_writes_the_same_update() {
    let Some(python) = interpreter::python() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    interpreter::make_stubs(&python, root, folder.path());

    let update = update();
    let [to_python, from_python] = ["to_python", "from_python"].map(|it| folder.path().join(it));
    fs::write(&to_python, update.encode_to_vec()).unwrap();
    let mut round_trip = Command::new(&python);
    round_trip.arg(root.join("tests/round_trip.py"));
    round_trip.args([&to_python, &from_python]);
    let said = interpreter::run(round_trip.env("PYTHONPATH", folder.path())).unwrap();
    assert_eq!(
        said,
        "7 True main.handleCheckout 18446744073709551615 0.5\n"
    );
    let bytes = fs::read(&from_python).unwrap();
    assert_eq!(wire::SessionUpdate::decode(bytes.as_slice()), Ok(update));
}

/// An update that has every kind of field.
fn update() -> wire::SessionUpdate {
    wire::SessionUpdate {
        sequence: 7,
        is_whole: true,
        session: Some(wire::SessionInfo {
            session_id: "dbg-1".to_owned(),
            started_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 5,
            }),
            status: wire::SessionStatus::Active.into(),
            other_pids: vec![1, 300],
            ..Default::default()
        }),
        functions: vec![wire::FunctionStats {
            name: "main.handleCheckout".to_owned(),
            calls: u64::MAX,
            calls_per_s: 0.5,
            recent_calls_per_s: vec![0.25, 1e300],
            errors: Some(0),
            latency: Some(wire::Histogram {
                index: vec![3, 600],
                count: vec![1, 1 << 40],
                ..Default::default()
            }),
            recent_kept: 2,
            ..Default::default()
        }],
        ..Default::default()
    }
}
