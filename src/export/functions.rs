//! The function list `coral.functions.v1`.

use std::borrow::Cow;

use coral_model::{Function, Target, escape};
use serde::{Serialize, Serializer};

use super::inlined::InlinedCalls;

/// The functions of a target, ready to be serialised. Text from the target is escaped in it.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionsDocument<'a> {
    schema: &'static str,
    target: TargetEntry<'a>,
    #[serde(serialize_with = "entries")]
    functions: &'a [Function<'a>],
    /// Left out where nobody asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    inlined: Option<&'a [InlinedCalls<'a>]>,
}

/// The document of those functions of a target that somebody asked for.
pub fn functions_document<'a>(
    target: &'a Target,
    functions: &'a [Function<'a>],
    inlined: Option<&'a [InlinedCalls<'a>]>,
) -> FunctionsDocument<'a> {
    FunctionsDocument {
        schema: "coral.functions.v1",
        target: TargetEntry {
            pid: Some(target.pid).filter(|&pid| pid != 0),
            exe: Some(escape(&target.exe)).filter(|exe| !exe.is_empty()),
            build_id: target.build_id.as_deref().map(escape),
            language: target.language.name(),
        },
        functions,
        inlined,
    }
}

/// One after the other, because there can be a million.
fn entries<S: Serializer>(functions: &[Function<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(functions.iter().map(FunctionEntry::of))
}

#[derive(Clone, Debug, Serialize)]
struct TargetEntry<'a> {
    /// None where it is a service as a whole.
    pid: Option<u32>,
    exe: Option<Cow<'a, str>>,
    build_id: Option<Cow<'a, str>>,
    language: &'static str,
}

/// `exits`, `probe` and `reason` are null until the planner has looked at the function.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FunctionEntry<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) package: Cow<'a, str>,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) line: Option<u32>,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) language: &'static str,
    pub(super) source: &'static str,
    pub(super) exits: Option<u32>,
    pub(super) probe: Option<&'static str>,
    pub(super) reason: Option<&'static str>,
}

impl<'a> FunctionEntry<'a> {
    pub(super) fn of(function: &Function<'a>) -> Self {
        Self {
            name: escape(function.name),
            package: escape(function.package),
            file: function.file.map(escape),
            line: function.line,
            address: function.address,
            size: function.size,
            language: function.language.name(),
            source: function.source.name(),
            exits: function.plan.map(|plan| plan.exits),
            probe: function.plan.map(|plan| plan.probe.name()),
            reason: function
                .plan
                .and_then(|plan| plan.reason)
                .map(|reason| reason.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::fixture;

    #[test]
    fn the_document_is_the_contract() {
        let table = fixture::table();
        let functions: Vec<_> = table.iter().collect();
        let target = fixture::target();
        let document = functions_document(&target, &functions, None);
        let text = serde_json::to_string_pretty(&document).unwrap();
        assert_eq!(text, include_str!("functions.expected.json").trim_end());
    }
}
