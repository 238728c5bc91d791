//! What is changed in a session while it runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What has been changed since a session began: replicas that could not be asked then, or come
/// later, get it. The history keeps it for a colony that starts anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Changes {
    pub(super) added: BTreeSet<FunctionName>,
    pub(super) removed: BTreeSet<FunctionName>,
    /// Empty where it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filter: Option<String>,
    /// Whether its lease was made longer.
    pub(super) extended: bool,
}

/// A function, in whichever build and whichever run of the colony.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct FunctionName {
    pub(super) name: String,
    /// How many of the same name the build has before it.
    pub(super) nth: usize,
}

impl Changes {
    /// These are measured from now on.
    pub(super) fn add(&mut self, functions: &BTreeSet<FunctionName>) {
        self.removed.retain(|it| !functions.contains(it));
        self.added.extend(functions.iter().cloned());
    }

    /// These are measured no longer.
    pub(super) fn remove(&mut self, functions: &BTreeSet<FunctionName>) {
        self.added.retain(|it| !functions.contains(it));
        self.removed.extend(functions.iter().cloned());
    }

    /// As the history keeps them.
    pub(super) fn to_json(&self) -> String {
        // There is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Of what the history has kept; what cannot be read was never changed.
    pub(super) fn from_json(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> BTreeSet<FunctionName> {
        let named = names.iter().map(|name| FunctionName {
            name: (*name).to_owned(),
            nth: 0,
        });
        named.collect()
    }

    #[test]
    fn what_was_changed_last_counts() {
        let mut changes = Changes::default();
        changes.add(&named(&["a", "b"]));
        changes.remove(&named(&["b", "c"]));
        assert_eq!(
            (&changes.added, &changes.removed),
            (&named(&["a"]), &named(&["b", "c"]))
        );
        changes.add(&named(&["c"]));
        assert_eq!(
            (&changes.added, &changes.removed),
            (&named(&["a", "c"]), &named(&["b"]))
        );
    }

    #[test]
    fn the_history_gives_back_what_it_was_given() {
        let mut changes = Changes::default();
        for filter in [None, Some(String::new()), Some("amount > 5".to_owned())] {
            changes.filter = filter;
            assert_eq!(Changes::from_json(&changes.to_json()), changes);
        }
        changes.add(&named(&["\u{1b}\"operator<<\""]));
        changes.extended = true;
        assert_eq!(Changes::from_json(&changes.to_json()), changes);
        assert_eq!(Changes::from_json("of another version"), Changes::default());
    }
}
