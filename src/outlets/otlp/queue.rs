//! What waits for a collector: bounded, and what finds no room is counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coral_proto::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use coral_proto::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use coral_proto::opentelemetry::proto::metrics::v1::ResourceMetrics;
use coral_proto::opentelemetry::proto::resource::v1::Resource;
use coral_proto::opentelemetry::proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use jiff::Timestamp;
use prost::Message;
use tokio::sync::Notify;

use super::metrics;
use super::origin::scope;
use crate::store::JournalKey;

/// What waits of each signal, in encoded bytes: minutes of many sessions.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// What one request holds at most, if a single part is not larger: collectors take 4 MiB.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The two kinds of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Metrics,
    Spans,
}

impl Signal {
    /// As people and OpenTelemetry call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Spans => "spans",
        }
    }
}

/// A request, and how many points or spans it holds.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) content: BatchContent,
    pub(super) items: u64,
}

#[derive(Debug)]
pub(super) enum BatchContent {
    Metrics(ExportMetricsServiceRequest),
    Spans(ExportTraceServiceRequest),
}

/// What was not handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Because too much was waiting.
    pub(super) full: u64,
    /// Because the collector does not want it.
    pub(super) rejected: u64,
}

/// The queue before the tasks that send.
#[derive(Debug)]
pub(super) struct Queue {
    began_at: Timestamp,
    waiting: Mutex<Waiting>,
    metrics_came: Notify,
    spans_came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The latest numbers of each journal that is not sent, those that wait longest first.
    metrics: VecDeque<(JournalKey, VecDeque<ResourceMetrics>)>,
    metrics_bytes: usize,
    spans: VecDeque<(Resource, Vec<Span>)>,
    spans_bytes: usize,
    dropped_metrics: Dropped,
    dropped_spans: Dropped,
    /// What of that the collector knows.
    told: [Dropped; 2],
    /// Requests on their way.
    in_flight: usize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            began_at: Timestamp::now(),
            waiting: Mutex::default(),
            metrics_came: Notify::new(),
            spans_came: Notify::new(),
        }
    }

    /// Takes the numbers of a journal in the place of those before: they hold these.
    pub(super) fn put_metrics(&self, journal: &JournalKey, parts: Vec<ResourceMetrics>) {
        let mut waiting = self.locked();
        let place = waiting.metrics.iter().position(|(key, _)| key == journal);
        if let Some((_, before)) = place.and_then(|place| waiting.metrics.remove(place)) {
            waiting.metrics_bytes -= bytes(&before);
        }
        let parts = VecDeque::from(parts);
        waiting.metrics_bytes += bytes(&parts);
        waiting.metrics.push_back((journal.clone(), parts));
        while waiting.metrics_bytes > WAITING_BYTES_MAX
            && let Some((_, dropped)) = waiting.metrics.pop_front()
        {
            waiting.metrics_bytes -= bytes(&dropped);
            waiting.dropped_metrics.full += dropped.iter().map(metrics::points).sum::<u64>();
        }
        self.metrics_came.notify_one();
    }

    /// Takes spans; where there is no room, they are dropped.
    pub(super) fn put_spans(&self, resource: Resource, spans: Vec<Span>) {
        let mut waiting = self.locked();
        let bytes = spans.iter().map(Message::encoded_len).sum::<usize>();
        if waiting.spans_bytes + bytes > WAITING_BYTES_MAX {
            waiting.dropped_spans.full += spans.len() as u64;
            // Their number is told with the metrics.
            self.metrics_came.notify_one();
            return;
        }
        waiting.spans_bytes += bytes;
        waiting.spans.push_back((resource, spans));
        self.spans_came.notify_one();
    }

    /// The next request; it counts as on its way until [`Self::done`].
    pub(super) async fn next(&self, signal: Signal) -> Batch {
        loop {
            let came = match signal {
                Signal::Metrics => self.metrics_came.notified(),
                Signal::Spans => self.spans_came.notified(),
            };
            if let Some(batch) = self.take(signal) {
                return batch;
            }
            came.await;
        }
    }

    /// A request has come to its end; so many of its items were rejected.
    pub(super) fn done(&self, signal: Signal, rejected: u64) {
        let mut waiting = self.locked();
        waiting.in_flight -= 1;
        match signal {
            Signal::Metrics => waiting.dropped_metrics.rejected += rejected,
            Signal::Spans => waiting.dropped_spans.rejected += rejected,
        }
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.locked();
        waiting.metrics.is_empty() && waiting.spans.is_empty() && waiting.in_flight == 0
    }

    pub(super) fn dropped(&self, signal: Signal) -> Dropped {
        let waiting = self.locked();
        match signal {
            Signal::Metrics => waiting.dropped_metrics,
            Signal::Spans => waiting.dropped_spans,
        }
    }

    fn take(&self, signal: Signal) -> Option<Batch> {
        let mut waiting = self.locked();
        let batch = match signal {
            Signal::Metrics => waiting.take_metrics(self.began_at),
            Signal::Spans => waiting.take_spans(),
        }?;
        waiting.in_flight += 1;
        Some(batch)
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take_metrics(&mut self, began_at: Timestamp) -> Option<Batch> {
        let mut resource_metrics = Vec::new();
        let mut size = 0;
        while let Some((_, parts)) = self.metrics.front_mut() {
            let Some(part) = parts.front() else {
                self.metrics.pop_front();
                continue;
            };
            let part_bytes = part.encoded_len();
            if size > 0 && size + part_bytes > REQUEST_BYTES_MAX {
                break;
            }
            size += part_bytes;
            self.metrics_bytes -= part_bytes;
            resource_metrics.extend(parts.pop_front());
        }
        let items = resource_metrics.iter().map(metrics::points).sum();
        resource_metrics.extend(self.own(began_at));
        (!resource_metrics.is_empty()).then_some(Batch {
            content: BatchContent::Metrics(ExportMetricsServiceRequest { resource_metrics }),
            items,
        })
    }

    fn take_spans(&mut self) -> Option<Batch> {
        let mut resource_spans = Vec::new();
        let (mut size, mut items) = (0, 0);
        while let Some((resource, spans)) = self.spans.pop_front() {
            let spans_bytes = spans.iter().map(Message::encoded_len).sum::<usize>();
            if size > 0 && size + spans_bytes > REQUEST_BYTES_MAX {
                self.spans.push_front((resource, spans));
                break;
            }
            size += spans_bytes;
            self.spans_bytes -= spans_bytes;
            items += spans.len() as u64;
            resource_spans.push(ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans,
                }],
            });
        }
        (items > 0).then_some(Batch {
            content: BatchContent::Spans(ExportTraceServiceRequest { resource_spans }),
            items,
        })
    }

    /// What was dropped, where the collector has not heard that yet.
    fn own(&mut self, began_at: Timestamp) -> Option<ResourceMetrics> {
        let dropped = [self.dropped_metrics, self.dropped_spans];
        if dropped == self.told {
            return None;
        }
        self.told = dropped;
        let of = |signal: Signal, dropped: Dropped| {
            let name = signal.name();
            [
                (name, "queue_full", dropped.full),
                (name, "rejected", dropped.rejected),
            ]
        };
        let counts = [
            of(Signal::Metrics, dropped[0]),
            of(Signal::Spans, dropped[1]),
        ];
        Some(metrics::own(began_at, &counts.concat()))
    }
}

fn bytes(parts: &VecDeque<ResourceMetrics>) -> usize {
    parts.iter().map(Message::encoded_len).sum()
}
