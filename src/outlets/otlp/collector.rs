//! Sending to a collector, again and again where OTLP says that it may help.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use coral_model::escape;
use coral_proto::opentelemetry::proto::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use coral_proto::opentelemetry::proto::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::time::sleep;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::queue::{Batch, BatchContent, Queue, Signal};
use crate::access::{AccessError, BackOff, Endpoint, Outgoing, read_secret};
use crate::config::OtlpConfig;
use crate::outlets::Warn;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest wait before the next try, unless the collector asks for a longer one.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A collector that asks for a longer wait is tried all the same.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);

/// A collector, connected or not.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    endpoint: Endpoint,
    channel: Channel,
    headers: MetadataMap,
}

/// What a collector says to a request that it has taken.
struct Answer {
    rejected: u64,
    why: String,
}

impl Collector {
    pub(super) fn open(config: &OtlpConfig) -> Result<Self, AccessError> {
        let endpoint = config.endpoint.clone();
        let headers = match &config.headers_file {
            None => MetadataMap::new(),
            Some(path) => {
                let is_plain = matches!(endpoint, Endpoint::Tcp { is_tls: false, .. });
                if is_plain && !endpoint.is_local() {
                    return Err(AccessError::Insecure { endpoint });
                }
                let text = read_secret("file of headers", path)?;
                headers(&text).ok_or_else(|| AccessError::File {
                    what: "file of headers",
                    path: path.clone(),
                    why: "a line is not `name: value`".to_owned(),
                })?
            }
        };
        let channel = Outgoing::of_grpc(config.ca.as_deref())?.channel(&endpoint)?;
        Ok(Self {
            endpoint,
            channel,
            headers,
        })
    }

    /// Sends what comes, for ever. A request is given up when it can never succeed.
    pub(super) async fn send(self, signal: Signal, queue: Arc<Queue>, warn: Warn) {
        let say = |what: &str| {
            let (to, signal) = (&self.endpoint, signal.name());
            warn.say(&format!("{to} {what} {signal}"));
        };
        let mut is_failing = false;
        loop {
            let batch = queue.next(signal).await;
            let mut back_off = BackOff::up_to(WAIT_MAX);
            let rejected = loop {
                let status = match self.export(&batch).await {
                    Ok(answer) => {
                        if is_failing {
                            is_failing = false;
                            say("takes again:");
                        }
                        if answer.rejected > 0 {
                            say(&format!("rejects ({})", escape(&answer.why)));
                        }
                        break answer.rejected;
                    }
                    Err(status) => status,
                };
                let Some(wait_min) = wait_of(&status) else {
                    say(&format!("refuses ({})", reason(&status)));
                    break batch.items;
                };
                if !is_failing {
                    is_failing = true;
                    say(&format!("does not take for now ({})", reason(&status)));
                }
                sleep(back_off.wait().max(wait_min)).await;
            };
            queue.done(signal, rejected);
        }
    }

    async fn export(&self, batch: &Batch) -> Result<Answer, Status> {
        let channel = self.channel.clone();
        let (rejected, why) = match &batch.content {
            BatchContent::Metrics(content) => {
                let mut client = MetricsServiceClient::new(channel);
                let answer = client.export(self.request(content.clone())).await?;
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                (partial.rejected_data_points, partial.error_message)
            }
            BatchContent::Spans(content) => {
                let mut client = TraceServiceClient::new(channel);
                let answer = client.export(self.request(content.clone())).await?;
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                (partial.rejected_spans, partial.error_message)
            }
        };
        let rejected = u64::try_from(rejected).unwrap_or_default();
        Ok(Answer {
            rejected: rejected.min(batch.items),
            why,
        })
    }

    fn request<T>(&self, content: T) -> Request<T> {
        let mut request = Request::new(content);
        *request.metadata_mut() = self.headers.clone();
        request.set_timeout(ANSWER_MAX);
        request
    }
}

/// `name: value`, a line each; empty lines mean nothing.
fn headers(text: &str) -> Option<MetadataMap> {
    let mut headers = MetadataMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        let name: MetadataKey<Ascii> = name.parse().ok()?;
        let mut value: MetadataValue<Ascii> = value.trim().parse().ok()?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Some(headers)
}

/// How long to wait at least before the same request may succeed; `None` where it never will.
fn wait_of(status: &Status) -> Option<Duration> {
    let asked = retry_delay(status.details());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Some(asked.unwrap_or_default()),
        // Without a word on when, it is one that is too large.
        Code::ResourceExhausted => asked,
        // It was this end that failed, such as a connection that broke.
        _ if status.source().is_some() => Some(Duration::ZERO),
        _ => None,
    }
}

fn reason(status: &Status) -> String {
    let message = escape(status.message()).into_owned();
    match status.source() {
        Some(source) if message.is_empty() => innermost(source),
        Some(source) => format!("{message}: {}", innermost(source)),
        None => format!("{:?}: {message}", status.code()),
    }
}

fn innermost(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// The wait that `google.rpc.RetryInfo` asks for, if it is among an error's details.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status
        .details
        .iter()
        .find(|it| it.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let seconds = Duration::from_secs(u64::try_from(delay.seconds).ok()?);
    let nanos = Duration::from_nanos(u64::try_from(delay.nanos).ok()?);
    Some((seconds + nanos).min(ASKED_WAIT_MAX))
}

/// `google.rpc.Status`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<WireDuration>,
}

#[derive(Clone, PartialEq, Message)]
struct WireDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_delay(code: Code, seconds: i64) -> Status {
        let info = RetryInfo {
            retry_delay: Some(WireDuration { seconds, nanos: 5 }),
        };
        let details = RpcStatus {
            details: vec![Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: info.encode_to_vec(),
            }],
        };
        Status::with_details(code, "later", details.encode_to_vec().into())
    }

    #[test]
    fn what_may_succeed_is_tried_again_and_nothing_else() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted] {
            assert_eq!(wait_of(&Status::new(code, "")), Some(Duration::ZERO));
        }
        for code in [
            Code::ResourceExhausted,
            Code::InvalidArgument,
            Code::Unauthenticated,
            Code::Unimplemented,
        ] {
            assert_eq!(wait_of(&Status::new(code, "")), None, "{code:?}");
        }
        let asked = Duration::new(7, 5);
        assert_eq!(
            wait_of(&with_delay(Code::ResourceExhausted, 7)),
            Some(asked)
        );
        assert_eq!(wait_of(&with_delay(Code::Unavailable, 7)), Some(asked));
        assert_eq!(wait_of(&with_delay(Code::InvalidArgument, 7)), None);
        assert_eq!(
            wait_of(&with_delay(Code::Unavailable, 1 << 40)),
            Some(ASKED_WAIT_MAX)
        );
    }

    #[test]
    fn headers_are_lines() {
        let read = headers("Authorization: Bearer a:b\n\nx-scope-orgid:7\n").unwrap();
        assert_eq!(read.get("authorization").unwrap(), "Bearer a:b");
        assert_eq!(read.get("x-scope-orgid").unwrap(), "7");
        for text in ["no colon", "bad name: x", "x: \u{7}"] {
            assert!(headers(text).is_none(), "{text}");
        }
    }
}
