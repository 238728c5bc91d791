//! The read-only data of an image: where compilers put the tables of their jumps, and Go its static
//! closures.

use object::elf;

use super::bytes::u64_at;
use super::image::Image;
use super::planner::{Architecture, ReadOnlyData};

/// All read-only data of one image together may take this much memory.
const CONSTANTS_BYTES_MAX: u64 = 128 << 20;

/// The bytes of the read-only sections, as they are in memory once the loader is done.
#[derive(Debug, Default)]
pub(super) struct Constants {
    /// By address; they do not overlap in an intact file, and it does no harm if they do.
    sections: Vec<(u64, Vec<u8>)>,
}

impl Constants {
    pub(super) fn read(image: &Image) -> Self {
        let mut budget = CONSTANTS_BYTES_MAX;
        let mut sections = Vec::new();
        for section in &image.headers().sections {
            // Go 1.27 keeps its static closures in a section of their own.
            let is_wanted = [".rodata", ".data.rel.ro", ".go.func"]
                .iter()
                .any(|start| section.name.starts_with(start));
            if !is_wanted || section.name.ends_with("gopclntab") || section.size > budget {
                continue;
            }
            if let Some(bytes) = image.section_bytes(section) {
                budget -= section.size;
                sections.push((section.address, bytes));
            }
        }
        sections.sort_by_key(|(address, _)| *address);
        let mut constants = Self { sections };
        for relocation in relative_relocations(image) {
            constants.write(relocation.address, relocation.value);
        }
        constants
    }

    /// A pointer, as the loader leaves it.
    fn write(&mut self, address: u64, value: u64) {
        let index = self
            .sections
            .partition_point(|(start, _)| *start <= address);
        let Some((start, bytes)) = index.checked_sub(1).map(|index| &mut self.sections[index])
        else {
            return;
        };
        let target = usize::try_from(address - *start)
            .ok()
            .and_then(|offset| bytes.get_mut(offset..offset.checked_add(8)?));
        if let Some(target) = target {
            target.copy_from_slice(&value.to_le_bytes());
        }
    }
}

impl ReadOnlyData for Constants {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let index = self
            .sections
            .partition_point(|(start, _)| *start <= address);
        let (start, bytes) = &self.sections[index.checked_sub(1)?];
        let offset = usize::try_from(address - start).ok()?;
        bytes.get(offset..offset.checked_add(len)?)
    }
}

/// A pointer that the loader computes when it loads the image at another address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relocation {
    /// Where the pointer is.
    pub(super) address: u64,
    /// What it points to, before the load address is added.
    pub(super) value: u64,
}

/// The pointers of a position-independent image; the file itself may hold zeros in their place.
pub(super) fn relative_relocations(image: &Image) -> Vec<Relocation> {
    let relative = match image.architecture() {
        Architecture::X86_64 => elf::R_X86_64_RELATIVE.0,
        Architecture::Aarch64 => elf::R_AARCH64_RELATIVE.0,
        Architecture::Other => return Vec::new(),
    };
    let mut relocations = Vec::new();
    for section in &image.headers().sections {
        if section.kind != elf::SHT_RELA.0 {
            continue;
        }
        let bytes = image.section_bytes(section).unwrap_or_default();
        relocations.extend(bytes.as_chunks::<24>().0.iter().filter_map(|entry| {
            let kind = u64_at(entry, 8)? as u32;
            (kind == relative).then_some(Relocation {
                address: u64_at(entry, 0)?,
                value: u64_at(entry, 16)?,
            })
        }));
    }
    relocations
}
