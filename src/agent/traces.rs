//! The traces of a session, built from records of single calls.

use std::sync::{Arc, Mutex, PoisonError};

use coral_ebpf_common::{
    CallRecord, Filter, PREDICATE_BYTES, Predicate, RECORD_FAILED, RECORD_IS_ROOT, Test,
};
use coral_model::{FunctionId, TraceBuilder, TraceLosses, TraceRecord, TraceSummary};

/// What a session has traced so far.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// The traces.
    pub summary: TraceSummary,
    /// What never became a trace.
    pub losses: TraceLosses,
}

/// Builds traces, and shares them with whoever asks.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    builder: TraceBuilder,
    shared: Arc<Mutex<Traces>>,
}

impl Tracer {
    /// Where the traces will be.
    pub(super) fn shared(&self) -> Arc<Mutex<Traces>> {
        Arc::clone(&self.shared)
    }

    /// Takes the record of a call of a trace.
    pub(super) fn record(&mut self, call: &CallRecord, function: FunctionId) {
        let trace = self.builder.push(TraceRecord {
            trace_id: call.trace_id,
            stack: if call.goroutine == 0 {
                u64::from(call.tid)
            } else {
                call.goroutine
            },
            function,
            frame_index: call.frame_index,
            entry_ns: call.entry_ns,
            duration_ns: call.duration_ns,
            children_ns: call.children_ns,
            failed: call.flags & RECORD_FAILED != 0,
            is_root: call.flags & RECORD_IS_ROOT != 0,
            calls_in_trace: call.trace_calls,
        });
        if let Some(trace) = trace {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.summary.add(trace);
        }
    }

    /// No more records will come: traces without a root are given up. So many roots were left, or
    /// still go on; those in which no call ended have made no record at all.
    pub(super) fn finish(&mut self, roots: u64) {
        self.builder.finish();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.losses = self.builder.losses();
        shared.losses.traces = shared.losses.traces.max(roots);
    }
}

/// The filter that lets requests of an HTTP path pass, which is the first captured argument.
///
/// # Errors
/// If the path is longer than what the kernel compares.
pub(super) fn path_filter(path: &str) -> Result<Filter, String> {
    let (text, test) = match path.strip_suffix('*') {
        Some(beginning) => (beginning, Test::BytesBegin),
        None => (path, Test::BytesEqual),
    };
    let mut predicate = Predicate {
        test: test as u8,
        len: text.len() as u8,
        ..Predicate::default()
    };
    let room = predicate.bytes.as_flattened_mut();
    let Some(room) = room.get_mut(..text.len()) else {
        return Err(format!(
            "the path has {} bytes, and {PREDICATE_BYTES} are compared at most: shorten it, and end \
             it with `*`",
            text.len()
        ));
    };
    room.copy_from_slice(text.as_bytes());
    let mut filter = Filter {
        len: 1,
        ..Filter::default()
    };
    filter.predicates[0] = predicate;
    // The one predicate holds: the combination with the number 1.
    filter.table[0] = 1 << 1;
    Ok(filter)
}
