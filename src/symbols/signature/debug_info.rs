//! `.debug_info`, read unit by unit: only the units that a function and its types are in.
//!
//! What is read of an entry is copied out of it, so that nothing here borrows from a unit, and a
//! unit can be dropped when too many are held.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use gimli::{
    Abbreviations, AttributeValue, DebugInfo as UnitBytes, DebuggingInformationEntry, DwAt, DwTag,
    LittleEndian, UnitHeader, UnitOffset,
};

use super::lists::{Lists, UnitBases};
use crate::symbols::dwarf_units::{
    KindCache, Reader, Strings, UnitPlace, root_bytes, section, unit_places,
};
use crate::symbols::image::{Image, SectionData};

/// So long the units are looked through for the code that they describe.
const INDEX_TIME_MAX: Duration = Duration::from_secs(2);
/// A longer unit is not read, and no more than this of several is held.
const UNIT_BYTES_MAX: u64 = 96 << 20;
/// More ranges of code than any program has.
const RANGES_MAX: usize = 2 << 20;
/// An entry has no more entries directly below it than this, or those behind are not seen.
const CHILDREN_MAX: usize = 4096;

/// The rest of a longer name is cut off.
const NAME_BYTES_MAX: usize = 1024;

/// An entry, as far as signatures need it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where it is in `.debug_info`.
    pub(super) offset: u64,
    pub(super) tag: DwTag,
    values: Vec<(DwAt, Value)>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
    /// The offset of another entry in `.debug_info`.
    Entry(u64),
    Expression(Vec<u8>),
    /// An offset in the section of location lists.
    LocationList(u64),
    /// An offset in the section of range lists.
    RangeList(u64),
}

impl Entry {
    pub(super) fn value(&self, attribute: DwAt) -> Option<&Value> {
        let mut values = self.values.iter();
        values
            .find(|(name, _)| *name == attribute)
            .map(|(_, value)| value)
    }

    pub(super) fn number(&self, attribute: DwAt) -> Option<u64> {
        match self.value(attribute)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, attribute: DwAt) -> Option<&str> {
        match self.value(attribute)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn reference(&self, attribute: DwAt) -> Option<u64> {
        match self.value(attribute)? {
            Value::Entry(offset) => Some(*offset),
            _ => None,
        }
    }
}

/// Access to the entries of an image.
pub(super) struct DebugInfo<'i> {
    info: SectionData<'i>,
    abbreviations: SectionData<'i>,
    strings: Strings<'i>,
    lists: Lists<'i>,
    places: Vec<UnitPlace>,
    /// Which code which unit describes, by its start.
    code: Vec<(Range<u64>, usize)>,
    units: HashMap<usize, Unit>,
}

/// A unit that is held.
struct Unit {
    start: u64,
    bytes: Vec<u8>,
    kinds: Abbreviations,
    bases: UnitBases,
    /// The functions in it by the addresses of their first instructions.
    functions: Option<HashMap<u64, u64>>,
}

impl<'i> DebugInfo<'i> {
    /// `None` if the image has no such sections.
    pub(super) fn open(image: &'i Image) -> Option<Self> {
        let info = section(image, ".debug_info")?;
        let deadline = Instant::now() + INDEX_TIME_MAX;
        let places = unit_places(&info, deadline);
        let mut this = Self {
            abbreviations: section(image, ".debug_abbrev")?,
            strings: Strings::new(image),
            lists: Lists::new(image),
            info,
            places,
            code: Vec::new(),
            units: HashMap::new(),
        };
        this.index(deadline);
        Some(this)
    }

    /// The entry of the function whose code begins at an address.
    pub(super) fn function_at(&mut self, address: u64) -> Option<Entry> {
        let after = self
            .code
            .partition_point(|(range, _)| range.start <= address);
        // Units' ranges do not overlap, but what is damaged may.
        let near = self.code[..after].iter().rev().take(8);
        let candidates: Vec<usize> = near
            .filter(|(range, _)| range.contains(&address))
            .map(|&(_, unit)| unit)
            .collect();
        let offset = candidates
            .into_iter()
            .find_map(|unit| self.functions(unit)?.get(&address).copied())?;
        self.entry(offset)
    }

