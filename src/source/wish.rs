//! What somebody wants to attach, before it is known which functions that are.

use coral_model::{FunctionId, Pattern, SessionSettings};

use super::select::{SelectError, select};
use crate::agent::{AttachRequest, GrowthRule, Watched};
use crate::symbols::InlinedFunction;

/// How many places are counted where functions were inlined.
const INSTANCES_MAX: usize = 1_000;
/// How many functions a session may gain by libraries and programs that come later.
const ROOM_TO_GROW: usize = 500;

/// What to attach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachWish {
    /// Names, their last parts, globs, or regexes between slashes.
    pub patterns: Vec<String>,
    /// Functions of the target's table.
    pub functions: Vec<FunctionId>,
    /// Also in libraries whose path contains one of these, now and later.
    pub libraries: Vec<String>,
    /// Count calls where the functions were inlined, too.
    pub inlined: bool,
    /// Every level of a function that calls itself, instead of one.
    pub show_recursion: bool,
    /// Also in children that run the same program.
    pub follow_forks: bool,
    /// Also in the program that a process becomes.
    pub follow_execs: bool,
    /// See [`AttachRequest::fast_returns`].
    pub fast_returns: bool,
    /// How many functions may be added later.
    pub room: usize,
}

impl AttachWish {
    /// Its patterns, read.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn patterns(&self) -> Result<Vec<Pattern>, SelectError> {
        let patterns = self.patterns.iter().map(|text| Pattern::parse(text));
        Ok(patterns.collect::<Result<_, _>>()?)
    }

    /// The request for a target.
    ///
    /// # Errors
    /// If a pattern means no function, or nobody knows which.
    pub fn request(
        &self,
        watched: &Watched,
        settings: SessionSettings,
        requested_by: String,
    ) -> Result<AttachRequest, SelectError> {
        let patterns = self.patterns()?;
        let inlined = if self.inlined {
            inlined(watched, &patterns)
        } else {
            Vec::new()
        };
        let mut functions = self.functions.clone();
        for pattern in &self.patterns {
            match select(watched.table(), std::slice::from_ref(pattern)) {
                // It may be inlined everywhere.
                Err(SelectError::None { .. }) if !inlined.is_empty() => {}
                selected => functions.extend(selected?),
            }
        }
        functions.sort_unstable();
        functions.dedup();
        let may_grow = self.follow_execs || !self.libraries.is_empty();
        let room_to_grow = if may_grow { ROOM_TO_GROW } else { 0 };
        Ok(AttachRequest {
            settings,
            growth: GrowthRule {
                forks: self.follow_forks,
                execs: self.follow_execs,
                libraries: self.libraries.clone(),
                patterns,
            },
            room: functions.len() + room_to_grow.max(self.room),
            inlined,
            fold_recursion: !self.show_recursion,
            fast_returns: self.fast_returns,
            ..AttachRequest::new(functions, requested_by)
        })
    }
}

/// The functions that were inlined somewhere, where that can be counted.
fn inlined(watched: &Watched, patterns: &[Pattern]) -> Vec<InlinedFunction> {
    let found = patterns
        .iter()
        .flat_map(|pattern| watched.symbols.inlined(pattern, INSTANCES_MAX));
    found
        .filter(|function| !function.instances.is_empty())
        .collect()
}
