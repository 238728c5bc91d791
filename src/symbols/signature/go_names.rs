//! The names of Go types in a live process, as its runtime finds them.

use super::{Interface, TypeNames};

/// Offsets in `internal/abi.ITab` and `internal/abi.Type`, the same from Go 1.17 to 1.27.
const ITAB_TYPE: u64 = 8;
const TYPE_FLAGS: u64 = 20;
const TYPE_NAME: u64 = 40;
/// The name has a `*` before it that is not part of it.
const FLAG_EXTRA_STAR: u8 = 1 << 1;
/// A name is a byte of flags, its length, and its bytes.
const NAME_BYTES_MAX: u64 = 512;
/// Lengths take at most so many bytes; a longer name than that has room for is a lie.
const LENGTH_BYTES_MAX: usize = 3;

/// Names of Go types, read from a process's memory.
///
/// The type of an interface's value says where its name is relative to the beginning of the
/// program's type data, which is `moduledata.types`: 296 bytes into `runtime.firstmoduledata` in
/// every Go from 1.20 on.
pub struct GoTypeNames<R> {
    types: u64,
    read: R,
}

/// Where `types` stands in `runtime.moduledata`.
const MODULEDATA_TYPES: u64 = 296;

impl<R: Fn(u64, usize) -> Option<Vec<u8>>> GoTypeNames<R> {
    /// `moduledata` is the address of `runtime.firstmoduledata` in the process; `read` reads its
    /// memory, all of the bytes or nothing. `None` if that can not be read.
    pub fn new(moduledata: u64, read: R) -> Option<Self> {
        let types = word(&read, moduledata.checked_add(MODULEDATA_TYPES)?)?;
        Some(Self { types, read })
    }

    fn name_of(&self, type_word: u64, interface: Interface) -> Option<String> {
        let address = match interface {
            Interface::Empty => type_word,
            Interface::Methods => word(&self.read, type_word.checked_add(ITAB_TYPE)?)?,
        };
        let flags = (self.read)(address.checked_add(TYPE_FLAGS)?, 1)?;
        let offset = (self.read)(address.checked_add(TYPE_NAME)?, 4)?;
        let offset = u32::from_le_bytes(offset.try_into().ok()?);
        let start = self.types.checked_add(u64::from(offset))?;
        let head = (self.read)(start, 1 + LENGTH_BYTES_MAX)?;
        let (len, len_bytes) = length(head.get(1..)?)?;
        let text_start = start.checked_add(1 + len_bytes)?;
        let bytes = (self.read)(text_start, usize::try_from(len.min(NAME_BYTES_MAX)).ok()?)?;
        let name = String::from_utf8_lossy(&bytes);
        let has_star = flags.first()? & FLAG_EXTRA_STAR != 0;
        let name = if has_star {
            name.strip_prefix('*')?
        } else {
            &name
        };
        Some(name.to_owned())
    }
}

impl<R: Fn(u64, usize) -> Option<Vec<u8>>> TypeNames for GoTypeNames<R> {
    fn name(&self, type_word: u64, interface: Interface) -> Option<String> {
        self.name_of(type_word, interface)
    }
}

fn word(read: &impl Fn(u64, usize) -> Option<Vec<u8>>, address: u64) -> Option<u64> {
    Some(u64::from_le_bytes(read(address, 8)?.try_into().ok()?))
}

/// A number in groups of 7 bits, the lowest first, and how many bytes it takes.
fn length(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut number = 0;
    for (index, byte) in (0_u64..).zip(bytes) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}
