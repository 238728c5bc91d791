//! The units of DWARF sections, read one at a time: a debug build's sections can be larger than
//! the memory that may be used on them.

use std::collections::HashMap;
use std::time::Instant;

use coral_model::Language;
use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugInfo, EndianSlice,
    LittleEndian,
};

use super::bytes::{c_string_at, u32_at, u64_at};
use super::image::{Image, SectionData};

pub(super) type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// A path may be this long; the rest of a longer one is cut off.
const PATH_BYTES_MAX: u64 = 4096;
/// The first entry of a unit lies within so many bytes of its start.
const ROOT_BYTES_MAX: u64 = 16 << 10;
/// The kinds of entries of one unit lie within so many bytes; each takes far more in memory.
const ABBREVIATIONS_BYTES_MAX: u64 = 256 << 10;

/// The data of a section, if the image has it.
pub(super) fn section<'a>(image: &'a Image, name: &str) -> Option<SectionData<'a>> {
    image.section_data(image.section(name)?)
}

/// Where one of a section's units is, its length field included.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitPlace {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The units of `.debug_info` or `.debug_line`: each begins with its length.
pub(super) fn unit_places(data: &SectionData<'_>, deadline: Instant) -> Vec<UnitPlace> {
    let mut places = Vec::new();
    let mut offset = 0;
    while Instant::now() < deadline {
        let place = data.read(offset, 12).and_then(|head| {
            let len = match u32_at(&head, 0)? {
                u32::MAX => u64_at(&head, 4)?.checked_add(12)?,
                len => u64::from(len) + 4,
            };
            let end = offset.checked_add(len)?;
            (end <= data.len()).then_some(UnitPlace { offset, len })
        });
        let Some(place) = place else { break };
        offset += place.len;
        places.push(place);
    }
    places
}

/// What a compile unit says about its line program.
#[derive(Clone, Debug)]
pub(super) struct CompileUnit {
    /// The directory that relative paths are relative to.
    pub(super) directory: Option<String>,
    pub(super) language: Option<Language>,
}

/// The compile units, by the offsets of their line programs.
pub(super) fn compile_units(image: &Image, deadline: Instant) -> HashMap<u64, CompileUnit> {
    let mut units = HashMap::new();
    let (Some(info), Some(abbreviations)) = (
        section(image, ".debug_info"),
        section(image, ".debug_abbrev"),
    ) else {
        return units;
    };
    let strings = Strings::new(image);
    let mut kinds = KindCache::default();
    for place in unit_places(&info, deadline) {
        if Instant::now() >= deadline {
            break;
        }
        if let Some((line_offset, unit)) =
            read_compile_unit(&info, place, &abbreviations, &mut kinds, &strings)
        {
            units.insert(line_offset, unit);
        }
    }
    units
}

fn read_compile_unit(
    info: &SectionData<'_>,
    place: UnitPlace,
    abbreviations: &SectionData<'_>,
    kinds: &mut KindCache,
    strings: &Strings<'_>,
) -> Option<(u64, CompileUnit)> {
    let bytes = root_bytes(info, place)?;
    let header = DebugInfo::new(&bytes, LittleEndian).units().next().ok()??;
    let kinds = kinds.get(abbreviations, header.debug_abbrev_offset().0 as u64)?;
    let mut entries = header.entries(kinds);
    let root = entries.next_dfs().ok()??;
    let value = |name| root.attr_value(name);
    let line_offset = match value(gimli::DW_AT_stmt_list)? {
        AttributeValue::DebugLineRef(offset) => offset.0,
        AttributeValue::SecOffset(offset) => offset,
        _ => return None,
    };
    let str_offsets_base = match value(gimli::DW_AT_str_offsets_base) {
        Some(AttributeValue::DebugStrOffsetsBase(base)) => base.0 as u64,
        _ => 0,
    };
    let language = match value(gimli::DW_AT_language) {
        Some(AttributeValue::Language(language)) => language_of(language),
        _ => None,
    };
    let directory =
        value(gimli::DW_AT_comp_dir).and_then(|value| strings.text(value, str_offsets_base));
    Some((
        line_offset as u64,
        CompileUnit {
            directory,
            language,
        },
    ))
}

