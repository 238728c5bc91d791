//! One slow call on a time axis: a row for each probed call that was made inside of it.

use std::ops::Range;

use coral_model::{CallRecord, CallValue, FunctionId, InnerCall, InnerCalls, Snapshot};

use super::{CallKey, call_key};
use crate::selection::Selection;

/// A call, and the part of it that is shown.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    call: Option<CallRecord>,
    /// In pre-order, the call itself first. They never change, so that a row's place names it.
    rows: Vec<TraceRow>,
    /// The places of the rows that are shown.
    places: Vec<usize>,
    pub(crate) selection: Selection<usize>,
    zoom: Option<usize>,
}

/// A call on the time axis; times are counted from the beginning of the outermost one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceRow {
    pub(crate) function: FunctionId,
    pub(crate) depth: u32,
    pub(crate) time_ns: Range<u64>,
    /// What it took without the probed calls that it made; `None` where these are not known.
    pub(crate) self_ns: Option<u64>,
    /// What probed calls took that it made and that have no rows.
    pub(crate) missing_ns: u64,
    pub(crate) failed: bool,
    pub(crate) parent_missing: bool,
    /// The place behind the last row inside of it.
    pub(crate) end: usize,
}

impl TraceRow {
    pub(crate) fn duration_ns(&self) -> u64 {
        self.time_ns.end - self.time_ns.start
    }
}

impl Trace {
    /// Shows a call; the same call as before keeps what is selected.
    pub(crate) fn show(&mut self, call: Option<&CallRecord>) {
        let is_same = self.key() == call.map(call_key);
        self.call = call.cloned();
        if is_same {
            return;
        }
        self.rows = call.map_or_else(Vec::new, rows);
        self.selection = Selection::default();
        self.zoom = None;
        self.arrange();
    }

    /// Whether the call had ended already at the time of a snapshot, among whose slow calls it may
    /// not be any more.
    pub(crate) fn is_known_at(&self, snapshot: &Snapshot) -> bool {
        let session = &snapshot.session;
        let at = session.started_at.as_nanosecond() + session.elapsed.as_nanos().cast_signed();
        self.call.as_ref().is_some_and(|call| {
            call.started_at.as_nanosecond() + i128::from(call.duration_ns) <= at
        })
    }

    pub(crate) fn key(&self) -> Option<CallKey> {
        self.call.as_ref().map(call_key)
    }

    pub(crate) fn call(&self) -> Option<&CallRecord> {
        self.call.as_ref()
    }

    /// What was recorded inside of the call, if anybody looked for it.
    pub(crate) fn inner(&self) -> Option<&InnerCalls> {
        self.call.as_ref()?.inner.as_deref()
    }

    pub(crate) fn row(&self, place: usize) -> &TraceRow {
        &self.rows[place]
    }

    /// The places of the rows that are shown.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// The time that is shown.
    pub(crate) fn time_ns(&self) -> Range<u64> {
        let first = self.places.first().map(|&place| &self.rows[place]);
        first.map_or(0..0, |row| row.time_ns.clone())
    }

    /// The row that takes the whole width, if that is not the first.
    pub(crate) fn zoomed(&self) -> Option<&TraceRow> {
        self.zoom.map(|place| &self.rows[place])
    }

    pub(crate) fn selected(&self) -> Option<&TraceRow> {
        self.selection.id().and_then(|place| self.rows.get(place))
    }

    /// What the selected call received and returned.
    pub(crate) fn selected_values(&self) -> Option<(&[CallValue], &[CallValue])> {
        self.values(self.selection.id()?)
    }

    /// What the call in a row received and returned.
    pub(crate) fn values(&self, place: usize) -> Option<(&[CallValue], &[CallValue])> {
        let call = self.call.as_ref()?;
        match place.checked_sub(1) {
            None => Some((&call.arguments, &call.results)),
            Some(inner) => {
                let inner = call.inner.as_ref()?.calls.get(inner)?;
                Some((&inner.arguments, &inner.results))
            }
        }
    }

    /// The functions of all rows.
    pub(crate) fn functions(&self) -> impl Iterator<Item = FunctionId> {
        self.rows.iter().map(|row| row.function)
    }

    /// The rows directly inside of a row.
    pub(crate) fn inside(&self, place: usize) -> impl Iterator<Item = &TraceRow> {
        let end = self.rows[place].end;
        let mut next = place + 1;
        std::iter::from_fn(move || {
            let row = self.rows.get(next).filter(|_| next < end)?;
            next = row.end;
            Some(row)
        })
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.places, height);
    }

    /// Goes to the first call inside of the selected one.
    pub(crate) fn go_in(&mut self, height: usize) {
        let place = self.selection.id();
        if place.is_some_and(|place| self.rows[place].end > place + 1) {
            self.move_by(1, height);
        }
    }

    /// Goes to the call that the selected one is inside of.
    pub(crate) fn go_out(&mut self, height: usize) {
        let index = self.selection.index();
        let depth_at = |index: usize| self.rows[self.places[index]].depth;
        let mut before = (0..index).rev();
        let above = before.find(|&above| depth_at(above) < depth_at(index));
        if let Some(above) = above {
            self.selection.go_to(above, &self.places, height);
        }
    }

    /// Shows the selected call as wide as the screen.
    pub(crate) fn zoom(&mut self) {
        self.zoom = self.selection.id().filter(|&place| place > 0);
        self.arrange();
    }

    /// Shows all of the call; returns whether it was not.
    pub(crate) fn zoom_out(&mut self) -> bool {
        let was_zoomed = self.zoom.take().is_some();
        self.arrange();
        was_zoomed
    }

    fn arrange(&mut self) {
        let shown = match self.zoom {
            Some(place) => place..self.rows[place].end,
            None => 0..self.rows.len(),
        };
        self.places = shown.collect();
        self.selection.restore(&self.places);
    }
}

