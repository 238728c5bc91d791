//! The inlined calls of a Go program, from its own table: stripped or not.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use coral_model::Pattern;

use super::gopclntab::frames::{GoCode, GoFrames, InlinedCall};
use super::image::Image;
use super::inlined::InlinedCode;

/// Calls are not inlined into each other deeper than this.
const DEPTH_MAX: usize = 256;

/// The inlined calls of functions that the pattern selects, until the deadline; no more than `max`.
pub(super) fn find(
    go: &GoFrames,
    image: &Image,
    pattern: &Pattern,
    max: usize,
    deadline: Instant,
) -> Vec<InlinedCode> {
    let mut search = Search {
        go,
        image,
        pattern,
        selected: HashMap::new(),
        found: Vec::new(),
    };
    for code in go.functions() {
        if search.found.len() >= max || Instant::now() >= deadline {
            break;
        }
        search.add_calls_in(&code);
    }
    search.found.truncate(max);
    search.found
}

struct Search<'a> {
    go: &'a GoFrames,
    image: &'a Image,
    pattern: &'a Pattern,
    /// Whether the pattern selects a name.
    selected: HashMap<u32, bool>,
    found: Vec<InlinedCode>,
}

/// A call in one function, with the code of it and of the calls that were inlined into it.
struct Call {
    call: InlinedCall,
    parent: Option<u32>,
    code: Vec<Range<u64>>,
    /// A place in its own code.
    own: Option<u64>,
}

impl Search<'_> {
    fn add_calls_in(&mut self, code: &GoCode<'_>) {
        let mut calls: HashMap<u32, Option<Call>> = HashMap::new();
        for (range, index) in code.inline_indices() {
            let mut next = Some(index);
            let mut depth = 0;
            while let Some(index) = next.filter(|_| depth < DEPTH_MAX) {
                let call = calls.entry(index).or_insert_with(|| self.call(code, index));
                let Some(call) = call else { break };
                if depth == 0 {
                    call.own.get_or_insert(range.start);
                }
                call.code.push(range.clone());
                next = call.parent;
                depth += 1;
            }
        }
        let mut calls: Vec<_> = calls.into_iter().collect();
        calls.sort_unstable_by_key(|(index, _)| *index);
        for call in calls.into_iter().filter_map(|(_, call)| call) {
            if self.is_selected(call.call.name) {
                self.add(code, call);
            }
        }
    }

    fn call(&self, code: &GoCode<'_>, index: u32) -> Option<Call> {
        let call = code.inlined_call(self.image, index)?;
        Some(Call {
            call,
            parent: code
                .inline_index(call.mark)
                .filter(|&parent| parent != index),
            code: Vec::new(),
            own: None,
        })
    }

    fn is_selected(&mut self, name: u32) -> bool {
        let (go, pattern) = (self.go, self.pattern);
        let matches = || go.name(name).is_some_and(|name| pattern.matches(&name));
        *self.selected.entry(name).or_insert_with(matches)
    }

    fn add(&mut self, code: &GoCode<'_>, call: Call) {
        let mark = call.call.mark;
        let name = self.go.name(call.call.name).unwrap_or_default();
        let absolute = |range: Range<u64>| code.start + range.start..code.start + range.end;
        self.found.push(InlinedCode {
            name: name.into_owned(),
            file: call.own.and_then(|own| code.file(own)).map(str::to_owned),
            line: call.call.start_line,
            call_file: code.file(mark).map(str::to_owned),
            call_line: code.line(mark),
            code: call.code.into_iter().map(absolute).collect(),
            may_be_copied: false,
            entry: None,
        });
    }
}
