mod properties;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1::{
    CallRecord, Journal as JournalInfo, JournalCall, JournalEntry, ReadJournalRequest, SessionInfo,
    SessionNotice, SessionStatus, SessionUpdate,
};
use prost::Message;
use tempfile::TempDir;
use tokio_stream::StreamExt;

use super::index::Next;
use super::reader::{Read, Reader};
use super::spool::{Spool, SpoolError, Writer};

/// More than any of these tests writes.
const ROOMY: u64 = 1 << 30;

fn open(folder: &Path, max_bytes: u64) -> Arc<Spool> {
    Spool::open_after(folder, max_bytes, &super::epoch::boot_id(), 1).unwrap()
}

/// Calls that tell themselves apart by their durations.
fn calls(durations: impl IntoIterator<Item = u64>) -> Vec<JournalCall> {
    let calls = durations.into_iter().map(|duration_ns| JournalCall {
        record: Some(CallRecord {
            duration_ns,
            ..CallRecord::default()
        }),
        function: "main.pay".into(),
    });
    calls.collect()
}

fn durations(entries: &[JournalEntry]) -> Vec<u64> {
    let calls = entries.iter().flat_map(|entry| &entry.calls);
    calls
        .filter_map(|call| call.record.as_ref())
        .map(|record| record.duration_ns)
        .collect()
}

/// A session that goes on, in two parts.
fn checkpoint(status: SessionStatus) -> Vec<SessionUpdate> {
    let first = SessionUpdate {
        is_whole: true,
        continues: true,
        session: Some(SessionInfo {
            status: status.into(),
            ..SessionInfo::default()
        }),
        ..SessionUpdate::default()
    };
    vec![first, SessionUpdate::default()]
}

fn active() -> Vec<SessionUpdate> {
    checkpoint(SessionStatus::Active)
}

fn expired() -> Vec<SessionUpdate> {
    checkpoint(SessionStatus::Expired)
}

/// All that there is by now behind an entry.
fn read(spool: &Arc<Spool>, epoch: u64, session: &str, after: u64) -> Vec<JournalEntry> {
    let mut reader = Reader::new(spool, (epoch, session.to_owned()), after);
    let mut all = Vec::new();
    while let Read::Entries(entries) = reader.read().unwrap() {
        all.extend(entries);
    }
    all
}

fn sequences(entries: &[JournalEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

/// The files of journals, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|it| it == "journal") {
            files.push(path);
        }
    }
    files.sort_unstable();
    files
}

fn tear(file: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len.saturating_sub(bytes)).unwrap();
}

/// A journal with a beginning, a batch of calls and no end.
fn begun(folder: &TempDir, max_bytes: u64) -> (Arc<Spool>, Writer) {
    let spool = open(folder.path(), max_bytes);
    let writer = spool.begin("dbg-1", "request");
    writer.checkpoint(active(), false).unwrap();
    writer.calls(calls([1, 2, 3])).unwrap();
    (spool, writer)
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    writer.checkpoint(expired(), true).unwrap();
    let entries = read(&spool, 1, "dbg-1", 0);
    assert_eq!(sequences(&entries), [1, 2, 3, 4, 5]);
    assert_eq!(durations(&entries), [1, 2, 3]);
    let is_last: Vec<bool> = entries.iter().map(|entry| entry.is_last).collect();
    assert_eq!(is_last, [false, false, false, false, true]);
    assert_eq!(read(&spool, 1, "dbg-1", 3), entries[3..]);
    let listed = JournalInfo {
        session_id: "dbg-1".into(),
        epoch: 1,
        request_id: "request".into(),
        first_sequence: 1,
        last_sequence: 5,
        is_complete: true,
    };
    assert_eq!(spool.list(), [listed]);
}

#[test]
fn what_is_acknowledged_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    writer.checkpoint(active(), false).unwrap();
    writer.calls(calls([4])).unwrap();
    assert_eq!(files(folder.path()).len(), 4);
    spool.acknowledge(1, "dbg-1", 6).unwrap();
    // The latest checkpoint stays: if the agent ends now, the journal's end is made of it.
    assert_eq!(spool.list()[0].first_sequence, 4);
    assert_eq!(durations(&read(&spool, 1, "dbg-1", 5)), [4]);
    writer.checkpoint(expired(), true).unwrap();
    spool.acknowledge(1, "dbg-1", 7).unwrap();
    assert_eq!(spool.list()[0].last_sequence, 8);
    spool.acknowledge(1, "dbg-1", 8).unwrap();
    assert_eq!(spool.list(), []);
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
    // Again, where the first answer was lost.
    spool.acknowledge(1, "dbg-1", 8).unwrap();
}

