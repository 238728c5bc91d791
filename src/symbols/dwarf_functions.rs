//! Functions from `.debug_info`: all of them, for files whose symbol table was removed but not
//! their DWARF; and where each is declared, for all files.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use super::dwarf_entries::{Subprogram, visit_subprograms};
use super::image::Image;

/// A function with code of its own.
#[derive(Debug)]
pub(super) struct DwarfFunction {
    /// The mangled name where there is one.
    pub(super) name: String,
    pub(super) range: Range<u64>,
    /// Further ranges, such as a part that is rarely executed.
    pub(super) cold: Vec<Range<u64>>,
}

/// Where functions are declared in the source.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    pub(super) files: Vec<String>,
    /// By the address of the function's first instruction: an index of `files`, and the line.
    pub(super) places: HashMap<u64, (usize, u32)>,
}

/// Reads all functions, or as many as can be read until the deadline; one for each address.
pub(super) fn read(image: &Image, deadline: Instant) -> Vec<DwarfFunction> {
    let mut functions = Vec::new();
    visit_subprograms(image, deadline, |subprogram| {
        let mut ranges = ranges(subprogram);
        if let Some(name) = (!ranges.is_empty()).then(|| name(subprogram)).flatten() {
            functions.push(DwarfFunction {
                name,
                range: ranges.remove(0),
                cold: ranges,
            });
        }
    });
    functions.sort_by_key(|function| function.range.start);
    functions.dedup_by_key(|function| function.range.start);
    functions
}

/// Reads where functions are declared, of as many as can be read until the deadline.
///
/// The line table tells only where the first instruction comes from: in optimised code that is
/// often another function, which was inlined.
pub(super) fn declarations(image: &Image, deadline: Instant) -> Declarations {
    let mut declarations = Declarations::default();
    let mut known = HashMap::new();
    visit_subprograms(image, deadline, |subprogram| {
        let Some(range) = ranges(subprogram).into_iter().next() else {
            return;
        };
        let Some((file, line)) = place(subprogram) else {
            return;
        };
        let unit = subprogram.unit.header.offset();
        let index = *known.entry((unit, file)).or_insert_with(|| {
            let path = path(subprogram, file)?;
            declarations.files.push(path);
            Some(declarations.files.len() - 1)
        });
        if let Some(index) = index {
            declarations.places.insert(range.start, (index, line));
        }
    });
    declarations
}

pub(super) fn ranges(subprogram: &Subprogram<'_, '_>) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let found = subprogram
        .dwarf
        .die_ranges(subprogram.unit, subprogram.entry);
    if let Ok(mut found) = found {
        while let Ok(Some(range)) = found.next() {
            // The linker leaves removed functions at address 0.
            if range.begin != 0 && range.begin < range.end {
                ranges.push(range.begin..range.end);
            }
        }
    }
    ranges
}

/// A function's name: its own linkage name, or that of its declaration, or its plain one.
pub(super) fn name(subprogram: &Subprogram<'_, '_>) -> Option<String> {
    let text = |subprogram: &Subprogram<'_, '_>, attribute| {
        let value = subprogram.entry.attr_value(attribute)?;
        let text = subprogram.dwarf.attr_string(subprogram.unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    };
    subprogram
        .find(&|subprogram| {
            [gimli::DW_AT_linkage_name, gimli::DW_AT_MIPS_linkage_name]
                .into_iter()
                .find_map(|attribute| text(subprogram, attribute))
        })
        .or_else(|| subprogram.find(&|subprogram| text(subprogram, gimli::DW_AT_name)))
}

/// The number of the file, and the line. A definition that stands in the file of its declaration
/// may tell the line alone, so each is looked for by itself.
pub(super) fn place(subprogram: &Subprogram<'_, '_>) -> Option<(u64, u32)> {
    let file = subprogram.find(&|subprogram| match subprogram
        .entry
        .attr_value(gimli::DW_AT_decl_file)?
    {
        gimli::AttributeValue::FileIndex(index) => Some(index),
        value => value.udata_value(),
    })?;
    let line = subprogram.find(&|subprogram| {
        let line = subprogram.entry.attr_value(gimli::DW_AT_decl_line)?;
        u32::try_from(line.udata_value()?).ok()
    })?;
    Some((file, line))
}

/// The path of a file of the entry's unit.
pub(super) fn path(subprogram: &Subprogram<'_, '_>, file: u64) -> Option<String> {
    let (dwarf, unit) = (subprogram.dwarf, subprogram.unit);
    let header = unit.line_program.as_ref()?.header();
    let entry = header.file(file)?;
    let text = |value| {
        let text = dwarf.attr_string(unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    };
    let base = unit.comp_dir.as_ref();
    let base = base.map_or_else(String::new, |base| base.to_string_lossy().into_owned());
    let directory = entry.directory(header).and_then(text).unwrap_or_default();
    // An absolute part replaces those before it.
    let path = Path::new(&base)
        .join(directory)
        .join(text(entry.path_name())?);
    Some(path.to_string_lossy().into_owned())
}
