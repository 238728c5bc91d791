//! From a filter's text to its expression.

use super::token::{Token, Tokens};
use super::{Comparison, Expression, FILTER_BYTES_MAX, FilterError, FilterErrorKind};
use crate::logic::{Language, Word};

const COMPARISON: &str = "the name of an argument, `not` or `(`";
const OPERATOR: &str = "a comparison: ==, !=, <, <=, >, >= or starts_with";
const LITERAL: &str = "a number, a string in double quotes, true, false or nil";
const CLOSE: &str = "`and`, `or` or `)`";
const END: &str = "`and`, `or` or the end";

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let too_long = Err(FilterError {
        position: text.len().min(FILTER_BYTES_MAX),
        kind: FilterErrorKind::TooLong,
    });
    if text.len() > FILTER_BYTES_MAX {
        return too_long;
    }
    let mut parser = Parser {
        tokens: Tokens::new(text),
        begin: 0,
        token: Token::End,
        last_begin: 0,
    };
    parser.advance()?;
    let expression = Expression::read(&mut parser)?;
    parser.require(|token| (token == Token::End).then_some(()), END)?;
    // It is stored and sent as it is displayed, with escapes, and has to be readable then, too.
    if expression.to_string().len() > FILTER_BYTES_MAX {
        return too_long;
    }
    Ok(expression)
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    /// Where the current token begins.
    begin: usize,
    /// The current token: read, and not yet used.
    token: Token,
    /// Where the word begins that was used last.
    last_begin: usize,
}

impl Language for Parser<'_> {
    type Condition = Comparison;
    type Error = FilterError;

    fn take(&mut self, word: Word) -> Result<bool, FilterError> {
        if self.token != Token::Word(word) {
            return Ok(false);
        }
        self.last_begin = self.begin;
        self.advance()?;
        Ok(true)
    }

    fn condition(&mut self) -> Result<Comparison, FilterError> {
        let argument = self.require(
            |token| match token {
                Token::Argument(argument) => Some(argument),
                _ => None,
            },
            COMPARISON,
        )?;
        let operator = self.require(
            |token| match token {
                Token::Operator(operator) => Some(operator),
                _ => None,
            },
            OPERATOR,
        )?;
        let literal = self.require(
            |token| match token {
                Token::Literal(literal) => Some(literal),
                _ => None,
            },
            LITERAL,
        )?;
        Ok(Comparison {
            argument,
            operator,
            literal,
        })
    }

    fn too_deep(&self) -> FilterError {
        FilterError {
            position: self.last_begin,
            kind: FilterErrorKind::TooDeep,
        }
    }

    fn unclosed(&self) -> FilterError {
        self.tokens.expected(self.begin, CLOSE)
    }
}

impl Parser<'_> {
    /// Uses the current token, if it is what is wanted.
    fn require<T>(
        &mut self,
        take: impl FnOnce(Token) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, FilterError> {
        let token = std::mem::replace(&mut self.token, Token::End);
        let value = take(token).ok_or_else(|| self.tokens.expected(self.begin, expected))?;
        self.advance()?;
        Ok(value)
    }

    fn advance(&mut self) -> Result<(), FilterError> {
        self.begin = self.tokens.skip_space();
        self.token = self.tokens.next()?;
        Ok(())
    }
}
