//! What the functions are filtered by: words that match fuzzily, or an expression.

use coral_model::FunctionId;

use crate::scan::{NameMatcher, Query};
use crate::typed_filter::{self, Expression, FilterError, Known};

/// What decides about a function.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Words(Query),
    Typed(Expression),
}

impl Filter {
    /// Reads a filter's text; nothing if it is empty.
    fn read(text: &str) -> Result<Option<Self>, FilterError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        match typed_filter::read(text) {
            None => Ok(Some(Self::Words(Query::new(text)))),
            Some(read) => read.map(|expression| Some(Self::Typed(expression))),
        }
    }

    /// The score of a function, if it matches.
    pub(crate) fn score(
        &self,
        id: FunctionId,
        known: Known<'_>,
        matcher: &mut NameMatcher,
    ) -> Option<u32> {
        let function = known.table.get(id)?;
        match self {
            Self::Words(query) => query.score(function.name, matcher),
            Self::Typed(expression) => {
                typed_filter::matches(expression, &function, known).then_some(0)
            }
        }
    }

    /// Whether everything that `self` matches is certainly also matched by `earlier`.
    pub(crate) fn narrows(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Words(query), Self::Words(earlier)) => query.narrows(earlier),
            _ => false,
        }
    }

    /// The words, for marking what they matched.
    pub(crate) fn query(&self) -> Option<&Query> {
        match self {
            Self::Words(query) => Some(query),
            Self::Typed(_) => None,
        }
    }

    /// Whether it depends on what is measured.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Typed(expression) if typed_filter::is_live(expression))
    }
}

/// The filter that is in effect, which is not always the one that is typed.
#[derive(Debug, Default)]
pub(crate) struct FunctionFilter {
    in_effect: Option<Filter>,
    error: Option<FilterError>,
}

impl FunctionFilter {
    /// What is typed has changed; returns whether another filter is in effect. While an expression
    /// cannot be understood, the last one stays; words that it began as were not meant as words.
    pub(crate) fn change(&mut self, text: &str) -> bool {
        match Filter::read(text) {
            Ok(filter) => (self.in_effect, self.error) = (filter, None),
            Err(error) => {
                self.error = Some(error);
                if matches!(self.in_effect, None | Some(Filter::Typed(_))) {
                    return false;
                }
                self.in_effect = None;
            }
        }
        true
    }

    pub(crate) fn in_effect(&self) -> Option<&Filter> {
        self.in_effect.as_ref()
    }

    /// Where what is typed cannot be understood.
    pub(crate) fn error(&self) -> Option<&FilterError> {
        self.error.as_ref()
    }
}
