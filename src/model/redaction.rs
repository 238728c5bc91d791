//! Secrets in captured values are replaced before a value leaves the agent.
//!
//! Names and types that tell of a secret hide the whole value; inside of other values what looks
//! like one is replaced. All of it takes time linear in the value.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// What stands in a secret's place, unless a rule says otherwise.
pub const REDACTED: &str = "<redacted>";
/// How many rules there are at most.
pub const REDACTION_RULES_MAX: usize = 128;

/// A compiled regex may take this much memory; larger ones are refused.
const REGEX_SIZE_LIMIT_BYTES: usize = 1 << 20;

const SECRET_NAMES: &str = "password|passwd|secret|token|authori[sz]ation|cookie|api_?key|\
                            credential|private_?key";
/// Short words, which are parts of harmless ones as well: `processName`, `discard`.
const SECRET_WORDS: [&str; 4] = ["ssn", "card", "cvv", "cvc"];
const CARD_NAMES: &str = "card_?(?:number|num|no)";
const SECRET_VALUES: [&str; 4] = [
    // A JWT begins with the base64 of `{"`; what was captured of it may end anywhere.
    r"(?-i:\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2})",
    r"\bbearer\s+\S+",
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
    r"(?-i:\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)",
];
const EMAIL: &str = r"\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b";

/// The rules by which values are redacted.
#[derive(Clone, Debug)]
pub struct Redaction {
    rules: Vec<Rule>,
}

/// A rule as it stands in a configuration, a `[[redaction]]` table.
///
/// All of its patterns have to match; they are regexes, whatever the case of letters. With
/// `value` or `find`, and with `replace`, only what matches is replaced, else the whole value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionRule {
    /// Matches the argument's name.
    pub name: Option<String>,
    /// Matches its type's name.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// Matches a part of the value.
    pub value: Option<String>,
    /// A known kind of secret in the value, instead of a pattern.
    pub find: Option<KnownSecret>,
    /// What stands in the place of the match, literally.
    pub replace: Option<String>,
}

/// Secrets that rules can look for without a pattern of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownSecret {
    /// Numbers of payment cards: 13 to 19 digits with the right check digit.
    CardNumber,
    /// E-mail addresses; they are no secret by default.
    Email,
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum RedactionError {
    #[error("redaction rule {rule}: the pattern `{pattern}` cannot be used: {why}")]
    Pattern {
        rule: usize,
        pattern: String,
        why: String,
    },
    #[error("redaction rule {0} has none of `name`, `type`, `value` and `find`")]
    Empty(usize),
    #[error("redaction rule {0} has both `value` and `find`")]
    Ambiguous(usize),
    #[error("there are more than {REDACTION_RULES_MAX} redaction rules")]
    TooMany,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Option<Regex>,
    type_name: Option<Regex>,
    find: Option<Find>,
    /// Instead of the matches; none for the whole value.
    replace: Option<String>,
}

#[derive(Clone, Debug)]
enum Find {
    Regex(Regex),
    CardNumber,
}

impl Default for Redaction {
    fn default() -> Self {
        Self::with_rules(&[]).expect("the default rules are compiled by a test")
    }
}

impl Redaction {
    /// The default rules, and these behind them.
    ///
    /// # Errors
    /// If there are too many, or one says nothing, too much, or has a regex that is wrong or large.
    pub fn with_rules(rules: &[RedactionRule]) -> Result<Self, RedactionError> {
        let mut all = compile(&default_rules())?;
        all.extend(compile(rules)?);
        Ok(Self { rules: all })
    }

    /// The value of an argument as it may leave the agent.
    pub fn apply<'a>(&self, name: &str, type_name: &str, value: &'a str) -> Cow<'a, str> {
        let mut value = Cow::Borrowed(value);
        for rule in &self.rules {
            let matches = |pattern: &Option<Regex>, text| {
                pattern
                    .as_ref()
                    .is_none_or(|pattern| pattern.is_match(text))
            };
            if !matches(&rule.name, name) || !matches(&rule.type_name, type_name) {
                continue;
            }
            let Some(found) = rule.find.as_ref().map(|find| find.ranges(&value)) else {
                let replacement = rule.replace.as_deref().unwrap_or(REDACTED);
                return Cow::Owned(replacement.to_owned());
            };
            if found.is_empty() {
                continue;
            }
            let Some(replacement) = &rule.replace else {
                return Cow::Borrowed(REDACTED);
            };
            value = Cow::Owned(replaced(&value, &found, replacement));
        }
        value
    }
}

/// The rules without any configuration.
fn default_rules() -> Vec<RedactionRule> {
    let words = SECRET_WORDS.map(word_pattern).join("|");
    let names = format!("{SECRET_NAMES}|{CARD_NAMES}|{words}");
    let inside = |value: Option<&str>, find| RedactionRule {
        value: value.map(str::to_owned),
        find,
        replace: Some(REDACTED.into()),
        ..RedactionRule::default()
    };
    let mut rules = vec![
        RedactionRule {
            name: Some(names),
            ..RedactionRule::default()
        },
        RedactionRule {
            type_name: Some(SECRET_NAMES.into()),
            ..RedactionRule::default()
        },
    ];
    rules.extend(SECRET_VALUES.map(|pattern| inside(Some(pattern), None)));
    rules.push(inside(None, Some(KnownSecret::CardNumber)));
    rules
}

