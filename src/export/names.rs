//! What functions of a snapshot are called.

use std::borrow::Cow;
use std::collections::HashMap;

use coral_model::{FunctionId, Snapshot, escape};

/// The names of a snapshot's functions.
pub(super) struct Names<'a>(HashMap<FunctionId, Cow<'a, str>>);

impl<'a> Names<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let functions = snapshot.functions.iter();
        Self(
            functions
                .map(|stats| (stats.id, escape(&stats.name)))
                .collect(),
        )
    }

    /// The escaped name of a function, or its number where the snapshot does not hold it.
    pub(super) fn of(&self, function: FunctionId) -> Cow<'a, str> {
        let name = self.0.get(&function).cloned();
        name.unwrap_or_else(|| Cow::Owned(format!("function {}", function.0)))
    }
}
