//! From a function in the table to a plan of its probes.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use coral_model::{
    Function, FunctionId, FunctionTable, Language, ProbeReason, ProbeSummary, Probeability,
    SymbolSource,
};

use super::code_reader::CodeReader;
use super::image::{FUNCTION_BYTES_MAX, Image};
use super::planner::{Architecture, ColdPart, Convention, FunctionCode, Plan, Planner};

/// A thread takes so many functions at a time.
const BATCH_LEN: usize = 1024;

/// Plans functions of one image, one after the other.
pub(super) struct ImagePlanner<'a> {
    image: &'a Image,
    planner: Planner,
    code: CodeReader<'a>,
}

impl<'a> ImagePlanner<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        Self {
            image,
            planner: Planner::new(),
            code: CodeReader::new(image),
        }
    }

    /// Where to probe a function.
    ///
    /// # Errors
    /// Why no probe may be placed in it.
    pub(super) fn plan(
        &mut self,
        function: &Function<'_>,
        cold: &[Range<u64>],
    ) -> Result<Plan, ProbeReason> {
        if let Some(reason) = known_refusal(function) {
            return Err(reason);
        }
        let cold: Vec<_> = cold
            .iter()
            .filter_map(|range| Some((range.start, self.image.code(range.clone())?)))
            .collect();
        let cold: Vec<_> = cold
            .iter()
            .map(|(address, code)| ColdPart {
                address: *address,
                code,
            })
            .collect();
        let range = function.address..function.address.saturating_add(function.size);
        let code = self.code.read(range).ok_or(ProbeReason::NotCode)?;
        let plan = self.planner.plan(
            &FunctionCode {
                address: function.address,
                code,
                cold: &cold,
                convention: convention(function),
                architecture: if self.image.is_x86_64() {
                    Architecture::X86_64
                } else {
                    Architecture::Other
                },
            },
            self.image.constants(),
        );
        match (plan.summary.probe, plan.summary.reason) {
            (Probeability::None, Some(reason)) => Err(reason),
            _ => Ok(plan),
        }
    }
}

/// Plans all functions of the table that need it, on all processors; those that do not fit into
/// `code_bytes_max` together stay without a plan.
///
/// `parts` gives a function's image and its cold parts.
pub(super) fn plan_all<'a>(
    table: &FunctionTable,
    code_bytes_max: u64,
    parts: impl Fn(&Function<'_>) -> Option<(&'a Image, &'a [Range<u64>])> + Sync,
) -> Vec<(FunctionId, ProbeSummary)> {
    let next = AtomicUsize::new(0);
    let planned_bytes = AtomicU64::new(0);
    let work = || {
        let mut summaries = Vec::new();
        let mut planner: Option<ImagePlanner<'_>> = None;
        loop {
            let start = next.fetch_add(BATCH_LEN, Ordering::Relaxed);
            if start >= table.len() {
                return summaries;
            }
            for index in start..table.len().min(start + BATCH_LEN) {
                let id = FunctionId(index as u32);
                let Some(function) = table.get(id).filter(|function| function.plan.is_none())
                else {
                    continue;
                };
                let Some((image, cold)) = parts(&function) else {
                    continue;
                };
                // What is too long is refused unread.
                let code_bytes = if function.size > FUNCTION_BYTES_MAX {
                    0
                } else {
                    function.size
                };
                let planned = planned_bytes.fetch_add(code_bytes, Ordering::Relaxed);
                if planned + code_bytes > code_bytes_max {
                    continue;
                }
                if !planner
                    .as_ref()
                    .is_some_and(|planner| std::ptr::eq(planner.image, image))
                {
                    planner = None;
                }
                let planner = planner.get_or_insert_with(|| ImagePlanner::new(image));
                summaries.push((id, summary(planner.plan(&function, cold))));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("planning does not panic"))
            .collect()
    })
}

fn summary(plan: Result<Plan, ProbeReason>) -> ProbeSummary {
    match plan {
        Ok(plan) => plan.summary,
        Err(reason) => ProbeSummary {
            probe: Probeability::None,
            exits: 0,
            reason: Some(reason),
        },
    }
}

/// What the tables said already, and no look at the code changes.
fn known_refusal(function: &Function<'_>) -> Option<ProbeReason> {
    function.plan?.reason.filter(|reason| {
        matches!(
            reason,
            ProbeReason::Ifunc
                | ProbeReason::NotCode
                | ProbeReason::UnknownSize
                | ProbeReason::UnsupportedGo
        )
    })
}

/// How a function receives its arguments.
pub(super) fn convention(function: &Function<'_>) -> Convention {
    match (function.source, function.language) {
        (SymbolSource::Gopclntab, Language::Assembly) => Convention::GoAssembly,
        (SymbolSource::Gopclntab, _) => Convention::GoRegisters,
        _ => Convention::Native,
    }
}
