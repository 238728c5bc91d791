//! Another implementation reads the definitions, and what this one writes: Python's.
//!
//! Needs `python3` with grpcio-tools; where they are missing they are installed into a folder of
//! the build. Where that fails the test says so and passes, but not with `CORAL_REQUIRE_PYTHON=1`.
#![allow(clippy::unwrap_used)] // all of this is tests

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use coral_proto::agent::v1 as wire;
use prost::Message;

const FILES: [&str; 4] = [
    "coral/sdk/v1/runtime.proto",
    "coral/agent/v1/session.proto",
    "coral/agent/v1/agent.proto",
    "coral/colony/v1/debug.proto",
];
const PACKAGE: &str = "grpcio-tools==1.85.1";

#[test]
fn python_reads_and_writes_the_same_update() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            let message = format!("skipped: python: no python3 with {PACKAGE}: {reason}");
            let required = env::var("CORAL_REQUIRE_PYTHON").is_ok_and(|value| value == "1");
            assert!(!required, "{message}");
            eprintln!("{message}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compile = Command::new(&python);
    compile.args(["-m", "grpc_tools.protoc"]);
    for option in ["-I", "--python_out=", "--grpc_python_out="] {
        let path = if option == "-I" { root } else { folder.path() };
        compile.arg(format!("{option}{}", path.display()));
    }
    assert_eq!(run(compile.args(FILES)), Ok(String::new()), "no warnings");

    let update = update();
    let [to_python, from_python] = ["to_python", "from_python"].map(|it| folder.path().join(it));
    fs::write(&to_python, update.encode_to_vec()).unwrap();
    let mut round_trip = Command::new(&python);
    round_trip.arg(root.join("tests/round_trip.py"));
    round_trip.args([&to_python, &from_python]);
    let said = run(round_trip.env("PYTHONPATH", folder.path())).unwrap();
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

/// A Python that has the package: the system's, or one that is made for it.
fn python() -> Result<PathBuf, String> {
    let has_package = |python: &Path| run(Command::new(python).args(["-c", "import grpc_tools"]));
    let system = PathBuf::from("python3");
    if has_package(&system).is_ok() {
        return Ok(system);
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = venv.join("bin/python");
    if has_package(&python).is_err() {
        run(Command::new(&system).args(["-m", "venv"]).arg(&venv))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    }
    has_package(&python).map(|_| python)
}

/// What a command says, if it succeeds.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(said.into_owned())
    } else {
        Err(said.into_owned())
    }
}
