//! Which instruction of a function follows which: to find the one that begins an inlined call.

use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};

use super::code::Code;
use super::components::components;
use super::{Architecture, FunctionCode, Planner, ReadOnlyData, Site, SiteCost, SiteKind, uprobe};

/// Functions of more instructions are not searched: the search looks at all of them for each
/// inlined call.
const INSTRUCTIONS_MAX: usize = 1 << 16;
/// So many instructions of an inlined call are tried as its first.
const CANDIDATES_MAX: usize = 8;

/// The instructions of one function that its own control flow reaches.
pub struct FlowGraph {
    /// By address.
    instructions: Vec<Node>,
    /// Where the jumps go that nothing is known of but that they stay in the function.
    anywhere: Vec<usize>,
    /// What nothing in the function leads to: its start, and where the runtime enters it.
    roots: Vec<usize>,
}

struct Node {
    address: u64,
    cost: Option<SiteCost>,
    next: Option<usize>,
    target: Option<usize>,
    jumps_anywhere: bool,
    is_call: bool,
    /// Whether it computes several values at once.
    is_packed: bool,
    /// From how many instructions it is reached directly.
    sources: u32,
}

/// Where the executions of an inlined call can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InlinedEntry {
    /// The instruction to probe; `stack_adjust` is not known and 0.
    pub site: Site,
    /// Whether the function's control flow passes it once, and first, each time that it enters the
    /// code of the inlined call.
    pub is_exact: bool,
}

impl Planner {
    /// The control flow of that function; `None` if it is not known or too large. `data` is the
    /// read-only data of its binary.
    pub fn flow_graph(
        &mut self,
        function: &FunctionCode<'_>,
        data: &dyn ReadOnlyData,
    ) -> Option<FlowGraph> {
        if function.architecture != Architecture::X86_64 || function.code.is_empty() {
            return None;
        }
        let code = Code::new(function);
        let flow = &mut self.flow;
        flow.trace(&code, data, function.convention);
        let mut starts: Vec<(u64, usize)> = (0..code.len())
            .filter(|&position| flow.is_start(position))
            .map(|position| (code.at(position).0, position))
            .take(INSTRUCTIONS_MAX + 1)
            .collect();
        if !flow.is_complete() || starts.len() > INSTRUCTIONS_MAX {
            return None;
        }
        // Parts that were moved away may lie below the main one.
        starts.sort_unstable();
        let index_of = |address| starts.binary_search_by_key(&address, |start| start.0).ok();
        let anywhere = starts.iter().enumerate();
        let anywhere = anywhere.filter(|&(_, &(_, position))| flow.is_target(position));
        let nodes = starts
            .iter()
            .map(|&(_, position)| node(&code, position, index_of));
        let mut graph = FlowGraph {
            anywhere: anywhere.map(|(index, _)| index).collect(),
            roots: Vec::new(),
            instructions: nodes.collect(),
        };
        graph.find_sources(function.address);
        Some(graph)
    }
}

impl FlowGraph {
    /// The first instruction of an inlined call whose code is at these addresses. `hint` is where
    /// the compiler says that it begins. `None` if the flow reaches none of them, or if none of
    /// those that are tried may be probed.
    pub fn inlined_entry(&self, code: &[Range<u64>], hint: Option<u64>) -> Option<InlinedEntry> {
        let mut is_inside = vec![false; self.instructions.len()];
        for range in code {
            let first = self.position(range.start);
            let end = self.position(range.end);
            is_inside
                .get_mut(first..end)?
                .iter_mut()
                .for_each(|it| *it = true);
        }
        let candidates = self.candidates(&is_inside, hint);
        let sites = candidates
            .iter()
            .filter_map(|&index| Some((index, self.site(index)?)));
        let mut fallback = None;
        for (index, site) in sites {
            if self.begins(index, &is_inside) {
                return Some(InlinedEntry {
                    site,
                    is_exact: true,
                });
            }
            fallback.get_or_insert(InlinedEntry {
                site,
                is_exact: false,
            });
        }
        fallback
    }

    /// What may be the first instruction: what the compiler says, the lowest, and those that the
    /// rest of the function leads to.
    fn candidates(&self, is_inside: &[bool], hint: Option<u64>) -> Vec<usize> {
        let hinted = hint.map(|address| self.position(address));
        let hinted = hinted.filter(|&index| is_inside.get(index) == Some(&true));
        let lowest = is_inside.iter().position(|&inside| inside);
        let mut candidates: Vec<usize> = hinted.into_iter().chain(lowest).collect();
        for index in (0..self.instructions.len()).filter(|&index| !is_inside[index]) {
            for target in self.successors(index) {
                if is_inside[target] && !candidates.contains(&target) {
                    candidates.push(target);
                }
            }
            if candidates.len() >= CANDIDATES_MAX {
                break;
            }
        }
        candidates.dedup();
        candidates
    }

    /// Whether every way into the inside passes that instruction first, and no way within it
    /// passes it again.
    fn begins(&self, entry: usize, is_inside: &[bool]) -> bool {
        let mut inside = (0..self.instructions.len()).filter(|&index| is_inside[index]);
        // Code of several calls at once is packed, and a loop may begin with the call's own code.
        if inside.any(|index| {
            self.instructions[index].is_packed
                || self.successors(index).any(|target| target == entry)
        }) {
            return false;
        }
        let around = self.reachable(self.roots.iter().copied(), Some(entry));
        let is_passed_by = around
            .iter()
            .zip(is_inside)
            .any(|(&reached, &inside)| reached && inside);
        !is_passed_by && !self.is_hoisted(entry, is_inside)
    }

