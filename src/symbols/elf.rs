//! The headers of an ELF file: which bytes of it lie where in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use object::elf;

use super::SymbolError;
use super::bytes::{c_string_at, slice_at, u16_at, u32_at, u64_at};

/// More segments or sections than any linker writes; headers that claim more are damaged.
const SEGMENTS_MAX: u64 = 4096;
const SECTIONS_MAX: u64 = 65_536;
const SECTION_NAMES_BYTES_MAX: u64 = 16 << 20;
const SECTION_NAME_LEN_MAX: usize = 256;

/// A part of the file that the loader maps.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) address: u64,
    pub(super) offset: u64,
    /// Its length in the file; the rest of it in memory is zero.
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// A part of the file that the linker named.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// The index of the section that this one belongs to, such as the names of its symbols.
    pub(super) link: u32,
}

/// What the headers of a file say.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) machine: u16,
    pub(super) segments: Vec<Segment>,
    /// Empty if the section headers were removed or lie beyond the end of the file.
    pub(super) sections: Vec<Section>,
}

impl Headers {
    pub(super) fn read(file: &File, path: &str) -> Result<Self, SymbolError> {
        let corrupt = |what| SymbolError::Corrupt {
            path: path.to_owned(),
            what,
        };
        let not_elf = || SymbolError::NotElf {
            path: path.to_owned(),
        };
        let header = read_at(file, 0, 64).ok_or_else(not_elf)?;
        if header[..4] != elf::ELFMAG {
            return Err(not_elf());
        }
        if header[4] != elf::ELFCLASS64.0 {
            return Err(SymbolError::Not64Bit {
                path: path.to_owned(),
            });
        }
        let machine = u16_at(&header, 18).unwrap_or(0);
        if header[5] != elf::ELFDATA2LSB.0 {
            return Err(SymbolError::ForeignArchitecture {
                path: path.to_owned(),
                machine: machine.swap_bytes(),
            });
        }
        let segments = read_segments(file, &header)
            .ok_or_else(|| corrupt("its segment headers lie beyond its end"))?;
        let sections = read_sections(file, &header).unwrap_or_default();
        Ok(Self {
            machine,
            segments,
            sections,
        })
    }

    /// The segment whose bytes in the file hold this whole range of addresses.
    pub(super) fn segment(&self, address: u64, len: u64) -> Option<&Segment> {
        let end = address.checked_add(len)?;
        self.segments.iter().find(|segment| {
            segment.kind == elf::PT_LOAD.0
                && segment.address <= address
                && segment
                    .address
                    .checked_add(segment.size)
                    .is_some_and(|segment_end| address < segment_end && end <= segment_end)
        })
    }
}

/// Bytes of a file; `None` if there are none to read or it does not have them all.
pub(super) fn read_at(file: &File, offset: u64, len: usize) -> Option<Vec<u8>> {
    // A size that is a lie must not cost memory: the last byte is there if all are.
    let last = offset.checked_add(len.checked_sub(1)? as u64)?;
    file.read_exact_at(&mut [0], last).ok()?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn read_segments(file: &File, header: &[u8]) -> Option<Vec<Segment>> {
    let (offset, entry_size) = (u64_at(header, 32)?, u64::from(u16_at(header, 54)?));
    let count = u64::from(u16_at(header, 56)?);
    if count > SEGMENTS_MAX || (count > 0 && entry_size < 56) {
        return None;
    }
    let table = read_at(file, offset, (count * entry_size) as usize)?;
    (0..count)
        .map(|index| {
            let entry = slice_at(&table, index * entry_size, 56)?;
            Some(Segment {
                kind: u32_at(entry, 0)?,
                executable: u32_at(entry, 4)? & elf::PF_X.0 != 0,
                offset: u64_at(entry, 8)?,
                address: u64_at(entry, 16)?,
                size: u64_at(entry, 32)?,
            })
        })
        .collect()
}

fn read_sections(file: &File, header: &[u8]) -> Option<Vec<Section>> {
    let (offset, entry_size) = (u64_at(header, 40)?, u64::from(u16_at(header, 58)?));
    if offset == 0 || entry_size < 64 {
        return None;
    }
    let mut count = u64::from(u16_at(header, 60)?);
    let mut names_index = u32::from(u16_at(header, 62)?);
    // Numbers that do not fit the header stand in the first entry of the table.
    let first = read_at(file, offset, 64)?;
    if count == 0 {
        count = u64_at(&first, 32)?;
    }
    if names_index == u32::from(elf::SHN_XINDEX.0) {
        names_index = u32_at(&first, 40)?;
    }
    if count > SECTIONS_MAX {
        return None;
    }
    let table = read_at(file, offset, usize::try_from(count * entry_size).ok()?)?;
    let entry = |index: u64| slice_at(&table, index.checked_mul(entry_size)?, 64);
    let names = entry(u64::from(names_index))
        .and_then(|entry| {
            let len = u64_at(entry, 32)?.min(SECTION_NAMES_BYTES_MAX);
            read_at(file, u64_at(entry, 24)?, usize::try_from(len).ok()?)
        })
        .unwrap_or_default();
    (0..count)
        .map(|index| read_section(entry(index)?, &names))
        .collect()
}

fn read_section(entry: &[u8], names: &[u8]) -> Option<Section> {
    let name_offset = u64::from(u32_at(entry, 0)?);
    let name = c_string_at(names, name_offset, SECTION_NAME_LEN_MAX).unwrap_or_default();
    Some(Section {
        name: String::from_utf8_lossy(name).into_owned(),
        kind: u32_at(entry, 4)?,
        flags: u64_at(entry, 8)?,
        address: u64_at(entry, 16)?,
        offset: u64_at(entry, 24)?,
        size: u64_at(entry, 32)?,
        link: u32_at(entry, 40)?,
    })
}
