//! A client in another language makes every call, by nothing but the definitions.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use coral_tui::recording::Recording;
use serde_json::{Value, json};

use crate::calls::Call;
use crate::common::session::number;
use crate::common::{compile, need, rights};
use crate::daemon::{Daemon, Setup};
use crate::interpreter;

#[test]
fn a_client_in_python_makes_every_call_and_sees_what_the_program_counts() {
    need!(rights::probes());
    let Some(python) = interpreter::python() else {
        return;
    };
    let binary = need!(compile::e2e_c(&["-O2"]));
    let folder = tempfile::tempdir().unwrap();
    // A program of a path of its own: other tests run the same one at the same time.
    let program = folder.path().join("e2e-of-python");
    std::fs::copy(&binary, &program).unwrap();
    let rule = format!(
        "services: [{{name: e2e-in-python, executable: '{}'}}]",
        program.display()
    );
    // Journals are kept for a colony; this one is never there.
    let colony = format!(
        "colony: {{url: 'unix:{0}/colony.sock', spool: {{path: '{0}/spool'}}}}",
        folder.path().display()
    );
    let daemon = Daemon::start_with(&Setup {
        keys: &["id: node-7", &rule, &colony],
        ..Setup::default()
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    interpreter::make_stubs(&python, &root.join("proto"), folder.path());
    let recording = folder.path().join("recording.gz");
    let mut client = Command::new(&python);
    client.arg(root.join("tests/agent/client.py"));
    client.arg(daemon.socket()).args([&program, &recording]);
    let said = interpreter::run(client.env("PYTHONPATH", folder.path())).unwrap();
    let seen: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));

    assert_eq!(seen["agent_id"], "node-7");
    assert_eq!(seen["callees"], json!(["inner"]));
    let events = &seen["events"];
    assert_eq!(events["entries"], events["truth"]);
    assert_eq!(events["exits"], events["truth"]);
    assert_eq!(number(&events["truth"]), 60);
    // The amounts that the scenario pays: 185 to 194, six times each.
    assert_eq!(number(&events["amounts"]), 6 * (185..195).sum::<u64>());
    assert_eq!(events["lost"], 0);
    let session = &seen["session"];
    assert_eq!(session["counted"], session["truth"]);
    assert_eq!(session["status"], "SESSION_STATUS_DETACHED");
    assert_eq!(seen["traces"]["requests"], seen["traces"]["truth"]);
    assert_eq!(seen["journal"]["recorded"], seen["journal"]["truth"]);
    assert_eq!(seen["journal"]["left"], 0);
    assert_eq!(seen["refusal"][0], "NOT_FOUND");
    assert_eq!(seen["refusal"][1], "no-such-session");
    assert_eq!(seen["status"], 0);
    let mut all: Vec<String> = Call::all().into_iter().map(|call| call.name).collect();
    all.sort();
    assert_eq!(seen["made"], json!(all));
    check_recording(&recording, session);
}

/// The recording ends with what the client has seen last.
fn check_recording(path: &Path, session: &Value) {
    let recording = Recording::read(File::open(path).unwrap()).unwrap();
    assert!(recording.damage().is_none(), "{:?}", recording.damage());
    let (_, last) = recording.frames().last().unwrap();
    let table = recording.table();
    for function in &last.functions {
        let name = table.get(function.id).unwrap().name;
        assert_eq!(number(&session["counted"][name]), function.calls, "{name}");
    }
    assert_eq!(last.functions.len(), 4);
}
