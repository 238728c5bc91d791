//! Values that have a form or bounds of their own, and say so where they are wrong.

use coral_ui::BUILTIN;
use serde::de::value::StringDeserializer;
use serde::de::{Deserialize, Deserializer, Error};
use toml::Value;

/// What may be kept of what was measured, in MiB.
const RECORD_MEMORY_MIB: std::ops::RangeInclusive<usize> = 1..=4_096;

/// Whether it is no file's path.
pub(super) fn is_theme_name(name: &str) -> bool {
    name == "auto" || BUILTIN.iter().any(|(builtin, _)| *builtin == name)
}

/// A name that means a theme, or something that is a file's by its looks.
pub(super) fn theme<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_file = name.contains('/') || name.ends_with(".toml");
    if is_file || is_theme_name(&name) {
        return Ok(name);
    }
    let names = BUILTIN.map(|(name, _)| format!("`{name}`")).join(", ");
    Err(D::Error::custom(format_args!(
        "unknown theme `{name}`, expected `auto`, one of {names}, or a file that ends in `.toml`"
    )))
}

/// One of some words; `256` without quotes is one, too.
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let word = match Value::deserialize(deserializer)? {
        Value::String(word) => word,
        other => other.to_string(),
    };
    T::deserialize(StringDeserializer::new(word))
}

pub(super) fn record_memory_mib<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<usize, D::Error> {
    let mib = i64::deserialize(deserializer)?;
    let allowed = usize::try_from(mib).ok();
    allowed
        .filter(|mib| RECORD_MEMORY_MIB.contains(mib))
        .ok_or_else(|| {
            let (min, max) = (RECORD_MEMORY_MIB.start(), RECORD_MEMORY_MIB.end());
            D::Error::custom(format_args!("{mib} is not a number from {min} to {max}"))
        })
}

/// Durations as `60s` and `2m`.
pub(super) mod lease {
    use std::time::Duration;

    use coral_model::{Limits, format_duration_exactly, parse_duration};
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    const MIN: Duration = Duration::from_secs(1);

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let lease = parse_duration(&text).map_err(D::Error::custom)?;
        let max = Limits::default().duration;
        if (MIN..=max).contains(&lease) {
            return Ok(lease);
        }
        Err(D::Error::custom(format_args!(
            "`{text}` is not a lease from {}s to {}s",
            MIN.as_secs(),
            max.as_secs()
        )))
    }

    pub(crate) fn serialize<S: Serializer>(
        lease: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration_exactly(*lease))
    }
}

/// Times as long as `30s` or `7d`.
pub(super) mod period {
    use std::time::Duration;

    use coral_model::parse_duration;
    use serde::de::{Deserialize, Deserializer, Error};

    const MIN: Duration = Duration::from_secs(1);

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let period = parse_duration(&text).map_err(D::Error::custom)?;
        if period < MIN {
            let min_s = MIN.as_secs();
            return Err(D::Error::custom(format_args!("`{text}` is below {min_s}s")));
        }
        Ok(period)
    }
}

/// Percent of a core, or `"none"`.
pub(super) mod budget_percent {
    use std::fmt;

    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        deserializer.deserialize_any(BudgetVisitor)
    }

    pub(crate) fn serialize<S: Serializer>(
        percent: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match percent {
            Some(percent) => serializer.serialize_f64(*percent),
            None => serializer.serialize_str("none"),
        }
    }

    struct BudgetVisitor;

    impl Visitor<'_> for BudgetVisitor {
        type Value = Option<f64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("percent of a core above 0, such as 2.5, or \"none\"")
        }

        fn visit_f64<E: Error>(self, percent: f64) -> Result<Self::Value, E> {
            if percent > 0.0 && percent.is_finite() {
                Ok(Some(percent))
            } else {
                Err(E::invalid_value(Unexpected::Float(percent), &self))
            }
        }

        fn visit_i64<E: Error>(self, percent: i64) -> Result<Self::Value, E> {
            self.visit_f64(percent as f64)
        }

        fn visit_u64<E: Error>(self, percent: u64) -> Result<Self::Value, E> {
            self.visit_f64(percent as f64)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            match text {
                "none" => Ok(None),
                _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
            }
        }
    }
}
