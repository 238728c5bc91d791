//! A Python that has grpcio-tools, and what it makes of the definitions.
//!
//! Where the system's Python lacks them they are installed into a folder of the build. Where that
//! fails a test says so and passes, but not with `CORAL_REQUIRE_PYTHON=1`.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "grpcio-tools==1.85.1";
const FILES: [&str; 4] = [
    "coral/sdk/v1/runtime.proto",
    "coral/agent/v1/session.proto",
    "coral/agent/v1/agent.proto",
    "coral/colony/v1/debug.proto",
];

/// A Python with the package; none where the test is to be skipped.
pub(crate) fn python() -> Option<PathBuf> {
    match find_python() {
        Ok(python) => Some(python),
        Err(reason) => {
            let message = format!("skipped: python: no python3 with {PACKAGE}: {reason}");
            let required = env::var("CORAL_REQUIRE_PYTHON").is_ok_and(|value| value == "1");
            assert!(!required, "{message}");
            eprintln!("{message}");
            None
        }
    }
}

/// Writes the modules of all definitions below `proto`, the root of the definitions, into a folder.
pub(crate) fn make_stubs(python: &Path, proto: &Path, folder: &Path) {
    let mut compile = Command::new(python);
    compile.args(["-m", "grpc_tools.protoc"]);
    for option in ["-I", "--python_out=", "--grpc_python_out="] {
        let path = if option == "-I" { proto } else { folder };
        compile.arg(format!("{option}{}", path.display()));
    }
    assert_eq!(run(compile.args(FILES)), Ok(String::new()), "no warnings");
}

/// What a command says, if it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(said.into_owned())
    } else {
        Err(said.into_owned())
    }
}

/// The system's Python, or one that is made for it.
fn find_python() -> Result<PathBuf, String> {
    let has_package = |python: &Path| run(Command::new(python).args(["-c", "import grpc_tools"]));
    let system = PathBuf::from("python3");
    if has_package(&system).is_ok() {
        return Ok(system);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Several test programs want it, maybe at the same time.
    let lock = File::create(folder.join("python.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let venv = folder.join("python");
    let python = venv.join("bin/python");
    if has_package(&python).is_err() {
        run(Command::new(&system).args(["-m", "venv"]).arg(&venv))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    }
    has_package(&python).map(|_| python)
}
