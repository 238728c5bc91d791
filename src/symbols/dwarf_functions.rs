//! Functions from `.debug_info`, for files whose symbol table was removed but not their DWARF.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, SectionId, Unit,
};

use super::dwarf_units::Reader;
use super::image::Image;

/// All DWARF sections together may be this long; of more, nothing is read.
const DWARF_BYTES_MAX: u64 = 128 << 20;
/// A name may be behind so many references.
const REFERENCES_MAX: u32 = 4;

/// A function with code of its own.
#[derive(Debug)]
pub(super) struct DwarfFunction {
    /// The mangled name where there is one.
    pub(super) name: String,
    pub(super) range: Range<u64>,
    /// Further ranges, such as a part that is rarely executed.
    pub(super) cold: Vec<Range<u64>>,
}

/// Reads all functions, or as many as can be read until the deadline; one for each address.
pub(super) fn read(image: &Image, deadline: Instant) -> Vec<DwarfFunction> {
    let mut functions = read_sections(image, deadline).unwrap_or_default();
    functions.sort_by_key(|function| function.range.start);
    functions.dedup_by_key(|function| function.range.start);
    functions
}

fn read_sections(image: &Image, deadline: Instant) -> Option<Vec<DwarfFunction>> {
    let named = || {
        let sections = &image.headers().sections;
        sections
            .iter()
            .filter(|section| section.name.starts_with(".debug_"))
    };
    let total: u64 = named()
        .map(|section| section.size)
        .fold(0, u64::saturating_add);
    if total > DWARF_BYTES_MAX {
        return None;
    }
    let sections: HashMap<&str, Vec<u8>> = named()
        .filter_map(|section| Some((section.name.as_str(), image.section_bytes(section)?)))
        .collect();
    let dwarf = Dwarf::load(|id: SectionId| {
        let bytes = sections.get(id.name()).map_or(&[][..], Vec::as_slice);
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    })
    .ok()?;
    let mut functions = Vec::new();
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if Instant::now() >= deadline {
            break;
        }
        // What a damaged unit told before the damage is kept.
        if let Ok(unit) = dwarf.unit(header) {
            let _damaged = read_unit(&dwarf, &unit, &mut functions);
        }
    }
    Some(functions)
}

fn read_unit(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    functions: &mut Vec<DwarfFunction>,
) -> gimli::Result<()> {
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if entry.tag() != gimli::DW_TAG_subprogram {
            continue;
        }
        let mut ranges = Vec::new();
        let mut found = dwarf.die_ranges(unit, entry)?;
        while let Some(range) = found.next()? {
            // The linker leaves removed functions at address 0.
            if range.begin != 0 && range.begin < range.end {
                ranges.push(range.begin..range.end);
            }
        }
        if ranges.is_empty() {
            continue;
        }
        if let Some(name) = name(dwarf, unit, entry, REFERENCES_MAX) {
            functions.push(DwarfFunction {
                name,
                range: ranges.remove(0),
                cold: ranges,
            });
        }
    }
    Ok(())
}

/// A function's name: its own, or that of its declaration.
fn name(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    entry: &DebuggingInformationEntry<Reader<'_>>,
    references_left: u32,
) -> Option<String> {
    let own = [gimli::DW_AT_linkage_name, gimli::DW_AT_MIPS_linkage_name]
        .into_iter()
        .find_map(|attribute| entry.attr_value(attribute));
    let text = |value| {
        let text = dwarf.attr_string(unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    };
    let referred = || {
        let reference = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification]
            .into_iter()
            .find_map(|attribute| entry.attr_value(attribute))?;
        let AttributeValue::UnitRef(offset) = reference else {
            return None;
        };
        let declaration = unit.entry(offset).ok()?;
        name(dwarf, unit, &declaration, references_left.checked_sub(1)?)
    };
    own.and_then(text)
        .or_else(referred)
        .or_else(|| text(entry.attr_value(gimli::DW_AT_name)?))
}
