//! The audit log: every way of tampering is found, and nothing is allowed without a record.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use coral_model::Diagnostic;
use coral_tui::access::audit::{AuditError, AuditLog, AuditSettings, Entry, Outcome, Who, verify};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

const RECORDS: usize = 20;
/// Names the log to a test that runs in a process of its own.
const LOG: &str = "CORAL_TEST_AUDIT_LOG";

fn settings(folder: &Path) -> AuditSettings {
    AuditSettings {
        path: folder.join("audit.jsonl"),
        anchor: Some(folder.join("anchor.json")),
        rotate_bytes: 1 << 20,
    }
}

fn entry(number: usize) -> Entry {
    Entry {
        session: Some(format!("dbg-{number}")),
        service: Some("shop\u{1b}[31m\u{202e}\n".into()),
        functions: vec!["main.handleCheckout".into()],
        settings: json!({ "duration_s": 60 }),
        ..Entry::new(Who::coral(), "session.start", Outcome::Allowed)
    }
}

/// A log of twenty records, and its lines with their ends.
fn written() -> (TempDir, AuditSettings, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let log = AuditLog::open(settings.clone()).unwrap();
    (0..RECORDS).for_each(|number| log.append(&entry(number)).unwrap());
    let bytes = fs::read(&settings.path).unwrap();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    assert_eq!(lines.len(), RECORDS);
    (folder, settings, lines)
}

/// The first bad record of a log with this text, by the number that it has or should have.
fn first_bad(settings: &AuditSettings, text: &[u8]) -> Option<u64> {
    fs::write(&settings.path, text).unwrap();
    match verify(&settings.path, settings.anchor.as_deref()) {
        Ok(_) => None,
        Err(AuditError::Broken(broken)) => Some(broken.record),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_log_is_json_that_cannot_act_and_says_who_did_what() {
    let (_folder, settings, lines) = written();
    let verified = verify(&settings.path, settings.anchor.as_deref()).unwrap();
    assert_eq!(verified.records, RECORDS as u64);
    assert_eq!(verified.anchored_records, Some(RECORDS as u64));
    for (number, line) in lines.iter().enumerate() {
        let (end, text) = line.split_last().unwrap();
        assert_eq!(*end, b'\n');
        assert!(text.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let record: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(record["sequence"], number + 1);
        assert_eq!(record["service"], "shop\u{1b}[31m\u{202e}\n");
        assert_eq!(record["session"], format!("dbg-{number}"));
        assert_eq!(record["who"]["name"], "coral");
        assert_eq!(record["outcome"], "allowed");
    }
}

#[test]
fn every_edit_of_a_byte_is_found_at_its_record() {
    let (_folder, settings, lines) = written();
    let mut text = lines.concat();
    let mut at = 0;
    for (number, line) in lines.iter().enumerate() {
        for _ in line {
            let kept = text[at];
            // One bit, the case of a letter, or an end of a line in the middle.
            for edited in [kept ^ 1, kept ^ 0x20, b'\n'] {
                text[at] = edited;
                let expected = (edited != kept).then_some(number as u64 + 1);
                assert_eq!(
                    first_bad(&settings, &text),
                    expected,
                    "byte {at} as {edited}"
                );
            }
            text[at] = kept;
            at += 1;
        }
    }
}

#[test]
fn every_removal_repetition_swap_and_cut_is_found() {
    let (_folder, settings, lines) = written();
    for first in 0..RECORDS {
        let bad = first as u64 + 1;
        let mut removed = lines.clone();
        removed.remove(first);
        assert_eq!(first_bad(&settings, &removed.concat()), Some(bad));
        let mut repeated = lines.clone();
        repeated.insert(first, lines[first].clone());
        assert_eq!(first_bad(&settings, &repeated.concat()), Some(bad + 1));
        for second in first + 1..RECORDS {
            let mut swapped = lines.clone();
            swapped.swap(first, second);
            assert_eq!(first_bad(&settings, &swapped.concat()), Some(bad));
        }
    }
    let text = lines.concat();
    let mut whole = 0;
    for length in 0..text.len() {
        assert_eq!(
            first_bad(&settings, &text[..length]),
            Some(whole + 1),
            "{length} bytes"
        );
        whole += u64::from(text[length] == b'\n');
    }
    assert_eq!(first_bad(&settings, &text), None);
}

#[test]
fn a_log_that_was_written_anew_is_not_the_anchored_one() {
    let (_folder, settings, _) = written();
    let (_other, other, _) = written();
    let forged = fs::read(&other.path).unwrap();
    assert_eq!(first_bad(&settings, &forged), Some(RECORDS as u64));
    // Without an anchor it is as good as any, and the command says what that is worth.
    assert_eq!(verify(&settings.path, None).unwrap().anchored_records, None);
}

#[test]
fn the_command_names_the_first_bad_record() {
    let (_folder, settings, lines) = written();
    let run = |path: &Path| -> Output {
        let anchor = settings.anchor.as_ref().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_coral"));
        command.args(["audit", "verify"]).arg(path);
        command.arg("--anchor").arg(anchor).output().unwrap()
    };
    let output = run(&settings.path);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"20 records, "));

    fs::write(&settings.path, lines[..7].concat()).unwrap();
    let output = run(&settings.path);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "error[audit-broken]: record 8 in {} (line 8): it is missing, and the anchor knows of 20 \
         records: the end was cut off\nhelp: ",
        settings.path.display()
    );
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(run(Path::new("/no/such/log")).status.code(), Some(1));
}

