//! Groups of functions that can be attached to at once, found a piece at a time.

use coral_model::{FunctionId, FunctionTable, Pattern};

use crate::functions::WORK_PIECE;

/// Which functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The selected one.
    Selected(FunctionId),
    /// Those that the filter of the list shows.
    Shown(Vec<FunctionId>),
    /// Those of a package.
    Package(String),
    /// What a function calls.
    Callees(FunctionId),
    /// Those that were attached to last.
    Last(Vec<FunctionId>),
    /// Those of a pattern that is typed.
    Pattern,
}

/// The functions of a group, as far as they are found.
#[derive(Debug)]
pub(crate) enum Members {
    /// All of them.
    Known(Vec<FunctionId>),
    /// They are looked for.
    Looking(Search),
    /// The source was asked, or will be.
    Asked,
    /// There is nothing to look for yet, or it cannot be understood.
    Wrong(String),
}

/// A search through all functions.
#[derive(Debug)]
pub(crate) struct Search {
    wanted: Wanted,
    next: usize,
    pub(crate) found: Vec<FunctionId>,
}

#[derive(Debug)]
enum Wanted {
    Package(String),
    Pattern(Pattern),
}

impl Members {
    pub(crate) fn none() -> Self {
        Self::Known(Vec::new())
    }

    /// Begins to look for the functions of a group.
    pub(crate) fn of(group: &Group) -> Self {
        match group {
            Group::Selected(id) => Self::Known(vec![*id]),
            Group::Shown(ids) | Group::Last(ids) => Self::Known(ids.clone()),
            Group::Package(package) => Self::looking(Wanted::Package(package.clone())),
            Group::Callees(_) => Self::Asked,
            Group::Pattern => Self::of_pattern(""),
        }
    }

    /// Begins to look for the functions of a pattern.
    pub(crate) fn of_pattern(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Wrong("type a pattern".into());
        }
        match Pattern::parse(text.trim()) {
            Ok(pattern) => Self::looking(Wanted::Pattern(pattern)),
            Err(error) => Self::Wrong(error.why),
        }
    }

    fn looking(wanted: Wanted) -> Self {
        Self::Looking(Search {
            wanted,
            next: 0,
            found: Vec::new(),
        })
    }

    /// Looks at the next functions.
    pub(crate) fn work(&mut self, table: &FunctionTable) {
        let Self::Looking(search) = self else { return };
        search.step(table);
        if search.next >= table.len() {
            let found = std::mem::take(&mut search.found);
            *self = search.wanted.result(found, table);
        }
    }
}

impl Search {
    fn step(&mut self, table: &FunctionTable) {
        let end = (self.next + WORK_PIECE).min(table.len());
        let functions = (self.next..end).filter_map(|index| table.get(FunctionId(index as u32)));
        self.found.extend(
            functions
                .filter(|function| match &self.wanted {
                    Wanted::Package(package) => function.package == package,
                    Wanted::Pattern(pattern) => pattern.matches(function.name),
                })
                .map(|function| function.id),
        );
        self.next = end;
    }
}

impl Wanted {
    /// A name means one function, the one that has all of it where there are several; see
    /// `coral_model::Pattern`.
    fn result(&self, found: Vec<FunctionId>, table: &FunctionTable) -> Members {
        let Self::Pattern(pattern) = self else {
            return Members::Known(found);
        };
        if pattern.selects_many() || found.len() < 2 {
            return Members::Known(found);
        }
        let is_whole = |&id: &FunctionId| {
            let function = table.get(id);
            function.is_some_and(|function| function.name == pattern.text())
        };
        let whole: Vec<FunctionId> = found.iter().copied().filter(is_whole).collect();
        match whole.len() {
            1 => Members::Known(whole),
            _ => Members::Wrong(format!(
                "it could be any of {} functions: write more of the name, or `*` for all",
                found.len()
            )),
        }
    }
}