#[test]
fn a_session_that_ended_with_its_agent_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    let before = read(&spool, 1, "dbg-1", 0);
    drop((spool, writer));
    let spool = open(folder.path(), ROOMY);
    assert_eq!(spool.epoch(), 2);
    let entries = read(&spool, 1, "dbg-1", 0);
    assert_eq!(entries[..3], before);
    assert_eq!(sequences(&entries), [1, 2, 3, 4, 5]);
    let [.., first, last] = &entries[..] else {
        panic!("{entries:#?}");
    };
    let session = first.checkpoint.as_ref().unwrap().session.as_ref();
    assert_eq!(session.unwrap().status(), SessionStatus::Failed);
    let notices = &last.checkpoint.as_ref().unwrap().notices;
    assert!(
        notices[0].text.starts_with("the agent ended"),
        "{notices:?}"
    );
    assert!(last.is_last);
    assert!(spool.list()[0].is_complete);
    // Once is enough.
    drop(spool);
    let spool = open(folder.path(), ROOMY);
    assert_eq!(read(&spool, 1, "dbg-1", 0), entries);
}

/// After a start of the machine, a reader may have more than the disk: its numbers are not used
/// again.
#[test]
fn what_a_machine_has_lost_is_not_said_under_old_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open_after(folder.path(), ROOMY, "first", 1).unwrap();
    let writer = spool.begin("dbg-1", "");
    writer.checkpoint(active(), false).unwrap();
    writer.calls(calls([1])).unwrap();
    writer.calls(calls([2])).unwrap();
    let has = read(&spool, 1, "dbg-1", 0).last().unwrap().sequence;
    drop((spool, writer));
    tear(files(folder.path()).last().unwrap(), 1);
    let spool = Spool::open_after(folder.path(), ROOMY, "second", 1).unwrap();
    let rest = read(&spool, 1, "dbg-1", has);
    assert!(rest.iter().all(|entry| entry.sequence > has));
    assert!(rest.last().unwrap().is_last);
    assert_eq!(durations(&read(&spool, 1, "dbg-1", 0)), [1]);
}

#[test]
fn a_torn_tail_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    writer.calls(calls([4, 5])).unwrap();
    drop((spool, writer));
    let file = files(folder.path()).pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for lost_bytes in 1..whole.len() as u64 {
        let folder = tempfile::tempdir().unwrap();
        let (spool, writer) = begun(&folder, ROOMY);
        writer.calls(calls([4, 5])).unwrap();
        drop((spool, writer));
        tear(files(folder.path()).last().unwrap(), lost_bytes);
        let spool = open(folder.path(), ROOMY);
        let entries = read(&spool, 1, "dbg-1", 0);
        let durations = durations(&entries);
        assert!(
            durations.is_empty() || durations == [1, 2, 3],
            "{durations:?}"
        );
        assert!(entries.last().unwrap().is_last);
        let numbers = sequences(&entries);
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_checkpoint_without_its_end_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    writer.checkpoint(active(), false).unwrap();
    drop((spool, writer));
    tear(files(folder.path()).last().unwrap(), 1);
    let spool = open(folder.path(), ROOMY);
    let entries = read(&spool, 1, "dbg-1", 0);
    assert_eq!(sequences(&entries), [1, 2, 3, 4, 5]);
    assert!(entries[4].is_last);
}

#[test]
fn a_gap_names_the_calls_that_its_reader_does_not_have() {
    for is_acknowledged in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (spool, writer) = begun(&folder, 4_000);
        let has = read(&spool, 1, "dbg-1", 0).last().unwrap().sequence;
        if is_acknowledged {
            spool.acknowledge(1, "dbg-1", has).unwrap();
        }
        for call in 4..500 {
            writer.calls(calls([call])).unwrap();
        }
        let entries = read(&spool, 1, "dbg-1", has);
        let gap = entries[0].gap.as_ref().unwrap();
        assert_eq!(gap.first_sequence, has + 1);
        let kept = durations(&entries);
        assert_eq!(kept, (4 + gap.calls..500).collect::<Vec<_>>());
    }
}

