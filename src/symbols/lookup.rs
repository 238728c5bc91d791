//! What finds functions and source lines of one image by address: read when first asked for.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use addr2line::Context;
use coral_model::FunctionId;
use gimli::{Dwarf, EndianArcSlice, LittleEndian, SectionId};

use super::dwarf_entries::DWARF_BYTES_MAX;
use super::gopclntab::frames::GoFrames;
use super::image::Image;
use super::location::Location;
use super::table::Symbols;

/// No more calls than this are inlined into each other.
const INLINED_MAX: usize = 256;
/// The rest of more changes of the line within one range of code is not looked at.
const POSITIONS_MAX: usize = 1 << 16;

type Reader = EndianArcSlice<LittleEndian>;

/// The indices of one image.
#[derive(Default)]
pub(super) struct Lookup {
    functions: OnceLock<Vec<(Range<u64>, FunctionId)>>,
    go: OnceLock<Option<GoFrames>>,
    dwarf: OnceLock<Option<Mutex<Context<Reader>>>>,
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lookup").finish_non_exhaustive()
    }
}

impl Lookup {
    /// The function with code at an address of a module.
    pub(super) fn function_at(
        &self,
        symbols: &Symbols,
        module: u16,
        address: u64,
    ) -> Option<FunctionId> {
        let ranges = self
            .functions
            .get_or_init(|| function_ranges(symbols, module));
        let after = ranges.partition_point(|(range, _)| range.start <= address);
        let (range, id) = ranges.get(after.checked_sub(1)?)?;
        range.contains(&address).then_some(*id)
    }

    /// A Go image's frames.
    pub(super) fn go(&self, image: &Image) -> Option<&GoFrames> {
        self.go.get_or_init(|| GoFrames::find(image)).as_ref()
    }

    /// Where an address is according to DWARF, innermost first and with names as they are there;
    /// `image` holds the debug information.
    pub(super) fn dwarf(&self, image: &Image, address: u64) -> Vec<Location> {
        let mut locations = Vec::new();
        let Some(context) = self.context(image) else {
            return locations;
        };
        let Ok(mut frames) = context.find_frames(address).skip_all_loads() else {
            return locations;
        };
        // What was told before some damage is kept.
        while let Ok(Some(frame)) = frames.next() {
            if let Some(inner) = locations.last_mut() {
                let inner: &mut Location = inner;
                inner.inlined = true;
            }
            let name = frame.function.as_ref();
            let name = name.and_then(|name| Some(name.raw_name().ok()?.into_owned()));
            let place = frame.location.as_ref();
            locations.push(Location {
                function: name.unwrap_or_default(),
                file: place.and_then(|place| place.file.map(str::to_owned)),
                line: place.and_then(|place| place.line).filter(|&line| line > 0),
                inlined: false,
            });
            if locations.len() == INLINED_MAX {
                break;
            }
        }
        locations
    }

    /// How often code at these addresses turns to the source position, the column included, that
    /// one of them has: more than once if that was copied, or mixed with the code of others. 0 if
    /// its position is not known.
    pub(super) fn turns_to(&self, image: &Image, code: &[Range<u64>], address: u64) -> usize {
        let Some(context) = self.context(image) else {
            return 0;
        };
        let mut positions = Vec::new();
        for range in code {
            let Ok(found) = context.find_location_range(range.start, range.end) else {
                return 0;
            };
            positions.extend(found.take(POSITIONS_MAX).map(|(start, len, location)| {
                let position = (location.file, location.line, location.column);
                (start, start.saturating_add(len), position)
            }));
        }
        positions.sort_unstable_by_key(|&(start, ..)| start);
        let mut all = positions.iter();
        let wanted = all.find(|(start, end, _)| (*start..*end).contains(&address));
        let Some((_, _, wanted)) = wanted.filter(|(_, _, (_, line, _))| line.is_some()) else {
            return 0;
        };
        let runs =
            positions.chunk_by(|(_, end, one), (start, _, other)| end == start && one == other);
        runs.filter(|run| run[0].2 == *wanted).count()
    }

    fn context(&self, image: &Image) -> Option<MutexGuard<'_, Context<Reader>>> {
        let context = self
            .dwarf
            .get_or_init(|| read_dwarf(image).map(Mutex::new))
            .as_ref()?;
        // A panic of another thread left nothing half-done: the context only adds what it read.
        Some(context.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The code of a module's functions, by address.
fn function_ranges(symbols: &Symbols, module: u16) -> Vec<(Range<u64>, FunctionId)> {
    let mut ranges = Vec::new();
    for function in symbols.table().iter() {
        if function.module == module {
            let end = function.address.saturating_add(function.size.max(1));
            ranges.push((function.address..end, function.id));
            let cold = symbols.cold_parts(function.id).iter();
            ranges.extend(cold.map(|part| (part.clone(), function.id)));
        }
    }
    ranges.sort_unstable_by_key(|(range, id)| (range.start, *id));
    ranges.dedup_by_key(|(range, _)| range.start);
    ranges
}

fn read_dwarf(image: &Image) -> Option<Context<Reader>> {
    let sections = image.headers().sections.iter();
    let debug = sections.filter(|section| section.name.starts_with(".debug_"));
    let len = debug
        .map(|section| section.size)
        .fold(0, u64::saturating_add);
    if len == 0 || len > DWARF_BYTES_MAX {
        return None;
    }
    let load = |id: SectionId| {
        let section = image.section(id.name());
        let bytes = section.and_then(|section| image.section_bytes(section));
        let bytes: Arc<[u8]> = bytes.unwrap_or_default().into();
        Ok::<_, gimli::Error>(Reader::new(bytes, LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(load).ok()?).ok()
}
