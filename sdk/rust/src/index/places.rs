//! Where functions are in the source: where they are declared, as `.debug_info` tells; and where it
//! does not, as in programs with line tables only, where their first instruction comes from.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, DwarfSections, EndianSlice, NativeEndian,
    Unit,
};

use super::IndexError;
use super::elf::Elf;

/// Debug information that is longer than this together is not read: a hint is not worth it.
const DWARF_BYTES_MAX: u64 = 64 << 20;
const PATH_BYTES_MAX: usize = 4096;
/// An attribute may be behind so many references.
const REFERENCES_MAX: usize = 4;
/// After how many rows of a line table the clock is looked at.
const ROWS_PER_CLOCK_LOOK: u32 = 1 << 16;
const ENTRIES_PER_CLOCK_LOOK: u32 = 1 << 12;

type Reader<'d> = EndianSlice<'d, NativeEndian>;
type Entry<'d> = DebuggingInformationEntry<Reader<'d>>;

/// Files, and by the address of a function which of them it is in, and the line.
#[derive(Default)]
pub(super) struct Places {
    pub(super) files: Vec<String>,
    pub(super) by_address: HashMap<u64, (u32, u32)>,
}

/// Looks for the places of functions, whose addresses ascend, until the deadline. Without debug
/// information, or with damaged one, there are just fewer.
pub(super) fn read(elf: &Elf<'_>, wanted: &[u64], deadline: Instant) -> Places {
    let mut places = Places::default();
    let mut bytes_left = DWARF_BYTES_MAX;
    let Ok(sections) = DwarfSections::load(|id| section(elf, id.name(), &mut bytes_left)) else {
        return places;
    };
    let dwarf = sections.borrow(|section| EndianSlice::new(section, NativeEndian));
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if Instant::now() >= deadline {
            break;
        }
        if let Ok(unit) = dwarf.unit(header) {
            let mut search = UnitSearch {
                dwarf: &dwarf,
                unit: &unit,
                files: HashMap::new(),
                places: &mut places,
            };
            // What a damaged unit told before the damage is kept.
            let _damaged = search.read_declarations(deadline);
            let _damaged = search.read_lines(wanted, deadline);
        }
    }
    places
}

/// A section as it stands in the file; an error if it is compressed or longer than what is left.
fn section(elf: &Elf<'_>, name: &str, bytes_left: &mut u64) -> Result<Vec<u8>, IndexError> {
    let Some(section) = elf.section(name) else {
        return Ok(Vec::new());
    };
    let len = section.sh_size.get(object::NativeEndian);
    let flags = section.sh_flags.get(object::NativeEndian);
    let is_compressed = flags.contains(object::elf::SHF_COMPRESSED);
    *bytes_left = bytes_left
        .checked_sub(len)
        .filter(|_| !is_compressed)
        .ok_or(IndexError::NotSupported)?;
    elf.section_bytes(section, len)
}

struct UnitSearch<'a, 'd> {
    dwarf: &'a Dwarf<Reader<'d>>,
    unit: &'a Unit<Reader<'d>>,
    /// From the unit's numbers of files to those of all places.
    files: HashMap<u64, Option<u32>>,
    places: &'a mut Places,
}

impl UnitSearch<'_, '_> {
    fn read_declarations(&mut self, deadline: Instant) -> gimli::Result<()> {
        let (dwarf, unit) = (self.dwarf, self.unit);
        let mut entries = unit.entries();
        let mut entry_count = 0_u32;
        while let Some(entry) = entries.next_dfs()? {
            entry_count = entry_count.wrapping_add(1);
            if entry_count.is_multiple_of(ENTRIES_PER_CLOCK_LOOK) && Instant::now() >= deadline {
                return Ok(());
            }
            if entry.tag() != gimli::DW_TAG_subprogram {
                continue;
            }
            let address = entry
                .attr_value(gimli::DW_AT_low_pc)
                .and_then(|value| dwarf.attr_address(unit, value).ok()?);
            let file = find(unit, entry, gimli::DW_AT_decl_file);
            let line = find(unit, entry, gimli::DW_AT_decl_line);
            if let (Some(address), Some(file), Some(line)) = (address, file, line) {
                self.add(address, file, line);
            }
        }
        Ok(())
    }

    fn read_lines(&mut self, wanted: &[u64], deadline: Instant) -> gimli::Result<()> {
        let Some(program) = self.unit.line_program.clone() else {
            return Ok(());
        };
        let mut rows = program.rows();
        let mut sequence_start = None;
        let mut row_count = 0_u32;
        while let Some((_, row)) = rows.next_row()? {
            row_count = row_count.wrapping_add(1);
            if row_count.is_multiple_of(ROWS_PER_CLOCK_LOOK) && Instant::now() >= deadline {
                return Ok(());
            }
            if row.end_sequence() {
                sequence_start = None;
                continue;
            }
            // The linker leaves the rows of removed functions at address 0.
            let is_dead = *sequence_start.get_or_insert(row.address()) == 0;
            let Some(line) = row.line().filter(|_| !is_dead) else {
                continue;
            };
            if wanted.binary_search(&row.address()).is_ok() {
                self.add(row.address(), row.file_index(), line.get());
            }
        }
        Ok(())
    }

    /// Keeps a place; the first one of a function counts.
    fn add(&mut self, address: u64, file: u64, line: u64) {
        let (dwarf, unit) = (self.dwarf, self.unit);
        let all_files = &mut self.places.files;
        let file = *self.files.entry(file).or_insert_with(|| {
            let path = path(dwarf, unit, file).filter(|path| path.len() <= PATH_BYTES_MAX)?;
            all_files.push(path);
            u32::try_from(all_files.len() - 1).ok()
        });
        if let (Some(file), Ok(line)) = (file, u32::try_from(line)) {
            self.places
                .by_address
                .entry(address)
                .or_insert((file, line));
        }
    }
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
