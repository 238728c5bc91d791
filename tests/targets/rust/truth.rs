//! What functions know about their own calls: how many there were, and on which paths.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

/// What one function knows about its calls; calls left in another way than by return were
/// unwound.
pub(crate) struct Count {
    name: &'static str,
    calls: AtomicU64,
    returns: AtomicU64,
    errors: AtomicU64,
}

/// A path of calls; one directly inside of another of the same function is on the same path.
struct Node {
    id: usize,
    parent: Option<usize>,
    function: &'static str,
    calls: AtomicU64,
    last_child: AtomicPtr<Node>,
}

thread_local! {
    static HERE: Cell<Option<&'static Node>> = const { Cell::new(None) };
}

static NODES: Mutex<Vec<&'static Node>> = Mutex::new(Vec::new());

/// A call that has begun.
pub(crate) struct Call {
    count: &'static Count,
    caller: Option<&'static Node>,
}

impl Count {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            calls: AtomicU64::new(0),
            returns: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    pub(crate) fn enter(&'static self) -> Call {
        self.calls.fetch_add(1, Relaxed);
        let caller = HERE.get();
        let node = match caller {
            Some(caller) if caller.function == self.name => caller,
            _ => child(caller, self.name),
        };
        node.calls.fetch_add(1, Relaxed);
        HERE.set(Some(node));
        Call {
            count: self,
            caller,
        }
    }

    fn reset(&self) {
        for number in [&self.calls, &self.returns, &self.errors] {
            number.store(0, Relaxed);
        }
    }
}

impl Call {
    /// The call returns.
    pub(crate) fn leave<T>(self, result: T) -> T {
        HERE.set(self.caller);
        self.count.returns.fetch_add(1, Relaxed);
        result
    }

    /// The call returns a result that may be an error.
    pub(crate) fn leave_with<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        let failed = u64::from(result.is_err());
        self.count.errors.fetch_add(failed, Relaxed);
        self.leave(result)
    }
}

fn child(parent: Option<&'static Node>, function: &'static str) -> &'static Node {
    if let Some(parent) = parent {
        let last = parent.last_child.load(Relaxed);
        // SAFETY: nodes are leaked, and this one is null or one of them.
        match unsafe { last.as_ref() } {
            Some(last) if last.function == function => return last,
            _ => {}
        }
    }
    let mut nodes = NODES.lock().unwrap();
    let above = parent.map(|parent| parent.id);
    let known = nodes
        .iter()
        .find(|node| node.parent == above && node.function == function);
    let node = known.copied().unwrap_or_else(|| {
        let node: &'static Node = Box::leak(Box::new(Node {
            id: nodes.len(),
            parent: above,
            function,
            calls: AtomicU64::new(0),
            last_child: AtomicPtr::new(ptr::null_mut()),
        }));
        nodes.push(node);
        node
    });
    if let Some(parent) = parent {
        parent
            .last_child
            .store(ptr::from_ref(node).cast_mut(), Relaxed);
    }
    node
}

/// Something to run, and the functions that count themselves in it: no others may.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    body: fn(u64) -> u64,
    default_n: u64,
    counts: &'static [&'static Count],
    has_errors: bool,
    has_tree: bool,
    futures: Option<fn() -> HashMap<&'static str, Futures>>,
}

/// What a scenario is there to provoke, and how often it did.
static PROVOKED: Mutex<Vec<(&'static str, u64)>> = Mutex::new(Vec::new());

/// The scenario has met this once more.
pub(crate) fn provoke(what: &'static str) {
    let mut provoked = PROVOKED.lock().unwrap();
    match provoked.iter_mut().find(|(known, _)| *known == what) {
        Some((_, times)) => *times += 1,
        None => provoked.push((what, 1)),
    }
}

/// What became of the futures of an async function.
#[derive(Clone, Copy, Default)]
pub(crate) struct Futures {
    /// Those that were polled at least once.
    pub(crate) calls: u64,
    pub(crate) completed: u64,
    /// Of the completed ones.
    pub(crate) polls: u64,
    /// Dropped after a poll, and before they were done.
    pub(crate) dropped: u64,
}

impl Scenario {
    pub(crate) const fn new(
        name: &'static str,
        body: fn(u64) -> u64,
        default_n: u64,
        counts: &'static [&'static Count],
    ) -> Self {
        Self {
            name,
            body,
            default_n,
            counts,
            has_errors: false,
            has_tree: true,
            futures: None,
        }
    }

    /// Its functions return results.
    pub(crate) const fn with_errors(mut self) -> Self {
        self.has_errors = true;
        self
    }

    /// Whether a call in return position has a caller depends on the optimiser.
    pub(crate) const fn without_tree(mut self) -> Self {
        self.has_tree = false;
        self
    }

    pub(crate) const fn with_futures(
        mut self,
        futures: fn() -> HashMap<&'static str, Futures>,
    ) -> Self {
        self.futures = Some(futures);
        self
    }

    /// Runs it, and returns the truth as a line of JSON.
    pub(crate) fn run(&self, n: Option<u64>) -> String {
        self.counts.iter().for_each(|count| count.reset());
        NODES.lock().unwrap().clear();
        let sum = (self.body)(n.unwrap_or(self.default_n));
        let functions: Vec<String> = self
            .counts
            .iter()
            .map(|count| self.function(count))
            .collect();
        let (name, functions) = (self.name, functions.join(","));
        let mut line = format!(r#"{{"scenario":"{name}","functions":{{{functions}}}"#);
        if self.has_tree {
            let nodes = NODES.lock().unwrap();
            let nodes: Vec<String> = nodes.iter().map(|node| node.json()).collect();
            let _ = write!(line, r#","tree":[{}]"#, nodes.join(","));
        }
        if let Some(futures) = self.futures {
            let futures: Vec<String> = futures().iter().map(|(name, it)| it.json(name)).collect();
            let _ = write!(line, r#","futures":{{{}}}"#, futures.join(","));
        }
        let provoked: Vec<String> = PROVOKED
            .lock()
            .unwrap()
            .drain(..)
            .map(|(what, times)| format!(r#""{what}":{times}"#))
            .collect();
        let _ = write!(line, r#","provoked":{{{}}}"#, provoked.join(","));
        let _ = write!(line, r#","checksum":"{sum:016x}"}}"#);
        line
    }

    fn function(&self, count: &Count) -> String {
        let [calls, returns, errors] =
            [&count.calls, &count.returns, &count.errors].map(|number| number.load(Relaxed));
        let (name, unwound) = (count.name, calls - returns);
        let errors = match self.has_errors {
            true => format!(r#","errors":{errors}"#),
            false => String::new(),
        };
        format!(r#""{name}":{{"calls":{calls},"returns":{returns},"unwound":{unwound}{errors}}}"#)
    }
}

impl Node {
    fn json(&self) -> String {
        let parent = self
            .parent
            .map_or("null".into(), |parent| parent.to_string());
        let (function, calls) = (self.function, self.calls.load(Relaxed));
        format!(r#"{{"parent":{parent},"function":"{function}","calls":{calls}}}"#)
    }
}

impl Futures {
    fn json(&self, name: &str) -> String {
        let Self {
            calls,
            polls,
            completed,
            dropped,
        } = self;
        format!(
            r#""{name}":{{"calls":{calls},"polls":{polls},"completed":{completed},"dropped":{dropped}}}"#
        )
    }
}
