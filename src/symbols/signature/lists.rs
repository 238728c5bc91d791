//! Lists of ranges and of locations, and the addresses that they refer to: read where they are
//! wanted, within bounds, instead of whole sections.

use std::ops::Range;

use gimli::{
    AttributeValue, DebugLoc, DebugLocLists, DebugRanges, DebugRngLists, DebuggingInformationEntry,
    Encoding, LittleEndian, LocationLists, LocationListsOffset, RangeLists, RangeListsOffset,
    RawLocListEntry, RawRngListEntry, UnitHeader,
};

use super::debug_info::{Entry, Value};
use crate::symbols::bytes::{u32_at, u64_at};
use crate::symbols::dwarf_units::{Reader, section};
use crate::symbols::image::{Image, SectionData};

/// So much of a section is read for one list of ranges.
const RANGES_BYTES_MAX: u64 = 1 << 20;
/// The same for one list of locations.
const LOCATIONS_BYTES_MAX: u64 = 64 << 10;
/// More entries of one list are not looked at.
const LOCATIONS_MAX: usize = 1024;

/// What the offsets, indices and addresses in a unit are relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitBases {
    encoding: Encoding,
    code: u64,
    addresses: u64,
    location_lists: u64,
    range_lists: u64,
    pub(super) str_offsets: u64,
}

impl UnitBases {
    /// Reads them from a unit's first entry.
    pub(super) fn of(
        header: &UnitHeader<Reader<'_>>,
        root: &DebuggingInformationEntry<Reader<'_>>,
        lists: &Lists<'_>,
    ) -> Self {
        let base = |name| match root.attr_value(name) {
            Some(AttributeValue::DebugAddrBase(base)) => base.0 as u64,
            Some(AttributeValue::DebugLocListsBase(base)) => base.0 as u64,
            Some(AttributeValue::DebugRngListsBase(base)) => base.0 as u64,
            Some(AttributeValue::DebugStrOffsetsBase(base)) => base.0 as u64,
            _ => 0,
        };
        let mut bases = Self {
            encoding: header.encoding(),
            code: 0,
            addresses: base(gimli::DW_AT_addr_base),
            location_lists: base(gimli::DW_AT_loclists_base),
            range_lists: base(gimli::DW_AT_rnglists_base),
            str_offsets: base(gimli::DW_AT_str_offsets_base),
        };
        bases.code = match root.attr_value(gimli::DW_AT_low_pc) {
            Some(AttributeValue::Addr(address)) => address,
            Some(AttributeValue::DebugAddrIndex(index)) => {
                lists.address(index.0 as u64, &bases).unwrap_or(0)
            }
            _ => 0,
        };
        bases
    }
}