/// The beginning of a unit with its first entry, as if nothing followed it.
pub(super) fn root_bytes(info: &SectionData<'_>, place: UnitPlace) -> Option<Vec<u8>> {
    let mut bytes = info.read(place.offset, place.len.min(ROOT_BYTES_MAX))?;
    match u32_at(&bytes, 0)? {
        u32::MAX => {
            let len = bytes.len().checked_sub(12)? as u64;
            bytes.get_mut(4..12)?.copy_from_slice(&len.to_le_bytes());
        }
        _ => {
            let len = u32::try_from(bytes.len().checked_sub(4)?).ok()?;
            bytes.get_mut(..4)?.copy_from_slice(&len.to_le_bytes());
        }
    }
    Some(bytes)
}

fn language_of(language: gimli::DwLang) -> Option<Language> {
    use gimli::constants as dw;
    Some(match language {
        dw::DW_LANG_C | dw::DW_LANG_C89 | dw::DW_LANG_C99 | dw::DW_LANG_C11 | dw::DW_LANG_C17 => {
            Language::C
        }
        dw::DW_LANG_C_plus_plus
        | dw::DW_LANG_C_plus_plus_03
        | dw::DW_LANG_C_plus_plus_11
        | dw::DW_LANG_C_plus_plus_14
        | dw::DW_LANG_C_plus_plus_17
        | dw::DW_LANG_C_plus_plus_20 => Language::Cpp,
        dw::DW_LANG_Rust => Language::Rust,
        dw::DW_LANG_Go => Language::Go,
        dw::DW_LANG_Mips_Assembler => Language::Assembly,
        _ => return None,
    })
}

/// The kinds of entries of the last unit: units that follow each other often share them.
#[derive(Default)]
pub(super) struct KindCache {
    last: Option<(u64, Abbreviations)>,
}

impl KindCache {
    /// The kinds of entries at an offset of `.debug_abbrev`.
    pub(super) fn get(&mut self, section: &SectionData<'_>, offset: u64) -> Option<&Abbreviations> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != offset) {
            let bytes = section.read(offset, ABBREVIATIONS_BYTES_MAX)?;
            let table = DebugAbbrev::new(&bytes, LittleEndian);
            let kinds = table.abbreviations(DebugAbbrevOffset(0)).ok()?;
            self.last = Some((offset, kinds));
        }
        self.last.as_ref().map(|(_, kinds)| kinds)
    }

    /// What was asked for last.
    pub(super) fn into_last(self) -> Option<Abbreviations> {
        self.last.map(|(_, kinds)| kinds)
    }
}

/// The sections that strings are in.
pub(super) struct Strings<'a> {
    strings: Option<SectionData<'a>>,
    line_strings: Option<SectionData<'a>>,
    offsets: Option<SectionData<'a>>,
}

impl<'a> Strings<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        Self {
            strings: section(image, ".debug_str"),
            line_strings: section(image, ".debug_line_str"),
            offsets: section(image, ".debug_str_offsets"),
        }
    }

    /// The text of an attribute, wherever it is.
    pub(super) fn text(
        &self,
        value: AttributeValue<Reader<'_>>,
        str_offsets_base: u64,
    ) -> Option<String> {
        match value {
            AttributeValue::String(text) => Some(text.to_string_lossy().into_owned()),
            AttributeValue::DebugStrRef(offset) => text_at(&self.strings, offset.0 as u64),
            AttributeValue::DebugLineStrRef(offset) => text_at(&self.line_strings, offset.0 as u64),
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let place = (index.0 as u64).checked_mul(4)?;
                let place = place.checked_add(str_offsets_base)?;
                let offset = u32_at(&self.offsets.as_ref()?.read(place, 4)?, 0)?;
                text_at(&self.strings, u64::from(offset))
            }
            _ => None,
        }
    }
}

fn text_at(section: &Option<SectionData<'_>>, offset: u64) -> Option<String> {
    let bytes = section.as_ref()?.read(offset, PATH_BYTES_MAX)?;
    let text = c_string_at(&bytes, 0, bytes.len())?;
    Some(String::from_utf8_lossy(text).into_owned())
}
