//! The language of filters over a call's arguments: `amount > 100 and user == "u_1"`.
//!
//! ```text
//! expression = conjunction { ("or" | "||") conjunction }
//! conjunction = term { ("and" | "&&") term }
//! term       = ("not" | "!") term | "(" expression ")" | comparison
//! comparison = argument operator literal
//! argument   = name { "." name } | "#" position, from 1
//! operator   = "==" | "!=" | "<" | "<=" | ">" | ">=" | "starts_with"
//! literal    = integer [ unit ] | "true" | "false" | "nil" | "null" | string
//! ```
//!
//! Integers are decimal or begin with `0x`, may have a sign and `_` between digits, and fit in 64
//! bits. A decimal one may have a unit of time (`10ms`, in nanoseconds) or of size (`4KiB`, in
//! bytes). Strings stand in double quotes; in them `\"`, `\\`, `\n`, `\r`, `\t`, `\0` and
//! `\u{202e}` are escapes. An argument whose name is no name here is written by its position.

mod error;
mod parse;
#[cfg(test)]
mod tests;
mod token;

use std::fmt::{self, Write};

pub use error::{FilterError, FilterErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Escaped, logic};

/// The longest filter that is read, in bytes.
pub const FILTER_BYTES_MAX: usize = 4096;

/// A filter: what has to hold for a call to be wanted.
pub type Expression = logic::Expression<Comparison>;

/// An argument compared with a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Which argument.
    pub argument: Argument,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    pub literal: Literal,
}

/// How a filter names an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// By its name, or by the path to one of its fields: `req.ID`.
    Name(String),
    /// By its place; the first is 1.
    Position(u32),
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    StartsWith,
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A number that fits in 64 bits, with or without sign; times in nanoseconds, sizes in bytes.
    Integer(i128),
    /// `true` or `false`.
    Bool(bool),
    /// `nil`: no pointer.
    Nil,
    /// A string.
    Text(String),
}

impl Expression {
    /// Reads a filter.
    ///
    /// # Errors
    /// If it does not follow the grammar, is longer than [`FILTER_BYTES_MAX`], as it stands or as it
    /// is displayed, or nested deeper than [`logic::DEPTH_MAX`].
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text)
    }
}

/// As its text.
impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} {}",
            self.argument, self.operator, self.literal
        )
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => Escaped(name).fmt(formatter),
            Self::Position(position) => write!(formatter, "#{position}"),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::StartsWith => "starts_with",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => write!(formatter, "{integer}"),
            Self::Bool(truth) => write!(formatter, "{truth}"),
            Self::Nil => formatter.write_str("nil"),
            Self::Text(text) => {
                formatter.write_char('"')?;
                for part in text.split_inclusive(['"', '\\']) {
                    let special = part.chars().next_back().filter(|c| matches!(c, '"' | '\\'));
                    let plain = special.map_or(part, |it| &part[..part.len() - it.len_utf8()]);
                    write!(formatter, "{}", Escaped(plain))?;
                    if let Some(special) = special {
                        write!(formatter, "\\{special}")?;
                    }
                }
                formatter.write_char('"')
            }
        }
    }
}
