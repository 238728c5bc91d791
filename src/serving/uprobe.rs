//! The documented call that reports single calls: what it asks for, and what its events hold.

use coral_model::CallValue;
use coral_model::filter::{Argument, Comparison, Expression, Literal, Operator};
use coral_proto::agent::v1 as wire;
use tonic::{Code, Status};

use super::status;

/// What a session is asked to do by the documented configuration.
///
/// # Errors
/// If a filter is none.
pub(crate) fn settings(config: wire::UprobeConfig) -> Result<wire::SessionSettings, Status> {
    let mut filters: Vec<Expression> = Vec::new();
    if !config.filter.is_empty() {
        filters.push(Expression::parse(&config.filter).map_err(|error| status::of(&error))?);
    }
    let mut values: Vec<_> = config.filters.into_iter().collect();
    values.sort_unstable();
    for (name, value) in values {
        filters.push(has_value(name, value)?);
    }
    let filter = match filters.len() {
        0 | 1 => filters.pop(),
        _ => Some(Expression::And(filters)),
    };
    Ok(wire::SessionSettings {
        sample_rate: config.sample_rate,
        min_duration: config.min_duration,
        max_duration: config.max_duration,
        capture_args: config.capture_args,
        capture_return: config.capture_return,
        filter: filter.map(|filter| filter.to_string()).unwrap_or_default(),
        ..wire::SessionSettings::default()
    })
}

/// An argument that has a value: a number or a truth if it looks like one, else a text.
///
/// # Errors
/// If the name is none of an argument: what it displays as would mean something else.
fn has_value(name: String, value: String) -> Result<Expression, Status> {
    let literal = match value.as_str() {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        "nil" | "null" => Literal::Nil,
        text => match text.parse() {
            Ok(number) => Literal::Integer(number),
            Err(_) => Literal::Text(value),
        },
    };
    let filter = Expression::Condition(Comparison {
        argument: Argument::Name(name),
        operator: Operator::Equal,
        literal,
    });
    let read = Expression::parse(&filter.to_string()).map_err(|error| status::of(&error))?;
    if read != filter {
        let message = format!("`{filter}` is not a value of one argument");
        let help = "name an argument, or write a filter";
        let code = Code::InvalidArgument;
        return Err(status::with(code, "bad-filter", &message, help));
    }
    Ok(filter)
}

/// Values as the labels `arg.NAME` and `return.NAME`.
pub(crate) fn labels<'a>(
    kind: &'a str,
    values: &'a [CallValue],
) -> impl Iterator<Item = (String, String)> + 'a {
    values
        .iter()
        .map(move |value| (format!("{kind}.{}", value.name), value.value.clone()))
}
