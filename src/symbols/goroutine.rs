//! Where Go's runtime keeps what names a goroutine.

use super::go_build_info;
use super::table::Symbols;

/// The first version whose `runtime.g` has `goid` there, and that place: after what came and went
/// before it, `syscallbp` in Go 1.23 and `sched.ret` until Go 1.24.
const GOID_OFFSETS: [((u32, u32), u32); 3] = [((1, 18), 152), ((1, 23), 160), ((1, 25), 152)];
/// Nobody has looked at later versions.
const VERSION_MAX: (u32, u32) = (1, 27);

impl Symbols {
    /// Where a goroutine's number lies in its `runtime.g`, if a module is of a version of Go where
    /// that is known. A `g` is used for one goroutine after the other; the number is not.
    pub fn goid_offset(&self, module: u16) -> Option<u32> {
        offset_of(go_build_info::version(self.image(module)?)?)
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
