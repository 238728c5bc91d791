//! Rows on their way into the database, by column: the fast way in.

use std::sync::Arc;

use coral_model::{CallNode, CallValue, FunctionStats, Histogram, Snapshot};
use duckdb::arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, MapBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, UInt16Builder, UInt32Builder, UInt64Builder,
};
use duckdb::arrow::error::ArrowError;
use jiff::Timestamp;

use super::values::to_sql_number;
use super::{JournalKey, StoredCall};

/// What every row begins with: whose journal it comes from.
#[derive(Debug, Default)]
struct Keys {
    session: StringBuilder,
    agent: StringBuilder,
    epoch: UInt64Builder,
    agent_session: StringBuilder,
    service: StringBuilder,
}

impl Keys {
    fn push(&mut self, journal: &JournalKey, service: &str) {
        self.session.append_value(&journal.session.0);
        self.agent.append_value(&journal.agent_id);
        self.epoch.append_value(journal.epoch);
        self.agent_session.append_value(&journal.agent_session.0);
        self.service.append_value(service);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.session.finish()),
            Arc::new(self.agent.finish()),
            Arc::new(self.epoch.finish()),
            Arc::new(self.agent_session.finish()),
            Arc::new(self.service.finish()),
        ]
    }
}

/// Rows of `uprobe_events`.
#[derive(Debug, Default)]
pub(super) struct Events {
    keys: Keys,
    sequence: UInt64Builder,
    number: UInt32Builder,
    started_at: TimestampMicrosecondBuilder,
    duration_ns: Int64Builder,
    pid: UInt32Builder,
    tid: UInt32Builder,
    goroutine: UInt64Builder,
    function: StringBuilder,
    failed: BooleanBuilder,
    labels: Option<MapBuilder<StringBuilder, StringBuilder>>,
    len: u64,
}

impl Events {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn push(
        &mut self,
        (journal, service): (&JournalKey, &str),
        sequence: u64,
        number: u32,
        call: &StoredCall,
    ) -> Result<(), ArrowError> {
        self.keys.push(journal, service);
        self.sequence.append_value(sequence);
        self.number.append_value(number);
        let record = &call.record;
        self.started_at
            .append_value(record.started_at.as_microsecond());
        self.duration_ns
            .append_value(to_sql_number(record.duration_ns));
        self.pid.append_value(record.pid);
        self.tid.append_value(record.tid);
        self.goroutine.append_option(record.goroutine);
        self.function.append_value(&call.function);
        self.failed.append_value(record.failed);
        let labels = self.labels.get_or_insert_with(new_labels);
        let mut names = Vec::new();
        push_labels(labels, &mut names, "arg", &record.arguments);
        push_labels(labels, &mut names, "return", &record.results);
        labels.append(true)?;
        self.len += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut labels = self.labels.unwrap_or_else(new_labels);
        let mut columns = self.keys.finish();
        columns.extend([
            Arc::new(self.sequence.finish()) as ArrayRef,
            Arc::new(self.number.finish()),
            Arc::new(self.started_at.finish()),
            Arc::new(self.duration_ns.finish()),
            Arc::new(self.pid.finish()),
            Arc::new(self.tid.finish()),
            Arc::new(self.goroutine.finish()),
            Arc::new(self.function.finish()),
            Arc::new(self.failed.finish()),
            Arc::new(labels.finish()),
        ]);
        batch(columns)
    }
}

fn new_labels() -> MapBuilder<StringBuilder, StringBuilder> {
    MapBuilder::new(None, StringBuilder::new(), StringBuilder::new())
}

/// A map holds a key once; values of the same name are told apart by a number.
fn push_labels(
    labels: &mut MapBuilder<StringBuilder, StringBuilder>,
    names: &mut Vec<String>,
    kind: &str,
    values: &[CallValue],
) {
    for value in values {
        let plain = format!("{kind}.{}", value.name);
        let mut name = plain.clone();
        let mut number = 1;
        while names.contains(&name) {
            number += 1;
            name = format!("{plain}#{number}");
        }
        labels.keys().append_value(&name);
        labels.values().append_value(&value.value);
        names.push(name);
    }
}

/// Rows of `function_stats`.
#[derive(Debug, Default)]
pub(super) struct Functions {
    keys: Keys,
    name: StringBuilder,
    file: StringBuilder,
    line: UInt32Builder,
    exit_probe: StringBuilder,
    /// Calls, returns, unwound, in flight.
    counts: [Int64Builder; 4],
    errors: Int64Builder,
    total_ns: Int64Builder,
    /// The shortest, the percentiles, the longest.
    latency_ns: [Int64Builder; 7],
    bucket_index: ListBuilder<UInt16Builder>,
    bucket_count: ListBuilder<Int64Builder>,
    self_ns: Int64Builder,
    probes_ns: Int64Builder,
    len: u64,
}

