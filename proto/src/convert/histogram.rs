//! Histograms, of which only the buckets travel that have changed.

use coral_model::{Bucket, Histogram};

use super::ConvertError;
use super::number::check_sum;
use crate::agent::v1 as wire;

/// The first index that is refused: the bounds of all buckets before it fit into 64 bits.
const INDEX_END: u32 = 975;

/// All of a histogram.
pub fn histogram_to_wire(histogram: &Histogram) -> wire::Histogram {
    to_wire(histogram, None)
}

/// The histogram that was sent whole.
///
/// # Errors
/// If its buckets are none, or their sums do not fit.
pub fn histogram_from_wire(histogram: &wire::Histogram) -> Result<Histogram, ConvertError> {
    from_wire(histogram, None)
}

/// What has changed in a histogram since it was `last`; all of it if there was none.
pub(super) fn to_wire(now: &Histogram, last: Option<&Histogram>) -> wire::Histogram {
    let last = last.map_or(&[][..], |last| &last.buckets);
    let mut wire = wire::Histogram {
        total_ns: now.total_ns,
        min_ns: now.min_ns,
        max_ns: now.max_ns,
        ..Default::default()
    };
    for bucket in changed(&now.buckets, last) {
        wire.index.push(bucket.index.into());
        wire.count.push(bucket.count);
    }
    wire
}

/// The buckets that hold another number than before, ascending.
fn changed(now: &[Bucket], last: &[Bucket]) -> Vec<Bucket> {
    let emptied = |bucket: Bucket| Bucket { count: 0, ..bucket };
    let mut changes = Vec::new();
    let mut last = last.iter().copied().peekable();
    for &bucket in now {
        while let Some(gone) = last.next_if(|last| last.index < bucket.index) {
            changes.push(emptied(gone));
        }
        if last.next_if(|last| last.index == bucket.index) != Some(bucket) {
            changes.push(bucket);
        }
    }
    changes.extend(last.map(emptied));
    changes
}

/// The histogram that `last` has become by what has changed.
pub(super) fn from_wire(
    wire: &wire::Histogram,
    last: Option<&Histogram>,
) -> Result<Histogram, ConvertError> {
    if wire.index.len() != wire.count.len() {
        let field = "histogram.count";
        return Err(ConvertError::Missing { field });
    }
    let mut changes = Vec::with_capacity(wire.index.len());
    let mut start = 0;
    for (&index, &count) in wire.index.iter().zip(&wire.count) {
        if !(start..INDEX_END).contains(&index) {
            let range = "an ascending number of a bucket";
            return Err(ConvertError::range("histogram.index", &index, range));
        }
        start = index + 1;
        // Below INDEX_END, so 16 bits hold it.
        changes.push(Bucket {
            index: index as u16,
            count,
        });
    }
    let buckets = merged(last.map_or(&[], |last| &last.buckets), &changes);
    check_sum(buckets.iter().map(|bucket| bucket.count), "histogram.count")?;
    Ok(Histogram {
        buckets,
        total_ns: wire.total_ns,
        min_ns: wire.min_ns,
        max_ns: wire.max_ns,
    })
}

/// Both in order; where both have a bucket the change stands, and what is empty is left out.
fn merged(last: &[Bucket], changes: &[Bucket]) -> Vec<Bucket> {
    let mut buckets = Vec::with_capacity(last.len() + changes.len());
    let mut last = last.iter().copied().peekable();
    for &change in changes {
        while let Some(bucket) = last.next_if(|bucket| bucket.index < change.index) {
            buckets.push(bucket);
        }
        last.next_if(|bucket| bucket.index == change.index);
        if change.count > 0 {
            buckets.push(change);
        }
    }
    buckets.extend(last);
    buckets
}
