//! Targets in other namespaces, with a root of their own: found, probed and counted exactly.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::coral::Coral;
use common::lines::eventually;
use common::need;
use common::target::Target;
use common::{code, compile, exact, rights};

/// Copies the program and what it loads into a file system that nobody else sees, and becomes it
/// there.
const ENTER: &str = r#"
set -e
mount -t tmpfs tmpfs "$ROOT"
cp --parents $FILES "$ROOT"
cp "$PROGRAM" "$ROOT/service"
exec chroot "$ROOT" /service
"#;

#[test]
fn a_static_program_in_another_mount_namespace() {
    check(&["-O2", "-static", "-no-pie"], &["--mount"]);
}

#[test]
fn a_program_with_libraries_in_another_mount_namespace() {
    check(&["-O2"], &["--mount"]);
}

#[test]
fn a_program_in_other_mount_and_pid_namespaces() {
    check(&["-O2"], &["--mount", "--pid", "--fork"]);
}

fn check(flags: &[&str], namespaces: &[&str]) {
    need!(rights::probes());
    let binary = need!(compile::c(flags));
    let root = tempfile::tempdir().unwrap();
    let mut target = Target::start(
        Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", ENTER])
            .env("ROOT", root.path())
            .env("PROGRAM", &binary)
            .env("FILES", libraries(&binary)),
    );
    let pid = if namespaces.contains(&"--fork") {
        only_child(target.pid())
    } else {
        target.pid()
    };
    assert!(!root.path().join("service").exists(), "it is not seen here");
    let unprobed = target.run("plain");
    let functions: Vec<&String> = unprobed.functions.keys().collect();
    let (coral, attached) = Coral::attach(pid, &functions, &[]);
    assert_eq!(code::changed(pid).len() as u64, attached.probes);
    let truth = target.run("plain");
    let report = coral.finish();
    assert_eq!(exact::differences(&truth, &report), Vec::<String>::new());
    let exe = report.document()["targets"][0]["exe"].to_string();
    assert!(exe.ends_with("/service\""), "{exe}");
    assert_eq!(truth.checksum, unprobed.checksum);
    assert_eq!(code::changed(pid), Vec::<u64>::new());
    assert_eq!(target.quit().code(), Some(0));
}

/// The files that the dynamic linker loads for a program, none for a static one.
fn libraries(binary: &Path) -> String {
    let listed = Command::new("ldd").arg(binary).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    let files: Vec<&str> = files.collect();
    if files.is_empty() {
        // `cp` wants one.
        return "/etc/hostname".into();
    }
    files.join(" ")
}

fn only_child(parent: u32) -> u32 {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let one = || fs::read_to_string(&children).is_ok_and(|list| list.split(' ').count() == 2);
    assert!(eventually(one), "it has one child");
    fs::read_to_string(&children)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