/// A word of a name in any of the usual spellings: `card_id`, `userCard`, `CARD`.
fn word_pattern(word: &str) -> String {
    let upper = word.to_uppercase();
    let title = format!("{}{}", &upper[..1], &word[1..]);
    format!(
        "(?-i:(?:^|[^A-Za-z]){word}(?:$|[^a-z])|{title}(?:$|[^a-z])|(?:^|[^A-Z]){upper}(?:$|[^A-Za-z]))"
    )
}

fn compile(rules: &[RedactionRule]) -> Result<Vec<Rule>, RedactionError> {
    if rules.len() > REDACTION_RULES_MAX {
        return Err(RedactionError::TooMany);
    }
    rules
        .iter()
        .zip(1..)
        .map(|(rule, place)| compile_rule(rule, place))
        .collect()
}

/// `place` counts from 1, for the errors.
fn compile_rule(rule: &RedactionRule, place: usize) -> Result<Rule, RedactionError> {
    let regex = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(true)
            .size_limit(REGEX_SIZE_LIMIT_BYTES)
            .build()
            .map_err(|error| RedactionError::Pattern {
                rule: place,
                pattern: pattern.to_owned(),
                why: error.to_string(),
            })
    };
    let optional = |pattern: &Option<String>| pattern.as_deref().map(regex).transpose();
    let find = match (&rule.value, rule.find) {
        (Some(_), Some(_)) => return Err(RedactionError::Ambiguous(place)),
        (Some(pattern), None) => Some(Find::Regex(regex(pattern)?)),
        (None, Some(KnownSecret::Email)) => Some(Find::Regex(regex(EMAIL)?)),
        (None, Some(KnownSecret::CardNumber)) => Some(Find::CardNumber),
        (None, None) if rule.name.is_none() && rule.type_name.is_none() => {
            return Err(RedactionError::Empty(place));
        }
        (None, None) => None,
    };
    Ok(Rule {
        name: optional(&rule.name)?,
        type_name: optional(&rule.type_name)?,
        find,
        replace: rule.replace.clone(),
    })
}

/// A part of a value, in bytes.
type Range = std::ops::Range<usize>;

impl Find {
    /// Where it is found. An empty match is none: there is nothing to hide in it.
    fn ranges(&self, value: &str) -> Vec<Range> {
        match self {
            Self::Regex(regex) => regex
                .find_iter(value)
                .map(|found| found.range())
                .filter(|range| !range.is_empty())
                .collect(),
            Self::CardNumber => card_numbers(value.as_bytes()),
        }
    }
}

fn replaced(value: &str, found: &[Range], replacement: &str) -> String {
    let mut result = String::with_capacity(value.len());
    let mut end = 0;
    for range in found {
        result += &value[end..range.start];
        result += replacement;
        end = range.end;
    }
    result + &value[end..]
}

/// Where card numbers stand: they begin and end where no letter or digit is beside them. Those that
/// overlap are one, because any of them may be the real one.
fn card_numbers(value: &[u8]) -> Vec<Range> {
    let mut found: Vec<Range> = Vec::new();
    for at in 0..value.len() {
        if at > 0 && value[at - 1].is_ascii_alphanumeric() {
            continue;
        }
        let Some(len) = card_number_len(&value[at..]) else {
            continue;
        };
        match found.last_mut().filter(|last| at < last.end) {
            Some(last) => last.end = last.end.max(at + len),
            None => found.push(at..at + len),
        }
    }
    found
}

/// The length of the longest card number that the text begins with, a blank or hyphen between
/// any two of its digits included.
///
/// The first digit is 2 to 6, as ISO/IEC 7812 gives it to payment cards, so that no time in
/// nanoseconds is taken for one.
fn card_number_len(text: &[u8]) -> Option<usize> {
    const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
    if !matches!(text.first(), Some(b'2'..=b'6')) {
        return None;
    }
    let mut digits = Vec::with_capacity(*DIGITS.end());
    let mut longest = None;
    let mut at = 0;
    while digits.len() < *DIGITS.end() {
        let separator = matches!(text.get(at), Some(b' ' | b'-')) && at > 0;
        let Some(digit) = text
            .get(at + usize::from(separator))
            .filter(|it| it.is_ascii_digit())
        else {
            break;
        };
        digits.push(digit - b'0');
        at += 1 + usize::from(separator);
        let is_end = text
            .get(at)
            .is_none_or(|next| !next.is_ascii_alphanumeric());
        if is_end && DIGITS.contains(&digits.len()) && has_check_digit(&digits) {
            longest = Some(at);
        }
    }
    longest
}

/// The check of Luhn: every second digit from the end doubled, the sum of all digits is a multiple
/// of ten.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(
            |(place, digit)| match u32::from(*digit) * (1 + place as u32 % 2) {
                doubled if doubled > 9 => doubled - 9,
                digit => digit,
            },
        )
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
#[path = "redaction_tests.rs"]
mod tests;
