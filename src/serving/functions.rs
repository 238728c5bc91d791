//! Function lists, in pages.

use coral_model::{Function, FunctionId, FunctionTable, Target};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::function_page;
use regex::RegexBuilder;
use tonic::{Code, Status};

use super::pages::{PAGE_BYTES, no_token};
use super::status;

/// Functions in a page, if nothing else is asked for, and at most.
const PAGE_USUAL: u32 = 2_000;
const PAGE_MAX: u32 = 10_000;
/// What a compiled pattern may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// One page of a target's functions.
///
/// # Errors
/// If the pattern or the page's token is none.
pub(crate) fn page(
    target: &Target,
    table: &FunctionTable,
    request: &wire::ListFunctionsRequest,
) -> Result<wire::ListFunctionsResponse, Status> {
    let bad =
        |what: &str, help: &str| status::with(Code::InvalidArgument, "bad-pattern", what, help);
    let first: u32 = match request.page_token.as_str() {
        "" => 0,
        token => token.parse().map_err(|_| no_token())?,
    };
    let pattern = match request.pattern.as_str() {
        "" => None,
        pattern => Some(
            RegexBuilder::new(pattern)
                .size_limit(REGEX_BYTES_MAX)
                .build()
                .map_err(|error| bad(&error.to_string(), "write a regex such as `^main\\.`"))?,
        ),
    };
    let size = match request.page_size {
        0 => PAGE_USUAL,
        size => size.min(PAGE_MAX),
    };
    let rest = (first..table.len() as u32).filter_map(|id| table.get(FunctionId(id)));
    let is_meant = |function: &Function<'_>| {
        pattern
            .as_ref()
            .is_none_or(|pattern| pattern.is_match(function.name))
    };
    let functions = function_page(rest.filter(is_meant), size as usize, PAGE_BYTES);
    let next = functions.last().map(|last| last.id + 1);
    let has_more = next.is_some_and(|next| {
        let mut rest = (next..table.len() as u32).filter_map(|id| table.get(FunctionId(id)));
        rest.any(|function| is_meant(&function))
    });
    Ok(wire::ListFunctionsResponse {
        functions,
        next_page_token: next
            .filter(|_| has_more)
            .map(|next| next.to_string())
            .unwrap_or_default(),
        target: Some(target.into()),
        total: table.len() as u64,
        modules: match first {
            0 => table.modules().iter().map(wire::Module::from).collect(),
            _ => Vec::new(),
        },
        builds: Vec::new(),
    })
}
