//! Which functions are on the path of a request, found in the code before any of them runs.

use std::collections::{HashSet, VecDeque};

use coral_model::FunctionId;

use super::callees::Callees;

/// The calls of so many functions are looked at; what only others call is not found.
const EXPANDED_MAX: usize = 20_000;

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a function: what it calls is on the path.
    Root(FunctionId),
    /// At the function that every request passes. Which handler it calls is not in the code, so
    /// all own packages are on the path: the handlers first and what they call, then the rest.
    Requests(FunctionId),
}

/// What a function is to a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of the program's own packages: it is traced, and what it calls is looked at.
    Own,
    /// Of another package: it is traced where an own function calls it directly.
    Foreign,
    /// Never traced.
    Ignored,
}

/// The functions of a program and their calls.
pub trait CallGraph {
    /// What a function calls.
    fn callees(&mut self, function: FunctionId) -> Callees;
    /// What a function is to a trace.
    fn role(&self, function: FunctionId) -> Role;
    /// Whether a function with these callees does too little to be worth a probe.
    fn is_trivial(&self, function: FunctionId, callees: &Callees) -> bool;
    /// All own functions, in the order of the table.
    fn own(&self) -> Vec<FunctionId>;
    /// Those own functions that seem to handle requests.
    fn handlers(&mut self) -> Vec<FunctionId>;
}

/// Why a function is on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is where traces begin.
    Root,
    /// It is of the program's own packages.
    Own,
    /// It is of another package, and an own function calls it.
    Called,
}

/// A function on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The function.
    pub function: FunctionId,
    /// Why it is on the path.
    pub why: Why,
    /// How many calls it is away from where the search began; `None` if it is of an own package
    /// and no call was found that leads to it.
    pub distance: Option<u32>,
}

/// The functions to probe for a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracePlan {
    /// The root, then own functions, then others; within each by distance.
    pub functions: Vec<Found>,
    /// How many more were found than the limit allows.
    pub left_out: usize,
}

/// Finds the functions to probe for a trace, at most `limit` of them.
pub fn discover(graph: &mut impl CallGraph, start: Start, limit: usize) -> TracePlan {
    let (Start::Root(root) | Start::Requests(root)) = start;
    let mut search = Search {
        graph,
        known: HashSet::from([root]),
        next: VecDeque::from([(root, Some(0))]),
        expanded: 0,
        own: Vec::new(),
        foreign: Vec::new(),
    };
    if let Start::Requests(_) = start {
        let handlers = search.graph.handlers();
        search.walk_from(handlers, Some(1));
        let own = search.graph.own();
        search.walk_from(own, None);
    } else {
        search.walk();
    }
    let mut functions = search.own;
    functions.append(&mut search.foreign);
    let left_out = functions.len().saturating_sub(limit);
    functions.truncate(limit);
    TracePlan {
        functions,
        left_out,
    }
}

/// A breadth-first search; both lists are in the order in which the functions were reached.
struct Search<'a, G> {
    graph: &'a mut G,
    known: HashSet<FunctionId>,
    next: VecDeque<(FunctionId, Option<u32>)>,
    expanded: usize,
    /// Begins with the root.
    own: Vec<Found>,
    foreign: Vec<Found>,
}

impl<G: CallGraph> Search<'_, G> {
    fn walk_from(&mut self, functions: Vec<FunctionId>, distance: Option<u32>) {
        for function in functions {
            self.reach(function, distance, Link::Referenced);
        }
        self.walk();
    }

    fn walk(&mut self) {
        while let Some((function, distance)) = self.next.pop_front() {
            if self.expanded == EXPANDED_MAX {
                return;
            }
            self.expanded += 1;
            self.expand(function, distance);
        }
    }

    fn expand(&mut self, function: FunctionId, distance: Option<u32>) {
        let callees = self.graph.callees(function);
        let is_root = self.own.is_empty();
        if is_root || !self.graph.is_trivial(function, &callees) {
            self.own.push(Found {
                function,
                why: if is_root { Why::Root } else { Why::Own },
                distance,
            });
        }
        let further = distance.map(|distance| distance + 1);
        for callee in callees.direct {
            self.reach(callee, further, Link::Called);
        }
        for callee in callees.referenced {
            self.reach(callee, further, Link::Referenced);
        }
    }

    fn reach(&mut self, function: FunctionId, distance: Option<u32>, link: Link) {
        let role = self.graph.role(function);
        if role == Role::Ignored
            || (role == Role::Foreign && link == Link::Referenced)
            || !self.known.insert(function)
        {
            return;
        }
        if role == Role::Own {
            return self.next.push_back((function, distance));
        }
        let callees = self.graph.callees(function);
        if !self.graph.is_trivial(function, &callees) {
            self.foreign.push(Found {
                function,
                why: Why::Called,
                distance,
            });
        }
    }
}

