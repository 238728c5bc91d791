//! The typed filter of functions: `p99 > 10ms and name = main.*`.
//!
//! ```text
//! expression  = conjunction { ("or" | "||") conjunction }
//! conjunction = term { ("and" | "&&") term }
//! term        = ("not" | "!") term | "(" expression ")" | flag | comparison
//! comparison  = field operator value
//! operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"
//! value       = number [ unit ] | word | "\"" text "\""
//! ```
//!
//! `=` compares text with a glob, `~` looks for a part of it, in any case if it is written in
//! lower case. A comparison with something that is not known or was not measured does not hold,
//! whatever its operator.

mod complete;
mod evaluate;
mod field;
mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub(crate) use complete::complete;
use coral_model::logic;
pub(crate) use evaluate::{Known, matches};
use field::{Field, Kind, Unit};

/// The language in short: fields, and how they are compared.
pub(crate) const HELP: [(&str, &str); 7] = [
    (
        "name package file",
        "text: = and != with * for anything, ~ for a part of it",
    ),
    (
        "p50 p90 p95 p99",
        "times: 10ms, 1.5s, 200us; also max, mean, total, self",
    ),
    (
        "calls rate size",
        "numbers: 100, 1k, 2M; also line, in_flight",
    ),
    (
        "errors cost",
        "percent: of the calls that returned, of a core",
    ),
    (
        "lang probe",
        "lang = go, rust, c, c++; probe = full, entry_only, none",
    ),
    ("probed own_code", "hold by themselves"),
    (
        "and or not ( )",
        "a comparison with what was not measured never holds",
    ),
];

/// What has to hold for a function to be shown.
pub(crate) type Expression = logic::Expression<Condition>;

/// What is said of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// The field itself holds.
    Flag(Field),
    /// The comparison holds.
    Comparison(Comparison),
}

/// A field compared with a constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    field: Field,
    operator: Operator,
    value: Value,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

impl Operator {
    /// The signs, those first that begin with another one.
    const SIGNS: [(&'static str, Self); 8] = [
        ("==", Self::Equal),
        ("=", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        ("<", Self::Less),
        (">=", Self::GreaterOrEqual),
        (">", Self::Greater),
        ("~", Self::Contains),
    ];

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Contains => "~",
        }
    }
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// With `*` for anything.
    Text(String),
    /// As it was written, with its unit.
    Number(f64, &'static Unit),
}

/// Where an expression cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterError {
    /// Where, in bytes.
    pub(crate) at: usize,
    /// What is expected there.
    pub(crate) expected: Cow<'static, str>,
}

/// Reads a filter's text; nothing if it is plain words.
pub(crate) fn read(text: &str) -> Option<Result<Expression, FilterError>> {
    let read = parse::parse(text);
    (read.is_ok() || holds_comparison(text)).then_some(read)
}

/// Whether somebody means to compare: a field stands before a sign, or a sign stands by itself.
/// Names hold such signs as well, as in `vector<int>` and `operator=`.
fn holds_comparison(text: &str) -> bool {
    const SIGNS: [char; 5] = ['=', '!', '<', '>', '~'];
    let signs = text.match_indices(['=', '<', '>', '~']);
    signs.map(|(at, _)| text.split_at(at)).any(|(left, right)| {
        let (left, right) = (
            left.trim_end_matches(SIGNS),
            right.trim_start_matches(SIGNS),
        );
        let is_word = |c: char| c.is_alphanumeric() || "_/".contains(c);
        let word = left.trim_end();
        let word_start = word.trim_end_matches(is_word);
        let is_field = word_start.is_empty() || word_start.ends_with([' ', '(', '!', '&', '|']);
        let stands_apart = left.ends_with(' ') && !word.is_empty();
        stands_apart && (right.is_empty() || right.starts_with(' '))
            || is_field && Field::named(&word[word_start.len()..]).is_some()
    })
}

/// Whether a filter depends on what is measured, which changes while one looks at it.
pub(crate) fn is_live(expression: &Expression) -> bool {
    expression.any(&|condition| match condition {
        Condition::Flag(field) => field.is_live(),
        Condition::Comparison(comparison) => comparison.field.is_live(),
    })
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(field) => formatter.write_str(field.name()),
            Self::Comparison(comparison) => comparison.fmt(formatter),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} ", self.field.name(), self.operator.sign())?;
        match &self.value {
            Value::Number(number, unit) => write!(formatter, "{number}{}", unit.name),
            Value::Text(text) if parse::is_word(text) => formatter.write_str(text),
            Value::Text(text) => {
                let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
                write!(formatter, "\"{escaped}\"")
            }
        }
    }
}
