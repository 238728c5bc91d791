//! Values that change along a function's code: its lines, files, stack depth, inlined calls.

use std::ops::Range;

/// The values of one table in the order of the code; offsets count from the function's start.
///
/// Encoded as pairs of variable-length differences, of the value (zigzag) and of the program
/// counter, after `runtime.step`. What is damaged ends the table.
pub(super) struct PcValues<'a> {
    bytes: &'a [u8],
    quantum: u64,
    start: u64,
    value: i32,
    is_first: bool,
}

impl<'a> PcValues<'a> {
    /// Reads the table that the bytes begin with; code moves on in steps of `quantum` bytes.
    pub(super) fn new(bytes: &'a [u8], quantum: u8) -> Self {
        Self {
            bytes,
            quantum: quantum.into(),
            start: 0,
            value: -1,
            is_first: true,
        }
    }

    /// The value at an offset.
    pub(super) fn at(mut self, offset: u64) -> Option<i32> {
        self.find(|(range, _)| offset < range.end)
            .map(|(_, value)| value)
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl Iterator for PcValues<'_> {
    type Item = (Range<u64>, i32);

    fn next(&mut self) -> Option<Self::Item> {
        let delta = self.number()?;
        // No difference ends the table, except before its first value.
        if delta == 0 && !self.is_first {
            self.bytes = &[];
            return None;
        }
        self.is_first = false;
        let sign = if delta & 1 == 0 { 0 } else { -1 };
        self.value = self.value.wrapping_add((delta >> 1) as i32 ^ sign);
        let start = self.start;
        self.start += u64::from(self.number()?) * self.quantum;
        Some((start..self.start, self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_differences_and_so_are_offsets() {
        // -1 + 3 for 4 bytes, 2 - 2 for 200 bytes, the end, and what is behind it.
        let bytes = [6, 4, 3, 0xc8, 0x01, 0, 2, 1];
        let values: Vec<_> = PcValues::new(&bytes, 1).collect();
        assert_eq!(values, [(0..4, 2), (4..204, 0)]);
        for (offset, expected) in [(0, Some(2)), (3, Some(2)), (4, Some(0)), (204, None)] {
            assert_eq!(PcValues::new(&bytes, 1).at(offset), expected, "{offset}");
        }
        assert_eq!(PcValues::new(&bytes, 4).at(15), Some(2));
    }

    #[test]
    fn the_first_value_may_be_no_difference() {
        let values: Vec<_> = PcValues::new(&[0, 8, 0], 1).collect();
        assert_eq!(values, [(0..8, -1)]);
    }

    proptest! {
        #[test]
        fn damage_ends_the_table(bytes: Vec<u8>) {
            prop_assert!(PcValues::new(&bytes, 1).count() <= bytes.len() / 2);
        }
    }
}