impl Functions {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn push(
        &mut self,
        (journal, service): (&JournalKey, &str),
        function: &FunctionStats,
    ) {
        self.keys.push(journal, service);
        self.name.append_value(&function.name);
        self.file.append_option(function.file.as_deref());
        self.line.append_option(function.line);
        self.exit_probe.append_value(function.exit_probe.name());
        let counts = [
            function.calls,
            function.returns,
            function.unwound,
            function.in_flight,
        ];
        for (column, count) in self.counts.iter_mut().zip(counts) {
            column.append_value(to_sql_number(count));
        }
        self.errors
            .append_option(function.errors.map(to_sql_number));
        let latency = &function.latency;
        self.total_ns.append_value(to_sql_number(latency.total_ns));
        for (column, duration_ns) in self.latency_ns.iter_mut().zip(durations_ns(latency)) {
            column.append_option(duration_ns.map(to_sql_number));
        }
        for bucket in &latency.buckets {
            self.bucket_index.values().append_value(bucket.index);
            let count = to_sql_number(bucket.count);
            self.bucket_count.values().append_value(count);
        }
        self.bucket_index.append(true);
        self.bucket_count.append(true);
        self.self_ns.append_value(to_sql_number(function.self_ns));
        self.probes_ns
            .append_value(to_sql_number(function.probes_ns));
        self.len += 1;
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = self.keys.finish();
        columns.extend([
            Arc::new(self.name.finish()) as ArrayRef,
            Arc::new(self.file.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.exit_probe.finish()),
        ]);
        columns.extend(self.counts.iter_mut().map(numbers));
        columns.push(numbers(&mut self.errors));
        columns.push(numbers(&mut self.total_ns));
        columns.extend(self.latency_ns.iter_mut().map(numbers));
        columns.push(Arc::new(self.bucket_index.finish()));
        columns.push(Arc::new(self.bucket_count.finish()));
        columns.push(numbers(&mut self.self_ns));
        columns.push(numbers(&mut self.probes_ns));
        batch(columns)
    }
}

/// The shortest, the percentiles and the longest; nothing where no call returned.
fn durations_ns(latency: &Histogram) -> [Option<u64>; 7] {
    let Some(percentiles) = latency.percentiles() else {
        return [None; 7];
    };
    [
        latency.min_ns,
        percentiles.p50_ns,
        percentiles.p90_ns,
        percentiles.p95_ns,
        percentiles.p99_ns,
        percentiles.p999_ns,
        latency.max_ns,
    ]
    .map(Some)
}

/// Rows of `call_nodes`.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    keys: Keys,
    id: UInt32Builder,
    parent: UInt32Builder,
    depth: UInt32Builder,
    function: StringBuilder,
    /// Calls, returns, unwound, errors, total, self, longest.
    numbers: [Int64Builder; 7],
    len: u64,
}

impl Nodes {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn push(
        &mut self,
        (journal, service): (&JournalKey, &str),
        id: u32,
        node: &CallNode,
        function: &str,
    ) {
        self.keys.push(journal, service);
        self.id.append_value(id);
        self.parent.append_option(node.parent);
        self.depth.append_value(node.depth);
        self.function.append_value(function);
        let numbers = [
            node.calls,
            node.returns,
            node.unwound,
            node.errors,
            node.total_ns,
            node.self_ns,
            node.max_ns,
        ];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(to_sql_number(number));
        }
        self.len += 1;
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = self.keys.finish();
        columns.extend([
            Arc::new(self.id.finish()) as ArrayRef,
            Arc::new(self.parent.finish()),
            Arc::new(self.depth.finish()),
            Arc::new(self.function.finish()),
        ]);
        columns.extend(self.numbers.iter_mut().map(numbers));
        batch(columns)
    }
}

/// Rows of `checkpoints`.
#[derive(Debug, Default)]
pub(super) struct TimeLine {
    keys: Keys,
    taken_at: TimestampMicrosecondBuilder,
    function: StringBuilder,
    /// Calls, returns, half of them, 99 %.
    numbers: [Int64Builder; 4],
    len: u64,
}

impl TimeLine {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn push(
        &mut self,
        (journal, service): (&JournalKey, &str),
        taken_at: Timestamp,
        function: &FunctionStats,
    ) {
        self.keys.push(journal, service);
        self.taken_at.append_value(taken_at.as_microsecond());
        self.function.append_value(&function.name);
        let numbers = [
            Some(function.calls),
            Some(function.returns),
            function.latency.percentile_ns(50.0),
            function.latency.percentile_ns(99.0),
        ];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_option(number.map(to_sql_number));
        }
        self.len += 1;
    }

    pub(super) fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = self.keys.finish();
        columns.push(Arc::new(self.taken_at.finish()));
        columns.push(Arc::new(self.function.finish()));
        columns.extend(self.numbers.iter_mut().map(numbers));
        batch(columns)
    }
}

/// When a snapshot was taken, by the clock of its node.
pub(super) fn taken_at(snapshot: &Snapshot) -> Timestamp {
    let session = &snapshot.session;
    let at = session.started_at.checked_add(session.elapsed);
    at.unwrap_or(session.started_at)
}

fn numbers(column: &mut Int64Builder) -> ArrayRef {
    Arc::new(column.finish())
}

/// The database goes by the place of a column, not by its name.
fn batch(columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    let named = columns.into_iter().enumerate();
    RecordBatch::try_from_iter(named.map(|(place, column)| (place.to_string(), column)))
}
