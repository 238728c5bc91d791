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
use serde::{Deserialize, Serialize};

use crate::Escaped;

/// The longest filter that is read, in bytes.
pub const FILTER_BYTES_MAX: usize = 4096;
/// How many parentheses and negations may stand around a comparison.
pub const FILTER_DEPTH_MAX: u32 = 32;

/// A filter: what has to hold for a call to be wanted.
///
/// It is displayed in one way, with the words and the fewest parentheses, and what is displayed is
/// read as the same expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Expression {
    /// At least one of these holds; two or more.
    Or(Vec<Expression>),
    /// All of these hold; two or more.
    And(Vec<Expression>),
    /// This does not hold.
    Not(Box<Expression>),
    /// This comparison holds.
    Comparison(Comparison),
}

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
    /// is displayed, or nested deeper than [`FILTER_DEPTH_MAX`].
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text)
    }

    /// How tightly its parts are bound: a looser one inside of a tighter one needs parentheses.
    fn binding(&self) -> u8 {
        match self {
            Self::Or(_) => 0,
            Self::And(_) => 1,
            Self::Not(_) | Self::Comparison(_) => 2,
        }
    }

    /// Writes it as a part of another one, which binds its parts at least that tightly.
    fn write_part(&self, formatter: &mut fmt::Formatter<'_>, binding: u8) -> fmt::Result {
        if self.binding() < binding {
            write!(formatter, "({self})")
        } else {
            write!(formatter, "{self}")
        }
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.to_string()
    }
}

impl TryFrom<String> for Expression {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        Self::parse(&text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::Or(parts) => (parts, " or "),
            Self::And(parts) => (parts, " and "),
            Self::Not(part) => {
                formatter.write_str("not ")?;
                return part.write_part(formatter, self.binding());
            }
            Self::Comparison(comparison) => return comparison.fmt(formatter),
        };
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                formatter.write_str(word)?;
            }
            part.write_part(formatter, self.binding() + 1)?;
        }
        Ok(())
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
