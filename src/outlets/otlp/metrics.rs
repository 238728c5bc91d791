//! A checkpoint as metrics: what a function did since its session began.

use std::sync::LazyLock;

use coral_model::{FunctionStats, Histogram, Snapshot, bucket_range_ns};
use coral_proto::opentelemetry::proto::common::v1::KeyValue;
use coral_proto::opentelemetry::proto::metrics::v1 as otlp;
use coral_proto::opentelemetry::proto::metrics::v1::metric::Data;
use coral_proto::opentelemetry::proto::metrics::v1::number_data_point::Value;
use coral_proto::opentelemetry::proto::resource::v1::Resource;
use jiff::Timestamp;

use super::origin::{Origin, number, scope, text};

/// Functions in one part of a checkpoint: a part is a few hundred KiB at most.
const FUNCTIONS_MAX: usize = 150;
/// Where the buckets of a point begin and end: from 1 µs to 69 s, four for each power of two.
const OCTAVES: std::ops::Range<u32> = 10..36;
const PER_OCTAVE: u64 = 4;

/// The upper bounds of the buckets, in nanoseconds, that no duration reaches which lies below.
///
/// Each is the end of a bucket of ours, so each count is exact: it is the sum of whole buckets. What
/// is lost is where within a bucket of a quarter of a power of two a duration lies. A percentile
/// that is read from it as a bucket's middle is within 12.5 %, where ours is within 3.2 %. Ours as
/// they are, or an exponential histogram, would keep more: but the bounds of the former change from
/// point to point, which receivers cannot add up, and none of the latter's lie where ours do.
static EDGES_NS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let in_octave = |octave| (0..PER_OCTAVE).map(move |part| (PER_OCTAVE + part) << (octave - 2));
    let last = 1 << OCTAVES.end;
    OCTAVES.flat_map(in_octave).chain([last]).collect()
});

/// What a checkpoint says of functions that were called, in parts that are sent one by one.
pub(super) fn metrics(origin: &Origin, snapshot: &Snapshot) -> Vec<otlp::ResourceMetrics> {
    let times = Times::of(snapshot);
    let called = snapshot.functions.iter().filter(|it| it.calls > 0);
    let called: Vec<&FunctionStats> = called.map(|function| &**function).collect();
    let parts = called.chunks(FUNCTIONS_MAX);
    parts
        .map(|functions| part(origin, times, functions))
        .collect()
}

/// How many points there are in a part.
pub(super) fn points(part: &otlp::ResourceMetrics) -> u64 {
    let metrics = part.scope_metrics.iter().flat_map(|it| &it.metrics);
    let points = metrics.map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        None => 0,
    });
    points.sum::<usize>() as u64
}

/// What this outlet itself has dropped, by what and why.
pub(super) fn own(since: Timestamp, dropped: &[(&str, &str, u64)]) -> otlp::ResourceMetrics {
    let times = Times {
        start_ns: nanoseconds(since),
        now_ns: nanoseconds(Timestamp::now()),
    };
    let points = dropped.iter().map(|(signal, why, count)| {
        times.count(vec![text("signal", signal), text("reason", why)], *count)
    });
    let metric = sum(
        "coral.otlp.dropped",
        "What was not handed over to this collector",
        "{item}",
        points.collect(),
    );
    let resource = Resource {
        attributes: vec![text("service.name", "coral-colony")],
    };
    of_resource(resource, vec![metric])
}

/// When counting began, and when it was as the numbers say.
#[derive(Clone, Copy)]
struct Times {
    start_ns: u64,
    now_ns: u64,
}

impl Times {
    fn of(snapshot: &Snapshot) -> Self {
        let session = &snapshot.session;
        let start_ns = nanoseconds(session.started_at);
        let elapsed_ns = u64::try_from(session.elapsed.as_nanos()).unwrap_or(u64::MAX);
        Self {
            start_ns,
            now_ns: start_ns.saturating_add(elapsed_ns),
        }
    }

    fn count(self, attributes: Vec<KeyValue>, count: u64) -> otlp::NumberDataPoint {
        otlp::NumberDataPoint {
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.now_ns,
            value: Some(Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX))),
            attributes,
        }
    }

    fn durations(self, attributes: Vec<KeyValue>, latency: &Histogram) -> otlp::HistogramDataPoint {
        let bound = |edge_ns: &u64| seconds(edge_ns - 1);
        let count = latency.count();
        let known = |duration_ns| (count > 0).then(|| seconds(duration_ns));
        otlp::HistogramDataPoint {
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.now_ns,
            count,
            sum: Some(seconds(latency.total_ns)),
            bucket_counts: bucket_counts(latency),
            // A bound belongs to the bucket below it, and durations are whole nanoseconds.
            explicit_bounds: EDGES_NS.iter().map(bound).collect(),
            attributes,
            min: known(latency.min_ns),
            max: known(latency.max_ns),
        }
    }
}

