//! A latency histogram drawn with `#`: a row for each range of durations, the ranges growing with
//! the durations, so that a slow mode does not hide a fast one.

use std::io;

use coral_model::{Histogram, bucket_range_ns, format_duration_ns};

/// The rows that a histogram takes at most.
const ROWS_MAX: u16 = 16;
/// The bar is never shorter than this, even if the line then does not fit.
const BAR_MIN: usize = 10;
/// What stands in a row before its bar.
const LABEL_WIDTH: usize = 38;

/// The calls whose durations lie in `low_ns..high_ns`.
#[derive(Debug, PartialEq)]
struct Row {
    low_ns: u64,
    high_ns: u64,
    count: u64,
}

/// Writes a row for each range between the shortest and the longest duration.
pub(super) fn write(
    out: &mut impl io::Write,
    histogram: &Histogram,
    width: usize,
) -> io::Result<()> {
    let rows = rows(histogram);
    let most = rows.iter().map(|row| row.count).max().unwrap_or(0);
    let bar_max = width.saturating_sub(LABEL_WIDTH).max(BAR_MIN);
    for row in rows {
        let line = format!(
            "  {:>8} .. {:>8}  {:>12}  {}",
            format_duration_ns(row.low_ns),
            format_duration_ns(row.high_ns),
            row.count,
            "#".repeat(bar_length(row.count, most, bar_max)),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// In proportion to the count; a count above zero always shows.
fn bar_length(count: u64, most: u64, bar_max: usize) -> usize {
    if count == 0 {
        return 0;
    }
    let length = (count as f64 / most as f64 * bar_max as f64).round() as usize;
    length.clamp(1, bar_max)
}

/// Joins neighbouring buckets, a power of two of them, until there are few enough rows.
fn rows(histogram: &Histogram) -> Vec<Row> {
    let (Some(first), Some(last)) = (histogram.buckets.first(), histogram.buckets.last()) else {
        return Vec::new();
    };
    let mut shift = 0;
    while (last.index >> shift) - (first.index >> shift) >= ROWS_MAX {
        shift += 1;
    }
    let mut rows: Vec<Row> = ((first.index >> shift)..=(last.index >> shift))
        .map(|row| Row {
            low_ns: bucket_range_ns(row << shift).start,
            high_ns: bucket_range_ns((row << shift) + ((1 << shift) - 1)).end,
            count: 0,
        })
        .collect();
    for bucket in &histogram.buckets {
        let row = (bucket.index >> shift) - (first.index >> shift);
        rows[usize::from(row)].count += bucket.count;
    }
    rows
}

#[cfg(test)]
mod tests {
    use coral_model::Bucket;
    use proptest::prelude::*;

    use super::*;

    fn histogram(buckets: &[(u16, u64)]) -> Histogram {
        Histogram {
            buckets: buckets
                .iter()
                .map(|&(index, count)| Bucket { index, count })
                .collect(),
            ..Histogram::default()
        }
    }

    #[test]
    fn a_narrow_histogram_shows_its_buckets() {
        assert_eq!(
            rows(&histogram(&[(32, 3), (34, 1)])),
            [
                Row {
                    low_ns: 32,
                    high_ns: 34,
                    count: 3
                },
                Row {
                    low_ns: 34,
                    high_ns: 36,
                    count: 0
                },
                Row {
                    low_ns: 36,
                    high_ns: 38,
                    count: 1
                },
            ]
        );
    }

    #[test]
    fn bars_are_in_proportion_and_the_rarest_call_shows() {
        for (count, length) in [(0, 0), (1, 1), (500, 20), (1_000, 40)] {
            assert_eq!(bar_length(count, 1_000, 40), length);
        }
        assert_eq!(bar_length(u64::MAX, u64::MAX, 40), 40);
    }

    proptest! {
        #[test]
        fn every_call_is_in_one_of_few_adjoining_rows(
            buckets in prop::collection::btree_map(0u16..960, 1u64..1_000_000, 1..100),
        ) {
            let buckets: Vec<_> = buckets.into_iter().collect();
            let histogram = histogram(&buckets);
            let rows = rows(&histogram);
            prop_assert!(rows.len() <= usize::from(ROWS_MAX));
            prop_assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), histogram.count());
            prop_assert!(rows.windows(2).all(|pair| pair[0].high_ns == pair[1].low_ns));
            prop_assert!(rows.iter().all(|row| row.low_ns < row.high_ns));
            prop_assert!(rows[0].count > 0 && rows[rows.len() - 1].count > 0);
        }
    }
}
