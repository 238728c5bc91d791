//! Single calls that are too large for a message: what can be cut of them so that it shows.

use std::cmp::Reverse;

use prost::Message;

use super::text::{TRUNCATED, cut};
use crate::agent::v1 as wire;

/// To how many bytes texts are cut, until the call fits.
const TEXTS_BYTES: [usize; 3] = [16 << 10, 1 << 10, 128];
/// How many values of a call, and callers of one in flight, stay where texts alone did not do.
const VALUES_MAX: usize = 64;
const CALLERS_MAX: usize = 1_024;

/// Cuts texts, then the calls inside and the stack, until no more than so many bytes are left.
pub(super) fn fit_record(call: &mut wire::CallRecord, bytes_max: usize) {
    for text_bytes_max in TEXTS_BYTES {
        if call.encoded_len() <= bytes_max {
            return;
        }
        let inner = call.inner.iter_mut().flat_map(|inner| &mut inner.calls);
        let inner = inner.flat_map(|call| call.arguments.iter_mut().chain(&mut call.results));
        let values = call.arguments.iter_mut().chain(&mut call.results);
        values.chain(inner).for_each(|value| {
            cut_in_place(&mut value.name, text_bytes_max);
            cut_in_place(&mut value.type_name, text_bytes_max);
            cut_in_place(&mut value.value, text_bytes_max);
        });
        cut_frames(&mut call.stack, text_bytes_max);
    }
    while call.encoded_len() > bytes_max {
        let inner = call.inner.as_mut();
        let inner = inner.filter(|inner| !inner.calls.is_empty());
        match inner {
            Some(inner) => keep_longest(inner, inner.calls.len() / 2),
            None if halve(&mut call.stack) => {}
            None => {
                call.arguments.truncate(VALUES_MAX);
                call.results.truncate(VALUES_MAX);
                return;
            }
        }
    }
}

/// Cuts texts, then the stack, until no more than so many bytes are left.
pub(super) fn fit_in_flight(call: &mut wire::InFlightCall, bytes_max: usize) {
    for text_bytes_max in TEXTS_BYTES {
        if call.encoded_len() <= bytes_max {
            return;
        }
        cut_frames(&mut call.stack, text_bytes_max);
    }
    while call.encoded_len() > bytes_max && halve(&mut call.stack) {}
    if call.encoded_len() > bytes_max {
        call.callers.truncate(CALLERS_MAX);
    }
}

/// Leaves the shortest calls out. What they took themselves is missing then, so that all times
/// still add up; none is left out that a longer one lies in, because its parent is no shorter.
fn keep_longest(inner: &mut wire::InnerCalls, count: usize) {
    let mut places: Vec<usize> = (0..inner.calls.len()).collect();
    places.sort_by_key(|&place| Reverse(inner.calls[place].duration_ns));
    let mut is_kept = vec![false; inner.calls.len()];
    places[..count]
        .iter()
        .for_each(|&place| is_kept[place] = true);
    let mut is_kept = is_kept.into_iter();
    inner.calls.retain(|call| {
        let is_kept = is_kept.next().unwrap_or_default();
        if !is_kept {
            inner.left_out += 1;
            inner.missing_ns = inner.missing_ns.saturating_add(call.self_ns);
        }
        is_kept
    });
}

/// Leaves the outer half of a stack out and says so; `false` where nothing is left to leave out.
fn halve(stack: &mut Vec<wire::StackFrame>) -> bool {
    if stack.len() < 2 {
        return false;
    }
    stack.truncate(stack.len() / 2);
    if let Some(last) = stack.last_mut() {
        *last = wire::StackFrame {
            function: TRUNCATED.to_owned(),
            ..Default::default()
        };
    }
    true
}

fn cut_frames(stack: &mut [wire::StackFrame], bytes_max: usize) {
    for frame in stack {
        cut_in_place(&mut frame.function, bytes_max);
        if let Some(file) = &mut frame.file {
            cut_in_place(file, bytes_max);
        }
    }
}

fn cut_in_place(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max + TRUNCATED.len() {
        *text = cut(text, bytes_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(depth: u32, duration_ns: u64, self_ns: u64) -> wire::InnerCall {
        wire::InnerCall {
            depth,
            duration_ns,
            self_ns,
            ..Default::default()
        }
    }

    fn frame(function: &str) -> wire::StackFrame {
        wire::StackFrame {
            function: function.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn what_fits_is_not_touched() {
        let mut call = wire::CallRecord {
            stack: vec![frame("main.main")],
            ..Default::default()
        };
        let before = call.clone();
        fit_record(&mut call, before.encoded_len());
        assert_eq!(call, before);
    }

    #[test]
    fn the_longest_calls_inside_stay_and_all_times_add_up() {
        let mut calls = wire::InnerCalls {
            calls: vec![inner(1, 50, 20), inner(2, 30, 30), inner(1, 40, 40)],
            self_ns: 10,
            ..Default::default()
        };
        keep_longest(&mut calls, 2);
        assert_eq!(calls.calls, [inner(1, 50, 20), inner(1, 40, 40)]);
        assert_eq!((calls.left_out, calls.missing_ns), (1, 30));
    }

    #[test]
    fn a_call_of_many_megabytes_fits() {
        let name = "n".repeat(64 << 10);
        let value = wire::CallValue {
            name: name.clone(),
            type_name: name.clone(),
            value: name.clone(),
        };
        let mut call = wire::CallRecord {
            arguments: vec![value; 20],
            stack: vec![frame(&name); 100],
            inner: Some(wire::InnerCalls {
                calls: vec![inner(1, 1_000_000, 1_000_000); 50_000],
                ..Default::default()
            }),
            ..Default::default()
        };
        fit_record(&mut call, 100_000);
        assert!(call.encoded_len() <= 100_000, "{}", call.encoded_len());
        assert!(call.stack[0].function.ends_with(TRUNCATED));
        let inner = call.inner.unwrap();
        assert_eq!(inner.left_out + inner.calls.len() as u64, 50_000);
        assert_eq!(inner.missing_ns, inner.left_out * 1_000_000);
    }

    #[test]
    fn a_stack_that_is_cut_says_so() {
        let mut call = wire::InFlightCall {
            stack: vec![frame("main.recursion"); 1_000],
            ..Default::default()
        };
        fit_in_flight(&mut call, 2_000);
        assert!(call.encoded_len() <= 2_000);
        assert_eq!(call.stack[0], frame("main.recursion"));
        assert_eq!(call.stack.last(), Some(&frame(TRUNCATED)));
    }
}
