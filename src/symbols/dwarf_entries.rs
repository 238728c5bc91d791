//! The functions' entries in `.debug_info`, visited one by one within bounds.

use std::collections::HashMap;
use std::time::Instant;

use gimli::{
    AttributeValue, DebuggingInformationEntry, DwTag, Dwarf, EndianSlice, LittleEndian, SectionId,
};

use super::dwarf_units::Reader;
use super::image::Image;

/// All DWARF sections together may be this long; of more, nothing is read.
pub(super) const DWARF_BYTES_MAX: u64 = 128 << 20;
/// An attribute may be behind so many references.
const REFERENCES_MAX: u32 = 4;

/// An entry with what is needed to read its attributes.
pub(super) struct Subprogram<'a, 'd> {
    pub(super) dwarf: &'a Dwarf<Reader<'d>>,
    pub(super) unit: &'a gimli::Unit<Reader<'d>>,
    pub(super) entry: &'a DebuggingInformationEntry<Reader<'d>>,
}

/// Visits the entries of all functions, or of as many as can be read until the deadline.
pub(super) fn visit_subprograms(
    image: &Image,
    deadline: Instant,
    visit: impl FnMut(&Subprogram<'_, '_>),
) {
    visit_tagged(image, gimli::DW_TAG_subprogram, deadline, visit);
}

/// Visits all entries with a tag, or as many as can be read until the deadline.
pub(super) fn visit_tagged(
    image: &Image,
    tag: DwTag,
    deadline: Instant,
    mut visit: impl FnMut(&Subprogram<'_, '_>),
) {
    let named = || {
        let sections = &image.headers().sections;
        sections
            .iter()
            .filter(|section| section.name.starts_with(".debug_"))
    };
    let total = named()
        .map(|section| section.size)
        .fold(0, u64::saturating_add);
    if total > DWARF_BYTES_MAX {
        return;
    }
    let sections: HashMap<&str, Vec<u8>> = named()
        .filter_map(|section| Some((section.name.as_str(), image.section_bytes(section)?)))
        .collect();
    let load = |id: SectionId| {
        let bytes = sections.get(id.name()).map_or(&[][..], Vec::as_slice);
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    };
    let Ok(dwarf) = Dwarf::load(load) else {
        return;
    };
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if Instant::now() >= deadline {
            return;
        }
        // What a damaged unit told before the damage is kept.
        if let Ok(unit) = dwarf.unit(header) {
            let _damaged = visit_unit(&dwarf, &unit, tag, &mut visit);
        }
    }
}

fn visit_unit<'d>(
    dwarf: &Dwarf<Reader<'d>>,
    unit: &gimli::Unit<Reader<'d>>,
    tag: DwTag,
    visit: &mut impl FnMut(&Subprogram<'_, 'd>),
) -> gimli::Result<()> {
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if entry.tag() == tag {
            visit(&Subprogram { dwarf, unit, entry });
        }
    }
    Ok(())
}

impl Subprogram<'_, '_> {
    /// What `read` finds in the entry, or else in the declaration that it refers to.
    pub(super) fn find<T>(&self, read: &impl Fn(&Subprogram<'_, '_>) -> Option<T>) -> Option<T> {
        self.find_within(read, REFERENCES_MAX)
    }

    fn find_within<T>(
        &self,
        read: &impl Fn(&Subprogram<'_, '_>) -> Option<T>,
        references_left: u32,
    ) -> Option<T> {
        if let Some(own) = read(self) {
            return Some(own);
        }
        let reference = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification]
            .into_iter()
            .find_map(|attribute| self.entry.attr_value(attribute))?;
        let AttributeValue::UnitRef(offset) = reference else {
            return None;
        };
        let declaration = self.unit.entry(offset).ok()?;
        let declaration = Subprogram {
            entry: &declaration,
            ..*self
        };
        declaration.find_within(read, references_left.checked_sub(1)?)
    }
}
