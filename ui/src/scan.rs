//! The filter's work: looking at every function, a piece at a time.

use std::cmp::Reverse;
use std::fmt;

use coral_model::FunctionId;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::function_filter::Filter;
use crate::typed_filter::Known;

/// With more matches than this, the best ones first helps nobody: they stay in the list's order.
const RANKED_MATCHES_MAX: usize = 50_000;

/// A query: words that all must match, each fuzzily; `'exact`, `^start`, `end$`, `!not`.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    text: String,
    pattern: Pattern,
}

impl Query {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            pattern: Pattern::parse(text, CaseMatching::Smart, Normalization::Smart),
        }
    }

    /// The score of a text, if it matches.
    pub(crate) fn score(&self, text: &str, matcher: &mut NameMatcher) -> Option<u32> {
        let NameMatcher { matcher, buffer } = matcher;
        self.pattern.score(Utf32Str::new(text, buffer), matcher)
    }

    /// Which characters of a text make it match, for at most a screen's worth of texts.
    pub(crate) fn indices(&self, text: &str, matcher: &mut NameMatcher) -> Vec<u32> {
        let NameMatcher { matcher, buffer } = matcher;
        let mut indices = Vec::new();
        self.pattern
            .indices(Utf32Str::new(text, buffer), matcher, &mut indices);
        indices.sort_unstable();
        indices.dedup();
        indices
    }

    /// Whether everything that `self` matches is also matched by `earlier`.
    pub(crate) fn narrows(&self, earlier: &Self) -> bool {
        let plain = |text: &str| !text.contains(['!', '^', '$', '\'', '\\']);
        self.text.starts_with(&earlier.text) && plain(&self.text)
    }
}

/// The matcher's memory, kept from one name to the next.
pub(crate) struct NameMatcher {
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Default for NameMatcher {
    fn default() -> Self {
        Self {
            matcher: Matcher::new(Config::DEFAULT),
            buffer: Vec::new(),
        }
    }
}

impl fmt::Debug for NameMatcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NameMatcher")
    }
}

/// A set of functions, a bit for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct FunctionSet {
    words: Vec<u64>,
}

impl FunctionSet {
    pub(crate) fn with_capacity(functions: usize) -> Self {
        Self {
            words: vec![0; functions.div_ceil(64)],
        }
    }

    pub(crate) fn insert(&mut self, id: FunctionId) {
        if let Some(word) = self.words.get_mut(id.0 as usize / 64) {
            *word |= 1 << (id.0 % 64);
        }
    }

    fn remove(&mut self, id: FunctionId) {
        if let Some(word) = self.words.get_mut(id.0 as usize / 64) {
            *word &= !(1 << (id.0 % 64));
        }
    }

    pub(crate) fn contains(&self, id: FunctionId) -> bool {
        self.words
            .get(id.0 as usize / 64)
            .is_some_and(|word| word & (1 << (id.0 % 64)) != 0)
    }
}

/// A filter over a list, as far as it has come.
#[derive(Debug)]
pub(crate) struct Scan {
    filter: Filter,
    /// Where to look, in the order of the list; `None` is the whole list.
    candidates: Option<Vec<FunctionId>>,
    next: usize,
    total: usize,
    matches: Vec<(FunctionId, Reverse<u32>)>,
    set: FunctionSet,
    matcher: NameMatcher,
}

impl Scan {
    /// Starts to filter a list; it looks only at `earlier`'s matches where that is enough.
    pub(crate) fn new(filter: Filter, list_len: usize, earlier: Option<&Self>) -> Self {
        let candidates = earlier
            .filter(|earlier| earlier.is_complete() && filter.narrows(&earlier.filter))
            .map(|earlier| earlier.in_list_order().collect::<Vec<_>>());
        Self {
            filter,
            next: 0,
            total: candidates.as_ref().map_or(list_len, Vec::len),
            candidates,
            matches: Vec::new(),
            set: FunctionSet::with_capacity(list_len),
            matcher: NameMatcher::default(),
        }
    }

