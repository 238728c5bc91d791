//! Where functions begin and end according to the tables for unwinding, which `strip` keeps.

use std::ops::Range;

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};

use super::image::Image;

/// The ranges that the table describes, by address: functions, and parts moved away from them.
pub(super) fn ranges(image: &Image) -> Vec<Range<u64>> {
    read(image).unwrap_or_default()
}

fn read(image: &Image) -> Option<Vec<Range<u64>>> {
    let section = image.section(".eh_frame")?;
    let bytes = image.section_bytes(section)?;
    let address_of = |name| image.section(name).map_or(0, |section| section.address);
    let bases = BaseAddresses::default()
        .set_eh_frame(section.address)
        .set_text(address_of(".text"))
        .set_got(address_of(".got"));
    // One entry covers a whole table of stubs; they are no functions of the program.
    let stubs: Vec<Range<u64>> = image
        .headers()
        .sections
        .iter()
        .filter(|section| section.name.starts_with(".plt"))
        .map(|section| section.address..section.address.saturating_add(section.size))
        .collect();
    let table = EhFrame::new(&bytes, LittleEndian);
    let mut ranges = Vec::new();
    let mut entries = table.entries(&bases);
    // Behind a damaged entry there is no telling where the next one starts.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(entry) = entry else {
            continue;
        };
        let Ok(entry) = entry.parse(|table, bases, offset| table.cie_from_offset(bases, offset))
        else {
            continue;
        };
        let start = entry.initial_address();
        let range = start..start.saturating_add(entry.len());
        let is_stub = stubs.iter().any(|stubs| stubs.contains(&start));
        if !is_stub && !range.is_empty() && image.is_code(&range) {
            ranges.push(range);
        }
    }
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by_key(|range| range.start);
    Some(ranges)
}
