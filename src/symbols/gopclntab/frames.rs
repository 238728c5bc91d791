//! The source lines of Go code and the calls inlined into it, after `runtime.inlineUnwinder`.

use std::borrow::Cow;
use std::ops::Range;

use super::super::bytes::{c_string_at, slice_at, u32_at, u64_at};
use super::super::constants::relative_relocations;
use super::super::image::Image;
use super::super::location::Location;
use super::pc_values::PcValues;
use super::{NAME_LEN_MAX, PATH_LEN_MAX, Pclntab, Version};

/// The places of the values in a record since Go 1.20, counted from its name.
const STACK_DEPTH: u64 = 12;
const FILE: u64 = 16;
const LINE: u64 = 20;
const TABLE_COUNT: u64 = 24;
const UNIT: u64 = 28;
const DATA_COUNT: usize = 39;
const TABLES: u64 = 40;
/// `abi.PCDATA_InlTreeIndex` and `abi.FUNCDATA_InlTree`.
const INLINE_INDEX: u32 = 2;
const INLINE_TREE: u8 = 3;
/// The first frame of a stack (`abi.FuncFlagTopFrame`).
const FLAG_TOP_FRAME: u8 = 1;
/// The function moves the stack pointer in ways that its table does not tell
/// (`abi.FuncFlagSPWrite`).
const FLAG_STACK_MOVES: u8 = 2;
/// The length of a `runtime.inlinedCall`.
const NODE_BYTES: u64 = 16;
/// No function has more inlined calls, and none inlines deeper.
const NODES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 256;
/// Where in `runtime.moduledata` the address of the trees is, differs between versions: between
/// these.
const TREES_FIELDS: Range<u64> = 304..400;
/// So many trees must make sense at an address that the trees shall be at.
const PROOFS: usize = 32;

/// A Go program's code, address by address.
pub(in crate::symbols) struct GoFrames {
    table: Pclntab,
    /// The address that functions' inline trees are relative to.
    trees: Option<u64>,
}

/// A function, and the tables of its values.
#[derive(Clone, Copy)]
pub(in crate::symbols) struct GoCode<'a> {
    frames: &'a GoFrames,
    record: &'a [u8],
    /// Where it starts.
    pub(in crate::symbols) start: u64,
    end: u64,
}

/// A call that was inlined into a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::symbols) struct InlinedCall {
    /// Tells the callees' names apart.
    pub(in crate::symbols) name: u32,
    /// The line of the callee's start.
    pub(in crate::symbols) start_line: Option<u32>,
    /// The offset in the host of an instruction of the line that calls.
    pub(in crate::symbols) mark: u64,
}

impl GoFrames {
    /// Finds an image's table of functions.
    pub(in crate::symbols) fn find(image: &Image) -> Option<Self> {
        let table = Pclntab::find(image)?;
        let mut frames = Self { table, trees: None };
        frames.trees = frames.find_trees(image);
        Some(frames)
    }

