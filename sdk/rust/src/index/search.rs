//! Finds functions by a pattern, a page at a time.

use std::time::Instant;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::sdk::v1::FunctionInfo;
use regex::{Regex, RegexBuilder};

use super::Index;

const PATTERN_BYTES_MAX: usize = 4096;
const PROGRAM_BYTES_MAX: usize = 1 << 20;
const NESTING_MAX: u32 = 64;
/// The rest of a message is for the binary, the token and the framing.
const PAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX - (64 << 10);
/// More than the numbers of a function and the lengths of its texts take on the wire.
const FUNCTION_BYTES_MAX: usize = 64;
const NAMES_PER_CLOCK_LOOK: usize = 16;

/// Some of the functions that were asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    pub(crate) functions: Vec<FunctionInfo>,
    /// Where the next page begins; `None` if this is the last one.
    pub(crate) next: Option<usize>,
}

/// Compiles a pattern within bounds of size; `None` for the empty one, which everything matches.
pub(crate) fn compile(pattern: &str) -> Result<Option<Regex>, String> {
    if pattern.is_empty() {
        return Ok(None);
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "the pattern is longer than {PATTERN_BYTES_MAX} bytes"
        ));
    }
    let compiled = RegexBuilder::new(pattern)
        .size_limit(PROGRAM_BYTES_MAX)
        .dfa_size_limit(PROGRAM_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build();
    compiled.map(Some).map_err(|error| error.to_string())
}

/// The functions from a place on that match. A page ends when it is full, when the message would
/// become too long, and at the deadline; so it may hold less than was asked for, or nothing.
pub(crate) fn page(
    index: &Index,
    pattern: Option<&Regex>,
    start: usize,
    len_max: usize,
    deadline: Instant,
) -> Page {
    let mut functions = Vec::new();
    let mut bytes = 0;
    for at in start..index.len() {
        let is_late = at % NAMES_PER_CLOCK_LOOK == 0 && at > start && Instant::now() >= deadline;
        if is_late || functions.len() == len_max {
            return Page {
                functions,
                next: Some(at),
            };
        }
        if pattern.is_some_and(|pattern| !pattern.is_match(index.name(at))) {
            continue;
        }
        let info = index.info(at);
        bytes += info.name.len() + info.file.len() + FUNCTION_BYTES_MAX;
        if bytes > PAGE_BYTES_MAX {
            return Page {
                functions,
                next: Some(at),
            };
        }
        functions.push(info);
    }
    Page {
        functions,
        next: None,
    }
}
