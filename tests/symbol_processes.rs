//! Running processes: what they run, where it is mapped, and which of them are refused.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::lines::eventually;
use common::target::Target;
use common::{compile, need};
use coral_model::{Diagnostic, ExitStatus, Language};
use coral_tui::symbols::{
    CodeDifference, Image, MappedCode, Process, ProcessState, Symbols, list_processes,
};
use rustix::process::{Pid, Signal};

#[test]
fn a_process_is_what_its_executable_says() {
    for mode in ["-pie", "-no-pie"] {
        let binary = need!(compile::c(&["-O2", mode]));
        let target = Target::spawn(&binary);
        let process = Process::open(target.pid()).unwrap();
        let identity = process.target();
        assert_eq!(identity.pid, target.pid());
        assert_eq!(identity.exe, binary.to_string_lossy());
        assert_eq!(identity.service, "target");
        assert_eq!(identity.language, Language::C);
        let image = Image::open(File::open(&binary).unwrap(), "a file").unwrap();
        assert_eq!(identity.build_id.as_deref(), image.build_id());
        assert_eq!(process.executable().identity(), image.identity());
        assert!(!process.has_exited() && !process.has_execed());
        let idle = ProcessState {
            stopped: false,
            tracer: None,
            seccomp_filter: false,
        };
        assert_eq!(process.state().unwrap(), idle);
    }
}

#[test]
fn code_in_memory_is_that_of_the_file_until_somebody_changes_it() {
    for mode in ["-pie", "-no-pie"] {
        let target = Target::spawn(&need!(compile::c(&["-O2", mode])));
        let process = Process::open(target.pid()).unwrap();
        let image = process.executable();
        let symbols = Symbols::read(image.clone()).unwrap();
        let found = symbols.table().iter().find(|found| found.name == "descend");
        let function = found.unwrap();
        let range = function.address..function.address + function.size;
        let differences = || {
            let code = MappedCode::of(&process, image).unwrap();
            code.differences(range.clone()).unwrap()
        };
        assert_eq!(differences(), []);

        let bias = process.load_bias(image).unwrap().unwrap();
        let memory = File::options()
            .write(true)
            .open(format!("/proc/{}/mem", target.pid()))
            .unwrap();
        let changed = function.address + 1;
        memory
            .write_all_at(&[0xcc], changed.wrapping_add(bias))
            .unwrap();
        let breakpoint = CodeDifference {
            address: changed,
            is_breakpoint: true,
        };
        assert_eq!(differences(), [breakpoint]);
    }
}

#[test]
fn libraries_are_opened_as_they_are_mapped() {
    let target = Target::spawn(&need!(compile::cpp(&["-O2"])));
    let process = Process::open(target.pid()).unwrap();
    let libraries = process.libraries().unwrap();
    let of = |name: &str| libraries.iter().find(|library| library.path.contains(name));
    assert!(of("target").is_none(), "the executable is no library");
    for (name, function) in [("libc.so", "malloc"), ("libstdc++.so", "__cxa_throw")] {
        let image = process.open_library(of(name).unwrap()).unwrap();
        assert!(process.load_bias(&image).unwrap().is_some());
        let symbols = Symbols::read(image.into()).unwrap();
        let mut functions = symbols.table().iter();
        assert!(functions.any(|found| found.name == function), "{function}");
    }
}

#[test]
fn a_replaced_executable_lives_on_in_its_process() {
    let binary = need!(compile::c(&["-O2"]));
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("shop");
    std::fs::copy(&binary, &place).unwrap();
    let target = Target::spawn(&place);
    std::fs::remove_file(&place).unwrap();
    std::fs::write(&place, "another file").unwrap();
    let process = Process::open(target.pid()).unwrap();
    assert_eq!(process.target().exe, place.to_string_lossy());
    assert!(process.load_bias(process.executable()).unwrap().is_some());
    assert!(!process.has_execed());
}

#[test]
fn the_end_and_the_exec_of_a_process_are_noticed() {
    let mut target = Target::spawn(&need!(compile::c(&["-O2"])));
    let process = Process::open(target.pid()).unwrap();
    target.signal(Signal::STOP);
    assert!(eventually(|| process.state().unwrap().stopped));
    target.signal(Signal::CONT);
    assert!(eventually(|| !process.state().unwrap().stopped));
    target.kill_without_reaping();
    assert!(eventually(|| process.has_exited()));
    let gone = process.state().unwrap_err();
    assert_eq!(gone.code(), "target-gone");
    assert_eq!(gone.exit_status(), ExitStatus::TargetGone);
    assert_eq!(refusal(target.pid()), "zombie");

    let mut shell = std::process::Command::new("sh")
        .args(["-c", "read line; exec cat"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let process = Process::open(shell.id()).unwrap();
    let is_shell = || process.executable().path() == exe_of(shell.id());
    assert!(is_shell() && !process.has_execed());
    let mut input = shell.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"\n").unwrap();
    assert!(eventually(|| process.has_execed()));
    assert!(!process.has_exited());
    drop(input);
    shell.wait().unwrap();
    assert!(process.has_exited());
    assert_eq!(refusal(shell.id()), "no-such-process");
}

#[test]
fn what_is_no_process_to_probe_is_refused_by_name() {
    assert_eq!(refusal(std::process::id()), "own-process");
    assert_eq!(refusal(u32::MAX), "no-such-process");
    assert_eq!(refusal(0), "no-such-process");
    let own_thread = std::thread::spawn(|| rustix::thread::gettid().as_raw_nonzero().get());
    let own_thread = u32::try_from(own_thread.join().unwrap()).unwrap();
    assert_ne!(own_thread, std::process::id());
    assert!(["own-process", "no-such-process"].contains(&refusal(own_thread).as_str()));

    let kernel = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if kernel.trim() == "kthreadd" {
        assert_eq!(refusal(2), "kernel-thread");
    } else {
        common::skip("no kernel threads are seen here");
    }
}

#[test]
fn the_picker_lists_what_can_be_probed() {
    let target = Target::spawn(&need!(compile::rust(&["-Copt-level=2"])));
    let listed = list_processes();
    let pids: Vec<u32> = listed.iter().map(|process| process.pid).collect();
    assert!(pids.is_sorted());
    let summary = listed
        .iter()
        .find(|process| process.pid == target.pid())
        .unwrap();
    assert_eq!(summary.name, "target");
    assert_eq!(summary.language, Some(Language::Rust));
    assert_eq!(summary.refusal, None);
    assert_eq!(summary.command, exe_of(target.pid()));
    assert!(listed.iter().all(|process| process.name != "kthreadd"));
    assert!(Pid::from_raw(i32::try_from(summary.pid).unwrap()).is_some());
}

#[test]
fn a_listening_port_is_listed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let listed = list_processes();
    let own = listed
        .iter()
        .find(|process| process.pid == std::process::id());
    assert_eq!(own.unwrap().ports, [port]);
}

fn refusal(pid: u32) -> String {
    let error = Process::open(pid).map(|_| ()).unwrap_err();
    assert!(!error.help().is_empty());
    error.code().to_owned()
}

fn exe_of(pid: u32) -> String {
    let link = Path::new("/proc").join(pid.to_string()).join("exe");
    std::fs::read_link(link)
        .unwrap()
        .to_string_lossy()
        .into_owned()
}