    /// All functions, by address.
    pub(in crate::symbols) fn functions(&self) -> impl Iterator<Item = GoCode<'_>> {
        (0..self.table.function_count).filter_map(|index| self.code(index))
    }

    /// The function that the code at an address belongs to.
    pub(in crate::symbols) fn function_at(&self, address: u64) -> Option<GoCode<'_>> {
        let (mut low, mut high) = (0, self.table.function_count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.table.entry_address(middle)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.code(low.checked_sub(1)?)
            .filter(|code| address < code.end)
    }

    /// Where an address is in the source, innermost first.
    pub(in crate::symbols) fn locate(&self, image: &Image, address: u64) -> Option<Vec<Location>> {
        let code = self.function_at(address)?;
        let mut offset = address - code.start;
        let mut locations = Vec::new();
        while locations.len() < DEPTH_MAX {
            let call = code
                .inline_index(offset)
                .and_then(|index| code.inlined_call(image, index));
            let name = call.map_or_else(|| code.name(), |call| self.name(call.name));
            locations.push(Location {
                function: name.map_or_else(String::new, Cow::into_owned),
                file: code.file(offset).map(str::to_owned),
                line: code.line(offset),
                inlined: call.is_some(),
            });
            match call {
                Some(call) => offset = call.mark,
                None => break,
            }
        }
        Some(locations)
    }

    /// The name of an inlined call's callee.
    pub(in crate::symbols) fn name(&self, name: u32) -> Option<Cow<'_, str>> {
        let offset = self.table.names.checked_add(name.into())?;
        let name = c_string_at(&self.table.bytes, offset, NAME_LEN_MAX)?;
        Some(String::from_utf8_lossy(name))
    }

    fn code(&self, index: u64) -> Option<GoCode<'_>> {
        let (start, end) = (
            self.table.entry_address(index)?,
            self.table.entry_address(index + 1)?,
        );
        let record = self.table.record(index)?;
        (start < end).then_some(GoCode {
            frames: self,
            record,
            start,
            end,
        })
    }

    /// Looks for the field of `runtime.moduledata` that holds the address of the trees: the one
    /// that makes inline trees of what functions refer to.
    fn find_trees(&self, image: &Image) -> Option<u64> {
        if self.table.version != Version::Go120 {
            return None;
        }
        let samples: Vec<_> = self
            .functions()
            .filter(|code| code.tree_offset().is_some() && code.inline_indices().next().is_some())
            .take(PROOFS)
            .collect();
        if samples.is_empty() {
            return None;
        }
        let moduledata = self.table.moduledata(image)?;
        let relocations = relative_relocations(image);
        TREES_FIELDS.step_by(8).find_map(|field| {
            let place = moduledata.checked_add(field)?;
            let relocated = relocations.iter().find(|found| found.address == place);
            let base = match relocated {
                Some(relocation) => relocation.value,
                None => u64_at(&image.bytes_at(place, 8)?, 0)?,
            };
            let holds = |code: &GoCode<'_>| code.has_tree_at(image, base);
            samples.iter().all(holds).then_some(base)
        })
    }
}

