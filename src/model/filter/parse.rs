//! From a filter's text to its expression: by recursive descent, as deep as is allowed.

use super::token::{Token, Tokens};
use super::{
    Comparison, Expression, FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FilterError, FilterErrorKind,
};

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
        depth: 0,
    };
    parser.advance()?;
    let expression = parser.expression()?;
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
    /// How many parentheses and negations are open.
    depth: u32,
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Expression, FilterError> {
        self.chain(&Token::Or, Expression::Or, Self::conjunction)
    }

    fn conjunction(&mut self) -> Result<Expression, FilterError> {
        self.chain(&Token::And, Expression::And, Self::term)
    }

    /// One or more parts with a word between them; one alone stands for itself.
    fn chain(
        &mut self,
        word: &Token,
        join: fn(Vec<Expression>) -> Expression,
        part: fn(&mut Self) -> Result<Expression, FilterError>,
    ) -> Result<Expression, FilterError> {
        let first = part(self)?;
        if self.token != *word {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.token == *word {
            self.advance()?;
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn term(&mut self) -> Result<Expression, FilterError> {
        match self.token {
            Token::Not => self.deeper(|parser| {
                let term = parser.term()?;
                Ok(Expression::Not(Box::new(term)))
            }),
            Token::Open => self.deeper(|parser| {
                let inner = parser.expression()?;
                parser.require(|token| (token == Token::Close).then_some(()), CLOSE)?;
                Ok(inner)
            }),
            _ => self.comparison().map(Expression::Comparison),
        }
    }

    /// Reads what stands behind the current token, one level deeper.
    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Expression, FilterError>,
    ) -> Result<Expression, FilterError> {
        if self.depth == FILTER_DEPTH_MAX {
            return Err(FilterError {
                position: self.begin,
                kind: FilterErrorKind::TooDeep,
            });
        }
        self.depth += 1;
        self.advance()?;
        let expression = read(self)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Result<Comparison, FilterError> {
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
