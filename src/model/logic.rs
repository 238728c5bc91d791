//! Conditions joined by `and`, `or` and `not`: what all languages of filters have in common.
//!
//! ```text
//! expression  = conjunction { or conjunction }
//! conjunction = term { and term }
//! term        = not term | "(" expression ")" | condition
//! ```

use std::fmt;

/// How many parentheses and negations may stand around a condition.
pub const DEPTH_MAX: u32 = 32;

/// An expression over conditions.
///
/// It is displayed in one way, with the words and the fewest parentheses, and what is displayed is
/// read as the same expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression<C> {
    /// At least one of these holds; two or more.
    Or(Vec<Self>),
    /// All of these hold; two or more.
    And(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// This condition holds.
    Condition(C),
}

/// What joins conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Word {
    Or,
    And,
    Not,
    Open,
    Close,
}

/// How a language writes conditions and what joins them.
pub trait Language {
    /// What an expression is over.
    type Condition;
    /// Why a text cannot be read.
    type Error;

    /// Reads a word, if it stands next.
    ///
    /// # Errors
    /// If what stands behind it cannot be read.
    fn take(&mut self, word: Word) -> Result<bool, Self::Error>;

    /// Reads a condition.
    ///
    /// # Errors
    /// If there is none.
    fn condition(&mut self) -> Result<Self::Condition, Self::Error>;

    /// The word that was read last is one more than [`DEPTH_MAX`] allows.
    fn too_deep(&self) -> Self::Error;

    /// Something else stands where a parenthesis has to be closed.
    fn unclosed(&self) -> Self::Error;
}

impl<C> Expression<C> {
    /// Reads as much as belongs to an expression, by recursive descent.
    ///
    /// # Errors
    /// Those of the language.
    pub fn read<L: Language<Condition = C>>(language: &mut L) -> Result<Self, L::Error> {
        read_disjunction(language, 0)
    }

    /// Whether it holds, where that is known of each condition.
    pub fn holds(&self, condition_holds: &impl Fn(&C) -> bool) -> bool {
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.holds(condition_holds)),
            Self::And(parts) => parts.iter().all(|part| part.holds(condition_holds)),
            Self::Not(part) => !part.holds(condition_holds),
            Self::Condition(condition) => condition_holds(condition),
        }
    }

    /// Whether this is so of any of its conditions.
    pub fn any(&self, is_so: &impl Fn(&C) -> bool) -> bool {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().any(|part| part.any(is_so)),
            Self::Not(part) => part.any(is_so),
            Self::Condition(condition) => is_so(condition),
        }
    }

    /// How tightly its parts are bound: a looser one inside of a tighter one needs parentheses.
    fn binding(&self) -> u8 {
        match self {
            Self::Or(_) => 0,
            Self::And(_) => 1,
            Self::Not(_) | Self::Condition(_) => 2,
        }
    }
}

impl<C: fmt::Display> Expression<C> {
    /// Writes it as a part of another one, which binds its parts at least that tightly.
    fn write_part(&self, formatter: &mut fmt::Formatter<'_>, binding: u8) -> fmt::Result {
        if self.binding() < binding {
            write!(formatter, "({self})")
        } else {
            write!(formatter, "{self}")
        }
    }
}

impl<C: fmt::Display> fmt::Display for Expression<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::Or(parts) => (parts, " or "),
            Self::And(parts) => (parts, " and "),
            Self::Not(part) => {
                formatter.write_str("not ")?;
                return part.write_part(formatter, self.binding());
            }
            Self::Condition(condition) => return condition.fmt(formatter),
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

type Read<L> = Result<Expression<<L as Language>::Condition>, <L as Language>::Error>;

fn read_disjunction<L: Language>(language: &mut L, depth: u32) -> Read<L> {
    let first = read_conjunction(language, depth)?;
    read_others(language, Word::Or, first, Expression::Or, |language| {
        read_conjunction(language, depth)
    })
}

fn read_conjunction<L: Language>(language: &mut L, depth: u32) -> Read<L> {
    let first = read_term(language, depth)?;
    read_others(language, Word::And, first, Expression::And, |language| {
        read_term(language, depth)
    })
}

/// More parts with a word between them; one alone stands for itself.
fn read_others<L: Language>(
    language: &mut L,
    word: Word,
    first: Expression<L::Condition>,
    join: impl Fn(Vec<Expression<L::Condition>>) -> Expression<L::Condition>,
    read_part: impl Fn(&mut L) -> Read<L>,
) -> Read<L> {
    if !language.take(word)? {
        return Ok(first);
    }
    let mut parts = vec![first, read_part(language)?];
    while language.take(word)? {
        parts.push(read_part(language)?);
    }
    Ok(join(parts))
}

fn read_term<L: Language>(language: &mut L, depth: u32) -> Read<L> {
    let is_negated = language.take(Word::Not)?;
    if !is_negated && !language.take(Word::Open)? {
        return language.condition().map(Expression::Condition);
    }
    if depth == DEPTH_MAX {
        return Err(language.too_deep());
    }
    if is_negated {
        let term = read_term(language, depth + 1)?;
        return Ok(Expression::Not(Box::new(term)));
    }
    let inner = read_disjunction(language, depth + 1)?;
    if language.take(Word::Close)? {
        Ok(inner)
    } else {
        Err(language.unclosed())
    }
}