impl<'a> GoCode<'a> {
    /// Its name.
    pub(in crate::symbols) fn name(&self) -> Option<Cow<'a, str>> {
        self.frames.name(u32_at(self.record, 0)?)
    }

    /// The source file at an offset.
    pub(in crate::symbols) fn file(&self, offset: u64) -> Option<&'a str> {
        let table = &self.frames.table;
        let number = self.values(u32_at(self.record, FILE)?)?.at(offset)?;
        let unit = u64::from(u32_at(self.record, UNIT)?);
        let slot = unit.checked_add(u64::try_from(number).ok()?)?;
        let place = table.compilation_units.checked_add(slot.checked_mul(4)?)?;
        let start = table
            .files
            .checked_add(u32_at(&table.bytes, place)?.into())?;
        std::str::from_utf8(c_string_at(&table.bytes, start, PATH_LEN_MAX)?).ok()
    }

    /// The source line at an offset.
    pub(in crate::symbols) fn line(&self, offset: u64) -> Option<u32> {
        let line = self.values(u32_at(self.record, LINE)?)?.at(offset)?;
        u32::try_from(line).ok().filter(|&line| line > 0)
    }

    /// How many bytes below the function's return address the stack pointer is at an offset.
    pub(in crate::symbols) fn stack_depth(&self, offset: u64) -> Option<u64> {
        let depth = self.values(u32_at(self.record, STACK_DEPTH)?)?.at(offset)?;
        u64::try_from(depth).ok()
    }

    /// Whether nothing called it: it is the first function of its stack.
    pub(in crate::symbols) fn is_top_frame(&self) -> bool {
        self.has_flag(FLAG_TOP_FRAME)
    }

    /// Whether it moves the stack pointer in ways that [`Self::stack_depth`] does not know.
    pub(in crate::symbols) fn moves_stack(&self) -> bool {
        self.has_flag(FLAG_STACK_MOVES)
    }

    /// Which code comes from which inlined call; the rest is the function's own.
    pub(in crate::symbols) fn inline_indices(
        &self,
    ) -> impl Iterator<Item = (Range<u64>, u32)> + use<'a> {
        let size = self.end - self.start;
        self.inline_values()
            .into_iter()
            .flatten()
            .take_while(move |(range, _)| range.end <= size)
            .filter_map(|(range, index)| Some((range, u32::try_from(index).ok()?)))
            .filter(|(_, index)| (*index as usize) < NODES_MAX)
    }

    /// The inlined call that the code at an offset comes from.
    pub(in crate::symbols) fn inline_index(&self, offset: u64) -> Option<u32> {
        let mut indices = self.inline_indices();
        let (_, index) = indices.find(|(range, _)| range.contains(&offset))?;
        Some(index)
    }

    /// An inlined call by its index.
    pub(in crate::symbols) fn inlined_call(
        &self,
        image: &Image,
        index: u32,
    ) -> Option<InlinedCall> {
        self.call_at(image, self.frames.trees?, index)
    }

    fn call_at(&self, image: &Image, trees: u64, index: u32) -> Option<InlinedCall> {
        let tree = trees.checked_add(self.tree_offset()?.into())?;
        let place = tree.checked_add(u64::from(index) * NODE_BYTES)?;
        let node = image.bytes_at(place, NODE_BYTES)?;
        let mark = u64::from(u32_at(&node, 8)?);
        let is_sane = slice_at(&node, 1, 3)? == [0; 3] && mark < self.end - self.start;
        is_sane.then_some(InlinedCall {
            name: u32_at(&node, 4)?,
            start_line: u32_at(&node, 12).filter(|&line| line > 0 && line < u32::MAX / 2),
            mark,
        })
    }

    /// Whether what would be this function's tree is one.
    fn has_tree_at(&self, image: &Image, trees: u64) -> bool {
        let bytes = &self.frames.table.bytes;
        let is_name = |offset: u64| {
            let start = self.frames.table.names.checked_add(offset)?;
            let before = slice_at(bytes, start.checked_sub(1)?, 1)?[0];
            let first = slice_at(bytes, start, 1)?[0];
            Some(first.is_ascii_graphic() && (before == 0 || offset == 0))
        };
        self.call_at(image, trees, 0)
            .is_some_and(|call| is_name(call.name.into()) == Some(true))
    }

    fn has_flag(&self, flag: u8) -> bool {
        let flags = self.record.get(self.frames.table.flag_offset());
        flags.is_some_and(|flags| flags & flag != 0)
    }

    fn tree_offset(&self) -> Option<u32> {
        if self.frames.table.version != Version::Go120
            || *self.record.get(DATA_COUNT)? <= INLINE_TREE
        {
            return None;
        }
        let tables = u64::from(u32_at(self.record, TABLE_COUNT)?);
        let place = TABLES + 4 * (tables + u64::from(INLINE_TREE));
        u32_at(self.record, place).filter(|&offset| offset != u32::MAX)
    }

    fn inline_values(&self) -> Option<PcValues<'a>> {
        if self.frames.table.version != Version::Go120
            || u32_at(self.record, TABLE_COUNT)? <= INLINE_INDEX
        {
            return None;
        }
        self.values(u32_at(self.record, TABLES + 4 * u64::from(INLINE_INDEX))?)
    }

    fn values(&self, offset: u32) -> Option<PcValues<'a>> {
        let table = &self.frames.table;
        let start = table.pc_values.checked_add(offset.into())?;
        let bytes = table.bytes.get(usize::try_from(start).ok()?..)?;
        (offset != 0).then(|| PcValues::new(bytes, table.bytes[6]))
    }
}
