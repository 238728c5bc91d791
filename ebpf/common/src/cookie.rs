//! The 64 bits that the kernel hands to the program at every hit of a site.

/// What a site means for the frame of its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HitKind {
    /// A call begins.
    Entry = 0,
    /// A call ends: a return instruction, a tail call, or the kernel's return probe.
    Exit = 1,
}

/// Everything the program needs to know of a site, packed.
///
/// | bits | meaning |
/// | --- | --- |
/// | 0..24 | the function's slot in the session's maps |
/// | 24 | 1 at an exit |
/// | 25 | 1 if frames are named by goroutine, 0 if by thread |
/// | 26 | 1 if the entry site may fire again within one call |
/// | 27 | 1 if the kernel executes the instruction out of line, which costs more |
/// | 28 | 1 where the exit is a jump to another function: there are no results yet |
/// | 32..48 | stack pointer at entry minus stack pointer at the site, in bytes, signed |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(pub u64);

const EXIT: u64 = 1 << 24;
const GOROUTINE: u64 = 1 << 25;
const MAY_REFIRE: u64 = 1 << 26;
const STEPPED: u64 = 1 << 27;
const TAIL_CALL: u64 = 1 << 28;

impl Cookie {
    /// The largest slot that a cookie can hold.
    pub const SLOT_MAX: u32 = (1 << 24) - 1;

    /// Packs a cookie; `slot` is cut to 24 bits.
    #[inline(always)]
    pub const fn new(
        slot: u32,
        kind: HitKind,
        goroutine: bool,
        may_refire: bool,
        stack_adjust: i16,
    ) -> Self {
        let mut bits = (slot & Self::SLOT_MAX) as u64 | (stack_adjust as u16 as u64) << 32;
        if matches!(kind, HitKind::Exit) {
            bits |= EXIT;
        }
        if goroutine {
            bits |= GOROUTINE;
        }
        if may_refire {
            bits |= MAY_REFIRE;
        }
        Self(bits)
    }

    /// The same site, whose instruction is executed out of line.
    #[inline(always)]
    pub const fn stepped(self) -> Self {
        Self(self.0 | STEPPED)
    }

    /// The same site, which jumps to another function.
    #[inline(always)]
    pub const fn tail_call(self) -> Self {
        Self(self.0 | TAIL_CALL)
    }

    /// Whether the site jumps to another function.
    #[inline(always)]
    pub const fn is_tail_call(self) -> bool {
        self.0 & TAIL_CALL != 0
    }

    /// Whether the kernel executes the instruction out of line.
    #[inline(always)]
    pub const fn is_stepped(self) -> bool {
        self.0 & STEPPED != 0
    }

    /// The function's slot.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 as u32 & Self::SLOT_MAX
    }

    /// Whether the site is an entry or an exit.
    #[inline(always)]
    pub const fn kind(self) -> HitKind {
        if self.0 & EXIT != 0 {
            HitKind::Exit
        } else {
            HitKind::Entry
        }
    }

    /// Whether frames are named by goroutine.
    #[inline(always)]
    pub const fn goroutine(self) -> bool {
        self.0 & GOROUTINE != 0
    }

    /// Whether the entry site may fire again within one call.
    #[inline(always)]
    pub const fn may_refire(self) -> bool {
        self.0 & MAY_REFIRE != 0
    }

    /// What to add to the stack pointer at the site to get the one at the function's entry.
    #[inline(always)]
    pub const fn stack_adjust(self) -> i64 {
        (self.0 >> 32) as u16 as i16 as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_reads_back_as_it_was_packed() {
        for (slot, kind, goroutine, may_refire, adjust) in [
            (0, HitKind::Entry, false, false, 0),
            (1, HitKind::Exit, true, false, -8),
            (Cookie::SLOT_MAX, HitKind::Entry, true, true, i16::MAX),
            (4_000, HitKind::Exit, false, true, i16::MIN),
        ] {
            let cookie = Cookie::new(slot, kind, goroutine, may_refire, adjust);
            assert_eq!(cookie.slot(), slot);
            assert_eq!(cookie.kind(), kind);
            assert_eq!(cookie.goroutine(), goroutine);
            assert_eq!(cookie.may_refire(), may_refire);
            assert_eq!(cookie.stack_adjust(), i64::from(adjust));
            assert!(!cookie.is_stepped() && cookie.stepped().is_stepped());
            assert_eq!(cookie.stepped().slot(), slot);
        }
    }
}