    /// Whether the function repeats some of the inside in a loop of its own without passing that
    /// instruction: it was moved out of the loop. A loop that is all inside is the call's own.
    fn is_hoisted(&self, entry: usize, is_inside: &[bool]) -> bool {
        let components = self.components(Some(entry));
        let mut holds_inside = vec![false; components.len()];
        let mut holds_outside = vec![false; components.len()];
        for (&component, &inside) in components.iter().zip(is_inside) {
            let holds = if inside {
                &mut holds_inside
            } else {
                &mut holds_outside
            };
            if let Some(holds) = holds.get_mut(component) {
                *holds = true;
            }
        }
        holds_inside
            .iter()
            .zip(&holds_outside)
            .any(|(&inside, &outside)| inside && outside)
    }

    /// The probe for an instruction: on it, or on a cheaper one that follows it always.
    fn site(&self, index: usize) -> Option<Site> {
        let mut best: Option<(usize, SiteCost)> = None;
        let mut current = index;
        loop {
            let node = &self.instructions[current];
            if let Some(cost) = node.cost
                && (best.is_none() || cost == SiteCost::Emulated)
            {
                best = Some((current, cost));
                if cost == SiteCost::Emulated {
                    break;
                }
            }
            let next = node.next.filter(|_| !node.is_call && node.target.is_none());
            match next.filter(|&next| self.instructions[next].sources == 1) {
                Some(next) if next > current => current = next,
                _ => break,
            }
        }
        best.map(|(index, cost)| Site {
            address: self.instructions[index].address,
            kind: SiteKind::Entry,
            stack_adjust: 0,
            cost,
        })
    }

    /// What can be reached from there without passing an instruction.
    fn reachable(&self, from: impl Iterator<Item = usize>, without: Option<usize>) -> Vec<bool> {
        let mut reached = vec![false; self.instructions.len()];
        let mut waiting: Vec<usize> = from.collect();
        while let Some(index) = waiting.pop() {
            if Some(index) != without && !std::mem::replace(&mut reached[index], true) {
                waiting.extend(self.successors(index).filter(|&next| !reached[next]));
            }
        }
        reached
    }

    fn components(&self, without: Option<usize>) -> Vec<usize> {
        let is_in = |index| Some(index) != without;
        components(self.instructions.len(), is_in, |index| {
            self.successors(index)
        })
    }

    fn successors(&self, index: usize) -> impl Iterator<Item = usize> {
        let node = &self.instructions[index];
        let anywhere = if node.jumps_anywhere {
            &self.anywhere[..]
        } else {
            &[]
        };
        let known = node.next.into_iter().chain(node.target);
        known.chain(anywhere.iter().copied())
    }

    fn find_sources(&mut self, start: u64) {
        let mut sources = vec![0_u32; self.instructions.len()];
        for index in 0..self.instructions.len() {
            for target in self.successors(index) {
                sources[target] = sources[target].saturating_add(1);
            }
        }
        for (node, sources) in self.instructions.iter_mut().zip(sources) {
            node.sources = sources;
        }
        let roots = self.instructions.iter().enumerate();
        let roots = roots.filter(|(_, node)| node.address == start || node.sources == 0);
        self.roots = roots.map(|(index, _)| index).collect();
    }

    /// The index of the first instruction from that address on.
    fn position(&self, address: u64) -> usize {
        self.instructions
            .partition_point(|node| node.address < address)
    }
}

fn node(code: &Code<'_>, position: usize, index_of: impl Fn(u64) -> Option<usize>) -> Node {
    let (address, bytes) = code.at(position);
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let branch = || {
        let is_near = instruction.op0_kind() == OpKind::NearBranch64;
        is_near.then(|| index_of(instruction.near_branch_target()))?
    };
    let control = instruction.flow_control();
    let is_call = matches!(control, FlowControl::Call | FlowControl::IndirectCall);
    let goes_on = is_call
        || match control {
            FlowControl::Next => instruction.mnemonic() != Mnemonic::Hlt,
            FlowControl::ConditionalBranch
            | FlowControl::XbeginXabortXend
            | FlowControl::Interrupt => true,
            _ => false,
        };
    Node {
        address,
        cost: uprobe::cost(&instruction, &bytes[..instruction.len().min(bytes.len())]),
        next: goes_on.then(|| index_of(instruction.next_ip())).flatten(),
        target: match control {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => branch(),
            _ => None,
        },
        jumps_anywhere: control == FlowControl::IndirectBranch,
        is_call,
        is_packed: is_packed(&instruction),
        sources: 0,
    }
}

/// Whether an instruction computes several values at once. Moves do not compute, and scalar code
/// zeroes registers and changes signs with some of these.
fn is_packed(instruction: &Instruction) -> bool {
    if !instruction.op0_register().is_vector_register() {
        return false;
    }
    let name = format!("{:?}", instruction.mnemonic()).to_ascii_lowercase();
    let name = name.strip_prefix('v').unwrap_or(&name);
    let is_other = ["mov", "xor", "pxor", "and"]
        .iter()
        .any(|other| name.starts_with(other));
    !is_other && (name.starts_with('p') || name.ends_with("ps") || name.ends_with("pd"))
}