    /// Looks at the next `budget` functions of the list.
    pub(crate) fn step(&mut self, budget: usize, list: &[FunctionId], known: Known<'_>) {
        let list = self.candidates.as_deref().unwrap_or(list);
        let end = (self.next + budget).min(self.total);
        for &id in list.get(self.next..end).unwrap_or_default() {
            if let Some(score) = self.filter.score(id, known, &mut self.matcher) {
                self.matches.push((id, Reverse(score)));
                self.set.insert(id);
            }
        }
        self.next = end;
    }

    /// Looks again at some functions whose numbers have changed; returns whether any of them
    /// matches that did not, or the other way round.
    pub(crate) fn look_again(
        &mut self,
        ids: impl Iterator<Item = FunctionId>,
        list: &[FunctionId],
        known: Known<'_>,
    ) -> bool {
        let mut changed = false;
        for id in ids {
            let score = self.filter.score(id, known, &mut self.matcher);
            if score.is_some() == self.set.contains(id) {
                continue;
            }
            changed = true;
            match score {
                Some(_) => self.set.insert(id),
                None => self.set.remove(id),
            }
        }
        if changed {
            // In the order of the list, without looking for the places of those that changed.
            let matches = list.iter().filter(|&&id| self.set.contains(id));
            self.matches = matches.map(|&id| (id, Reverse(0))).collect();
        }
        changed
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.next >= self.total
    }

    /// How far it has come, in percent.
    pub(crate) fn percent(&self) -> usize {
        100 * self.next / self.total.max(1)
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The functions that match so far.
    pub(crate) fn set(&self) -> &FunctionSet {
        &self.set
    }

    pub(crate) fn match_count(&self) -> usize {
        self.matches.len()
    }

    /// The matches that were found after so many others, with their scores.
    pub(crate) fn found_after(&self, known: usize) -> &[(FunctionId, Reverse<u32>)] {
        self.matches.get(known..).unwrap_or_default()
    }

    /// The matches in the order of the list.
    pub(crate) fn in_list_order(&self) -> impl Iterator<Item = FunctionId> + '_ {
        self.matches.iter().map(|&(id, _)| id)
    }

    /// The matches, the best first, where there are few enough for that.
    pub(crate) fn ranked(&self) -> Vec<FunctionId> {
        let mut matches = self.matches.clone();
        if matches.len() <= RANKED_MATCHES_MAX {
            matches.sort_by_key(|&(_, score)| score);
        }
        matches.into_iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(query: &str, names: &[&str]) -> Vec<usize> {
        let mut matcher = NameMatcher::default();
        let query = Query::new(query);
        (0..names.len())
            .filter(|&index| query.score(names[index], &mut matcher).is_some())
            .collect()
    }

    #[test]
    fn words_match_fuzzily_and_signs_make_them_strict() {
        let names = [
            "main.handleCheckout",
            "main.(*Cart).Add",
            "net/http.(*conn).serve",
        ];
        let cases: &[(&str, &[usize])] = &[
            ("", &[0, 1, 2]),
            ("hchk", &[0]),
            ("cart main", &[1]),
            ("^net", &[2]),
            ("main !cart", &[0]),
            ("'serve", &[2]),
            ("Cart$", &[]),
            ("CART", &[]),
        ];
        for (query, expected) in cases {
            assert_eq!(matches(query, &names), *expected, "{query}");
        }
    }

    #[test]
    fn only_plain_continuations_narrow() {
        let narrows = |earlier: &str, later: &str| Query::new(later).narrows(&Query::new(earlier));
        assert!(narrows("ch", "che"));
        assert!(narrows("ch", "ch main"));
        assert!(!narrows("ch", "c"));
        assert!(!narrows("ch", "ch !main"));
        assert!(!narrows("ch$", "ch$x"));
    }
}
