//! The lines of a recording. Their fields are the file format: add to them, rename none.

use std::borrow::Cow;
use std::sync::Arc;

use coral_model::{
    Accounting, CallNode, CallRecord, Function, FunctionStats, FunctionTable, FunctionTableBuilder,
    InFlightCall, InnerCalls, Language, Module, NewFunction, Overhead, ProbeSummary, SessionInfo,
    SessionNotice, Snapshot, SymbolSource, Target,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// What the first line calls itself.
pub(super) const SCHEMA: &str = "coral.recording.v1";

/// The first line as it is written.
#[derive(Serialize)]
pub(super) struct HeaderToWrite<'a> {
    pub(super) schema: &'static str,
    pub(super) target: &'a Target,
    pub(super) table: TableToWrite<'a>,
    pub(super) started_at: Timestamp,
}

/// The first line as it is read.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) target: Target,
    pub(super) table: Table,
    pub(super) started_at: Timestamp,
}

/// Of the first line only what tells whether the rest can be understood.
#[derive(Deserialize)]
pub(super) struct SchemaOnly {
    pub(super) schema: String,
}

#[derive(Serialize)]
pub(super) struct TableToWrite<'a> {
    modules: &'a [Module],
    #[serde(serialize_with = "one_by_one")]
    functions: &'a FunctionTable,
}

impl<'a> TableToWrite<'a> {
    pub(super) fn of(table: &'a FunctionTable) -> Self {
        Self {
            modules: table.modules(),
            functions: table,
        }
    }
}

fn one_by_one<S: Serializer>(table: &FunctionTable, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(table.iter().map(FunctionLine::of))
}

/// The functions of the first line, in the order of their ids.
#[derive(Deserialize)]
pub(super) struct Table {
    modules: Vec<Module>,
    functions: Vec<FunctionLine<'static>>,
}

impl Table {
    /// The table, or what is wrong with it.
    pub(super) fn build(self) -> Result<FunctionTable, &'static str> {
        if self
            .functions
            .iter()
            .any(|function| usize::from(function.module) >= self.modules.len())
        {
            return Err("a function is of a module that is missing");
        }
        let mut builder = FunctionTableBuilder::new();
        for module in self.modules {
            builder.add_module(module);
        }
        for function in &self.functions {
            builder.push(&function.to_new());
        }
        Ok(builder.build())
    }
}

#[derive(Serialize, Deserialize)]
struct FunctionLine<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    package: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    address: u64,
    size: u64,
    language: Language,
    source: SymbolSource,
    module: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<ProbeSummary>,
}

impl<'a> FunctionLine<'a> {
    fn of(function: Function<'a>) -> Self {
        Self {
            name: function.name.into(),
            package: function.package.into(),
            file: function.file.map(Cow::from),
            line: function.line,
            address: function.address,
            size: function.size,
            language: function.language,
            source: function.source,
            module: function.module,
            plan: function.plan,
        }
    }

    fn to_new(&self) -> NewFunction<'_> {
        // The package is a part of the name; where it stands more than once, each place reads the
        // same.
        let package = self
            .name
            .find(&*self.package)
            .map_or(0..0, |start| start..start + self.package.len());
        NewFunction {
            name: &self.name,
            package,
            file: self.file.as_deref(),
            line: self.line,
            address: self.address,
            size: self.size,
            language: self.language,
            source: self.source,
            module: self.module,
            plan: self.plan,
        }
    }
}

/// A line behind the first.
#[derive(Serialize, Deserialize)]
pub(super) struct Frame<'a> {
    /// When the snapshot was taken, counted from the recording's start.
    pub(super) at_ms: u64,
    pub(super) snapshot: Delta<'a>,
}

/// A snapshot without what is as it was in the frame before.
#[derive(Serialize, Deserialize)]
pub(super) struct Delta<'a> {
    pub(super) session: Cow<'a, SessionInfo>,
    /// How many functions the snapshot has.
    pub(super) functions_len: usize,
    /// Those that have changed, each with its index.
    pub(super) functions: Vec<(usize, Arc<FunctionStats>)>,
    /// None if they are those of the frame before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slow_calls: Option<Cow<'a, [CallRecord]>>,
    /// Places of slow calls, written without the calls inside of them: they have those that the
    /// same call has in the frame before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) same_inner: Vec<usize>,
    /// Paths of the call tree whose numbers have changed, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) nodes: Vec<(usize, CallNode)>,
    /// Calls whose path found no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) lost_calls: u64,
    /// The calls that go on.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) in_flight: Cow<'a, [InFlightCall]>,
    /// What has happened since the frame before.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) notices: Cow<'a, [SessionNotice]>,
    pub(super) accounting: Accounting,
    pub(super) overhead: Overhead,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::ptr_arg)] // serde passes the field itself
fn is_empty<T: Clone>(list: &Cow<'_, [T]>) -> bool {
    list.is_empty()
}

/// The calls inside of a slow call, as the snapshot before has them.
pub(super) fn inner_before<'a>(
    previous: Option<&'a Snapshot>,
    call: &CallRecord,
) -> Option<&'a Arc<InnerCalls>> {
    let key = |call: &CallRecord| {
        let ran_on = (call.pid, call.tid, call.goroutine);
        (call.function, ran_on, call.started_at, call.duration_ns)
    };
    let before = previous.map_or(&[][..], |previous| &previous.slow_calls);
    let same = before.iter().find(|before| key(before) == key(call))?;
    same.inner.as_ref()
}
