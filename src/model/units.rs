//! Durations, counts and sizes as people read and write them.

use std::time::Duration;

/// A duration as it is written on a command line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {why}")]
pub struct DurationError {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

const UNITS_NS: [(&str, f64); 6] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
];

/// Reads a duration such as `60s`, `1.5ms` or `2m`.
///
/// # Errors
/// If there is no unit, no number, or the number is negative or not finite.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |why| DurationError {
        text: text.to_owned(),
        why,
    };
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(|| fail("it needs a unit: ns, us, ms, s, m, h or d, as in `60s`"))?;
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number
        .parse()
        .map_err(|_| fail("it needs a number before the unit, as in `60s`"))?;
    let unit = unit.trim();
    let unit_ns = UNITS_NS
        .iter()
        .chain(&[("h", 3_600e9), ("d", 86_400e9)])
        .find(|(name, _)| *name == unit)
        .map(|(_, ns)| ns)
        .ok_or_else(|| fail("its unit is none of ns, us, ms, s, m, h and d"))?;
    let ns = number * unit_ns;
    if !(0.0..=u64::MAX as f64).contains(&ns) {
        return Err(fail("it is too long"));
    }
    Ok(Duration::from_nanos(ns as u64))
}

/// A duration to the last digit, in the largest unit that holds it: `60s`, `1500us`. Read by
/// [`parse_duration`], it is the same again.
pub fn format_duration_exactly(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let unit = units
        .into_iter()
        .find(|(unit_ns, _)| ns.is_multiple_of(*unit_ns));
    let (unit_ns, name) = unit.unwrap_or((1, "ns"));
    format!("{}{name}", ns / unit_ns)
}

/// A duration with three significant digits and the unit that fits: `812 ns`, `1.24 ms`, `60.0 s`.
pub fn format_duration_ns(duration_ns: u64) -> String {
    let ns = duration_ns as f64;
    let (value, unit) = if duration_ns < 1_000 {
        return format!("{duration_ns} ns");
    } else if ns < 999.5e3 {
        (ns / 1e3, "µs")
    } else if ns < 999.5e6 {
        (ns / 1e6, "ms")
    } else {
        (ns / 1e9, "s")
    };
    format!("{value:.*} {unit}", decimals(value))
}

/// A duration with three significant digits and the unit that fits.
pub fn format_duration(duration: Duration) -> String {
    format_duration_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A count or rate with at most four characters and a suffix: `987`, `12.3k`, `4.56M`.
pub fn format_count(count: f64) -> String {
    let (value, suffix) = if count < 999.5 {
        let decimals = if count < 9.95 && count.fract() > 0.05 {
            1
        } else {
            0
        };
        return format!("{count:.decimals$}");
    } else if count < 999.5e3 {
        (count / 1e3, "k")
    } else if count < 999.5e6 {
        (count / 1e6, "M")
    } else {
        (count / 1e9, "G")
    };
    format!("{value:.*}{suffix}", decimals(value))
}

/// A size with a binary unit: `512 B`, `38.0 KiB`, `1.20 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.*} {}", decimals(value), UNITS[unit])
}

/// Decimals that leave three significant digits.
fn decimals(value: f64) -> usize {
    if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_996, "10.0 µs"),
            (99_960, "100 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (60_000_000_000, "60.0 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(format_duration_ns(ns), text);
        }
    }

    #[test]
    fn what_is_written_exactly_is_read_again() {
        for (ns, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500_000, "1500us"),
            (500_000_000, "500ms"),
            (120_000_000_000, "120s"),
        ] {
            let duration = Duration::from_nanos(ns);
            assert_eq!(format_duration_exactly(duration), text);
            assert_eq!(parse_duration(text), Ok(duration));
        }
    }

    #[test]
    fn counts_and_sizes_keep_three_digits() {
        for (count, text) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (987.0, "987"),
            (12_345.0, "12.3k"),
            (4.56e6, "4.56M"),
        ] {
            assert_eq!(format_count(count), text);
        }
        for (bytes, text) in [
            (512, "512 B"),
            (38 << 10, "38.0 KiB"),
            (1 << 30, "1.00 GiB"),
        ] {
            assert_eq!(format_bytes(bytes), text);
        }
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, ns) in [
            ("60s", 60_000_000_000),
            ("1.5ms", 1_500_000),
            ("2m", 120_000_000_000),
            ("10 us", 10_000),
            ("7ns", 7),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(ns)));
        }
        for text in ["", "60", "s", "-1s", "1y", "1.2.3s", "99999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
