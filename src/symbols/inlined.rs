//! Functions that were inlined: into which others, and where that is called.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use coral_model::{FunctionId, Pattern, ProbeReason, ProbeSummary, Probeability};

use super::planner::{
    ColdPart, FlowGraph, FrameKey, FunctionCode, InlinedEntry, Plan, Planner, Site,
};
use super::planning::convention;
use super::table::Symbols;
use super::{inlined_dwarf, inlined_go};

/// So long the inlined calls of one image are looked for.
const TIME_MAX: Duration = Duration::from_secs(2);
/// So long the control flow around them is looked at; the calls left are not countable.
const FLOW_TIME_MAX: Duration = Duration::from_secs(5);

/// A function that was inlined somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlinedFunction {
    /// Its demangled name.
    pub name: String,
    /// The source file that it is defined in.
    pub file: Option<String>,
    /// The line that its definition starts at, from 1.
    pub line: Option<u32>,
    /// Where it was inlined, by module and address.
    pub instances: Vec<InlinedInstance>,
    /// How often else it was inlined, where nothing may be probed: the code is not reached by its
    /// function's control flow, or that is not known or took too long to find out.
    pub uncountable: u32,
}

/// One call that was inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlinedInstance {
    /// The module of the host.
    pub module: u16,
    /// The function that it was inlined into.
    pub host: FunctionId,
    /// The virtual address in the module's file of the instruction whose executions are counted.
    pub entry_address: u64,
    /// Whether one execution of it is one call, as far as the control flow tells. An optimiser may
    /// still have merged calls, or moved parts of them to where they run less often.
    pub is_exact: bool,
    /// The source file of the call.
    pub call_file: Option<String>,
    /// The line of the call, from 1.
    pub call_line: Option<u32>,
    site: Site,
}

impl InlinedInstance {
    /// How to count it: by its entry alone. There is nothing to time, and no frame.
    pub fn plan(&self) -> Plan {
        Plan {
            entry: Some(self.site),
            exits: Vec::new(),
            summary: ProbeSummary {
                probe: Probeability::EntryOnly,
                exits: 0,
                reason: Some(ProbeReason::Inlined),
            },
            tail_calls: 0,
            entry_may_refire: false,
            key: FrameKey::Thread,
        }
    }
}

/// A call that was inlined, as the image tells it.
pub(super) struct InlinedCode {
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) call_file: Option<String>,
    pub(super) call_line: Option<u32>,
    /// The addresses of its code.
    pub(super) code: Vec<Range<u64>>,
    /// Whether the compiler may have unrolled a loop, so that this is several copies of the call.
    pub(super) may_be_copied: bool,
    /// Where its code begins, if the compiler says that.
    pub(super) entry: Option<u64>,
}

impl Symbols {
    /// The functions that the pattern selects and that were inlined, by name; of all modules, but
    /// no more than `max` instances together. Go's own table tells them, and DWARF those of other
    /// languages.
    ///
    /// This takes seconds for large binaries.
    pub fn inlined(&self, pattern: &Pattern, max: usize) -> Vec<InlinedFunction> {
        let mut list = List {
            symbols: self,
            planner: Planner::new(),
            graphs: HashMap::new(),
            functions: HashMap::new(),
            flow_time: Duration::ZERO,
        };
        let mut left = max;
        for (module, image) in (0..).zip(self.images()) {
            let deadline = Instant::now() + TIME_MAX;
            let go = self.lookup(module).and_then(|lookup| lookup.go(image));
            let found = match (go, self.debug_image(module)) {
                (Some(go), _) => inlined_go::find(go, image, pattern, left, deadline),
                (None, Some(debug)) => inlined_dwarf::find(debug, pattern, left, deadline),
                (None, None) => Vec::new(),
            };
            left -= found.len().min(left);
            for inlined in found {
                list.add(module, inlined);
            }
        }
        list.finish()
    }
}

/// What was found so far.
struct List<'a> {
    symbols: &'a Symbols,
    planner: Planner,
    /// The control flow of hosts.
    graphs: HashMap<FunctionId, Option<FlowGraph>>,
    functions: HashMap<(String, Option<String>, Option<u32>), InlinedFunction>,
    /// How long the control flow was looked at.
    flow_time: Duration,
}

impl List<'_> {
    fn add(&mut self, module: u16, inlined: InlinedCode) {
        let began = Instant::now();
        let is_in_time = self.flow_time < FLOW_TIME_MAX;
        let entry = is_in_time.then(|| self.entry(module, &inlined)).flatten();
        self.flow_time += began.elapsed();
        let key = (inlined.name.clone(), inlined.file.clone(), inlined.line);
        let function = self.functions.entry(key).or_insert(InlinedFunction {
            name: inlined.name,
            file: inlined.file,
            line: inlined.line,
            instances: Vec::new(),
            uncountable: 0,
        });
        let Some((host, InlinedEntry { site, is_exact })) = entry else {
            function.uncountable += 1;
            return;
        };
        function.instances.push(InlinedInstance {
            module,
            host,
            entry_address: site.address,
            is_exact,
            call_file: inlined.call_file,
            call_line: inlined.call_line,
            site,
        });
    }

    fn entry(&mut self, module: u16, inlined: &InlinedCode) -> Option<(FunctionId, InlinedEntry)> {
        let start = inlined.code.first()?.start;
        let host = self.symbols.function_at(module, start)?.id;
        if !self.graphs.contains_key(&host) {
            let graph = self.graph(host);
            self.graphs.insert(host, graph);
        }
        let graph = self.graphs.get(&host)?.as_ref()?;
        let mut entry = graph.inlined_entry(&inlined.code, inlined.entry)?;
        if entry.is_exact && inlined.may_be_copied {
            let (lookup, debug) = (
                self.symbols.lookup(module)?,
                self.symbols.debug_image(module)?,
            );
            entry.is_exact = lookup.turns_to(debug, &inlined.code, entry.site.address) == 1;
        }
        Some((host, entry))
    }

    fn graph(&mut self, host: FunctionId) -> Option<FlowGraph> {
        let function = self.symbols.table().get(host)?;
        let image = self.symbols.image(function.module)?;
        let end = function.address.checked_add(function.size)?;
        let code = image.code(function.address..end)?;
        let cold: Vec<_> = self
            .symbols
            .cold_parts(host)
            .iter()
            .filter_map(|range| Some((range.start, image.code(range.clone())?)))
            .collect();
        let cold: Vec<_> = cold
            .iter()
            .map(|(address, code)| ColdPart {
                address: *address,
                code,
            })
            .collect();
        let function = FunctionCode {
            address: function.address,
            code: &code,
            cold: &cold,
            convention: convention(&function),
            architecture: image.architecture(),
        };
        self.planner.flow_graph(&function, image.constants())
    }

    fn finish(self) -> Vec<InlinedFunction> {
        let mut functions: Vec<_> = self.functions.into_values().collect();
        for function in &mut functions {
            let instances = &mut function.instances;
            instances.sort_by_key(|instance| (instance.module, instance.entry_address));
        }
        functions.sort_by(|one, other| {
            (&one.name, &one.file, one.line).cmp(&(&other.name, &other.file, other.line))
        });
        functions
    }
}
