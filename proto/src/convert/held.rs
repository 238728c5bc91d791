//! How much memory parts of a snapshot take, about.

use std::mem::size_of;
use std::sync::Arc;

use coral_model::{
    Bucket, CallNode, CallRecord, CallValue, FunctionStats, Histogram, InFlightCall, InnerCall,
    JoinedCalls, Replica, SessionNotice, StackFrame,
};

/// What a part of a snapshot takes.
pub(super) trait Held {
    /// The bytes of the part itself and of all that it owns.
    fn held_bytes(&self) -> usize;
}

impl Held for FunctionStats {
    fn held_bytes(&self) -> usize {
        let texts = [&self.file, &self.reason, &self.detached_because];
        let joined = self.joined.as_ref();
        size_of::<Self>()
            + self.name.len()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + buckets(&self.latency)
            + joined.map_or(0, |it| size_of::<JoinedCalls>() + buckets(&it.latency))
            + self.recent_calls_per_s.len() * size_of::<f64>()
    }
}

impl Held for CallNode {
    fn held_bytes(&self) -> usize {
        let latency = self.latency.as_deref();
        size_of::<Self>() + latency.map_or(0, |it| size_of::<Histogram>() + buckets(it))
    }
}

impl Held for CallRecord {
    fn held_bytes(&self) -> usize {
        let inner = self.inner.as_deref().map_or(&[][..], |inner| &inner.calls);
        let inner = inner
            .iter()
            .map(|call| size_of::<InnerCall>() + values(&call.arguments) + values(&call.results));
        size_of::<Self>()
            + values(&self.arguments)
            + values(&self.results)
            + frames(&self.stack)
            + inner.sum::<usize>()
    }
}

impl Held for InFlightCall {
    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.callers.len() * size_of::<u32>() + frames(&self.stack)
    }
}

impl Held for Replica {
    /// Without what is known of its functions, which is counted one by one; with the places for it,
    /// as one function takes those of all before it.
    fn held_bytes(&self) -> usize {
        let target = &self.target;
        size_of::<Self>()
            + target.service.len()
            + target.exe.len()
            + target.agent_id.len()
            + self.trouble.as_ref().map_or(0, String::len)
            + self.functions.len() * size_of::<Option<Arc<FunctionStats>>>()
    }
}

impl Held for SessionNotice {
    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

fn buckets(histogram: &Histogram) -> usize {
    histogram.buckets.len() * size_of::<Bucket>()
}

fn values(values: &[CallValue]) -> usize {
    let texts = |it: &CallValue| it.name.len() + it.type_name.len() + it.value.len();
    let values = values.iter();
    values.map(|it| size_of::<CallValue>() + texts(it)).sum()
}

fn frames(frames: &[StackFrame]) -> usize {
    let texts = |it: &StackFrame| it.function.len() + it.file.as_ref().map_or(0, String::len);
    let frames = frames.iter();
    frames.map(|it| size_of::<StackFrame>() + texts(it)).sum()
}
