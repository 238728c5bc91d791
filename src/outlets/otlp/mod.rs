//! To a collector of OpenTelemetry: numbers as metrics, recorded calls as spans.
//!
//! What is stored is offered here, once. From there on it is as OTLP is: a request that was not
//! answered is sent again, so a collector may get something twice (spans have the same ids then, and
//! numbers are cumulative); and what waits when this process is killed is gone.

mod collector;
mod metrics;
mod origin;
mod queue;
mod spans;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::Warn;
use crate::access::AccessError;
use crate::config::OtlpConfig;
use crate::store::{Content, Entry};
use collector::Collector;
pub use origin::Origin;
use queue::{Queue, Signal};

/// How long the end waits for what is on its way.
const CLOSE_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Spans that are kept together: a few hundred KiB.
const SPANS_MAX: usize = 1_000;
/// How often it is told that something is dropped.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The way to a collector.
#[derive(Debug)]
pub struct Otlp {
    queue: Arc<Queue>,
    config: OtlpConfig,
    warn: Warn,
    /// When it was told last that something was dropped, and how much that was.
    told: Mutex<Option<(Instant, u64)>>,
}

impl Otlp {
    /// Begins to send; the collector need not be there yet.
    ///
    /// # Errors
    /// If the address, the CA or the headers cannot be used.
    pub fn open(config: &OtlpConfig, warn: &Warn) -> Result<Self, AccessError> {
        let collector = Collector::open(config)?;
        let queue = Arc::new(Queue::new());
        for signal in [Signal::Metrics, Signal::Spans] {
            let (queue, warn) = (Arc::clone(&queue), warn.clone());
            tokio::spawn(collector.clone().send(signal, queue, warn));
        }
        Ok(Self {
            queue,
            config: config.clone(),
            warn: warn.clone(),
            told: Mutex::default(),
        })
    }

    /// Takes entries of a journal that have just been stored. It never waits.
    pub fn offer(&self, origin: &mut Origin, entries: &[Entry]) {
        for entry in entries {
            match &entry.content {
                Content::Checkpoint(snapshot) => {
                    origin.note(snapshot);
                    if self.config.metrics {
                        let parts = metrics::metrics(origin, snapshot);
                        self.queue.put_metrics(&origin.journal, parts);
                    }
                }
                Content::Calls(calls) if self.config.spans => {
                    let mut spans = spans::spans(origin, *entry.sequences.end(), calls);
                    while !spans.is_empty() {
                        let rest = spans.split_off(spans.len().min(SPANS_MAX));
                        self.queue.put_spans(origin.resource(), spans);
                        spans = rest;
                    }
                }
                Content::Calls(_) | Content::Gap { .. } => {}
            }
        }
        self.tell_dropped();
    }

    /// Waits a moment for what is on its way.
    pub async fn close(&self) {
        let sent = async {
            while !self.queue.is_empty() {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(CLOSE_MAX, sent).await.is_err() {
            let to = &self.config.endpoint;
            self.warn
                .say(&format!("what {to} has not taken by now is not sent to it"));
        }
    }

    fn tell_dropped(&self) {
        let [metrics, spans] = [Signal::Metrics, Signal::Spans].map(|it| self.queue.dropped(it));
        let all = metrics.full + metrics.rejected + spans.full + spans.rejected;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = match *told {
            None => all > 0,
            Some((at, known)) => all > known && at.elapsed() > TELL_EVERY,
        };
        if is_due {
            *told = Some((Instant::now(), all));
            self.warn.say(&format!(
                "{} has not taken {} spans and {} points of metrics by now: {} found no room, and \
                 {} were rejected",
                self.config.endpoint,
                spans.full + spans.rejected,
                metrics.full + metrics.rejected,
                metrics.full + spans.full,
                metrics.rejected + spans.rejected,
            ));
        }
    }
}
