//! Everything that is refused is refused with a code, a reason, the next step and the right exit
//! status; stdout stays empty, and the target stays as it was.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, io};

use common::coral::{Coral, PROGRAM, Report, attach_command};
use common::lines::eventually;
use common::need;
use common::target::Target;
use common::{code, compile, rights};

/// No right is needed to be told this; each with the exit status and a part of what is said.
#[test]
fn command_lines_that_cannot_be_meant() {
    let mut target = Target::spawn(&need!(compile::c(&["-O2"])));
    let unprobed = target.run("plain").checksum;
    for (function, more, code, says) in [
        ("plain_step", &["--duration", "soon"][..], "usage", "soon"),
        ("plain_step", &["--duration", "-1s"], "usage", "-1"),
        ("plain_step", &["--duration", "601s"], "over-limit", "600 s"),
        ("plain_step", &["--duration", "0s"], "over-limit", "600 s"),
        ("plain_step", &["--sample-rate", "0"], "usage", "0"),
        ("plain_step", &["--format", "xml"], "usage", "xml"),
        (
            "plain_step",
            &["--min-duration", "5 parsecs"],
            "usage",
            "5 parsecs",
        ),
        (
            "plain_step",
            &["--no-such-option"],
            "usage",
            "--no-such-option",
        ),
        ("", &[], "bad-pattern", "empty"),
        ("/plain(/", &[], "bad-pattern", "plain("),
        ("/a{99999}{99999}/", &[], "bad-pattern", "a{99999}"),
        ("plain_stop", &[], "no-such-function", "plain_stop"),
        ("plain_step\u{1b}[2J", &[], "no-such-function", "plain_step"),
        ("nothing_like_*", &[], "no-such-function", "nothing_like_*"),
    ] {
        let report = Coral::start_attach(target.pid(), &[function], more).wait();
        assert_refused(&report, 2, code, says);
    }
    assert_eq!(target.run("plain").checksum, unprobed);
}

/// To open a large program takes seconds; what can never be meant does not wait for it.
#[test]
fn arguments_are_looked_at_before_the_process() {
    let nobody = i32::MAX as u32;
    let durations = ["--min-duration", "2s", "--max-duration", "1s"];
    for (function, more, code, says) in [
        ("plain_step", &durations[..], "bad-durations", "2.00 s"),
        ("/plain(/", &[], "bad-pattern", "plain("),
        ("plain_step", &["--filter", "a >"], "bad-filter", "a >"),
    ] {
        let report = Coral::start_attach(nobody, &[function], more).wait();
        assert_refused(&report, 2, code, says);
    }
}

#[test]
fn a_colony_is_not_asked_for_a_process() {
    for command in [
        &["functions", "--pid", "1"][..],
        &["debug", "attach", "--pid", "1", "--function", "main.pay"],
    ] {
        let colony = ["--colony", "unix:/nowhere/colony.sock"];
        let report = Coral::start(Command::new(PROGRAM).args(command).args(colony)).wait();
        assert_refused(&report, 2, "usage", "a colony knows services");
    }
}

/// Wherever the address comes from: a mistake is not left for the day when it matters.
#[test]
fn a_configuration_with_a_mistake_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    for (text, says) in [(None, "cannot be read"), (Some("[sesion]\n"), "sesion")] {
        if let Some(text) = text {
            fs::write(&config, text).unwrap();
        }
        let mut command = Command::new(PROGRAM);
        command.env("CORAL_COLONY", "unix:/nowhere/colony.sock");
        let report = Coral::start(command.args(["services", "--config"]).arg(&config)).wait();
        assert_refused(&report, 2, "bad-config", says);
    }
}

#[test]
fn a_trace_is_no_table() {
    let mut command = Command::new(PROGRAM);
    command.args(["debug", "trace", "checkout", "--root", "main.pay"]);
    let report = Coral::start(command.args(["--format", "csv"])).wait();
    assert_refused(&report, 2, "usage", "[possible values: text, json]");
}

