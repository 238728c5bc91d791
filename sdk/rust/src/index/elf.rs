//! The executable's headers and sections, read by position: a mapping would end the application
//! with SIGBUS if the file were cut.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use object::NativeEndian as Native;
use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};
use object::pod::{Pod, from_bytes, slice_from_all_bytes};

use super::IndexError;

/// Tables of headers are at most so long.
const HEADERS_BYTES_MAX: u64 = 8 << 20;
const NOTES_BYTES_MAX: u64 = 64 << 10;
const BUILD_ID_NOTE: u32 = 3;

type Segment = ProgramHeader64<Native>;
type Section = SectionHeader64<Native>;

/// The parts of an ELF file of this machine's own kind that tell where the rest is.
pub(crate) struct Elf<'a> {
    file: &'a File,
    file_len: u64,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    section_names: Vec<u8>,
}

impl<'a> Elf<'a> {
    pub(crate) fn read(file: &'a File) -> Result<Self, IndexError> {
        let file_len = file.metadata()?.len();
        let mut elf = Self {
            file,
            file_len,
            segments: Vec::new(),
            sections: Vec::new(),
            section_names: Vec::new(),
        };
        let bytes = elf.bytes_at(
            0,
            size_of::<FileHeader64<Native>>() as u64,
            HEADERS_BYTES_MAX,
        )?;
        let header = from_bytes::<FileHeader64<Native>>(&bytes)
            .map_err(|()| IndexError::Damaged("the file header"))?
            .0;
        let is_native = cfg!(target_endian = "little") == (header.e_ident.data == elf::ELFDATA2LSB);
        if header.e_ident.magic != elf::ELFMAG
            || header.e_ident.class != elf::ELFCLASS64
            || !is_native
        {
            return Err(IndexError::NotSupported);
        }
        elf.segments = elf.table(header.e_phoff.get(Native), header.e_phnum.get(Native))?;
        elf.sections = elf.table(header.e_shoff.get(Native), header.e_shnum.get(Native))?;
        let names = elf
            .sections
            .get(usize::from(header.e_shstrndx.get(Native).0))
            .copied();
        elf.section_names = names.map_or(Ok(Vec::new()), |names| {
            elf.section_bytes(&names, HEADERS_BYTES_MAX)
        })?;
        Ok(elf)
    }

    /// The section with a name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| {
            let at = section.sh_name.get(Native) as usize;
            let found = self.section_names.get(at..);
            found
                .is_some_and(|found| found.split(|&byte| byte == 0).next() == Some(name.as_bytes()))
        })
    }

    /// The first section of a kind, and the one with its strings.
    pub(crate) fn table_with_strings(
        &self,
        kind: elf::SectionType,
    ) -> Option<(&Section, &Section)> {
        let table = self
            .sections
            .iter()
            .find(|section| section.sh_type.get(Native) == kind)?;
        let strings = self.sections.get(table.sh_link.get(Native) as usize)?;
        Some((table, strings))
    }

    /// A section's bytes, at most so many of them.
    pub(crate) fn section_bytes(
        &self,
        section: &Section,
        len_max: u64,
    ) -> Result<Vec<u8>, IndexError> {
        if section.sh_type.get(Native) == elf::SHT_NOBITS {
            return Ok(Vec::new());
        }
        self.bytes_at(
            section.sh_offset.get(Native),
            section.sh_size.get(Native),
            len_max,
        )
    }

    /// Where an address of code is in the file; `None` if no executable segment holds it.
    pub(crate) fn file_offset(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let is_code = segment.p_type.get(Native) == elf::PT_LOAD
                && segment.p_flags.get(Native).contains(elf::PF_X);
            let within = address.checked_sub(segment.p_vaddr.get(Native))?;
            let is_inside = is_code && within < segment.p_filesz.get(Native);
            is_inside.then(|| segment.p_offset.get(Native).checked_add(within))?
        })
    }

    /// The build-id in hexadecimal digits.
    pub(crate) fn build_id(&self) -> Option<String> {
        let notes = self
            .segments
            .iter()
            .filter(|segment| segment.p_type.get(Native) == elf::PT_NOTE);
        notes
            .filter_map(|segment| {
                let (at, len) = (segment.p_offset.get(Native), segment.p_filesz.get(Native));
                self.bytes_at(at, len, NOTES_BYTES_MAX).ok()
            })
            .find_map(|notes| find_build_id(&notes))
    }

    fn table<T: Pod + Copy>(&self, at: u64, count: u16) -> Result<Vec<T>, IndexError> {
        let len = u64::from(count) * size_of::<T>() as u64;
        let bytes = self.bytes_at(at, len, HEADERS_BYTES_MAX)?;
        let entries =
            slice_from_all_bytes(&bytes).map_err(|()| IndexError::Damaged("the headers"))?;
        Ok(entries.to_vec())
    }

    /// Bytes of the file, or as many of them as the limit allows. Sizes are held against the file
    /// first: what a damaged header asks for could not be allocated.
    fn bytes_at(&self, at: u64, len: u64, len_max: u64) -> Result<Vec<u8>, IndexError> {
        let is_inside = at.checked_add(len).is_some_and(|end| end <= self.file_len);
        if !is_inside {
            return Err(IndexError::Damaged("the place of a section"));
        }
        let mut bytes = vec![0; len.min(len_max) as usize];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Notes are a name's length, a value's length and a kind, then both, filled up to four bytes.
fn find_build_id(mut notes: &[u8]) -> Option<String> {
    loop {
        let (head, rest) = notes.split_at_checked(12)?;
        let word = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (name_len, value_len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let name = rest.get(..name_len)?;
        let value_at = name_len.next_multiple_of(4);
        let value = rest.get(value_at..value_at.checked_add(value_len)?)?;
        if kind == BUILD_ID_NOTE && name == b"GNU\0" {
            return Some(value.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = rest.get(value_at + value_len.next_multiple_of(4)..)?;
    }
}
