//! A collector of OpenTelemetry, by the definitions of OpenTelemetry itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What a collector does with the next request, where it does not take it.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Fails it.
    Fail(Status),
    /// Never answers it.
    Stall,
    /// Takes it but for so many spans.
    Reject(i64),
}

/// What has come to a collector.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// By attributes of resource and point, without what tells times: the latest.
    sums: BTreeMap<(String, Attributes), i64>,
    histograms: BTreeMap<Attributes, HistogramDataPoint>,
    /// Spans by their ids, with the attributes of their resource.
    pub(crate) spans: BTreeMap<Vec<u8>, (Attributes, Span)>,
    /// How many spans came more than once.
    pub(crate) spans_again: usize,
    /// The header `authorization` of the last request.
    pub(crate) authorization: Option<String>,
}

pub(crate) type Attributes = BTreeMap<String, String>;

impl Received {
    /// The sum of a metric over all points with these attributes.
    pub(crate) fn sum(&self, metric: &str, with: &[(&str, &str)]) -> i64 {
        let sums = self.sums.iter();
        sums.filter(|((name, attributes), _)| name == metric && has(attributes, with))
            .map(|(_, value)| value)
            .sum()
    }

    /// The histograms of durations with these attributes.
    pub(crate) fn durations(&self, with: &[(&str, &str)]) -> Vec<&HistogramDataPoint> {
        let all = self.histograms.iter();
        all.filter(|(attributes, _)| has(attributes, with))
            .map(|(_, point)| point)
            .collect()
    }

    fn take(&mut self, resource: &Attributes, metric: Metric) {
        match metric.data.unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic);
                assert_eq!(sum.aggregation_temporality, 2, "cumulative");
                for point in sum.data_points {
                    assert!(point.start_time_unix_nano <= point.time_unix_nano);
                    let Some(number_data_point::Value::AsInt(value)) = point.value else {
                        panic!("{:?}", point.value);
                    };
                    let attributes = joined(resource, &point.attributes);
                    self.sums.insert((metric.name.clone(), attributes), value);
                }
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, 2, "cumulative");
                for point in histogram.data_points {
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                    let attributes = joined(resource, &point.attributes);
                    self.histograms.insert(attributes, point);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn has(attributes: &Attributes, with: &[(&str, &str)]) -> bool {
    let mut with = with.iter();
    with.all(|(key, value)| attributes.get(*key).map(String::as_str) == Some(*value))
}

fn joined(resource: &Attributes, own: &[KeyValue]) -> Attributes {
    let mut all = resource.clone();
    all.extend(attributes(own));
    all
}

pub(crate) fn attributes(pairs: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(is_so) => is_so.to_string(),
        other => panic!("{other:?}"),
    };
    pairs.iter().map(|it| (it.key.clone(), text(it))).collect()
}

/// A collector that runs, or can run again at the same address.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) received: watch::Sender<Received>,
    pub(crate) moods: Arc<Mutex<VecDeque<Mood>>>,
}

impl Collector {
    pub(crate) fn new() -> Self {
        Self {
            received: watch::Sender::new(Received::default()),
            moods: Arc::default(),
        }
    }

    /// Serves at that address until the task is aborted; port 0 lets the system choose.
    pub(crate) async fn serve(&self, at: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, spans) = (self.clone(), self.clone());
        let served = tokio::spawn(async move {
            let incoming = TcpIncoming::from(listener);
            let server = Server::builder()
                .add_service(MetricsServiceServer::new(metrics))
                .add_service(TraceServiceServer::new(spans));
            server.serve_with_incoming(incoming).await.unwrap();
        });
        (address, served)
    }

    /// Waits until what has come is so.
    pub(crate) async fn await_that(&self, is_so: impl FnMut(&Received) -> bool) {
        let mut received = self.received.subscribe();
        let patience = std::time::Duration::from_secs(60);
        let came = tokio::time::timeout(patience, received.wait_for(is_so)).await;
        assert!(
            came.is_ok(),
            "it does not come: {:?}",
            self.received.borrow()
        );
    }

    /// What it is in the mood for; how many spans it rejects.
    async fn mood<T>(&self, request: &Request<T>) -> Result<i64, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|it| it.to_str().unwrap().to_owned());
        self.received.send_if_modified(|received| {
            std::mem::replace(&mut received.authorization, authorization.clone()) != authorization
        });
        let mood = self.moods.lock().unwrap().pop_front();
        match mood {
            None => Ok(0),
            Some(Mood::Reject(spans)) => Ok(spans),
            Some(Mood::Fail(status)) => Err(status),
            Some(Mood::Stall) => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.mood(&request).await?;
        self.received.send_modify(|received| {
            for of_resource in request.into_inner().resource_metrics {
                let resource = attributes(&of_resource.resource.unwrap().attributes);
                for of_scope in of_resource.scope_metrics {
                    assert_eq!(of_scope.scope.unwrap().name, "coral");
                    for metric in of_scope.metrics {
                        received.take(&resource, metric);
                    }
                }
            }
        });
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let rejected_spans = self.mood(&request).await?;
        self.received.send_modify(|received| {
            for of_resource in request.into_inner().resource_spans {
                let resource = attributes(&of_resource.resource.unwrap().attributes);
                for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                    let id = [&*span.trace_id, &*span.span_id].concat();
                    assert_eq!(id.len(), 24, "16 bytes and 8");
                    let before = received.spans.insert(id, (resource.clone(), span));
                    received.spans_again += usize::from(before.is_some());
                }
            }
        });
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success: (rejected_spans > 0).then(|| ExportTracePartialSuccess {
                rejected_spans,
                error_message: "too old".into(),
            }),
        }))
    }
}
