//! Where functions are declared in the source, as `.debug_info` tells.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, DwarfSections, EndianSlice, NativeEndian,
    Unit,
};

use super::elf::Elf;

/// Debug information that is longer than this together is not read: a hint is not worth it.
const DWARF_BYTES_MAX: u64 = 64 << 20;
const PATH_BYTES_MAX: usize = 4096;
/// An attribute may be behind so many references.
const REFERENCES_MAX: usize = 4;

type Reader<'d> = EndianSlice<'d, NativeEndian>;
type Entry<'d> = DebuggingInformationEntry<Reader<'d>>;

/// Files, and by the address of a function which of them it is in, and the line.
#[derive(Default)]
pub(crate) struct Declarations {
    pub(crate) files: Vec<String>,
    pub(crate) places: HashMap<u64, (u32, u32)>,
}

/// Reads as many declarations as can be read until the deadline. Without debug information, or
/// with damaged one, there are just fewer.
pub(crate) fn read(elf: &Elf<'_>, deadline: Instant) -> Declarations {
    let mut declarations = Declarations::default();
    let mut bytes_left = DWARF_BYTES_MAX;
    let load = |id: gimli::SectionId| {
        let Some(section) = elf.section(id.name()) else {
            return Ok(Vec::new());
        };
        let bytes = elf.section_bytes(section, bytes_left).map_err(drop)?;
        let is_whole = bytes.len() as u64 == section.sh_size.get(object::NativeEndian);
        let is_compressed = section
            .sh_flags
            .get(object::NativeEndian)
            .contains(object::elf::SHF_COMPRESSED);
        bytes_left -= bytes.len() as u64;
        if is_whole && !is_compressed {
            Ok(bytes)
        } else {
            Err(())
        }
    };
    let Ok(sections) = DwarfSections::load(load) else {
        return declarations;
    };
    let dwarf = sections.borrow(|section| EndianSlice::new(section, NativeEndian));
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if Instant::now() >= deadline {
            break;
        }
        if let Ok(unit) = dwarf.unit(header) {
            // What a damaged unit told before the damage is kept.
            let _damaged = read_unit(&dwarf, &unit, &mut declarations);
        }
    }
    declarations
}

fn read_unit<'d>(
    dwarf: &Dwarf<Reader<'d>>,
    unit: &Unit<Reader<'d>>,
    declarations: &mut Declarations,
) -> gimli::Result<()> {
    let mut known = HashMap::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if entry.tag() != gimli::DW_TAG_subprogram {
            continue;
        }
        let Some(AttributeValue::Addr(address)) = entry.attr_value(gimli::DW_AT_low_pc) else {
            continue;
        };
        let (Some(file), Some(line)) = (
            find(unit, entry, gimli::DW_AT_decl_file),
            find(unit, entry, gimli::DW_AT_decl_line),
        ) else {
            continue;
        };
        let index = *known.entry(file).or_insert_with(|| {
            let path = path(dwarf, unit, file).filter(|path| path.len() <= PATH_BYTES_MAX)?;
            declarations.files.push(path);
            u32::try_from(declarations.files.len() - 1).ok()
        });
        if let (Some(index), Ok(line)) = (index, u32::try_from(line)) {
            declarations.places.insert(address, (index, line));
        }
    }
    Ok(())
}

/// A number that stands in the entry, or in the declaration that it refers to.
fn find<'d>(unit: &Unit<Reader<'d>>, entry: &Entry<'d>, attribute: gimli::DwAt) -> Option<u64> {
    let mut referred: Option<Entry<'d>> = None;
    for _ in 0..=REFERENCES_MAX {
        let entry = referred.as_ref().unwrap_or(entry);
        match entry.attr_value(attribute) {
            Some(AttributeValue::FileIndex(index)) => return Some(index),
            Some(value) => return value.udata_value(),
            None => {}
        }
        let reference = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification]
            .into_iter()
            .find_map(|attribute| entry.attr_value(attribute))?;
        let AttributeValue::UnitRef(offset) = reference else {
            return None;
        };
        referred = Some(unit.entry(offset).ok()?);
    }
    None
}

fn path(dwarf: &Dwarf<Reader<'_>>, unit: &Unit<Reader<'_>>, file: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let entry = header.file(file)?;
    let text = |value| {
        Some(
            dwarf
                .attr_string(unit, value)
                .ok()?
                .to_string_lossy()
                .into_owned(),
        )
    };
    let base = unit
        .comp_dir
        .as_ref()
        .map(|base| base.to_string_lossy().into_owned());
    let folder = entry.directory(header).and_then(text).unwrap_or_default();
    // An absolute part replaces those before it.
    let path = Path::new(&base.unwrap_or_default())
        .join(folder)
        .join(text(entry.path_name())?);
    Some(path.to_string_lossy().into_owned())
}