/// How a function was reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Called,
    Referenced,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions by number: 0 is the root, up to 99 are own, up to 199 foreign, the rest ignored.
    /// Those whose number ends with 9 are trivial, those with 5 are handlers.
    struct Graph(&'static [(u32, &'static [u32], &'static [u32])]);

    impl CallGraph for Graph {
        fn callees(&mut self, function: FunctionId) -> Callees {
            let ids = |numbers: &[u32]| numbers.iter().copied().map(FunctionId).collect();
            let found = self.0.iter().find(|(id, ..)| *id == function.0);
            let &(_, direct, referenced) = found.unwrap_or(&(0, &[], &[]));
            Callees {
                direct: ids(direct),
                referenced: ids(referenced),
                indirect: 0,
            }
        }

        fn role(&self, function: FunctionId) -> Role {
            match function.0 {
                0..100 => Role::Own,
                100..200 => Role::Foreign,
                _ => Role::Ignored,
            }
        }

        fn is_trivial(&self, function: FunctionId, _: &Callees) -> bool {
            function.0 % 10 == 9
        }

        fn own(&self) -> Vec<FunctionId> {
            let own = self.0.iter().map(|&(id, ..)| FunctionId(id));
            own.filter(|&id| self.role(id) == Role::Own).collect()
        }

        fn handlers(&mut self) -> Vec<FunctionId> {
            let own = self.own().into_iter();
            own.filter(|function| function.0 % 10 == 5).collect()
        }
    }

    const GRAPH: &[(u32, &[u32], &[u32])] = &[
        (0, &[1, 100, 200], &[2, 101]),
        (1, &[3, 9, 102], &[]),
        (2, &[1], &[]),
        (3, &[0, 3, 109, 100], &[]),
        (9, &[4], &[]),
        (5, &[3, 103], &[]),
        (6, &[104, 7], &[]),
        (7, &[], &[]),
        (100, &[8], &[]),
        (102, &[103], &[]),
    ];

    fn check(start: Start, limit: usize, expected: &[(u32, Option<u32>)], left_out: usize) {
        let plan = discover(&mut Graph(GRAPH), start, limit);
        let found: Vec<_> = plan
            .functions
            .iter()
            .map(|found| (found.function.0, found.distance))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(plan.left_out, left_out);
        for found in &plan.functions {
            let expected = match found.function.0 {
                0 => Why::Root,
                1..100 => Why::Own,
                _ => Why::Called,
            };
            assert_eq!(found.why, expected, "{found:?}");
        }
    }

    #[test]
    fn own_functions_are_followed_and_others_are_leaves() {
        let all = [
            (0, Some(0)),
            (1, Some(1)),
            (2, Some(1)),
            (3, Some(2)),
            (4, Some(3)),
            (100, Some(1)),
            (102, Some(2)),
        ];
        let root = Start::Root(FunctionId(0));
        check(root, 300, &all, 0);
        check(root, 7, &all, 0);
        check(root, 3, &all[..3], 4);
    }

    #[test]
    fn a_request_may_pass_every_own_function() {
        let all = [
            (0, Some(0)),
            (5, Some(1)),
            (1, Some(1)),
            (2, Some(1)),
            (3, Some(2)),
            (4, Some(3)),
            (6, None),
            (7, None),
            (100, Some(1)),
            (103, Some(2)),
            (102, Some(2)),
            (104, None),
        ];
        check(Start::Requests(FunctionId(0)), 300, &all, 0);
    }
}