#[test]
fn where_there_is_no_more_room_the_oldest_calls_are_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, 4_000);
    for call in 4..500 {
        writer.calls(calls([call])).unwrap();
    }
    let used: u64 = files(folder.path())
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(used <= 4_000, "{used} bytes");
    writer.checkpoint(expired(), true).unwrap();
    let entries = read(&spool, 1, "dbg-1", 0);
    let gaps: Vec<_> = entries.iter().filter(|entry| entry.gap.is_some()).collect();
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    // The first checkpoint was the latest one meanwhile.
    let gap = gaps[0].gap.as_ref().unwrap();
    assert_eq!(gap.first_sequence, 3);
    let kept = durations(&entries);
    assert_eq!(kept, (gap.calls + 1..500).collect::<Vec<_>>());
    assert!(entries.last().unwrap().is_last);
    // It is the same after a restart.
    drop((spool, writer));
    let spool = open(folder.path(), 4_000);
    assert_eq!(read(&spool, 1, "dbg-1", 0), entries);
}

#[test]
fn what_finds_no_room_at_all_is_counted_and_named_later() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, 1_000);
    // The latest checkpoint and the last calls have to stay.
    assert!(writer.calls(calls(0..1_000)).is_err());
    writer.leave_out(7);
    writer.calls(calls([4])).unwrap();
    let entries = read(&spool, 1, "dbg-1", 0);
    assert_eq!(durations(&entries), [1, 2, 3, 4]);
    let gap = entries[3].gap.as_ref().unwrap();
    assert_eq!((gap.first_sequence, gap.calls), (4, 1_007));
    assert_eq!(sequences(&entries), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_list_fits_into_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), ROOMY);
    let request = "r".repeat(256);
    for session in 0..5_000 {
        spool.begin(&format!("dbg-{session:04}"), &request);
    }
    let mut list = super::list(&spool);
    assert!(list.encoded_len() <= MESSAGE_BYTES_MAX);
    let all = spool.list();
    assert_eq!(list.journals, all[..list.journals.len()]);
    // One more would not have fitted.
    list.journals.push(all[list.journals.len()].clone());
    assert!(list.encoded_len() > MESSAGE_BYTES_MAX);
}

/// Its number may be in a message already: what comes behind it would be another end.
#[test]
fn what_a_disk_may_lose_is_written_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    let path = |first: u64| folder.path().join(format!("1/dbg-1.{first:010}.journal"));
    // It takes everything, and cannot be synced.
    symlink("/dev/null", path(4)).unwrap();
    let error = writer.checkpoint(active(), false).unwrap_err();
    assert!(matches!(error, SpoolError::Unsynced(_)), "{error}");
    symlink("/dev/null", path(6)).unwrap();
    writer.calls(calls([4])).unwrap();
    let error = writer.calls(calls(5..100)).unwrap_err();
    assert!(matches!(error, SpoolError::Unsynced(_)), "{error}");
    writer.calls(calls([100])).unwrap();
    let entries = read(&spool, 1, "dbg-1", 6);
    assert_eq!(durations(&entries), (5..=100).collect::<Vec<_>>());
    // Nothing was left out.
    assert!(entries.iter().all(|entry| entry.gap.is_none()));
    spool.acknowledge(1, "dbg-1", 8).unwrap();
    writer.checkpoint(expired(), true).unwrap();
    spool.acknowledge(1, "dbg-1", 10).unwrap();
    let error = writer.checkpoint(expired(), true).unwrap_err();
    assert!(matches!(error, SpoolError::Gone), "{error}");
}

/// Nobody comes for them: the oldest make room for what is measured now, and their ends stay.
#[test]
fn journals_that_nobody_takes_make_room_at_last() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), 4_000);
    let name = |session: u64| format!("dbg-{session:02}");
    let mut end = expired();
    end[0].notices.push(SessionNotice {
        text: "long ".repeat(50),
        ..SessionNotice::default()
    });
    for session in 0..20 {
        let writer = spool.begin(&name(session), "request");
        writer.checkpoint(active(), false).unwrap();
        writer.calls(calls(0..10)).unwrap();
        // Somebody has them, and could not store what comes next.
        read(&spool, 1, &name(session), 0);
        writer.checkpoint(end.clone(), true).unwrap();
    }
    let check = |spool: &Arc<Spool>| {
        assert!(spool.list().iter().all(|journal| journal.is_complete));
        let entries = read(spool, 1, &name(0), 0);
        assert_eq!(sequences(&entries), [4, 5]);
        assert_eq!(entries[0].gap.as_ref().unwrap().calls, 10);
        assert!(entries[1].is_last && entries[1].checkpoint.is_none());
        let last = read(spool, 1, &name(19), 0);
        let checkpoints = last.iter().filter_map(|entry| entry.checkpoint.clone());
        assert!(checkpoints.collect::<Vec<_>>().ends_with(&end));
    };
    check(&spool);
    // Who has the calls is told of no others.
    let entries = read(&spool, 1, &name(0), 3);
    let gap = entries[0].gap.as_ref().unwrap();
    assert_eq!((gap.first_sequence, gap.calls), (4, 0));
    drop(spool);
    let spool = open(folder.path(), 4_000);
    check(&spool);
    spool.acknowledge(1, &name(0), 5).unwrap();
    assert_eq!(read(&spool, 1, &name(0), 0), []);
}

