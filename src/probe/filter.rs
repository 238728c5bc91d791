//! From a filter's expression to the predicates and the truth table that the kernel evaluates.

use coral_ebpf_common::{Filter, PREDICATE_BYTES, PREDICATES_MAX, Predicate, Test};
use coral_model::filter::{Argument, Comparison, Expression, Literal, Operator};
use coral_model::{Diagnostic, ExitStatus};

/// An argument that a filter can look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterArgument {
    /// Its name, or the path to a field; filters may also call it by its place among the others.
    pub name: String,
    /// What it is compared as.
    pub class: ValueClass,
    /// Its place in the specs of what is captured.
    pub index: u8,
}

/// What a value is, as far as comparing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueClass {
    /// An integer with a sign, of that many bytes (1 to 8).
    Signed(u8),
    /// An integer without sign, of that many bytes (1 to 8).
    Unsigned(u8),
    /// A truth value: false is 0.
    Bool,
    /// A string.
    Text,
    /// An address, or the type word of an interface: `nil` is 0.
    Pointer,
}

/// A filter that does not fit the arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum FilterCompileError {
    #[error("no argument is called `{argument}`: {}", names_of(.names))]
    UnknownArgument {
        argument: String,
        names: Vec<String>,
    },
    #[error("`{comparison}` cannot be compared: the argument is {class}")]
    TypeMismatch {
        comparison: String,
        class: ValueClass,
    },
    #[error("it has more than {PREDICATES_MAX} different comparisons")]
    TooManyComparisons,
    #[error("a string of {len} bytes is too long: {PREDICATE_BYTES} are compared at most")]
    TextTooLong { len: usize },
}

/// Compiles an expression over these arguments.
///
/// # Errors
/// If it names another argument, compares one with something of another type, or needs more than
/// the kernel's program has room for.
pub fn compile_filter(
    expression: &Expression,
    arguments: &[FilterArgument],
) -> Result<Filter, FilterCompileError> {
    let mut compiler = Compiler {
        arguments,
        filter: Filter::default(),
    };
    let table = compiler.table_of(expression)?;
    Ok(Filter {
        table,
        ..compiler.filter
    })
}

/// The outcomes of an expression, a bit for each combination of all predicates' outcomes.
type Table = [u64; 4];

struct Compiler<'a> {
    arguments: &'a [FilterArgument],
    /// The predicates so far.
    filter: Filter,
}

impl Compiler<'_> {
    fn table_of(&mut self, expression: &Expression) -> Result<Table, FilterCompileError> {
        match expression {
            Expression::Or(parts) => parts.iter().try_fold([0; 4], |table, part| {
                let part = self.table_of(part)?;
                Ok(std::array::from_fn(|word| table[word] | part[word]))
            }),
            Expression::And(parts) => parts.iter().try_fold([u64::MAX; 4], |table, part| {
                let part = self.table_of(part)?;
                Ok(std::array::from_fn(|word| table[word] & part[word]))
            }),
            Expression::Not(part) => Ok(self.table_of(part)?.map(|word| !word)),
            Expression::Condition(comparison) => {
                let (predicate, is_wanted) = self.predicate_of(comparison)?;
                let table = table_of_predicate(self.place_of(predicate)?);
                Ok(table.map(|word| if is_wanted { word } else { !word }))
            }
        }
    }

    /// The predicate of a comparison, and the outcome for which the comparison holds.
    fn predicate_of(
        &self,
        comparison: &Comparison,
    ) -> Result<(Predicate, bool), FilterCompileError> {
        let argument = self.find(&comparison.argument)?;
        let mismatch = || FilterCompileError::TypeMismatch {
            comparison: comparison.to_string(),
            class: argument.class,
        };
        let (predicate, is_wanted) = match (argument.class, &comparison.literal) {
            (ValueClass::Text, Literal::Text(text)) => {
                text_predicate(comparison.operator, text)?.ok_or_else(mismatch)?
            }
            (ValueClass::Bool, Literal::Bool(truth)) => {
                // Some languages take every other value for true as well.
                let is_equal = equality(comparison.operator).ok_or_else(mismatch)?;
                (word_predicate(Test::Equal, 0), is_equal != *truth)
            }
            (ValueClass::Pointer, Literal::Nil | Literal::Integer(_)) => {
                equality(comparison.operator).ok_or_else(mismatch)?;
                let address = match comparison.literal {
                    Literal::Integer(address) => address,
                    _ => 0,
                };
                integer_predicate(comparison.operator, address, ValueClass::Unsigned(8))
                    .ok_or_else(mismatch)?
            }
            (class @ (ValueClass::Signed(_) | ValueClass::Unsigned(_)), Literal::Integer(it)) => {
                integer_predicate(comparison.operator, *it, class).ok_or_else(mismatch)?
            }
            _ => return Err(mismatch()),
        };
        let value = argument.index;
        Ok((Predicate { value, ..predicate }, is_wanted))
    }

    fn find(&self, wanted: &Argument) -> Result<&FilterArgument, FilterCompileError> {
        let found = match wanted {
            Argument::Name(name) => self.arguments.iter().find(|it| it.name == *name),
            Argument::Position(position) => usize::try_from(*position)
                .ok()
                .and_then(|position| self.arguments.get(position.checked_sub(1)?)),
        };
        found.ok_or_else(|| FilterCompileError::UnknownArgument {
            argument: wanted.to_string(),
            names: self.arguments.iter().map(|it| it.name.clone()).collect(),
        })
    }

    /// The place of a predicate in the filter; equal ones share it.
    fn place_of(&mut self, predicate: Predicate) -> Result<usize, FilterCompileError> {
        let len = self.filter.len as usize;
        let known = &self.filter.predicates[..len];
        if let Some(place) = known.iter().position(|it| *it == predicate) {
            return Ok(place);
        }
        let free = self.filter.predicates.get_mut(len);
        *free.ok_or(FilterCompileError::TooManyComparisons)? = predicate;
        self.filter.len += 1;
        Ok(len)
    }
}

