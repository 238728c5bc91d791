//! Which source line each function starts at, from the line programs of `.debug_line`.
//!
//! Every program runs once and nothing of it is kept but the rows at the starts of functions:
//! an index of all rows would take gigabytes for a large binary.

use std::collections::HashMap;
use std::time::Instant;

use coral_model::{FunctionId, Language};
use gimli::{DebugLine, DebugLineOffset, FileEntry, LineProgramHeader, LittleEndian};

use super::bytes::{u16_at, u32_at, u64_at};
use super::dwarf_units::{
    CompileUnit, Reader, Strings, UnitPlace, compile_units, section, unit_places,
};
use super::image::{Image, SectionData};

/// Longer line programs are left out.
const PROGRAM_BYTES_MAX: u64 = 16 << 20;
/// The list of files takes many times its length in memory; longer ones are left out.
const HEADER_BYTES_MAX: u64 = 2 << 20;
/// After how many rows the clock is looked at.
const ROWS_PER_CLOCK_LOOK: u32 = 1 << 16;

/// A function whose source line is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) address: u64,
    pub(super) id: FunctionId,
}

/// Where a function's source starts.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) id: FunctionId,
    /// An index into [`Locations::files`].
    pub(super) file: usize,
    pub(super) line: u32,
    pub(super) language: Option<Language>,
}

/// What the line programs tell.
#[derive(Debug, Default)]
pub(super) struct Locations {
    pub(super) files: Vec<String>,
    /// The first for a function counts.
    pub(super) found: Vec<Location>,
    /// How many programs were too large, damaged, or not reached before the deadline.
    pub(super) skipped: u32,
}

/// Looks for the lines of functions, which are sorted by address, until the deadline.
pub(super) fn locate(image: &Image, wanted: &[Wanted], deadline: Instant) -> Vec<Locations> {
    let Some(lines) = section(image, ".debug_line") else {
        return Vec::new();
    };
    let places = unit_places(&lines, deadline);
    if places.is_empty() || wanted.is_empty() {
        return Vec::new();
    }
    let units = compile_units(image, deadline);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = places.len().div_ceil(threads);
    let search = |places: &[UnitPlace]| {
        let mut search = Search {
            lines: &lines,
            strings: Strings::new(image),
            wanted,
            deadline,
            result: Locations::default(),
        };
        for &place in places {
            if search.run(place, units.get(&place.offset)).is_none() {
                search.result.skipped += 1;
            }
        }
        search.result
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = places
            .chunks(share)
            .map(|places| scope.spawn(move || search(places)))
            .collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Locations>| worker.join().ok();
        workers.into_iter().filter_map(join).collect()
    })
}

struct Search<'a> {
    lines: &'a SectionData<'a>,
    strings: Strings<'a>,
    wanted: &'a [Wanted],
    deadline: Instant,
    result: Locations,
}

impl Search<'_> {
    /// Runs one line program; `None` if not all of it could be run.
    fn run(&mut self, place: UnitPlace, unit: Option<&CompileUnit>) -> Option<()> {
        if place.len > PROGRAM_BYTES_MAX || Instant::now() >= self.deadline {
            return None;
        }
        let bytes = self.lines.read(place.offset, place.len)?;
        if header_len(&bytes)? > HEADER_BYTES_MAX {
            return None;
        }
        let program = DebugLine::new(&bytes, LittleEndian)
            .program(DebugLineOffset(0), 8, None, None)
            .ok()?;
        let mut files = HashMap::new();
        let mut rows = program.rows();
        let mut cursor = Cursor::new(self.wanted);
        let mut row_count = 0_u32;
        let mut last_found = None;
        while let Some((header, row)) = rows.next_row().ok()? {
            row_count = row_count.wrapping_add(1);
            if row_count.is_multiple_of(ROWS_PER_CLOCK_LOOK) && Instant::now() >= self.deadline {
                return None;
            }
            if row.end_sequence() {
                // A row where the sequence ends is of no code; what begins there is another's.
                if last_found == Some(row.address()) {
                    self.result.found.pop();
                }
                last_found = None;
                cursor.end_sequence();
                continue;
            }
            let Some(line) = row.line() else { continue };
            let Some(wanted) = cursor.find(row.address()) else {
                continue;
            };
            let file = match files.get(&row.file_index()) {
                Some(&file) => file,
                None => {
                    let path = self.path(header, row.file(header)?, unit)?;
                    self.result.files.push(path);
                    files.insert(row.file_index(), self.result.files.len() - 1);
                    self.result.files.len() - 1
                }
            };
            last_found = Some(wanted.address);
            self.result.found.push(Location {
                id: wanted.id,
                file,
                line: u32::try_from(line.get()).unwrap_or(u32::MAX),
                language: unit.and_then(|unit| unit.language),
            });
        }
        Some(())
    }

    fn path(
        &self,
        header: &LineProgramHeader<Reader<'_>>,
        file: &FileEntry<Reader<'_>>,
        unit: Option<&CompileUnit>,
    ) -> Option<String> {
        let name = self.strings.text(file.path_name(), 0)?;
        let directory = file
            .directory(header)
            .and_then(|directory| self.strings.text(directory, 0))
            .unwrap_or_default();
        let base = unit
            .and_then(|unit| unit.directory.as_deref())
            .unwrap_or_default();
        // An absolute part replaces those before it.
        let path = std::path::Path::new(base).join(directory).join(name);
        Some(path.to_string_lossy().into_owned())
    }
}

