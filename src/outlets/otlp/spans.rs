//! Recorded calls as spans.

use coral_model::escape;
use coral_proto::opentelemetry::proto::trace::v1 as otlp;
use coral_proto::opentelemetry::proto::trace::v1::span::SpanKind;
use coral_proto::opentelemetry::proto::trace::v1::status::StatusCode;

use super::metrics::nanoseconds;
use super::origin::{Origin, number};
use crate::access::Sha256;
use crate::store::StoredCall;

/// The spans of the calls of an entry.
///
/// A journal does not say which calls lie within which, so each is a trace of its own. Its ids come
/// from its place in the history: what is sent again is the same span, and the traces of a session
/// begin with the same 8 bytes. What calls received and returned does not leave the history, where
/// it takes a role to see it.
pub(super) fn spans(origin: &Origin, sequence: u64, calls: &[StoredCall]) -> Vec<otlp::Span> {
    let calls = (0..).zip(calls);
    calls
        .map(|(number, call)| span(origin, (sequence, number), call))
        .collect()
}

fn span(origin: &Origin, place: (u64, u32), call: &StoredCall) -> otlp::Span {
    let record = &call.record;
    let start_ns = nanoseconds(record.started_at);
    let mut attributes = origin.attributes(&call.function);
    attributes.push(number("thread.id", u64::from(record.tid)));
    if let Some(goroutine) = record.goroutine {
        attributes.push(number("coral.goroutine.id", goroutine));
    }
    attributes.extend(origin.sampling());
    let (trace_id, span_id) = ids(origin, place);
    otlp::Span {
        trace_id,
        span_id,
        parent_span_id: Vec::new(),
        name: escape(&call.function).into(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: start_ns,
        end_time_unix_nano: start_ns.saturating_add(record.duration_ns),
        attributes,
        status: record.failed.then(|| otlp::Status {
            message: "it returned an error".to_owned(),
            code: StatusCode::Error.into(),
        }),
    }
}

/// The ids of a trace and of its root: what they are made of is unique in a history.
fn ids(origin: &Origin, (sequence, number): (u64, u32)) -> (Vec<u8>, Vec<u8>) {
    let journal = &origin.journal;
    let session = digest(&[journal.session.0.as_bytes()]);
    let call = digest(&[
        journal.session.0.as_bytes(),
        journal.agent_id.as_bytes(),
        &journal.epoch.to_be_bytes(),
        journal.agent_session.0.as_bytes(),
        &sequence.to_be_bytes(),
        &number.to_be_bytes(),
    ]);
    let trace_id = [&session[..8], &call[..8]].concat();
    (trace_id, call[8..16].to_vec())
}

/// The hash of parts, each behind its length.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    *Sha256::of(&bytes).bytes()
}