#[test]
fn two_agents_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _spool = open(folder.path(), ROOMY);
    let error = Spool::open(folder.path(), ROOMY).unwrap_err();
    assert!(error.to_string().contains("another agent"), "{error}");
}

#[tokio::test]
async fn a_reader_gets_what_is_there_what_comes_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    let request = ReadJournalRequest {
        session_id: "dbg-1".into(),
        epoch: 1,
        after_sequence: 2,
    };
    let mut entries = super::reader::entries(&spool, request).unwrap();
    let mut come = Vec::new();
    come.push(entries.next().await.unwrap().unwrap());
    // It waits for the next one now; nobody else does.
    writer.calls(calls([4])).unwrap();
    come.push(entries.next().await.unwrap().unwrap());
    writer.checkpoint(expired(), true).unwrap();
    while let Some(entry) = entries.next().await {
        come.push(entry.unwrap());
    }
    assert_eq!(sequences(&come), [3, 4, 5, 6]);
    assert_eq!(durations(&come), [1, 2, 3, 4]);
    assert!(matches!(spool.next(&(1, "dbg-1".into()), 6), Next::End));
}

#[test]
fn a_file_that_somebody_has_removed_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    writer.checkpoint(expired(), true).unwrap();
    fs::remove_file(&files(folder.path())[1]).unwrap();
    let entries = read(&spool, 1, "dbg-1", 0);
    assert_eq!(sequences(&entries), [1, 2, 3, 4, 5]);
    assert_eq!(entries[2].gap.as_ref().unwrap().calls, 3);
}

/// Where there was no more room, a file may be the only one that knows what had to go.
#[test]
fn what_had_to_go_is_known_from_a_head_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open_after(folder.path(), 4_000, "first", 1).unwrap();
    let writer = spool.begin("dbg-1", "");
    writer.checkpoint(active(), false).unwrap();
    for call in 0..500 {
        writer.calls(calls([call])).unwrap();
    }
    drop((spool, writer));
    let files = files(folder.path());
    let calls_before = super::segment::head(files.last().unwrap())
        .unwrap()
        .unwrap()
        .calls_before;
    for (place, file) in files.iter().enumerate().skip(1) {
        let is_last = place + 1 == files.len();
        match is_last {
            // Its head is left.
            true => tear(file, file.metadata().unwrap().len() - head_bytes(file)),
            false => fs::remove_file(file).unwrap(),
        }
    }
    let spool = Spool::open_after(folder.path(), ROOMY, "second", 1).unwrap();
    let entries = read(&spool, 1, "dbg-1", 0);
    let named: u64 = entries
        .iter()
        .flat_map(|it| &it.gap)
        .map(|gap| gap.calls)
        .sum();
    assert_eq!(named, calls_before);
    assert!(entries.last().unwrap().is_last);
}

/// Where the first entry of a file begins.
fn head_bytes(file: &Path) -> u64 {
    let head = super::segment::head(file).unwrap().unwrap();
    super::segment::Segment::empty_bytes(&head)
}

#[test]
fn a_damaged_file_is_a_gap_and_not_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, writer) = begun(&folder, ROOMY);
    writer.checkpoint(expired(), true).unwrap();
    let file = &files(folder.path())[1];
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
    let entries = read(&spool, 1, "dbg-1", 0);
    assert_eq!(sequences(&entries), [1, 2, 3, 4, 5]);
    assert_eq!(entries[2].gap.as_ref().unwrap().calls, 3);
    // It is the same after a restart.
    drop((spool, writer));
    let spool = open(folder.path(), ROOMY);
    assert_eq!(read(&spool, 1, "dbg-1", 0), entries);
}
