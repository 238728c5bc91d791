//! Where Go's runtime keeps what names a goroutine.

use super::process::Process;
use super::table::Symbols;

/// The first version whose `runtime.g` has `goid` there, and that place: after what came and went
/// before it, `syscallbp` in Go 1.23 and `sched.ret` until Go 1.24.
const GOID_OFFSETS: [((u32, u32), u32); 3] = [((1, 18), 152), ((1, 23), 160), ((1, 25), 152)];
/// `atomicstatus` lies so far before `goid`, in all of these.
const STATUS_BEFORE_GOID: u64 = 8;
/// `_Gdead`, and the mark that the collector sets on any status.
const DEAD: u32 = 6;
const SCANNED: u32 = 0x1000;
/// Nobody has looked at later versions.
const VERSION_MAX: (u32, u32) = (1, 27);

impl Symbols {
    /// Where a goroutine's number lies in its `runtime.g`, if a module is of a version of Go where
    /// that is known. A `g` is used for one goroutine after the other; the number is not.
    pub fn goid_offset(&self, module: u16) -> Option<u32> {
        offset_of(self.image(module)?.go_version()?)
    }
}

impl Process {
    /// Whether the goroutine of a `runtime.g` has ended, by where its number lies; what it was
    /// doing then still stands in its stack. False where that cannot be read.
    pub fn goroutine_has_ended(&self, g: u64, goid_offset: u32) -> bool {
        let mut status = [0; 4];
        let address = g.wrapping_add(u64::from(goid_offset) - STATUS_BEFORE_GOID);
        let is_read = self.read_memory(address, &mut status).is_some();
        is_read && u32::from_le_bytes(status) & !SCANNED == DEAD
    }
}

fn offset_of(version: (u32, u32)) -> Option<u32> {
    let mut known = GOID_OFFSETS.iter().rev();
    let (_, offset) = known.find(|(since, _)| *since <= version)?;
    (version <= VERSION_MAX).then_some(*offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_moves_with_the_version() {
        let offsets = [17, 18, 22, 23, 24, 25, 27, 28].map(|minor| offset_of((1, minor)));
        let [before, later] = [152, 160].map(Some);
        assert_eq!(
            offsets,
            [None, before, before, later, later, before, before, None]
        );
    }
}