#[test]
fn a_chain_goes_on_through_full_files_restarts_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AuditSettings {
        rotate_bytes: 2000,
        ..settings(folder.path())
    };
    for _ in 0..2 {
        let log = AuditLog::open(settings.clone()).unwrap();
        thread::scope(|scope| {
            for number in 0..4 {
                let log = &log;
                scope.spawn(move || (0..10).for_each(|_| log.append(&entry(number)).unwrap()));
            }
        });
    }
    let verified = verify(&settings.path, settings.anchor.as_deref()).unwrap();
    assert_eq!(
        (verified.records, verified.anchored_records),
        (80, Some(80))
    );
    let is_full = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ending.parse::<u64>().is_ok())
    };
    let files = fs::read_dir(folder.path()).unwrap();
    let mut full: Vec<PathBuf> = files
        .map(|file| file.unwrap().path())
        .filter(is_full)
        .collect();
    assert!(full.len() > 2);
    full.sort();
    fs::remove_file(&full[1]).unwrap();
    let error = verify(&settings.path, None).unwrap_err();
    assert_eq!(error.code(), "audit-broken");
    assert_eq!(AuditLog::open(settings).unwrap_err().code(), "audit-broken");
}

/// Setting a full file aside takes two steps, and the second may fail: a disk without room.
#[test]
fn a_file_that_was_set_aside_half_way_is_not_set_aside_again() {
    for is_begun_anew in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let settings = AuditSettings {
            rotate_bytes: 1,
            ..settings(folder.path())
        };
        let log = AuditLog::open(settings.clone()).unwrap();
        log.append(&entry(1)).unwrap();
        let full = settings.path.with_extension("jsonl.1");
        fs::rename(&settings.path, &full).unwrap();
        if is_begun_anew {
            fs::write(&settings.path, "").unwrap();
        }
        let kept = fs::read(&full).unwrap();
        log.append(&entry(2)).unwrap();
        assert_eq!(fs::read(&full).unwrap(), kept);
        let verified = verify(&settings.path, settings.anchor.as_deref()).unwrap();
        assert_eq!(verified.records, 2);
    }
}

#[test]
fn what_a_crash_left_of_a_record_is_taken_away_and_told() {
    let (_folder, settings, lines) = written();
    let torn = [lines.concat(), b"{\"sequence\":21,".to_vec()].concat();
    assert_eq!(first_bad(&settings, &torn), Some(21));
    drop(AuditLog::open(settings.clone()).unwrap());
    let text = fs::read_to_string(&settings.path).unwrap();
    let record: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(record["action"], "audit.recover");
    assert_eq!(record["settings"]["torn_bytes"], 15);
    assert_eq!(
        verify(&settings.path, settings.anchor.as_deref())
            .unwrap()
            .records,
        21
    );
}

/// Runs one of these tests in a process of its own, behind some words of a shell.
fn in_a_process(test: &str, log: &Path, shell: &str) -> Output {
    let output = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(LOG, log)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{said}");
    output
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let log = AuditLog::open(settings.clone()).unwrap();
    let other = in_a_process("audit::is_locked", &settings.path, "");
    assert!(other.status.success(), "{other:?}");
    drop(log);
    let other = in_a_process("audit::is_locked", &settings.path, "");
    assert!(!other.status.success(), "it is open to the next one");
}

#[test]
#[ignore = "run by a_second_process_is_refused"]
fn is_locked() {
    let path = PathBuf::from(std::env::var_os(LOG).unwrap());
    let error = AuditLog::open(settings(path.parent().unwrap())).unwrap_err();
    assert_eq!(error.code(), "audit-locked");
}

#[test]
fn where_no_record_can_be_written_nothing_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = settings(folder.path()).path;
    // Files of this process may have four blocks at most.
    let limited = "trap '' XFSZ; ulimit -S -f 4;";
    let full = in_a_process("audit::is_full", &path, limited);
    assert!(full.status.success(), "{full:?}");
}

#[test]
#[ignore = "run by where_no_record_can_be_written_nothing_is_allowed"]
fn is_full() {
    let path = PathBuf::from(std::env::var_os(LOG).unwrap());
    let settings = settings(path.parent().unwrap());
    let log = AuditLog::open(settings.clone()).unwrap();
    let count = (0..100)
        .take_while(|number| log.append(&entry(*number)).is_ok())
        .count();
    assert!((1..100).contains(&count));
    let error = log.append(&entry(count)).unwrap_err();
    assert_eq!(error.code(), "audit-unwritable");
    let whole = || verify(&settings.path, settings.anchor.as_deref()).unwrap();
    assert_eq!(
        whole().records,
        count as u64,
        "nothing is left of what failed"
    );

    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Fsize, unlimited).unwrap();
    log.append(&entry(count)).unwrap();
    assert_eq!(whole().records, count as u64 + 1);
}
