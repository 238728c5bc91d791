//! Whether a Rust function polls a future that the compiler made of an `async` function or block.

use coral_ebpf_common::FutureSpec;

use super::place::{Part, Place};
use super::types::{Kind, Type, TypeReader};

/// What the compiler calls the number that tells how far a future has come.
const STATE: &str = "__state";

/// The polls of a Rust future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Future {
    /// Where the future's state is.
    pub spec: FutureSpec,
    /// The register that points to the future at the function's entry, by its DWARF number: RDI
    /// (5), or RSI (4) where RDI points to the memory for the result.
    pub register: u8,
}

/// The future behind a function's first argument.
pub(super) fn of(types: &mut TypeReader<'_, '_>, first: &Type, place: &Place) -> Option<Future> {
    let pointer = first.field("pointer").map_or(first, |field| &field.value);
    let Kind::Pointer(Some(pointee)) = pointer.kind else {
        return None;
    };
    let Part::Register(register) = place.part(0, 8).ok()? else {
        return None;
    };
    let Kind::Struct(data) = types.read(pointee).kind else {
        return None;
    };
    let tag = data.variants?.tag?;
    if tag.name != STATE {
        return None;
    }
    Some(Future {
        spec: FutureSpec {
            enabled: 1,
            size: [1, 2, 4]
                .into_iter()
                .find(|&size| u64::from(size) == tag.value.size)?,
            offset: u32::try_from(tag.offset).ok()?,
            ..FutureSpec::default()
        },
        register,
    })
}