    /// The entry at an offset.
    pub(super) fn entry(&mut self, offset: u64) -> Option<Entry> {
        let index = self.unit_of(offset)?;
        self.load(index)?;
        let unit = self.units.get(&index)?;
        let within = usize::try_from(offset.checked_sub(unit.start)?).ok()?;
        let header = header_of(&unit.bytes)?;
        let entry = header.entry(&unit.kinds, UnitOffset(within)).ok()?;
        let (start, bases) = (unit.start, &unit.bases);
        Some(copy(&entry, start, bases, &self.strings, &self.lists))
    }

    /// The entries directly below one.
    pub(super) fn children(&mut self, offset: u64) -> Vec<Entry> {
        self.read_children(offset).unwrap_or_default()
    }

    /// What the location list at an offset says, for a unit that an entry is in: expressions by
    /// the addresses that they are valid at.
    pub(super) fn locations(&mut self, entry: &Entry, list: u64) -> Vec<(Range<u64>, Vec<u8>)> {
        let Some(index) = self.unit_of(entry.offset) else {
            return Vec::new();
        };
        let bases = self.load(index).map(|unit| unit.bases);
        bases.map_or_else(Vec::new, |bases| self.lists.locations(list, &bases))
    }

    /// The first entry of the unit that an entry is in.
    pub(super) fn root(&mut self, entry: &Entry) -> Option<Entry> {
        let index = self.unit_of(entry.offset)?;
        let unit = self.load(index)?;
        let offset = header_of(&unit.bytes)?.root_offset();
        let offset = unit.start.checked_add(offset.0 as u64)?;
        self.entry(offset)
    }

    fn read_children(&mut self, offset: u64) -> Option<Vec<Entry>> {
        let index = self.unit_of(offset)?;
        self.load(index)?;
        let unit = self.units.get(&index)?;
        let within = usize::try_from(offset.checked_sub(unit.start)?).ok()?;
        let header = header_of(&unit.bytes)?;
        let mut cursor = header
            .entries_at_offset(&unit.kinds, UnitOffset(within))
            .ok()?;
        if !cursor.next_dfs().ok()??.has_children() {
            return None;
        }
        let mut children = Vec::new();
        // What a damaged unit told before the damage is kept.
        while let Ok(Some(entry)) = cursor.next_dfs() {
            if entry.depth() <= 0 || children.len() == CHILDREN_MAX {
                break;
            }
            if entry.depth() == 1 {
                children.push(copy(
                    entry,
                    unit.start,
                    &unit.bases,
                    &self.strings,
                    &self.lists,
                ));
            }
        }
        Some(children)
    }

    /// Notes which code each unit describes.
    fn index(&mut self, deadline: Instant) {
        let mut kinds = KindCache::default();
        for (index, &place) in self.places.iter().enumerate() {
            if Instant::now() >= deadline || self.code.len() > RANGES_MAX {
                break;
            }
            let ranges = root_bytes(&self.info, place).and_then(|bytes| {
                let header = header_of(&bytes)?;
                let abbreviations = header.debug_abbrev_offset().0 as u64;
                let kinds = kinds.get(&self.abbreviations, abbreviations)?;
                let mut entries = header.entries(kinds);
                let root = entries.next_dfs().ok()??;
                let bases = UnitBases::of(&header, root, &self.lists);
                let root = copy(root, place.offset, &bases, &self.strings, &self.lists);
                Some(self.lists.code_of(&root, &bases))
            });
            let ranges = ranges.unwrap_or_default();
            self.code
                .extend(ranges.into_iter().map(|range| (range, index)));
        }
        self.code.sort_unstable_by_key(|(range, _)| range.start);
    }

    fn functions(&mut self, index: usize) -> Option<&HashMap<u64, u64>> {
        self.load(index)?;
        let unit = self.units.get_mut(&index)?;
        if unit.functions.is_none() {
            let functions = list_functions(unit, &self.strings, &self.lists);
            unit.functions = Some(functions);
        }
        unit.functions.as_ref()
    }

    fn unit_of(&self, offset: u64) -> Option<usize> {
        let after = self.places.partition_point(|place| place.offset <= offset);
        let index = after.checked_sub(1)?;
        let place = self.places[index];
        (offset - place.offset < place.len).then_some(index)
    }

