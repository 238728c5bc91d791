//! Whether an expression holds for a function.

use coral_model::{Function, FunctionId, FunctionStats, FunctionTable, glob_matches};

use super::{Comparison, Condition, Expression, Field, Operator, Value};
use crate::measurements::Measurements;
use crate::own::Nearness;

/// What is known of the functions of a list.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) table: &'a FunctionTable,
    /// Whose code each function is, as far as that was looked at.
    pub(crate) nearness: &'a [Nearness],
    pub(crate) measurements: &'a Measurements,
}

impl Known<'_> {
    fn is_own(&self, id: FunctionId) -> bool {
        self.nearness.get(id.0 as usize) == Some(&Nearness::Own)
    }
}

/// Whether an expression holds for a function.
pub(crate) fn matches(expression: &Expression, function: &Function<'_>, known: Known<'_>) -> bool {
    expression.holds(&|condition| match condition {
        Condition::Flag(Field::Own) => known.is_own(function.id),
        Condition::Flag(_) => known.measurements.is_attached(function.id),
        Condition::Comparison(comparison) => comparison.holds(function, known),
    })
}

impl Comparison {
    fn holds(&self, function: &Function<'_>, known: Known<'_>) -> bool {
        match &self.value {
            Value::Text(pattern) => {
                text(self.field, function).is_some_and(|text| match self.operator {
                    Operator::Contains => contains(text, pattern),
                    Operator::NotEqual => !glob_matches(pattern, text),
                    _ => glob_matches(pattern, text),
                })
            }
            Value::Number(number, unit) => {
                let stats = self
                    .field
                    .is_live()
                    .then(|| known.measurements.stats(function.id));
                let value = match stats {
                    Some(stats) => stats.and_then(|stats| measured(self.field, stats)),
                    None => in_code(self.field, function),
                };
                value.is_some_and(|value| compare(value, self.operator, number * unit.size))
            }
        }
    }
}

fn compare(value: f64, operator: Operator, with: f64) -> bool {
    match operator {
        Operator::Less => value < with,
        Operator::LessOrEqual => value <= with,
        Operator::Greater => value > with,
        Operator::GreaterOrEqual => value >= with,
        Operator::NotEqual => value != with,
        Operator::Equal | Operator::Contains => value == with,
    }
}

fn text<'a>(field: Field, function: &Function<'a>) -> Option<&'a str> {
    match field {
        Field::Name => Some(function.name),
        Field::Package => Some(function.package),
        Field::File => function.file,
        Field::Language => Some(function.language.name()),
        Field::Probe => Some(function.plan?.probe.name()),
        _ => None,
    }
}

fn in_code(field: Field, function: &Function<'_>) -> Option<f64> {
    match field {
        Field::Line => function.line.map(f64::from),
        Field::Size => Some(function.size as f64),
        _ => None,
    }
}

/// A number of a function; nothing if it was not measured.
fn measured(field: Field, stats: &FunctionStats) -> Option<f64> {
    let latency = &stats.latency;
    let is_timed = !latency.buckets.is_empty();
    let timed = |ns: u64| is_timed.then_some(ns as f64);
    let percentile = |percent| latency.percentile_ns(percent).map(|ns| ns as f64);
    match field {
        Field::Calls => Some(stats.calls as f64),
        Field::Rate => Some(stats.calls_per_s),
        Field::P50 => percentile(50.0),
        Field::P90 => percentile(90.0),
        Field::P95 => percentile(95.0),
        Field::P99 => percentile(99.0),
        Field::Max => timed(latency.max_ns),
        Field::Mean => latency.mean_ns(),
        Field::Total => timed(latency.total_ns),
        Field::SelfTime => timed(stats.self_ns),
        Field::Errors => stats.error_percent(),
        Field::InFlight => Some(stats.in_flight as f64),
        Field::Cost => stats.cost_percent,
        _ => None,
    }
}

/// Whether a part of the text is this, in any case if it is written in lower case.
fn contains(text: &str, part: &str) -> bool {
    if part.chars().any(char::is_uppercase) {
        text.contains(part)
    } else {
        text.to_lowercase().contains(part)
    }
}