/// Goes through the wanted functions along with the rows, whose addresses ascend in a sequence.
struct Cursor<'a> {
    wanted: &'a [Wanted],
    next: usize,
    sequence: Sequence,
}

#[derive(Clone, Copy, PartialEq)]
enum Sequence {
    Fresh,
    /// The linker removed its function and left its rows at address 0.
    Dead,
    At(u64),
}

impl<'a> Cursor<'a> {
    fn new(wanted: &'a [Wanted]) -> Self {
        Self {
            wanted,
            next: 0,
            sequence: Sequence::Fresh,
        }
    }

    fn end_sequence(&mut self) {
        self.sequence = Sequence::Fresh;
    }

    /// The function that starts at a row's address; each is found once in a sequence.
    fn find(&mut self, address: u64) -> Option<Wanted> {
        match self.sequence {
            Sequence::Dead => return None,
            Sequence::Fresh if address == 0 => {
                self.sequence = Sequence::Dead;
                return None;
            }
            Sequence::At(last) if last <= address => {
                let rest = &self.wanted[self.next..];
                let passed = rest.iter().take_while(|wanted| wanted.address < address);
                self.next += passed.count();
            }
            _ => {
                self.next = self
                    .wanted
                    .partition_point(|wanted| wanted.address < address);
            }
        }
        self.sequence = Sequence::At(address);
        let wanted = *self.wanted.get(self.next)?;
        (wanted.address == address).then(|| {
            self.next += 1;
            wanted
        })
    }
}

/// The length of a program's header, which holds its lists of directories and files.
fn header_len(bytes: &[u8]) -> Option<u64> {
    let is_64_bit = u32_at(bytes, 0)? == u32::MAX;
    let version_at = if is_64_bit { 12 } else { 4 };
    let sizes = if u16_at(bytes, version_at)? >= 5 {
        2
    } else {
        0
    };
    let len_at = version_at + 2 + sizes;
    if is_64_bit {
        u64_at(bytes, len_at)
    } else {
        u32_at(bytes, len_at).map(u64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_find_the_functions_that_start_at_them() {
        let wanted: Vec<_> = (0_u32..)
            .zip([0x1000, 0x1010, 0x1020, 0x2000])
            .map(|(id, address)| Wanted {
                address,
                id: FunctionId(id),
            })
            .collect();
        let mut cursor = Cursor::new(&wanted);
        let mut find = |address| cursor.find(address).map(|wanted| wanted.id.0);
        assert_eq!(find(0x1008), None);
        assert_eq!(find(0x1010), Some(1));
        assert_eq!(find(0x1010), None, "the first row of a function counts");
        assert_eq!(find(0x2000), Some(3));
        assert_eq!(find(0x1000), Some(0), "a sequence that runs backwards");
        cursor.end_sequence();
        assert!(cursor.find(0).is_none());
        assert!(
            cursor.find(0x1020).is_none(),
            "rows of a function that the linker removed"
        );
        cursor.end_sequence();
        assert_eq!(cursor.find(0x1020).map(|wanted| wanted.id.0), Some(2));
    }
}
