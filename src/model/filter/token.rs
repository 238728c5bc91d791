//! A filter's text cut into words, signs and constants.

use std::iter::Peekable;
use std::str::CharIndices;

use super::{Argument, FilterError, FilterErrorKind, Literal, Operator};
use crate::logic::Word;
use crate::text::must_escape;

/// What a filter is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Operator(Operator),
    Argument(Argument),
    Literal(Literal),
    /// Something that no filter contains; what was expected in its place, the parser knows.
    Unknown,
    End,
}

/// The units of numbers: times in nanoseconds, sizes in bytes.
const UNITS: [(&str, i128); 12] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The signs, those first that begin with another one.
static SIGNS: [(&str, Token); 11] = [
    ("==", Token::Operator(Operator::Equal)),
    ("!=", Token::Operator(Operator::NotEqual)),
    ("<=", Token::Operator(Operator::LessOrEqual)),
    (">=", Token::Operator(Operator::GreaterOrEqual)),
    ("<", Token::Operator(Operator::Less)),
    (">", Token::Operator(Operator::Greater)),
    ("||", Token::Word(Word::Or)),
    ("&&", Token::Word(Word::And)),
    ("!", Token::Word(Word::Not)),
    ("(", Token::Word(Word::Open)),
    (")", Token::Word(Word::Close)),
];

/// Reads one token after the other.
pub(super) struct Tokens<'a> {
    text: &'a str,
    /// How many bytes have been read.
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next token begins.
    pub(super) fn skip_space(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    /// Reads a token.
    pub(super) fn next(&mut self) -> Result<Token, FilterError> {
        self.skip_space();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            self.at += sign.len();
            return Ok(token.clone());
        }
        let unsigned = rest.strip_prefix('-').unwrap_or(rest);
        match first {
            '"' => self.string(),
            '#' => self.place(),
            _ if unsigned.starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            _ if is_word(first) => Ok(self.word()),
            _ => {
                self.at += first.len_utf8();
                Ok(Token::Unknown)
            }
        }
    }

    /// A word of the language, or the name of an argument: parts with points between them.
    fn word(&mut self) -> Token {
        let begin = self.at;
        self.take(is_word);
        while self
            .rest()
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(is_word))
        {
            self.at += 1;
            self.take(is_word);
        }
        match &self.text[begin..self.at] {
            "or" => Token::Word(Word::Or),
            "and" => Token::Word(Word::And),
            "not" => Token::Word(Word::Not),
            "starts_with" => Token::Operator(Operator::StartsWith),
            "true" => Token::Literal(Literal::Bool(true)),
            "false" => Token::Literal(Literal::Bool(false)),
            "nil" | "null" => Token::Literal(Literal::Nil),
            name => Token::Argument(Argument::Name(name.to_owned())),
        }
    }

    /// `#` and a number above 0.
    fn place(&mut self) -> Result<Token, FilterError> {
        let begin = self.at;
        self.at += 1;
        match self.take(is_word).parse() {
            Ok(position) if position > 0 => Ok(Token::Argument(Argument::Position(position))),
            _ => Err(self.expected(begin, "the position of an argument, from 1")),
        }
    }

    /// A number with its sign and unit.
    fn number(&mut self) -> Result<Token, FilterError> {
        let begin = self.at;
        let sign = if self.take(|c| c == '-').is_empty() {
            1
        } else {
            -1
        };
        let is_hexadecimal = self.rest().starts_with("0x");
        let (radix, unit_ns_or_bytes, digits);
        if is_hexadecimal {
            self.at += 2;
            digits = self.take(is_word);
            (radix, unit_ns_or_bytes) = (16, 1);
        } else {
            digits = self.take(|c| c.is_ascii_digit() || c == '_');
            if self
                .rest()
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(is_word))
            {
                return Err(FilterError {
                    position: self.at,
                    kind: FilterErrorKind::Fraction,
                });
            }
            (radix, unit_ns_or_bytes) = (10, self.unit()?);
        }
        let digits: String = digits.chars().filter(|c| *c != '_').collect();
        if digits.is_empty() || digits.chars().any(|c| !c.is_digit(radix)) {
            return Err(self.expected(begin, "a number"));
        }
        i128::from_str_radix(&digits, radix)
            .ok()
            .and_then(|number| number.checked_mul(sign * unit_ns_or_bytes))
            .filter(|number| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number))
            .map(|number| Token::Literal(Literal::Integer(number)))
            .ok_or(FilterError {
                position: begin,
                kind: FilterErrorKind::NumberTooLarge,
            })
    }

    /// How much a unit right behind a number is; 1 without any.
    fn unit(&mut self) -> Result<i128, FilterError> {
        let begin = self.at;
        match self.take(is_word) {
            "" => Ok(1),
            unit => UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|(_, size)| *size)
                .ok_or_else(|| {
                    self.expected(
                        begin,
                        "a unit: ns, us, ms, s, m, h, B, KiB, MiB, GiB or TiB",
                    )
                }),
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<Token, FilterError> {
        let begin = self.at;
        let fail = |position, kind| Err(FilterError { position, kind });
        let mut characters = self.rest().char_indices().peekable();
        characters.next();
        let mut string = String::new();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    self.at = begin + place + 1;
                    return Ok(Token::Literal(Literal::Text(string)));
                }
                '\\' => match escaped(&mut characters) {
                    Some(character) => string.push(character),
                    None => return fail(begin + place, FilterErrorKind::Escape),
                },
                _ => string.push(character),
            }
        }
        fail(begin, FilterErrorKind::Unclosed)
    }

    /// What was expected at `begin`, where something else stands up to here.
    pub(super) fn expected(&self, begin: usize, expected: &'static str) -> FilterError {
        const FOUND_MAX: usize = 32;
        let found: String = self.text[begin..self.at].chars().take(FOUND_MAX).collect();
        let found = match &*found {
            "" => "the end".to_owned(),
            found => format!("`{}`", crate::escape(found)),
        };
        FilterError {
            position: begin,
            kind: FilterErrorKind::Expected { expected, found },
        }
    }

    /// Reads as many such characters as there are.
    fn take(&mut self, is_wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !is_wanted(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

/// The character that an escape stands for; its backslash has been read.
fn escaped(characters: &mut Peekable<CharIndices<'_>>) -> Option<char> {
    let (_, letter) = characters.next()?;
    match letter {
        '"' | '\\' => Some(letter),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '0' => Some('\0'),
        'u' => {
            characters.next_if(|(_, c)| *c == '{')?;
            let mut code = 0_u32;
            let mut digits = 0;
            while let Some((_, digit)) = characters.next_if(|(_, c)| c.is_ascii_hexdigit()) {
                digits += 1;
                code = code << 4 | digit.to_digit(16)?;
                if digits > 6 {
                    return None;
                }
            }
            characters.next_if(|(_, c)| *c == '}')?;
            // Without a digit it would be a zero that nobody wrote.
            (digits > 0).then(|| char::from_u32(code)).flatten()
        }
        _ => None,
    }
}

/// Whether a name may contain it. Some letters are invisible and have to be escaped: those may not.
fn is_word(character: char) -> bool {
    (character.is_alphanumeric() || character == '_') && !must_escape(character)
}
