//! `coral certs init`: certificates that work, keys that nobody else can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use coral_tui::access::certs::{CertsError, Plan, init};

use crate::certificates::files;
use crate::listeners::settings_of;
use coral_tui::access::{Listener, Role};

#[test]
fn nothing_is_overwritten_and_keys_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        directory: folder.path().join("new/certs"),
        name: "node7".into(),
        hosts: vec!["node7.example".into(), "192.0.2.7".into()],
    };
    let written = init(&plan).unwrap();
    // The CA, the colony, and one for each role: the agent has one, too.
    assert_eq!(written.len(), 2 * (2 + Role::ALL.len()));
    for path in &written {
        let is_key = path.to_str().unwrap().ends_with("-key.pem");
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            mode,
            if is_key { 0o600 } else { 0o644 },
            "{}",
            path.display()
        );
    }
    // The last file is in the way: the others are taken back.
    let kept = fs::read(written.last().unwrap()).unwrap();
    for path in &written[..written.len() - 1] {
        fs::remove_file(path).unwrap();
    }
    assert!(
        matches!(init(&plan), Err(CertsError::Exists { path }) if path == *written.last().unwrap())
    );
    assert_eq!(fs::read(written.last().unwrap()).unwrap(), kept);
    assert_eq!(fs::read_dir(&plan.directory).unwrap().count(), 1);
}

#[test]
fn a_name_that_no_certificate_can_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        directory: folder.path().join("certs"),
        name: "agent".into(),
        hosts: vec!["größe".into()],
    };
    assert!(matches!(init(&plan), Err(CertsError::Make(_))));
    assert!(!plan.directory.exists());
}

#[tokio::test]
async fn the_command_makes_what_a_server_takes() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("certs");
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_coral"))
            .args(["certs", "init", "--host", "node7.example"])
            .arg(&directory)
            .output()
            .unwrap()
    };
    let output = run();
    assert!(output.status.success(), "{output:?}");
    let settings = settings_of(files(&directory, "agent"));
    let listen = "0.0.0.0:0".parse().unwrap();
    Listener::bind(&listen, &settings).await.unwrap();
    let output = run();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.starts_with("error[certificates-exist]: "), "{error}");
}