/// The combinations in which the predicate of that place holds.
fn table_of_predicate(place: usize) -> Table {
    std::array::from_fn(|word| {
        (0..64)
            .filter(|bit| (word * 64 + bit) >> place & 1 != 0)
            .fold(0, |table, bit| table | 1 << bit)
    })
}

/// A comparison of strings; none for an order.
fn text_predicate(
    operator: Operator,
    text: &str,
) -> Result<Option<(Predicate, bool)>, FilterCompileError> {
    let (test, is_wanted) = match operator {
        Operator::Equal => (Test::BytesEqual, true),
        Operator::NotEqual => (Test::BytesEqual, false),
        Operator::StartsWith => (Test::BytesBegin, true),
        _ => return Ok(None),
    };
    let len = text.len();
    let mut predicate = word_predicate(test, 0);
    let bytes = predicate.bytes.as_flattened_mut().get_mut(..len);
    bytes
        .ok_or(FilterCompileError::TextTooLong { len })?
        .copy_from_slice(text.as_bytes());
    // It has just been found to be no longer than the bytes of a predicate.
    predicate.len = len as u8;
    Ok(Some((predicate, is_wanted)))
}

/// A comparison of integers; none for a prefix.
///
/// Constants that the type cannot hold make it hold always or never. Then the predicate is one
/// that never holds, so that the value has to be readable there, too.
fn integer_predicate(
    operator: Operator,
    constant: i128,
    class: ValueClass,
) -> Option<(Predicate, bool)> {
    let bits = |bytes: u8| 8 * u32::from(bytes.clamp(1, 8));
    let (min, max, below) = match class {
        ValueClass::Signed(bytes) => {
            let end = 1_i128 << (bits(bytes) - 1);
            (-end, end - 1, Test::SignedBelow)
        }
        ValueClass::Unsigned(bytes) => (0, (1_i128 << bits(bytes)) - 1, Test::Below),
        ValueClass::Bool | ValueClass::Text | ValueClass::Pointer => return None,
    };
    // Holds for no value.
    let never = word_predicate(Test::Below, 0);
    let equal = |constant| match (min..=max).contains(&constant) {
        // Both signs have the same 64 bits.
        true => (word_predicate(Test::Equal, constant as u64), true),
        false => (never, true),
    };
    let less = |constant| match constant {
        it if it <= min => (never, true),
        it if it > max => (never, false),
        it => (word_predicate(below, it as u64), true),
    };
    let not = |(predicate, is_wanted): (Predicate, bool)| (predicate, !is_wanted);
    Some(match operator {
        Operator::Equal => equal(constant),
        Operator::NotEqual => not(equal(constant)),
        Operator::Less => less(constant),
        Operator::GreaterOrEqual => not(less(constant)),
        Operator::LessOrEqual => less(constant.saturating_add(1)),
        Operator::Greater => not(less(constant.saturating_add(1))),
        Operator::StartsWith => return None,
    })
}

/// Whether the operator asks for equal values; none for an order.
fn equality(operator: Operator) -> Option<bool> {
    match operator {
        Operator::Equal => Some(true),
        Operator::NotEqual => Some(false),
        _ => None,
    }
}

fn word_predicate(test: Test, constant: u64) -> Predicate {
    Predicate {
        test: test as u8,
        constant,
        ..Predicate::default()
    }
}

fn names_of(names: &[String]) -> String {
    if names.is_empty() {
        return "the function has none that can be read".into();
    }
    let names = names.join(", ");
    format!("there are {}", coral_model::escape(&names))
}

impl std::fmt::Display for ValueClass {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signed(bytes) => write!(formatter, "a signed integer of {bytes} bytes"),
            Self::Unsigned(bytes) => write!(formatter, "an unsigned integer of {bytes} bytes"),
            Self::Bool => formatter.write_str("a truth value: compare it with true or false"),
            Self::Text => formatter.write_str(
                "a string: compare it with one in double quotes, by ==, != or starts_with",
            ),
            Self::Pointer => {
                formatter.write_str("a pointer: compare it with nil or an address, by == or !=")
            }
        }
    }
}

impl Diagnostic for FilterCompileError {
    fn code(&self) -> &'static str {
        "bad-filter"
    }

    fn help(&self) -> String {
        match self {
            Self::UnknownArgument { .. } => {
                "name one of these, or its position as in `#1`".to_owned()
            }
            Self::TypeMismatch { .. } => "compare it with a constant of its type".to_owned(),
            Self::TooManyComparisons => "leave out comparisons; equal ones count once".to_owned(),
            Self::TextTooLong { .. } => "compare its beginning by `starts_with`".to_owned(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Usage
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
