//! Reading little-endian numbers and strings from bytes that nobody vouches for.

/// The bytes at an offset, if all of them are there.
pub(super) fn slice_at(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)
}

/// A 16-bit number at an offset.
pub(super) fn u16_at(bytes: &[u8], offset: u64) -> Option<u16> {
    let bytes = slice_at(bytes, offset, 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

/// A 32-bit number at an offset.
pub(super) fn u32_at(bytes: &[u8], offset: u64) -> Option<u32> {
    let bytes = slice_at(bytes, offset, 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// A 64-bit number at an offset.
pub(super) fn u64_at(bytes: &[u8], offset: u64) -> Option<u64> {
    let bytes = slice_at(bytes, offset, 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// A string that ends with a NUL or after `len_max` bytes; `None` beyond the end of the bytes.
pub(super) fn c_string_at(bytes: &[u8], offset: u64, len_max: usize) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    let rest = &rest[..rest.len().min(len_max)];
    let len = rest
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(rest.len());
    Some(&rest[..len])
}

/// How many bytes of names may be taken from a table of that length.
///
/// Tables share names, so this is more than the length; but a million entries that refer to one
/// long name would fill the memory.
pub(super) fn names_budget(table_len: usize) -> usize {
    const SHARED_BYTES_MAX: usize = 16 << 20;
    table_len.saturating_mul(2).saturating_add(SHARED_BYTES_MAX)
}

/// Whether `needle` occurs in `bytes`.
pub(super) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let bytes = [1, 0, 0, 0, 0, 0, 0, 2];
        assert_eq!(u16_at(&bytes, 0), Some(1));
        assert_eq!(u32_at(&bytes, 4), Some(0x0200_0000));
        assert_eq!(u32_at(&bytes, 5), None);
        assert_eq!(u64_at(&bytes, 0), Some(0x0200_0000_0000_0001));
        assert_eq!(u64_at(&bytes, u64::MAX), None);
        assert_eq!(slice_at(&bytes, 1, u64::MAX), None);
    }

    #[test]
    fn a_string_ends_at_its_nul_or_at_the_limit() {
        assert_eq!(c_string_at(b"main\0x", 0, 64), Some(&b"main"[..]));
        assert_eq!(c_string_at(b"main\0x", 5, 64), Some(&b"x"[..]));
        assert_eq!(c_string_at(b"main", 0, 2), Some(&b"ma"[..]));
        assert_eq!(c_string_at(b"main", 5, 64), None);
    }
}
