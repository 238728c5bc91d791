//! How a failed call is told by what it returns.

use coral_ebpf_common::{BASE_STACK, ErrorTest};

use super::Interface;
use super::place::{Part, Place};
use super::types::{Kind, Type};

/// RSP, by its DWARF number. At a return it is what it was at the entry.
const RSP: u8 = 7;
/// The test reads memory, or a register.
const BY_MEMORY: u8 = 2;
const BY_REGISTER: u8 = 1;

/// Go: a call has failed if its last result of the type `error` is not nil.
pub(super) fn of_go(results: &[(&Type, &Place)]) -> Option<ErrorTest> {
    let is_error =
        |kind: &Type| kind.name == "error" && kind.kind == Kind::GoInterface(Interface::Methods);
    let (_, place) = results.iter().rev().find(|(kind, _)| is_error(kind))?;
    test(place, 0, 8, 0, true)
}

/// Rust: a call has failed if its `Result` is an `Err`.
pub(super) fn of_rust(result: &Type, place: &Place) -> Option<ErrorTest> {
    let Kind::Struct(data) = &result.kind else {
        return None;
    };
    let variants = data.variants.as_ref()?;
    if !result.name.starts_with("Result<") || variants.all.len() != 2 {
        return None;
    }
    let tag = variants.tag.as_ref()?;
    let named = |name| {
        variants
            .all
            .iter()
            .find(|variant| variant.data.name == name)
    };
    let (value, is_success) = match (named("Ok")?.tag, named("Err")?.tag) {
        (Some(ok), _) => (ok, true),
        (None, Some(err)) => (err, false),
        (None, None) => return None,
    };
    test(place, tag.offset, tag.value.size, value, is_success)
}

/// Whether some bytes of a value equal a number.
fn test(place: &Place, offset: u64, size: u64, value: u64, unless: bool) -> Option<ErrorTest> {
    let mask = match size {
        1 | 2 | 4 => (1 << (8 * size)) - 1,
        8 => u64::MAX,
        _ => return None,
    };
    let (kind, register, offset) = match place.part(offset, size).ok()? {
        Part::Register(register) => (BY_REGISTER, register, 0),
        Part::Memory { base, offset } => {
            let register = if base == BASE_STACK { RSP } else { base };
            (BY_MEMORY, register, i32::try_from(offset).ok()?)
        }
        Part::FloatRegister => return None,
    };
    Some(ErrorTest {
        kind,
        register,
        size: size as u8,
        unless: u8::from(unless),
        offset,
        value: value & mask,
    })
}
