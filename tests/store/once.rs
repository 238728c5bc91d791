//! Each entry is stored once, whatever comes twice, too late or not at all.

use std::collections::{BTreeMap, BTreeSet};

use coral_tui::store::{Content, Entry, HistoryQuery, Store, StoreError, StoreSettings};
use proptest::prelude::*;

use crate::fixture::{
    SERVICE, at, batch, calls, epoch, journal, opened, replica, rows, session, settings,
};

/// Calls in the entry with that number.
fn count(sequence: u64) -> u32 {
    (sequence % 4) as u32
}

/// What has to be stored of batches that come in that order, the batches of one journal.
#[derive(Debug, Default)]
struct Expected {
    mark: u64,
    stored: BTreeSet<u64>,
    gaps: Vec<(u64, u64)>,
}

impl Expected {
    fn take(&mut self, sequences: &[u64]) {
        for &sequence in sequences {
            if sequence <= self.mark {
                continue;
            }
            if sequence > self.mark + 1 {
                self.gaps.push((self.mark + 1, sequence - 1));
            }
            self.stored.insert(sequence);
            self.mark = sequence;
        }
    }
}

async fn store_all(settings: &StoreSettings, batches: &[(bool, Vec<u64>)], reopen_at: usize) {
    let mut store = opened(settings, "s").await;
    let mut expected: BTreeMap<&str, Expected> = BTreeMap::new();
    for (place, (is_second, sequences)) in batches.iter().enumerate() {
        if place == reopen_at {
            store.close().await;
            store = Store::open(settings.clone()).unwrap().0;
        }
        let agent = if *is_second { "b" } else { "a" };
        let expected = expected.entry(agent).or_default();
        expected.take(sequences);
        let entries = sequences.iter().map(|&it| calls(it, count(it))).collect();
        let mark = store.append(batch("s", agent, entries)).await.unwrap();
        assert_eq!(mark, expected.mark);
    }
    store.close().await;
    for (agent, expected) in expected {
        let sql = format!(
            "SELECT sequence, number FROM uprobe_events WHERE agent_id = '{agent}' ORDER BY ALL"
        );
        let sequences = expected.stored.iter();
        let stored = sequences.flat_map(|&it| (0..count(it)).map(move |number| pair(&it, &number)));
        assert_eq!(rows(settings, &sql), stored.collect::<Vec<_>>());
        let sql = format!(
            "SELECT first_sequence, last_sequence FROM gaps WHERE agent_id = '{agent}' ORDER BY ALL"
        );
        let gaps = expected.gaps.iter().map(|(first, last)| pair(first, last));
        assert_eq!(rows(settings, &sql), gaps.collect::<Vec<_>>());
    }
    let counted = "SELECT event_count - (SELECT count(*) FROM uprobe_events) FROM debug_sessions";
    assert_eq!(rows(settings, counted), [["0"]]);
}

fn pair(a: &impl ToString, b: &impl ToString) -> Vec<String> {
    vec![a.to_string(), b.to_string()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_comes_each_entry_is_stored_once_and_what_is_missing_is_named(
        batches in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(1u64..12, 0..5)), 1..12),
        reopen_at in 0usize..12,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store_all(&settings, &batches, reopen_at));
    }
}

#[tokio::test]
async fn batches_that_wait_together_are_stored_as_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    let append = |sequence: u64| {
        let store = store.clone();
        let entry = calls(sequence % 50 + 1, 2);
        tokio::spawn(async move { store.append(batch("s", "a", vec![entry])).await.unwrap() })
    };
    // On one thread they are all in the queue, in this order, before the first is answered.
    let answers: Vec<_> = (0..100).map(append).collect();
    for (number, answer) in (0..100u64).zip(answers) {
        assert_eq!(
            answer.await.unwrap(),
            if number < 50 { number + 1 } else { 50 }
        );
    }
    store.close().await;
    let sql = "SELECT count(*), count(DISTINCT (sequence, number)) FROM uprobe_events";
    assert_eq!(rows(&settings, sql), [["100", "100"]]);
    assert_eq!(rows(&settings, "SELECT count(*) FROM gaps"), [["0"]]);
}

#[tokio::test]
async fn what_the_agent_had_to_drop_is_named_with_its_calls() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    let dropped = |sequences| Entry {
        sequences,
        content: Content::Gap { calls: 77 },
        is_last: false,
    };
    let last = Entry {
        is_last: true,
        ..calls(9, 1)
    };
    let entries = vec![
        calls(1, 1),
        dropped(2..=3),
        calls(4, 1),
        dropped(3..=8),
        last,
    ];
    let mark = store.append(batch("s", "a", entries)).await.unwrap();
    assert_eq!(mark, 9);
    let marks = store.marks(journal("s", "a").session).await.unwrap();
    assert_eq!(marks.len(), 1);
    assert!(marks[0].is_complete);
    let query = HistoryQuery {
        service: SERVICE.into(),
        pattern: None,
        since: epoch(),
    };
    let gaps = store.history(query).await.unwrap().gaps;
    let gaps: Vec<_> = gaps
        .into_iter()
        .map(|it| (it.sequences, it.calls))
        .collect();
    // Of the calls of one that reaches back, nobody knows how many are stored.
    assert_eq!(gaps, [(2..=3, Some(77)), (5..=8, None)]);
}

#[tokio::test]
async fn an_unknown_session_is_refused_and_those_beside_it_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&settings(&folder), "s").await;
    let unknown = store.append(batch("other", "a", vec![calls(1, 1)]));
    let known = store.append(batch("s", "a", vec![calls(1, 1)]));
    let (unknown, known) = tokio::join!(unknown, known);
    assert!(matches!(unknown, Err(StoreError::NoSuchSession { .. })));
    assert_eq!(known.unwrap(), 1);
    let error = store
        .add_replicas(vec![replica("other", "a")])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NoSuchSession { .. }));
    store.begin_session(session("other")).await.unwrap();
    store
        .add_replicas(vec![replica("other", "a")])
        .await
        .unwrap();
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let (store, _) = Store::open(settings.clone()).unwrap();
    let run = || crate::fixture::process("once::is_locked", &settings.path, "").status();
    assert!(run().unwrap().success());
    drop(store);
    // The thread closes the file by itself.
    while Store::open(settings.clone()).is_err() {
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "run by a_second_process_is_refused"]
fn is_locked() {
    let error = Store::open(at(&crate::fixture::history())).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
}