    fn load(&mut self, index: usize) -> Option<&Unit> {
        if !self.units.contains_key(&index) {
            let place = *self.places.get(index)?;
            if place.len > UNIT_BYTES_MAX {
                return None;
            }
            let held: u64 = self
                .units
                .values()
                .map(|unit| unit.bytes.len() as u64)
                .sum();
            if held.saturating_add(place.len) > UNIT_BYTES_MAX {
                self.units.clear();
            }
            let bytes = self.info.read(place.offset, place.len)?;
            let header = header_of(&bytes)?;
            let mut kinds = KindCache::default();
            kinds.get(&self.abbreviations, header.debug_abbrev_offset().0 as u64)?;
            let kinds = kinds.into_last()?;
            let bases = {
                let mut entries = header.entries(&kinds);
                UnitBases::of(&header, entries.next_dfs().ok()??, &self.lists)
            };
            let unit = Unit {
                start: place.offset,
                bytes,
                kinds,
                bases,
                functions: None,
            };
            self.units.insert(index, unit);
        }
        self.units.get(&index)
    }
}

fn header_of(bytes: &[u8]) -> Option<UnitHeader<Reader<'_>>> {
    UnitBytes::new(bytes, LittleEndian).units().next().ok()?
}

fn list_functions(unit: &Unit, strings: &Strings<'_>, lists: &Lists<'_>) -> HashMap<u64, u64> {
    let mut functions = HashMap::new();
    let Some(header) = header_of(&unit.bytes) else {
        return functions;
    };
    let mut entries = header.entries(&unit.kinds);
    while let Ok(Some(entry)) = entries.next_dfs() {
        if entry.tag() != gimli::DW_TAG_subprogram
            || !(entry.has_attr(gimli::DW_AT_low_pc) || entry.has_attr(gimli::DW_AT_ranges))
        {
            continue;
        }
        let start = match entry.attr_value(gimli::DW_AT_low_pc) {
            Some(AttributeValue::Addr(address)) => Some(address),
            Some(AttributeValue::DebugAddrIndex(index)) => {
                lists.address(index.0 as u64, &unit.bases)
            }
            _ => {
                let entry = copy(entry, unit.start, &unit.bases, strings, lists);
                let code = lists.code_of(&entry, &unit.bases);
                code.first().map(|range| range.start)
            }
        };
        if let Some(start) = start {
            let offset = unit.start.saturating_add(entry.offset().0 as u64);
            functions.entry(start).or_insert(offset);
        }
    }
    functions
}

fn copy(
    entry: &DebuggingInformationEntry<Reader<'_>>,
    unit_start: u64,
    bases: &UnitBases,
    strings: &Strings<'_>,
    lists: &Lists<'_>,
) -> Entry {
    let values = entry.attrs().iter().filter_map(|attribute| {
        let value = attribute.value();
        let copied = match value {
            AttributeValue::UnitRef(offset) => {
                Value::Entry(unit_start.checked_add(offset.0 as u64)?)
            }
            AttributeValue::DebugInfoRef(offset) => Value::Entry(offset.0 as u64),
            AttributeValue::Exprloc(expression) => Value::Expression(expression.0.slice().to_vec()),
            AttributeValue::Block(bytes) => Value::Expression(bytes.slice().to_vec()),
            AttributeValue::LocationListsRef(offset) => Value::LocationList(offset.0 as u64),
            AttributeValue::DebugLocListsIndex(index) => {
                Value::LocationList(lists.location_list(index.0 as u64, bases)?)
            }
            AttributeValue::RangeListsRef(offset) => Value::RangeList(offset.0 as u64),
            AttributeValue::DebugRngListsIndex(index) => {
                Value::RangeList(lists.range_list(index.0 as u64, bases)?)
            }
            AttributeValue::Addr(address) => Value::Number(address),
            AttributeValue::DebugAddrIndex(index) => {
                Value::Number(lists.address(index.0 as u64, bases)?)
            }
            AttributeValue::Flag(flag) => Value::Number(u64::from(flag)),
            AttributeValue::Encoding(encoding) => Value::Number(u64::from(encoding.0)),
            AttributeValue::CallingConvention(convention) => Value::Number(u64::from(convention.0)),
            AttributeValue::Language(language) => Value::Number(u64::from(language.0)),
            value if is_name(attribute.name()) => {
                let mut name = strings.text(value, bases.str_offsets)?;
                name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
                Value::Text(name)
            }
            AttributeValue::Sdata(number) => Value::Number(number as u64),
            value => Value::Number(value.udata_value()?),
        };
        Some((attribute.name(), copied))
    });
    Entry {
        offset: unit_start.saturating_add(entry.offset().0 as u64),
        tag: entry.tag(),
        values: values.collect(),
    }
}

/// Only names are read from the sections of strings.
fn is_name(attribute: DwAt) -> bool {
    [gimli::DW_AT_name, gimli::DW_AT_linkage_name].contains(&attribute)
}