/// The sections that lists are in.
pub(super) struct Lists<'i> {
    addresses: Option<SectionData<'i>>,
    /// Those of DWARF 4 and before, and those of DWARF 5.
    locations: [Option<SectionData<'i>>; 2],
    ranges: [Option<SectionData<'i>>; 2],
}

impl<'i> Lists<'i> {
    pub(super) fn new(image: &'i Image) -> Self {
        Self {
            addresses: section(image, ".debug_addr"),
            locations: [".debug_loc", ".debug_loclists"].map(|name| section(image, name)),
            ranges: [".debug_ranges", ".debug_rnglists"].map(|name| section(image, name)),
        }
    }

    /// An address by its index.
    pub(super) fn address(&self, index: u64, bases: &UnitBases) -> Option<u64> {
        let place = index.checked_mul(8)?.checked_add(bases.addresses)?;
        u64_at(&self.addresses.as_ref()?.read(place, 8)?, 0)
    }

    /// Where the location list of an index is.
    pub(super) fn location_list(&self, index: u64, bases: &UnitBases) -> Option<u64> {
        indexed(self.locations[1].as_ref()?, index, bases.location_lists)
    }

    /// Where the range list of an index is.
    pub(super) fn range_list(&self, index: u64, bases: &UnitBases) -> Option<u64> {
        indexed(self.ranges[1].as_ref()?, index, bases.range_lists)
    }

    /// The ranges of code of an entry.
    pub(super) fn code_of(&self, entry: &Entry, bases: &UnitBases) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        if let Some(Value::RangeList(list)) = entry.value(gimli::DW_AT_ranges) {
            // What a damaged list told before the damage is kept.
            let _damaged = self.ranges_at(*list, bases, &mut found);
        } else if let Some(low) = entry.number(gimli::DW_AT_low_pc) {
            let high = entry.number(gimli::DW_AT_high_pc).unwrap_or(0);
            let high = if high >= low {
                high
            } else {
                low.saturating_add(high)
            };
            found.push(low..high);
        }
        // The linker leaves removed functions at address 0.
        found.retain(|range| range.start != 0 && range.start < range.end);
        found
    }

    /// The expressions of a location list with the addresses at which they hold.
    pub(super) fn locations(&self, list: u64, bases: &UnitBases) -> Vec<(Range<u64>, Vec<u8>)> {
        let mut found = Vec::new();
        // What a damaged list told before the damage is kept.
        let _damaged = self.locations_at(list, bases, &mut found);
        found
    }

    fn ranges_at(&self, list: u64, bases: &UnitBases, found: &mut Vec<Range<u64>>) -> Option<()> {
        let section = self.ranges[usize::from(bases.encoding.version >= 5)].as_ref()?;
        let bytes = section.read(list, RANGES_BYTES_MAX)?;
        let lists = RangeLists::new(
            DebugRanges::new(&bytes, LittleEndian),
            DebugRngLists::new(&bytes, LittleEndian),
        );
        let mut entries = lists.raw_ranges(RangeListsOffset(0), bases.encoding).ok()?;
        let mut base = bases.code;
        while let Some(entry) = entries.next().ok()? {
            let range = match entry {
                RawRngListEntry::BaseAddress { addr } => {
                    base = addr;
                    continue;
                }
                RawRngListEntry::BaseAddressx { addr } => {
                    base = self.address(addr.0 as u64, bases)?;
                    continue;
                }
                RawRngListEntry::AddressOrOffsetPair { begin, end }
                | RawRngListEntry::OffsetPair { begin, end } => {
                    base.wrapping_add(begin)..base.wrapping_add(end)
                }
                RawRngListEntry::StartxEndx { begin, end } => {
                    self.address(begin.0 as u64, bases)?..self.address(end.0 as u64, bases)?
                }
                RawRngListEntry::StartxLength { begin, length } => {
                    from(self.address(begin.0 as u64, bases)?, length)
                }
                RawRngListEntry::StartEnd { begin, end } => begin..end,
                RawRngListEntry::StartLength { begin, length } => from(begin, length),
            };
            found.push(range);
        }
        Some(())
    }

    fn locations_at(
        &self,
        list: u64,
        bases: &UnitBases,
        found: &mut Vec<(Range<u64>, Vec<u8>)>,
    ) -> Option<()> {
        let section = self.locations[usize::from(bases.encoding.version >= 5)].as_ref()?;
        let bytes = section.read(list, LOCATIONS_BYTES_MAX)?;
        let lists = LocationLists::new(
            DebugLoc::new(&bytes, LittleEndian),
            DebugLocLists::new(&bytes, LittleEndian),
        );
        let mut entries = lists
            .raw_locations(LocationListsOffset(0), bases.encoding)
            .ok()?;
        let mut base = bases.code;
        while let Some(entry) = entries.next().ok()? {
            let (range, data) = match entry {
                RawLocListEntry::BaseAddress { addr } => {
                    base = addr;
                    continue;
                }
                RawLocListEntry::BaseAddressx { addr } => {
                    base = self.address(addr.0 as u64, bases)?;
                    continue;
                }
                RawLocListEntry::AddressOrOffsetPair { begin, end, data }
                | RawLocListEntry::OffsetPair { begin, end, data } => {
                    (base.wrapping_add(begin)..base.wrapping_add(end), data)
                }
                RawLocListEntry::StartxEndx { begin, end, data } => {
                    let begin = self.address(begin.0 as u64, bases)?;
                    (begin..self.address(end.0 as u64, bases)?, data)
                }
                RawLocListEntry::StartxLength {
                    begin,
                    length,
                    data,
                } => (from(self.address(begin.0 as u64, bases)?, length), data),
                RawLocListEntry::DefaultLocation { data } => (0..u64::MAX, data),
                RawLocListEntry::StartEnd { begin, end, data } => (begin..end, data),
                RawLocListEntry::StartLength {
                    begin,
                    length,
                    data,
                } => (from(begin, length), data),
            };
            found.push((range, data.0.slice().to_vec()));
            if found.len() == LOCATIONS_MAX {
                return None;
            }
        }
        Some(())
    }
}

fn from(begin: u64, length: u64) -> Range<u64> {
    begin..begin.saturating_add(length)
}

/// The offset in a table of offsets, which are relative to the table.
fn indexed(section: &SectionData<'_>, index: u64, base: u64) -> Option<u64> {
    let place = index.checked_mul(4)?.checked_add(base)?;
    let offset = u32_at(&section.read(place, 4)?, 0)?;
    base.checked_add(u64::from(offset))
}
