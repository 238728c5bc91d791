//! What called a function, from the tables for unwinding (`.eh_frame`).

use std::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, LittleEndian, Pointer, RegisterRule,
    UnwindContext, UnwindSection, X86_64,
};

use super::image::Image;

/// The tables of one image.
pub(super) struct UnwindTable {
    frames: Vec<u8>,
    /// An index of the frames by address, where the linker made one.
    index: Option<Vec<u8>>,
    bases: BaseAddresses,
}

/// How the caller's registers are found at one instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallerRules {
    /// The addresses that the entry is for, mostly a function's.
    pub(super) function: Range<u64>,
    pub(super) base: Base,
    /// What to add to the base to get the stack pointer that the function returns with.
    pub(super) offset: i64,
    /// Where the return address is, from there.
    pub(super) return_address: i64,
    /// Where the caller's frame pointer is, from there; it is still in its register if nowhere.
    pub(super) rbp: Option<i64>,
}

/// The register that tells where the frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    StackPointer,
    FramePointer,
}

impl CallerRules {
    /// Whether the frame pointer is 8 below the stack pointer at the function's entry.
    pub(super) fn has_usual_frame(&self) -> bool {
        self.base == Base::FramePointer && self.offset == 16
    }
}

impl UnwindTable {
    /// Reads an image's tables; `None` if it has none.
    pub(super) fn read(image: &Image) -> Option<Self> {
        let section = image.section(".eh_frame")?;
        let header = image.section(".eh_frame_hdr");
        let address_of = |name| image.section(name).map_or(0, |section| section.address);
        let bases = BaseAddresses::default()
            .set_eh_frame(section.address)
            .set_eh_frame_hdr(header.map_or(0, |header| header.address))
            .set_text(address_of(".text"))
            .set_got(address_of(".got"));
        Some(Self {
            frames: image.section_bytes(section)?,
            index: header.and_then(|header| image.section_bytes(header)),
            bases,
        })
    }

    /// The rules at an address; `Some(None)` for a function that nothing called, and `None` where
    /// nothing is known, or the rules are more than registers and offsets.
    pub(super) fn rules_at(&self, address: u64) -> Option<Option<CallerRules>> {
        let frames = EhFrame::new(&self.frames, LittleEndian);
        let entry = match self.entry_offset(address) {
            Some(offset) => frames
                .fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset)
                .ok()?,
            None => frames
                .fde_for_address(&self.bases, address, EhFrame::cie_from_offset)
                .ok()?,
        };
        let mut context = UnwindContext::new();
        let row = entry
            .unwind_info_for_address(&frames, &self.bases, &mut context, address)
            .ok()?;
        let return_address = match row.register(X86_64::RA) {
            Some(RegisterRule::Offset(offset)) => offset,
            Some(RegisterRule::Undefined) => return Some(None),
            _ => return None,
        };
        let rbp = match row.register(X86_64::RBP) {
            Some(RegisterRule::Offset(offset)) => Some(offset),
            // The calling convention preserves it.
            None | Some(RegisterRule::SameValue) => None,
            _ => return None,
        };
        let (base, offset) = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => (*register, *offset),
            CfaRule::Expression(_) => return None,
        };
        let base = match base {
            X86_64::RSP => Base::StackPointer,
            X86_64::RBP => Base::FramePointer,
            _ => return None,
        };
        let start = entry.initial_address();
        Some(Some(CallerRules {
            function: start..start.checked_add(entry.len())?,
            base,
            offset,
            return_address,
            rbp,
        }))
    }

    /// Where the entry for an address is, if there is an index to look it up in.
    fn entry_offset(&self, address: u64) -> Option<gimli::EhFrameOffset> {
        let header = EhFrameHdr::new(self.index.as_ref()?, LittleEndian);
        let header = header.parse(&self.bases, 8).ok()?;
        let table = header.table()?;
        match table.lookup(address, &self.bases).ok()? {
            pointer @ Pointer::Direct(_) => table.pointer_to_offset(pointer).ok(),
            Pointer::Indirect(_) => None,
        }
    }
}
