//! What a target becomes while it is measured: children that it forks, programs that it execs,
//! libraries that it loads.

use std::fs;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coral_model::{FunctionId, Pattern};

use super::watched::Watched;
use crate::symbols::{Image, Process, Symbols};

/// How often new children are looked for: what one calls before it is found is not counted.
const FORK_INTERVAL: Duration = Duration::from_millis(50);
/// How often newly loaded libraries are looked for.
const LIBRARY_INTERVAL: Duration = Duration::from_millis(500);
/// More children are not followed.
const CHILDREN_MAX: usize = 64;

/// What of a target's later life is measured too.
#[derive(Clone, Debug, Default)]
pub struct GrowthRule {
    /// Children that it forks, as long as they run the same program.
    pub forks: bool,
    /// What it becomes by exec.
    pub execs: bool,
    /// Libraries whose path contains one of these (`*` for all), when they are loaded later.
    pub libraries: Vec<String>,
    /// The functions to attach in new programs and libraries.
    pub patterns: Vec<Pattern>,
}

/// Looks for what is new.
pub(super) struct Growth {
    rule: GrowthRule,
    next_forks: Instant,
    next_libraries: Instant,
    /// Libraries that were looked at already, by path.
    known: Vec<String>,
    reading: Option<JoinHandle<Option<Symbols>>>,
}

impl Growth {
    pub(super) fn new(rule: GrowthRule) -> Self {
        Self {
            rule,
            next_forks: Instant::now(),
            next_libraries: Instant::now(),
            known: Vec::new(),
            reading: None,
        }
    }

    /// Whether what the target becomes by exec is measured.
    pub(super) fn follows_execs(&self) -> bool {
        self.rule.execs
    }

    /// Children that are not watched yet.
    pub(super) fn new_children(&mut self, watched: &Watched) -> Vec<Arc<Process>> {
        if !self.rule.forks || Instant::now() < self.next_forks {
            return Vec::new();
        }
        self.next_forks = Instant::now() + FORK_INTERVAL;
        let pids = watched.pids();
        if pids.len() > CHILDREN_MAX {
            return Vec::new();
        }
        let children = pids.iter().flat_map(|&pid| children_of(pid));
        children
            .filter(|child| !pids.contains(child))
            .filter_map(|child| Process::open(child).ok())
            .filter(|child| is_same(child.executable(), watched.process.executable()))
            .map(Arc::new)
            .collect()
    }

    /// The target's functions with those of libraries that it has loaded since, once they have
    /// been read; they are read beside the session.
    pub(super) fn new_libraries(&mut self, watched: &Watched) -> Option<Symbols> {
        if self.reading.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.reading.take()?.join().ok().flatten();
        }
        let is_time = Instant::now() >= self.next_libraries;
        if self.rule.libraries.is_empty() || self.reading.is_some() || !is_time {
            return None;
        }
        self.next_libraries = Instant::now() + LIBRARY_INTERVAL;
        let is_wanted = |path: &str| {
            let mut parts = self.rule.libraries.iter();
            parts.any(|part| part == "*" || path.contains(part.as_str()))
        };
        let modules = watched.table().modules();
        let library = watched
            .process
            .libraries()
            .ok()?
            .into_iter()
            .find(|library| {
                is_wanted(&library.path)
                    && !self.known.contains(&library.path)
                    && !modules.iter().any(|module| module.path == library.path)
            })?;
        self.known.push(library.path.clone());
        let watched = watched.clone();
        let read = move || {
            let image = watched.process.open_library(&library).ok()?;
            let symbols = watched.symbols.with_library(Arc::new(image)).ok()?;
            Some(symbols.completed())
        };
        let thread = std::thread::Builder::new().name("coral-library".into());
        self.reading = thread.spawn(read).ok();
        None
    }

    /// The functions to attach in the modules from `first_module` on.
    pub(super) fn functions_in(&self, symbols: &Symbols, first_module: usize) -> Vec<FunctionId> {
        let functions = symbols.table().iter();
        functions
            .filter(|function| usize::from(function.module) >= first_module)
            .filter(|function| {
                let mut patterns = self.rule.patterns.iter();
                patterns.any(|pattern| pattern.matches(function.name))
            })
            .map(|function| function.id)
            .collect()
    }
}

/// Whether two files are the same program.
pub fn is_same(a: &Image, b: &Image) -> bool {
    a.identity() == b.identity() || (a.build_id().is_some() && a.build_id() == b.build_id())
}

fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks
        .into_iter()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|children| {
            let pids = children.split_whitespace().map(str::parse);
            pids.filter_map(Result::ok).collect::<Vec<u32>>()
        })
        .collect()
}
