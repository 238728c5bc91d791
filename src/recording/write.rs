//! Writes a recording while the session runs.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use coral_model::{CallNode, CallRecord, FunctionTable, Snapshot, Target};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;

use super::format::{Delta, Frame, HeaderToWrite, SCHEMA, TableToWrite, inner_before};

/// So much of a recording is lost at most when its writer is killed.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// A recording that is being written.
pub struct Recorder<W: Write> {
    out: GzEncoder<W>,
    previous: Option<Snapshot>,
    flushed_at: Duration,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording: writes what stays the same in all frames.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn create(
        out: W,
        target: &Target,
        table: &FunctionTable,
        started_at: Timestamp,
    ) -> io::Result<Self> {
        let mut recorder = Self {
            out: GzEncoder::new(out, Compression::default()),
            previous: None,
            flushed_at: Duration::ZERO,
        };
        recorder.write_line(&HeaderToWrite {
            schema: SCHEMA,
            target,
            table: TableToWrite::of(table),
            started_at,
        })?;
        recorder.out.flush()?;
        Ok(recorder)
    }

    /// Adds a snapshot, taken so long after the recording's start; kept to the millisecond.
    ///
    /// # Errors
    /// Those of the writer. The recording is readable up to the last frame that succeeded.
    pub fn frame(&mut self, elapsed: Duration, snapshot: &Snapshot) -> io::Result<()> {
        let frame = Frame {
            at_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            snapshot: delta(self.previous.as_ref(), snapshot),
        };
        self.write_line(&frame)?;
        self.previous = Some(snapshot.clone());
        if elapsed.saturating_sub(self.flushed_at) >= FLUSH_INTERVAL {
            self.out.flush()?;
            self.flushed_at = elapsed;
        }
        Ok(())
    }

    /// Ends the recording and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.out.finish()?;
        out.flush()?;
        Ok(out)
    }

    fn write_line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

fn delta<'a>(previous: Option<&Snapshot>, snapshot: &'a Snapshot) -> Delta<'a> {
    let functions = snapshot
        .functions
        .iter()
        .enumerate()
        .filter(|&(index, stats)| {
            let before = previous.and_then(|previous| previous.functions.get(index));
            !before.is_some_and(|before| Arc::ptr_eq(before, stats) || before == stats)
        })
        .map(|(index, stats)| (index, Arc::clone(stats)))
        .collect();
    let has_new_calls = previous.is_none_or(|previous| previous.slow_calls != snapshot.slow_calls);
    let (slow_calls, same_inner) = if has_new_calls {
        let (calls, same_inner) = slow_calls(previous, snapshot);
        (Some(Cow::Owned(calls)), same_inner)
    } else {
        (None, Vec::new())
    };
    let notices_before = previous.map_or(0, |previous| previous.notices.len());
    Delta {
        session: Cow::Borrowed(&snapshot.session),
        functions_len: snapshot.functions.len(),
        functions,
        slow_calls,
        same_inner,
        nodes: changed_nodes(previous, snapshot),
        lost_calls: snapshot.call_tree.lost_calls,
        in_flight: Cow::Borrowed(&snapshot.in_flight),
        notices: Cow::Borrowed(snapshot.notices.get(notices_before..).unwrap_or_default()),
        accounting: snapshot.accounting,
        overhead: snapshot.overhead,
    }
}

/// The slow calls, and the places of those that are without the calls inside of them, because the
/// frame before has these.
fn slow_calls(previous: Option<&Snapshot>, snapshot: &Snapshot) -> (Vec<CallRecord>, Vec<usize>) {
    let mut calls = snapshot.slow_calls.clone();
    let mut same_inner = Vec::new();
    for (place, call) in calls.iter_mut().enumerate() {
        if call.inner.is_some() && call.inner.as_ref() == inner_before(previous, call) {
            call.inner = None;
            same_inner.push(place);
        }
    }
    (calls, same_inner)
}

fn changed_nodes(previous: Option<&Snapshot>, snapshot: &Snapshot) -> Vec<(usize, CallNode)> {
    let tree = &snapshot.call_tree;
    let before = previous.map(|previous| &previous.call_tree);
    if before.is_some_and(|before| Arc::ptr_eq(before, tree)) {
        return Vec::new();
    }
    let nodes = tree.nodes.iter().enumerate();
    nodes
        .filter(|&(place, node)| before.and_then(|before| before.nodes.get(place)) != Some(node))
        .map(|(place, node)| (place, node.clone()))
        .collect()
}
