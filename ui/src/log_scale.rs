//! A logarithmic axis of durations, and a histogram laid out along it.

use coral_model::{Histogram, bucket_range_ns};

/// Axes begin and end at one of these, times a power of ten.
const NICE_STEPS: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// An axis over some columns of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogScale {
    low_log: f64,
    high_log: f64,
    columns: u16,
}

impl LogScale {
    /// An axis that holds every duration of a histogram and is at least a decade long, so that a
    /// decade's label is always on it.
    pub(crate) fn of(histogram: &Histogram, columns: u16) -> Self {
        Self::between(histogram.min_ns, histogram.max_ns, columns)
    }

    /// An axis that holds all durations from the shortest to the longest.
    pub(crate) fn between(min_ns: u64, max_ns: u64, columns: u16) -> Self {
        let low_log = nice_below(min_ns.max(1) as f64).log10();
        let high_log = nice_above(max_ns.max(1) as f64).log10();
        let low_log = low_log.min(high_log - 1.0).max(0.0);
        Self {
            low_log,
            high_log: high_log.max(low_log + 1.0),
            columns,
        }
    }

    /// The column in which a duration is.
    pub(crate) fn column(&self, duration_ns: u64) -> u16 {
        let position = self.position(duration_ns as f64);
        (position.max(0.0) as u16).min(self.columns.saturating_sub(1))
    }

    /// The duration at which a column begins.
    pub(crate) fn start_ns(&self, column: u16) -> u64 {
        let share = f64::from(column) / f64::from(self.columns.max(1));
        10f64
            .powf(self.low_log + share * (self.high_log - self.low_log))
            .ceil() as u64
    }

    /// The powers of ten on the axis: column and duration.
    pub(crate) fn decades(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        // A decade that lies on the axis' end may come out a rounding error beside it.
        let from = (self.low_log - 1e-9).ceil() as i32;
        let to = (self.high_log + 1e-9).floor() as i32;
        (from.max(0)..=to).map(|decade| {
            let duration_ns = 10u64.saturating_pow(decade as u32);
            (self.column(duration_ns), duration_ns)
        })
    }

    /// How many of the durations are in each column. A bucket that reaches over several columns is
    /// spread over them, so that a fine axis has no gaps which are not in the data.
    pub(crate) fn spread(&self, histogram: &Histogram) -> Vec<f64> {
        let mut counts = vec![0.0; usize::from(self.columns.max(1))];
        for bucket in &histogram.buckets {
            let range = bucket_range_ns(bucket.index);
            let (from, to) = (
                self.position(range.start as f64),
                self.position(range.end as f64),
            );
            let last = counts.len().saturating_sub(1);
            let first_column = (from.max(0.0) as usize).min(last);
            let last_column = (to.max(0.0) as usize).min(last);
            // No time at all has no place on a logarithmic axis; it is counted where the axis begins.
            if to <= from {
                counts[first_column] += bucket.count as f64;
                continue;
            }
            let length = to - from;
            for (column, count) in counts
                .iter_mut()
                .enumerate()
                .take(last_column + 1)
                .skip(first_column)
            {
                let (left, right) = (column as f64, column as f64 + 1.0);
                // What lies beyond an end of the axis is counted at that end.
                let left = if column == first_column { from } else { left };
                let right = if column == last_column { to } else { right };
                *count += bucket.count as f64 * ((right - left) / length).clamp(0.0, 1.0);
            }
        }
        counts
    }

    /// The place of a duration, in columns.
    fn position(&self, duration_ns: f64) -> f64 {
        let log = duration_ns.max(1.0).log10();
        (log - self.low_log) / (self.high_log - self.low_log) * f64::from(self.columns)
    }
}

fn nice_below(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let steps = NICE_STEPS.iter().rev().map(|step| step * decade);
    steps
        .into_iter()
        .find(|&nice| nice <= value)
        .unwrap_or(decade)
}

fn nice_above(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let steps = NICE_STEPS.iter().map(|step| step * decade);
    steps
        .into_iter()
        .find(|&nice| nice > value)
        .unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use coral_model::Bucket;
    use proptest::prelude::*;

    use super::*;

    fn histogram(buckets: &[(u16, u64)]) -> Histogram {
        let range = |place: Option<&(u16, u64)>| bucket_range_ns(place.unwrap().0);
        Histogram {
            buckets: buckets
                .iter()
                .map(|&(index, count)| Bucket { index, count })
                .collect(),
            total_ns: 0,
            min_ns: range(buckets.first()).start,
            max_ns: range(buckets.last()).end - 1,
        }
    }

    fn scale(min_ns: u64, max_ns: u64, columns: u16) -> LogScale {
        let histogram = Histogram {
            min_ns,
            max_ns,
            ..Histogram::default()
        };
        LogScale::of(&histogram, columns)
    }

    #[test]
    fn decades_are_where_they_belong() {
        let decades: Vec<_> = scale(1_000, 999_999, 30).decades().collect();
        assert_eq!(
            decades,
            [(0, 1_000), (10, 10_000), (20, 100_000), (29, 1_000_000)]
        );
        assert_eq!(scale(1_200_000, 1_300_000, 20).decades().count(), 1);
        assert_eq!(scale(0, 0, 20).decades().next(), Some((0, 1)));
    }

    #[test]
    fn durations_are_in_their_column() {
        let scale = scale(1_000, 999_999, 30);
        for (duration_ns, column) in [
            (1_000, 0),
            (31_623, 15),
            (999_999, 29),
            (1, 0),
            (u64::MAX, 29),
        ] {
            assert_eq!(scale.column(duration_ns), column, "{duration_ns}");
        }
    }

    proptest! {
        #[test]
        fn columns_begin_where_they_say(max_ns in 1u64..u64::MAX / 4, columns in 1u16..200) {
            let scale = scale(max_ns / 1_000, max_ns, columns);
            for column in 0..columns {
                let (start, next) = (scale.start_ns(column), scale.start_ns(column + 1));
                if next > start + 2 {
                    prop_assert_eq!(scale.column(start + (next - start) / 2), column);
                }
            }
        }

        #[test]
        fn every_duration_is_drawn_once(
            buckets in prop::collection::btree_map(0u16..900, 1u64..1_000_000, 1..40),
            columns in 1u16..200,
        ) {
            let buckets: Vec<_> = buckets.into_iter().collect();
            let histogram = histogram(&buckets);
            let drawn: f64 = LogScale::of(&histogram, columns).spread(&histogram).iter().sum();
            let counted = histogram.count() as f64;
            prop_assert!((drawn - counted).abs() < counted * 1e-6, "{drawn} of {counted}");
        }
    }
}
