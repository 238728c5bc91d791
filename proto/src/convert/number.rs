//! Times and figures. The wire's types hold more than a clock or a counter can say.

use std::time::Duration;

use jiff::Timestamp;

use super::ConvertError;

/// The longest duration that the wire's type stands for, in seconds: about 10,000 years.
const DURATION_MAX_S: u64 = 315_576_000_000;

/// A duration for the wire; longer ones than it can say become its longest.
pub fn duration_to_wire(duration: Duration) -> prost_types::Duration {
    let duration = duration.min(Duration::from_secs(DURATION_MAX_S));
    prost_types::Duration {
        seconds: duration.as_secs() as i64,    // at most DURATION_MAX_S
        nanos: duration.subsec_nanos() as i32, // below 1,000,000,000
    }
}

/// A duration from the wire. `field` is what errors call it.
///
/// # Errors
/// If it is negative, longer than the wire's type stands for, or holds a billion nanoseconds.
pub fn duration_from_wire(
    duration: &prost_types::Duration,
    field: &'static str,
) -> Result<Duration, ConvertError> {
    let seconds = u64::try_from(duration.seconds).ok();
    let nanos = u32::try_from(duration.nanos).ok();
    match (seconds, nanos) {
        (Some(seconds @ ..=DURATION_MAX_S), Some(nanos @ ..1_000_000_000)) => {
            Ok(Duration::new(seconds, nanos))
        }
        _ => Err(ConvertError::range(
            field,
            &format!("{} s and {} ns", duration.seconds, duration.nanos),
            "a duration from 0 to 10,000 years",
        )),
    }
}

/// A time of day for the wire.
pub fn timestamp_to_wire(timestamp: Timestamp) -> prost_types::Timestamp {
    let nanos = timestamp.as_nanosecond();
    prost_types::Timestamp {
        seconds: nanos.div_euclid(1_000_000_000) as i64, // jiff's years have four digits
        nanos: nanos.rem_euclid(1_000_000_000) as i32,
    }
}

/// A time of day from the wire. `field` is what errors call it.
///
/// # Errors
/// If its year has more than four digits.
pub fn timestamp_from_wire(
    timestamp: &prost_types::Timestamp,
    field: &'static str,
) -> Result<Timestamp, ConvertError> {
    let nanos = i128::from(timestamp.seconds) * 1_000_000_000 + i128::from(timestamp.nanos);
    Timestamp::from_nanosecond(nanos).map_err(|_| {
        ConvertError::range(
            field,
            &format!("{} s and {} ns", timestamp.seconds, timestamp.nanos),
            "a time of the years -9999 to 9999",
        )
    })
}

/// A rate or a share: `None` where it is no number, infinite or negative, on either side, because a
/// figure that cannot be is not known.
pub(super) fn figure(figure: f64) -> Option<f64> {
    // The addition makes zero of its negative, which the wire cannot tell from none.
    (figure.is_finite() && figure >= 0.0).then_some(figure + 0.0)
}

/// Refuses counters of which nobody could make a sum.
pub(super) fn check_sum(
    counters: impl IntoIterator<Item = u64>,
    field: &'static str,
) -> Result<(), ConvertError> {
    let sum: u128 = counters.into_iter().map(u128::from).sum();
    if sum > u128::from(u64::MAX) {
        return Err(ConvertError::Overflow { field });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_of_their_range_are_refused() {
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            let duration = prost_types::Duration { seconds, nanos };
            assert!(duration_from_wire(&duration, "elapsed").is_err());
        }
        for seconds in [i64::MIN, i64::MAX] {
            let timestamp = prost_types::Timestamp { seconds, nanos: 0 };
            assert!(timestamp_from_wire(&timestamp, "started_at").is_err());
        }
    }

    #[test]
    fn times_come_back_as_they_were() {
        for duration in [Duration::ZERO, Duration::new(7, 999_999_999)] {
            let wire = duration_to_wire(duration);
            assert_eq!(duration_from_wire(&wire, "elapsed"), Ok(duration));
        }
        for nanos in [-1, 0, 1, -1_000_000_001, 1_700_000_000_123_456_789] {
            let timestamp = Timestamp::from_nanosecond(nanos).unwrap();
            let wire = timestamp_to_wire(timestamp);
            assert_eq!(timestamp_from_wire(&wire, "started_at"), Ok(timestamp));
        }
        let longest = duration_to_wire(Duration::MAX);
        assert_eq!(longest.seconds as u64, DURATION_MAX_S);
    }

    #[test]
    fn what_is_no_figure_is_not_known() {
        for nothing in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!(figure(nothing), None);
        }
        assert_eq!(figure(-0.0).map(f64::to_bits), Some(0));
        assert_eq!(figure(2.5), Some(2.5));
    }
}
