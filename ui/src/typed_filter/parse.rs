//! From a filter's text to its expression.

use std::borrow::Cow;

use coral_model::logic::{Language, Word};

use super::field::TIMES;
use super::{Comparison, Condition, Expression, Field, FilterError, Kind, Operator, Unit, Value};

const TERM: &str = "a field such as name, p99 or errors; `not`; or `(`";

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut parser = Parser { text, at: 0 };
    let expression = Expression::read(&mut parser)?;
    parser.skip_space();
    if parser.rest().is_empty() {
        Ok(expression)
    } else {
        Err(parser.expected("`and`, `or` or the end"))
    }
}

/// Whether a text needs no quotes. A parenthesis that it leaves open would take one that closes
/// more than the word.
pub(super) fn is_word(text: &str) -> bool {
    let is_closed = text.matches('(').count() == text.matches(')').count();
    !text.is_empty() && !text.starts_with('"') && word_len(text) == text.len() && is_closed
}

/// How long the word is that a text begins with: up to a space, a sign between comparisons, or a
/// parenthesis that the word has not opened itself, as `main.(*Cart).Add` does.
fn word_len(text: &str) -> usize {
    let mut open = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            '(' => open += 1,
            ')' if open == 0 => return at,
            ')' => open -= 1,
            _ if character.is_whitespace() => return at,
            '&' | '|' if text[at + 1..].starts_with(character) => return at,
            _ => {}
        }
    }
    text.len()
}

struct Parser<'a> {
    text: &'a str,
    /// How many bytes have been read.
    at: usize,
}

impl Language for Parser<'_> {
    type Condition = Condition;
    type Error = FilterError;

    fn take(&mut self, word: Word) -> Result<bool, FilterError> {
        Ok(match word {
            Word::Or => self.take_word("or") || self.take_sign("||"),
            Word::And => self.take_word("and") || self.take_sign("&&"),
            Word::Not => self.take_word("not") || self.take_sign("!"),
            Word::Open => self.take_sign("("),
            Word::Close => self.take_sign(")"),
        })
    }

    fn condition(&mut self) -> Result<Condition, FilterError> {
        let word = self.peek_word();
        let Some(field) = Field::named(word) else {
            return Err(self.expected(TERM));
        };
        self.at += word.len();
        let (allowed, expected) = field.kind().operators();
        if allowed.is_empty() {
            return Ok(Condition::Flag(field));
        }
        self.skip_space();
        let mut signs = Operator::SIGNS.iter();
        let sign = signs.find(|(sign, _)| self.rest().starts_with(sign));
        let Some((sign, operator)) = sign.filter(|(_, operator)| allowed.contains(operator)) else {
            return Err(self.expected(expected));
        };
        self.at += sign.len();
        self.skip_space();
        let value = match field.kind() {
            Kind::Number(units) => self.number(units)?,
            Kind::Word(words) => self.one_of(words)?,
            Kind::Text | Kind::Flag => self.string()?,
        };
        Ok(Condition::Comparison(Comparison {
            field,
            operator: *operator,
            value,
        }))
    }

    fn too_deep(&self) -> FilterError {
        self.expected("fewer parentheses and negations")
    }

    fn unclosed(&self) -> FilterError {
        self.expected("`and`, `or` or `)`")
    }
}

impl<'a> Parser<'a> {
    /// A number with its unit, perhaps with a space between as they are shown.
    fn number(&mut self, units: &'static [Unit]) -> Result<Value, FilterError> {
        let digits = self.rest();
        let len = digits.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
        let digits = &digits[..len.unwrap_or(digits.len())];
        let number = digits.replace('_', "").parse().ok();
        let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
            let is_time = units == TIMES;
            return Err(self.expected(if is_time {
                "a time such as 10ms"
            } else {
                "a number"
            }));
        };
        self.at += digits.len();
        let end = self.at;
        let attached = !self.rest().starts_with(char::is_whitespace);
        self.skip_space();
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '%');
        let name = &rest[..len.unwrap_or(rest.len())];
        let named = |name| units.iter().find(|unit| unit.name == name);
        let found = match named(name) {
            Some(unit) => {
                self.at += name.len();
                Some(unit)
            }
            None if attached && !name.is_empty() => None,
            None => {
                self.at = end;
                named("")
            }
        };
        match found {
            Some(unit) if unit.size > 0.0 || number == 0.0 => Ok(Value::Number(number, unit)),
            _ => {
                let names = units.iter().map(|unit| unit.name);
                // Not every terminal has the letter of the other name of `us`.
                let is_shown = |name: &&str| !name.is_empty() && name.is_ascii();
                let names: Vec<_> = names.filter(is_shown).collect();
                Err(self.expected(format!("a unit: {}", names.join(", "))))
            }
        }
    }

    fn one_of(&mut self, words: &[&str]) -> Result<Value, FilterError> {
        let word = &self.rest()[..word_len(self.rest())];
        if !words.contains(&word) {
            return Err(self.expected(words.join(", ")));
        }
        self.at += word.len();
        Ok(Value::Text(word.to_owned()))
    }

    /// A word, or a text in double quotes.
    fn string(&mut self) -> Result<Value, FilterError> {
        let rest = self.rest();
        let Some(quoted) = rest.strip_prefix('"') else {
            let len = word_len(rest);
            if len == 0 {
                return Err(self.expected("text, with * for anything"));
            }
            self.at += len;
            return Ok(Value::Text(rest[..len].to_owned()));
        };
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 2;
                    return Ok(Value::Text(text));
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => text.push(character),
            }
        }
        self.at = self.text.len();
        Err(self.expected("`\"`"))
    }

    /// Reads a word of the language, if it stands here.
    fn take_word(&mut self, word: &str) -> bool {
        let is_here = self.peek_word().eq_ignore_ascii_case(word);
        self.at += if is_here { word.len() } else { 0 };
        is_here
    }

    /// Reads a sign, if it stands here and is not the begin of `!=`.
    fn take_sign(&mut self, sign: &str) -> bool {
        self.skip_space();
        let behind = self.rest().strip_prefix(sign);
        let is_here = behind.is_some_and(|behind| sign != "!" || !behind.starts_with('='));
        self.at += if is_here { sign.len() } else { 0 };
        is_here
    }

    /// The word that stands here, as far as words of the language go.
    fn peek_word(&mut self) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '/');
        &rest[..len.unwrap_or(rest.len())]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: impl Into<Cow<'static, str>>) -> FilterError {
        FilterError {
            at: self.at,
            expected: expected.into(),
        }
    }
}