/// The rows of a call: itself, and what was recorded inside of it.
fn rows(call: &CallRecord) -> Vec<TraceRow> {
    let inner = call.inner.as_deref();
    let mut rows = vec![TraceRow {
        function: call.function,
        depth: 0,
        time_ns: 0..call.duration_ns,
        self_ns: inner.map(|inner| inner.self_ns),
        missing_ns: 0,
        failed: call.failed,
        parent_missing: false,
        end: 1,
    }];
    let mut open = vec![0];
    for inner in inner.map_or(&[][..], |inner| &inner.calls) {
        // A file may say anything; nothing is drawn outside of the call.
        let depth = inner.depth.clamp(1, open.len() as u32);
        open.truncate(depth as usize);
        open.push(rows.len());
        rows.push(inner_row(inner, depth, call.duration_ns));
        for &above in &open {
            rows[above].end = rows.len();
        }
    }
    for place in 0..rows.len() {
        rows[place].missing_ns = missing_ns(&rows, place);
    }
    rows
}

fn inner_row(inner: &InnerCall, depth: u32, whole_ns: u64) -> TraceRow {
    let start_ns = inner.started_after_ns.min(whole_ns);
    let end_ns = start_ns.saturating_add(inner.duration_ns).min(whole_ns);
    TraceRow {
        function: inner.function,
        depth,
        time_ns: start_ns..end_ns,
        self_ns: Some(inner.self_ns.min(end_ns - start_ns)),
        missing_ns: 0,
        failed: inner.failed,
        parent_missing: inner.parent_missing,
        end: 0,
    }
}

/// What is neither a row's own time nor that of the rows directly inside of it.
fn missing_ns(rows: &[TraceRow], place: usize) -> u64 {
    let Some(self_ns) = rows[place].self_ns else {
        return 0;
    };
    let mut missing_ns = rows[place].duration_ns().saturating_sub(self_ns);
    let mut next = place + 1;
    while next < rows[place].end {
        missing_ns = missing_ns.saturating_sub(rows[next].duration_ns());
        next = rows[next].end;
    }
    missing_ns
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn inner(depth: u32, started_after_ns: u64, duration_ns: u64, self_ns: u64) -> InnerCall {
        InnerCall {
            function: FunctionId(depth),
            depth,
            parent_missing: false,
            started_after_ns,
            duration_ns,
            self_ns,
            failed: false,
            arguments: Vec::new(),
            results: Vec::new(),
        }
    }

    fn trace(duration_ns: u64, self_ns: u64, calls: Vec<InnerCall>) -> Trace {
        let mut call = CallRecord::new(FunctionId(0), jiff::Timestamp::UNIX_EPOCH, duration_ns);
        call.inner = Some(Arc::new(InnerCalls {
            calls,
            self_ns,
            ..InnerCalls::default()
        }));
        let mut trace = Trace::default();
        trace.show(Some(&call));
        trace
    }

    #[test]
    fn a_zoom_shows_a_call_and_what_is_inside_of_it() {
        let calls = vec![
            inner(1, 10, 50, 5),
            inner(2, 20, 30, 30),
            inner(1, 70, 20, 20),
        ];
        let mut trace = trace(100, 20, calls);
        let missing: Vec<_> = trace.rows.iter().map(|row| row.missing_ns).collect();
        assert_eq!(missing, [10, 15, 0, 0]);
        trace.move_by(1, 9);
        trace.zoom();
        assert_eq!((trace.places(), trace.time_ns()), (&[1, 2][..], 10..60));
        trace.go_in(9);
        assert_eq!(trace.selection.id(), Some(2));
        assert!(trace.zoom_out() && !trace.zoom_out());
        assert_eq!(trace.places(), [0, 1, 2, 3]);
        assert_eq!(trace.selection.id(), Some(2), "it stays selected");
        trace.go_out(9);
        trace.go_out(9);
        assert_eq!(trace.selection.id(), Some(0));
        assert_eq!(trace.inside(0).count(), 2);
    }

    proptest! {
        #[test]
        fn whatever_a_file_says_rows_lie_within_each_other(
            raw in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..40),
            duration_ns: u64,
        ) {
            let calls = raw.iter().map(|&(depth, start, ns, own)| inner(depth % 6, start, ns, own));
            let trace = trace(duration_ns, 0, calls.collect());
            prop_assert_eq!(trace.rows.len(), raw.len() + 1);
            for (place, row) in trace.rows.iter().enumerate() {
                prop_assert!(place < row.end && row.end <= trace.rows.len());
                prop_assert!(row.time_ns.start <= row.time_ns.end && row.time_ns.end <= duration_ns);
                let inside = &trace.rows[place + 1..row.end];
                prop_assert!(inside.iter().all(|inner| inner.depth > row.depth));
            }
        }
    }
}
