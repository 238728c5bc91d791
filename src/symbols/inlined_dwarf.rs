//! The inlined calls that DWARF tells of: `DW_TAG_inlined_subroutine`.

use std::time::Instant;

use coral_model::{Language, Pattern};
use gimli::AttributeValue;

use super::demangle::demangle;
use super::dwarf_entries::{Subprogram, visit_tagged};
use super::dwarf_functions::{name, path, place, ranges};
use super::image::Image;
use super::inlined::InlinedCode;

/// The inlined calls of functions that the pattern selects, until the deadline; no more than `max`.
pub(super) fn find(
    image: &Image,
    pattern: &Pattern,
    max: usize,
    deadline: Instant,
) -> Vec<InlinedCode> {
    let mut found = Vec::new();
    visit_tagged(image, gimli::DW_TAG_inlined_subroutine, deadline, |call| {
        if found.len() < max {
            found.extend(read(call, pattern));
        }
    });
    found
}

fn read(call: &Subprogram<'_, '_>, pattern: &Pattern) -> Option<InlinedCode> {
    let code = ranges(call);
    let mangled = name(call).filter(|_| !code.is_empty())?;
    let (name, _) = demangle(&mangled, Language::Unknown);
    if !pattern.matches(&name) {
        return None;
    }
    let (file, line) = place(call).unzip();
    let number = |attribute| match call.entry.attr_value(attribute)? {
        AttributeValue::FileIndex(index) => Some(index),
        value => value.udata_value(),
    };
    let line_number = |attribute| {
        let line = u32::try_from(number(attribute)?).ok()?;
        (line > 0).then_some(line)
    };
    Some(InlinedCode {
        name: name.into_owned(),
        file: file.and_then(|file| path(call, file)),
        line,
        call_file: number(gimli::DW_AT_call_file).and_then(|file| path(call, file)),
        call_line: line_number(gimli::DW_AT_call_line),
        may_be_copied: true,
        entry: entry(call, code.first()?.start),
        code,
    })
}

/// Where the compiler says that the call begins: an address, or an offset from its lowest one.
fn entry(call: &Subprogram<'_, '_>, start: u64) -> Option<u64> {
    match call.entry.attr_value(gimli::DW_AT_entry_pc)? {
        AttributeValue::Addr(address) => Some(address),
        value => call
            .dwarf
            .attr_address(call.unit, value)
            .ok()
            .flatten()
            .or_else(|| start.checked_add(value.udata_value()?)),
    }
}