/// It is said before the session, and not behind what was measured.
#[test]
fn a_colony_is_not_asked_for_what_it_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("session.coral");
    let mut command = Command::new(PROGRAM);
    command.args(["debug", "attach", "checkout", "--function", "main.pay"]);
    command.args(["--colony", "unix:/nowhere/colony.sock", "--record"]);
    let report = Coral::start(command.arg(&record)).wait();
    assert_refused(&report, 2, "no-recording", "a colony");
    assert!(!record.exists());
}

#[test]
fn a_name_without_a_match_suggests_the_nearest() {
    let target = Target::spawn(&need!(compile::c(&["-O2"])));
    let report = Coral::start_attach(target.pid(), &["Plain_Step"], &[]).wait();
    assert_refused(&report, 2, "no-such-function", "`plain_step`");
}

#[test]
fn an_ambiguous_name_lists_its_matches_with_file_and_line() {
    let texts = [
        "#include <stdio.h>\n\
         static int handle(int x) { return x * 3; }\n\
         int other(int x);\n\
         int main(int count, char **words) {\n\
             return getchar() < 0 ? 0 : handle(count) + other(words[0][0]);\n\
         }\n",
        "static int handle(int x) { return x * 5 + 1; }\n\
         int other(int x) { return handle(x); }\n",
    ];
    let target = Silent::spawn(&need!(compile::c_texts(&texts, &["-g", "-O0"])));
    let report = Coral::start_attach(target.pid(), &["handle"], &[]).wait();
    assert_refused(&report, 2, "ambiguous-function", "part0.c:2");
    assert!(report.says("part1.c:1"), "{report:#?}");
}

#[test]
fn processes_that_cannot_be_targets() {
    need!(rights::probes());
    let mut zombie = Target::spawn(&need!(compile::c(&["-O2"])));
    zombie.kill_without_reaping();
    let directory = tempfile::tempdir().unwrap();
    let small = Silent::spawn(&write_program(directory.path(), &program_32_bit()));
    for (pid, status, says) in [
        (u32::MAX, 2, ""),
        (i32::MAX as u32, 2, "2147483647"),
        (0, 2, ""),
        (KERNEL_THREAD, 2, "kernel thread"),
        (zombie.pid(), 2, "zombie"),
        (small.pid(), 2, "32-bit"),
    ] {
        let report = Coral::start_attach(pid, &["main"], &[]).wait();
        assert_eq!(report.status.code(), Some(status), "{pid}: {report:#?}");
        let code = report.error_code().to_owned();
        assert_refused(&report, status, &code, says);
    }
}

#[test]
fn coral_does_not_probe_itself() {
    let itself = format!("exec '{PROGRAM}' debug attach --pid $$ --function main --format json");
    let report = Coral::start(Command::new("sh").args(["-c", &itself])).wait();
    assert_eq!(report.status.code(), Some(2), "{report:#?}");
    report.error_code();
}

#[test]
fn a_stripped_program_says_what_is_missing() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::c(&["-O2", "-s"])));
    let unprobed = target.run("plain").checksum;
    let report = Coral::start_attach(target.pid(), &["plain_step"], &[]).wait();
    assert_refused(&report, 2, "no-such-function", "plain_step");
    assert_eq!(target.run("plain").checksum, unprobed);
}

