//! The process picker's list.

use std::cmp::Reverse;
use std::sync::Arc;

use coral_model::ProcessSummary;

use crate::filter_input::FilterInput;
use crate::scan::{NameMatcher, Query};
use crate::selection::Selection;

/// What the picker is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProcessSort {
    /// What can be probed first, then what listens, then by memory.
    #[default]
    Relevance,
    Memory,
    Name,
    Pid,
}

impl ProcessSort {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Relevance => Self::Memory,
            Self::Memory => Self::Name,
            Self::Name => Self::Pid,
            Self::Pid => Self::Relevance,
        }
    }

    /// How the title of the list names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relevance => "services first",
            Self::Memory => "memory",
            Self::Name => "name",
            Self::Pid => "pid",
        }
    }
}

/// Processes, filtered and sorted.
#[derive(Debug, Default)]
pub(crate) struct ProcessList {
    all: Arc<[ProcessSummary]>,
    /// Whether they have been listed at all.
    pub(crate) listed: bool,
    pub(crate) sort: ProcessSort,
    pub(crate) filter: FilterInput,
    pub(crate) selection: Selection<u32>,
    /// The pids that are shown, and where each is in `all`.
    rows: Vec<u32>,
    places: Vec<usize>,
}

impl ProcessList {
    pub(crate) fn set(&mut self, processes: Arc<[ProcessSummary]>) {
        self.all = processes;
        self.listed = true;
        self.arrange();
    }

    /// Filters and sorts again.
    pub(crate) fn arrange(&mut self) {
        let query = self
            .filter
            .is_active()
            .then(|| Query::new(self.filter.text()));
        let mut matcher = NameMatcher::default();
        let mut places: Vec<usize> = (0..self.all.len())
            .filter(|&place| {
                query.as_ref().is_none_or(|query| {
                    query
                        .score(&searchable(&self.all[place]), &mut matcher)
                        .is_some()
                })
            })
            .collect();
        let process = |place: usize| &self.all[place];
        match self.sort {
            ProcessSort::Relevance => places.sort_by_key(|&place| {
                let process = process(place);
                let unprobeable = process.refusal.is_some();
                let silent = process.ports.is_empty();
                (
                    unprobeable,
                    silent,
                    Reverse(process.resident_bytes),
                    process.pid,
                )
            }),
            ProcessSort::Memory => {
                places.sort_by_key(|&place| Reverse(process(place).resident_bytes));
            }
            ProcessSort::Name => places.sort_by(|&a, &b| process(a).name.cmp(&process(b).name)),
            ProcessSort::Pid => places.sort_by_key(|&place| process(place).pid),
        }
        self.rows = places.iter().map(|&place| process(place).pid).collect();
        self.places = places;
        self.selection.restore(&self.rows);
    }

    /// The pids that are shown, in order.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The process in a row.
    pub(crate) fn get(&self, row: usize) -> Option<&ProcessSummary> {
        self.all.get(*self.places.get(row)?)
    }

    pub(crate) fn selected(&self) -> Option<&ProcessSummary> {
        self.get(self.selection.index())
    }

    /// How many processes there are, shown or not.
    pub(crate) fn total(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.rows, height);
    }
}

/// Everything of a process that a filter looks at. Command lines can be megabytes long.
fn searchable(process: &ProcessSummary) -> String {
    let ports: Vec<String> = process.ports.iter().map(u16::to_string).collect();
    let command: String = process.command.chars().take(512).collect();
    let language = process.language.map_or("", |language| language.name());
    let container = process.container.as_deref().unwrap_or_default();
    format!(
        "{} {} {} {language} {} {container} {command}",
        process.pid,
        process.name,
        process.user,
        ports.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, ports: &[u16], refusal: Option<&str>) -> ProcessSummary {
        ProcessSummary {
            pid,
            start_ticks: 1,
            user: "app".into(),
            name: format!("service-{pid}"),
            command: "serve".into(),
            language: None,
            ports: ports.to_vec(),
            container: None,
            resident_bytes: u64::from(pid),
            refusal: refusal.map(str::to_owned),
        }
    }

    #[test]
    fn services_that_can_be_probed_come_first() {
        let mut list = ProcessList::default();
        list.set(Arc::new([
            process(1, &[80], Some("a kernel thread")),
            process(2, &[], None),
            process(3, &[8080], None),
            process(4, &[], None),
        ]));
        assert_eq!(list.rows(), [3, 4, 2, 1]);
        list.filter.insert("8080");
        list.arrange();
        assert_eq!(list.rows(), [3]);
        assert_eq!(list.selected().map(|process| process.pid), Some(3));
    }
}
