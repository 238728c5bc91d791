//! Where a Go program's `runtime.moduledata` is, and where its code starts, which that tells.

use object::elf;

use super::bytes::u64_at;
use super::constants::{Relocation, relative_relocations};
use super::image::Image;

/// Offsets in `runtime.moduledata`; its first fields have been the same since Go 1.16.
const MIN_PC: u64 = 160;
const TEXT: u64 = 176;

/// What a program says of itself.
#[derive(Clone, Copy)]
pub(super) struct Moduledata {
    /// Where it is.
    pub(super) address: u64,
    /// The address that the entries of its table of functions are relative to.
    pub(super) text: u64,
}

/// Finds the data that belongs to the table of functions at `pclntab`.
///
/// It begins with a pointer to the table and is found by it. `first_entry`, the table's first
/// entry, proves that it is the right one.
pub(super) fn find(image: &Image, pclntab: u64, first_entry: u64) -> Option<Moduledata> {
    let check = |address: u64, text: u64, min_pc: u64| {
        let is_right = text.checked_add(first_entry) == Some(min_pc) && image.is_code_at(text);
        is_right.then_some(Moduledata { address, text })
    };
    from_relocations(image, pclntab, check).or_else(|| from_data(image, pclntab, check))
}

/// In a position-independent program the pointers are relocations.
fn from_relocations(
    image: &Image,
    pclntab: u64,
    check: impl Fn(u64, u64, u64) -> Option<Moduledata>,
) -> Option<Moduledata> {
    let mut relocations = relative_relocations(image);
    relocations.sort_unstable_by_key(|relocation| relocation.address);
    let value_at = |address: u64| {
        let index = relocations.binary_search_by_key(&address, |relocation| relocation.address);
        index.ok().map(|index| relocations[index].value)
    };
    relocations
        .iter()
        .filter(|relocation| relocation.value == pclntab)
        .find_map(|Relocation { address, .. }| {
            check(
                *address,
                value_at(address.checked_add(TEXT)?)?,
                value_at(address.checked_add(MIN_PC)?)?,
            )
        })
}

/// In other programs they stand in the data.
fn from_data(
    image: &Image,
    pclntab: u64,
    check: impl Fn(u64, u64, u64) -> Option<Moduledata>,
) -> Option<Moduledata> {
    let segments = image.headers().segments.iter();
    segments
        .filter(|segment| segment.kind == elf::PT_LOAD.0 && !segment.executable)
        .filter_map(|segment| Some((segment.address, image.segment_bytes(segment)?)))
        .find_map(|(start, bytes)| {
            (0..bytes.len() as u64)
                .step_by(8)
                .filter(|&offset| u64_at(&bytes, offset) == Some(pclntab))
                .find_map(|offset| {
                    check(
                        start.checked_add(offset)?,
                        u64_at(&bytes, offset + TEXT)?,
                        u64_at(&bytes, offset + MIN_PC)?,
                    )
                })
        })
}