#[test]
fn who_has_no_right_is_told_which() {
    let target = Target::spawn(&need!(compile::c(&["-O2"])));
    need!(rights::probes());
    // Where another user can run it.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("coral");
    fs::copy(PROGRAM, &program).unwrap();
    let mut command = Command::new(&program);
    command.args(attach_command(target.pid(), &["plain_step"], &[]).get_args());
    let report = Coral::start(command.uid(NOBODY).gid(NOBODY)).wait();
    assert_eq!(report.status.code(), Some(3), "{report:#?}");
    report.error_code();
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

#[test]
fn a_kernel_that_is_too_old_is_named() {
    let target = Target::spawn(&need!(compile::c(&["-O2"])));
    need!(rights::probes());
    let mut command = attach_command(target.pid(), &["plain_step"], &[]);
    let report = Coral::start(command.env("CORAL_TEST_KERNEL", "5.4")).wait();
    assert_refused(&report, 3, "kernel-too-old", "5.4");
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

#[test]
fn too_many_functions_are_refused_with_the_limit() {
    need!(rights::probes());
    let mut text = String::from("#include <stdio.h>\n");
    for number in 0..=FUNCTIONS_MAX {
        writeln!(text, "int many_{number}(int x) {{ return x + {number}; }}").unwrap();
    }
    text.push_str("int main(void) { while (getchar() >= 0) {} return 0; }\n");
    let target = Silent::spawn(&need!(compile::c_texts(&[&text], &["-O0"])));
    let report = Coral::start_attach(target.pid(), &["many_*"], &[]).wait();
    assert_refused(&report, 2, "over-limit", &FUNCTIONS_MAX.to_string());
    assert!(report.says(&(FUNCTIONS_MAX + 1).to_string()), "{report:#?}");
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

#[test]
fn a_full_disk_is_named_and_the_target_is_clean() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::c(&["-O2"])));
    let disk = need!(SmallDisk::mount());
    disk.fill();
    let output = disk.directory.path().to_str().unwrap();
    let (coral, attached) = Coral::attach(target.pid(), &["plain_step"], &["--output", output]);
    target.run("plain");
    let report = coral.finish();
    assert_eq!(report.status.code(), Some(1), "{report:#?}");
    report.error_code();
    assert_eq!(report.detached_probes(), attached.probes);
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    let left: Vec<_> = fs::read_dir(output)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["ballast"], "no half of a file is left");
}

/// `kthreadd`, on every Linux.
const KERNEL_THREAD: u32 = 2;
const NOBODY: u32 = 65534;
const FUNCTIONS_MAX: usize = 4000;

fn assert_refused(report: &Report, status: i32, code: &str, says: &str) {
    assert_eq!(report.status.code(), Some(status), "{report:#?}");
    assert_eq!(report.error_code(), code, "{report:#?}");
    assert!(report.says(says), "{says}: {report:#?}");
    assert_eq!(report.stdout, "", "{report:#?}");
    let has_escape = report.stderr.iter().any(|line| line.contains('\u{1b}'));
    assert!(!has_escape, "{report:#?}");
    assert!(!report.says("attached: "), "{report:#?}");
}

/// A program that only waits. Dropping it ends it.
struct Silent(Child);

impl Silent {
    fn spawn(binary: &Path) -> Self {
        let child = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let child = Self(child.unwrap());
        let is_running =
            || fs::read_link(format!("/proc/{}/exe", child.pid())).is_ok_and(|exe| exe == binary);
        assert!(eventually(is_running), "{} starts", binary.display());
        child
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An i386 program that pauses for ever: `mov $29, %eax; int $0x80; jmp` back.
fn program_32_bit() -> Vec<u8> {
    const CODE: [u8; 9] = [0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7];
    const HEADERS_LEN: u32 = 52 + 32;
    const BASE: u32 = 0x0804_8000;
    let mut program = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |value: u16| value.to_le_bytes();
    let word = |value: u32| value.to_le_bytes();
    program.extend([half(2), half(3)].concat());
    program.extend(
        [
            word(1),
            word(BASE + HEADERS_LEN),
            word(52),
            word(0),
            word(0),
        ]
        .concat(),
    );
    program.extend([half(52), half(32), half(1), half(40), half(0), half(0)].concat());
    let len = HEADERS_LEN + CODE.len() as u32;
    let segment = [1, 0, BASE, BASE, len, len, 5, 0x1000];
    program.extend(segment.map(word).concat());
    program.extend(CODE);
    program
}

fn write_program(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("program");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A file system with room for a few pages. Dropping it unmounts it.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
            .arg(directory.path());
        match mount.status() {
            Ok(status) if status.success() => Ok(Self { directory }),
            _ => Err("a tmpfs cannot be mounted".into()),
        }
    }

    fn fill(&self) {
        let mut ballast = fs::File::create(self.directory.path().join("ballast")).unwrap();
        let error = loop {
            if let Err(error) = io::Write::write_all(&mut ballast, &[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.directory.path()).status();
        // A test that fails already must not abort in here.
        let is_clean = unmounted.is_ok_and(|status| status.success());
        assert!(
            is_clean || std::thread::panicking(),
            "the small disk is unmounted"
        );
    }
}