fn part(origin: &Origin, times: Times, functions: &[&FunctionStats]) -> otlp::ResourceMetrics {
    let named = |function: &FunctionStats| {
        let mut attributes = origin.attributes(&function.name);
        // Functions of one name are told apart by their place.
        attributes.extend(
            function
                .file
                .iter()
                .map(|file| text("code.file.path", file)),
        );
        let line = function.line.iter();
        attributes.extend(line.map(|line| number("code.line.number", u64::from(*line))));
        attributes
    };
    let calls = functions.iter();
    let calls = calls.map(|it| times.count(named(it), it.calls)).collect();
    let can_fail = functions.iter().filter_map(|it| Some((it, it.errors?)));
    let errors = can_fail.map(|(it, errors)| times.count(named(it), errors));
    let errors: Vec<_> = errors.collect();
    let returned = functions.iter().filter(|it| it.returns > 0);
    let durations = returned.map(|it| times.durations(named(it), &it.latency));
    let durations: Vec<_> = durations.collect();
    let mut metrics = vec![sum(
        "coral.function.calls",
        "Calls of the function since its session began",
        "{call}",
        calls,
    )];
    if !errors.is_empty() {
        metrics.push(sum(
            "coral.function.errors",
            "Calls that returned an error; absent where that cannot be told",
            "{call}",
            errors,
        ));
    }
    if !durations.is_empty() {
        metrics.push(histogram(durations));
    }
    of_resource(origin.resource(), metrics)
}

fn of_resource(resource: Resource, metrics: Vec<otlp::Metric>) -> otlp::ResourceMetrics {
    otlp::ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![otlp::ScopeMetrics {
            scope: Some(scope()),
            metrics,
        }],
    }
}

fn sum(
    name: &str,
    description: &str,
    unit: &str,
    data_points: Vec<otlp::NumberDataPoint>,
) -> otlp::Metric {
    otlp::Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(Data::Sum(otlp::Sum {
            data_points,
            aggregation_temporality: otlp::AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        })),
    }
}

fn histogram(data_points: Vec<otlp::HistogramDataPoint>) -> otlp::Metric {
    otlp::Metric {
        name: "coral.function.duration".to_owned(),
        description: "How long calls took that returned, since the session began".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(otlp::Histogram {
            data_points,
            aggregation_temporality: otlp::AggregationTemporality::Cumulative.into(),
        })),
    }
}

/// Our buckets, each added to the one that it lies in.
fn bucket_counts(latency: &Histogram) -> Vec<u64> {
    let mut counts = vec![0; EDGES_NS.len() + 1];
    for bucket in &latency.buckets {
        let low_ns = bucket_range_ns(bucket.index).start;
        let place = EDGES_NS.partition_point(|edge_ns| *edge_ns <= low_ns);
        counts[place] += bucket.count;
    }
    counts
}

fn seconds(duration_ns: u64) -> f64 {
    duration_ns as f64 / 1e9
}

pub(super) fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bound_is_an_end_of_a_bucket_of_ours() {
        let ends: Vec<u64> = (0..700).map(|index| bucket_range_ns(index).end).collect();
        assert!(EDGES_NS.iter().all(|edge_ns| ends.contains(edge_ns)));
        assert!(EDGES_NS.is_sorted());
        assert_eq!(EDGES_NS.len(), 26 * 4 + 1);
        assert_eq!((EDGES_NS[0], EDGES_NS[1]), (1_024, 1_280));
    }

    proptest! {
        #[test]
        fn each_count_is_that_of_durations_up_to_its_bound(
            durations_ns in prop::collection::vec(0_u64..200_000_000_000, 0..200),
            shift in 0_u32..30,
        ) {
            let mut latency = Histogram::default();
            let durations_ns: Vec<u64> = durations_ns.iter().map(|it| it >> shift).collect();
            durations_ns.iter().for_each(|it| latency.record(*it));
            let times = Times { start_ns: 1, now_ns: 2 };
            let point = times.durations(Vec::new(), &latency);
            prop_assert_eq!(point.count, durations_ns.len() as u64);
            prop_assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            let mut up_to = 0;
            for (bound_s, count) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
                up_to += count;
                let truth = durations_ns.iter().filter(|it| seconds(**it) <= *bound_s).count();
                prop_assert_eq!(up_to, truth as u64);
            }
        }
    }
}
