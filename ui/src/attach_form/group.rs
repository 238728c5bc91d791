//! Groups of functions that can be attached to at once, found a piece at a time.

use coral_model::{FunctionId, FunctionTable, Pattern, Probeability};

use crate::functions::WORK_PIECE;
use crate::scan::FunctionSet;

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
    Known(Known),
    /// They are looked for.
    Looking(Search),
    /// The source was asked, or will be.
    Asked,
    /// There is nothing to look for yet, or it cannot be understood.
    Wrong(String),
}

/// All functions of a group, and what probing them takes; worked out once, because they may be all
/// that a program has.
#[derive(Debug)]
pub(crate) struct Known {
    functions: Vec<FunctionId>,
    /// Those that can be probed, as far as that is known.
    pub(crate) probeable: Vec<FunctionId>,
    /// The same, to ask about single ones.
    set: FunctionSet,
    /// How many probes these need; `None` while not all of them are planned.
    pub(crate) probes: Option<u64>,
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

impl Known {
    pub(crate) fn new(functions: Vec<FunctionId>, table: &FunctionTable) -> Self {
        let mut known = Self {
            functions,
            probeable: Vec::new(),
            set: FunctionSet::default(),
            probes: None,
        };
        known.take_plans(table);
        known
    }

    /// Works out again what the table says of the functions.
    pub(crate) fn take_plans(&mut self, table: &FunctionTable) {
        let functions = self.functions.iter().copied();
        self.probeable = functions.filter(|&id| is_probeable(table, id)).collect();
        self.probes = planned_probes(table, &self.probeable);
        self.set = FunctionSet::with_capacity(table.len());
        self.probeable.iter().for_each(|&id| self.set.insert(id));
    }

    pub(crate) fn len(&self) -> usize {
        self.functions.len()
    }

    /// Whether a function is one of those that can be probed.
    pub(crate) fn is_probeable(&self, id: FunctionId) -> bool {
        self.set.contains(id)
    }
}

/// Whether a function can be probed, as far as that is known.
pub(crate) fn is_probeable(table: &FunctionTable, id: FunctionId) -> bool {
    let can_be = |probe| probe != Probeability::None;
    let function = table.get(id);
    function.is_some_and(|function| function.plan.is_none_or(|plan| can_be(plan.probe)))
}

/// How many probes these functions need; `None` while not all of them are planned.
pub(crate) fn planned_probes(table: &FunctionTable, functions: &[FunctionId]) -> Option<u64> {
    let probes = |&id: &FunctionId| Some(u64::from(table.get(id)?.plan?.exits) + 1);
    functions.iter().map(probes).sum()
}

impl Members {
    /// Begins to look for the functions of a group.
    pub(crate) fn of(group: Option<&Group>, table: &FunctionTable) -> Self {
        let known = |functions| Self::Known(Known::new(functions, table));
        match group {
            None => known(Vec::new()),
            Some(Group::Selected(id)) => known(vec![*id]),
            Some(Group::Shown(ids) | Group::Last(ids)) => known(ids.clone()),
            Some(Group::Package(package)) => Self::looking(Wanted::Package(package.clone())),
            Some(Group::Callees(_)) => Self::Asked,
            Some(Group::Pattern) => Self::of_pattern(""),
        }
    }

    /// Begins to look for the functions of a pattern.
    pub(crate) fn of_pattern(text: &str) -> Self {
        if text.is_empty() {
            return Self::Wrong("type a pattern".into());
        }
        match Pattern::parse(text) {
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
    /// A name means one function.
    fn result(&self, found: Vec<FunctionId>, table: &FunctionTable) -> Members {
        let Self::Pattern(pattern) = self else {
            return Members::Known(Known::new(found, table));
        };
        let meant = pattern.meant(found, table);
        if pattern.selects_many() || meant.len() < 2 {
            return Members::Known(Known::new(meant, table));
        }
        Members::Wrong(format!(
            "it could be any of {} functions: write more of the name, or `*` for all",
            meant.len()
        ))
    }
}
