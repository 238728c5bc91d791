//! Single calls: those that were recorded, and those that have not returned.

use std::sync::Arc;

use coral_model::{
    CallRecord, CallValue, FunctionId, InFlightCall, InnerCall, InnerCalls, StackFrame,
};

use super::ConvertError;
use super::fit::fit_record;
use super::number::{check_sum, timestamp_from_wire, timestamp_to_wire};
use super::text::text;
use crate::agent::v1 as wire;

impl From<&CallRecord> for wire::CallRecord {
    fn from(call: &CallRecord) -> Self {
        Self {
            function_id: call.function.0,
            started_at: Some(timestamp_to_wire(call.started_at)),
            duration_ns: call.duration_ns,
            pid: call.pid,
            tid: call.tid,
            goroutine: call.goroutine,
            failed: call.failed,
            arguments: list(&call.arguments),
            results: list(&call.results),
            stack: list(&call.stack),
            inner: call.inner.as_deref().map(Into::into),
            replica: call.replica,
        }
    }
}

/// A recorded call as a journal has it, in at most so many bytes; `function` is its name.
pub fn journal_call(call: &CallRecord, function: &str, bytes_max: usize) -> wire::JournalCall {
    let function = text(function);
    let mut record = wire::CallRecord::from(call);
    fit_record(&mut record, bytes_max.saturating_sub(function.len()));
    wire::JournalCall {
        record: Some(record),
        function,
    }
}

impl TryFrom<wire::CallRecord> for CallRecord {
    type Error = ConvertError;

    fn try_from(call: wire::CallRecord) -> Result<Self, ConvertError> {
        let field = "slow_calls.started_at";
        let started_at = call.started_at.ok_or(ConvertError::Missing { field })?;
        let started_at = timestamp_from_wire(&started_at, field)?;
        // Screens add the two up.
        let duration = std::time::Duration::from_nanos(call.duration_ns);
        if started_at.checked_add(duration).is_err() {
            let field = "slow_calls.duration_ns";
            return Err(ConvertError::Overflow { field });
        }
        Ok(Self {
            function: FunctionId(call.function_id),
            started_at,
            duration_ns: call.duration_ns,
            pid: call.pid,
            tid: call.tid,
            goroutine: call.goroutine,
            failed: call.failed,
            arguments: values(call.arguments),
            results: values(call.results),
            stack: frames(call.stack),
            inner: call.inner.map(TryInto::try_into).transpose()?.map(Arc::new),
            replica: call.replica,
        })
    }
}

impl From<&InnerCalls> for wire::InnerCalls {
    fn from(inner: &InnerCalls) -> Self {
        Self {
            calls: list(&inner.calls),
            left_out: inner.left_out,
            self_ns: inner.self_ns,
            missing_ns: inner.missing_ns,
        }
    }
}

impl TryFrom<wire::InnerCalls> for InnerCalls {
    type Error = ConvertError;

    fn try_from(inner: wire::InnerCalls) -> Result<Self, ConvertError> {
        // In preorder a call is at most one deeper than the one before it.
        let mut depth_max = 1;
        for call in &inner.calls {
            if !(1..=depth_max).contains(&call.depth) {
                let range = "a depth of the call before it, less or one more";
                return Err(ConvertError::range("inner.depth", &call.depth, range));
            }
            depth_max = call.depth.saturating_add(1);
        }
        let times = inner.calls.iter().map(|call| call.self_ns);
        check_sum(
            times.chain([inner.self_ns, inner.missing_ns]),
            "inner.self_ns",
        )?;
        Ok(Self {
            calls: inner.calls.into_iter().map(Into::into).collect(),
            left_out: inner.left_out,
            self_ns: inner.self_ns,
            missing_ns: inner.missing_ns,
        })
    }
}

impl From<&InnerCall> for wire::InnerCall {
    fn from(call: &InnerCall) -> Self {
        Self {
            function_id: call.function.0,
            depth: call.depth,
            parent_missing: call.parent_missing,
            started_after_ns: call.started_after_ns,
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            failed: call.failed,
            arguments: list(&call.arguments),
            results: list(&call.results),
        }
    }
}

impl From<wire::InnerCall> for InnerCall {
    fn from(call: wire::InnerCall) -> Self {
        Self {
            function: FunctionId(call.function_id),
            depth: call.depth,
            parent_missing: call.parent_missing,
            started_after_ns: call.started_after_ns,
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            failed: call.failed,
            arguments: values(call.arguments),
            results: values(call.results),
        }
    }
}

impl From<&InFlightCall> for wire::InFlightCall {
    fn from(call: &InFlightCall) -> Self {
        Self {
            function_id: call.function.0,
            age_ns: call.age_ns,
            pid: call.pid,
            tid: call.tid,
            goroutine: call.goroutine,
            callers: call.callers.iter().map(|caller| caller.0).collect(),
            is_innermost: call.is_innermost,
            stack: list(&call.stack),
            replica: call.replica,
        }
    }
}

impl From<wire::InFlightCall> for InFlightCall {
    fn from(call: wire::InFlightCall) -> Self {
        Self {
            function: FunctionId(call.function_id),
            age_ns: call.age_ns,
            pid: call.pid,
            tid: call.tid,
            goroutine: call.goroutine,
            callers: call.callers.into_iter().map(FunctionId).collect(),
            is_innermost: call.is_innermost,
            stack: frames(call.stack),
            replica: call.replica,
        }
    }
}

impl From<&CallValue> for wire::CallValue {
    fn from(value: &CallValue) -> Self {
        Self {
            name: value.name.clone(),
            type_name: value.type_name.clone(),
            value: value.value.clone(),
        }
    }
}

impl From<&StackFrame> for wire::StackFrame {
    fn from(frame: &StackFrame) -> Self {
        Self {
            function: frame.function.clone(),
            file: frame.file.clone(),
            line: frame.line,
            inlined: frame.inlined,
        }
    }
}

fn list<'a, Model, Wire: From<&'a Model>>(items: &'a [Model]) -> Vec<Wire> {
    items.iter().map(Into::into).collect()
}

fn values(values: Vec<wire::CallValue>) -> Vec<CallValue> {
    let values = values.into_iter();
    values
        .map(|value| CallValue {
            name: value.name,
            type_name: value.type_name,
            value: value.value,
        })
        .collect()
}

fn frames(frames: Vec<wire::StackFrame>) -> Vec<StackFrame> {
    let frames = frames.into_iter();
    frames
        .map(|frame| StackFrame {
            function: frame.function,
            file: frame.file,
            line: frame.line,
            inlined: frame.inlined,
        })
        .collect()
}
