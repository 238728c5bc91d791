//! A function's ranges as one sequence of positions.

use super::FunctionCode;

/// The bytes of a function, numbered from 0 through its main range and then its cold parts.
pub(super) struct Code<'a> {
    function: FunctionCode<'a>,
}

impl<'a> Code<'a> {
    pub(super) fn new(function: &FunctionCode<'a>) -> Self {
        Self {
            function: *function,
        }
    }

    /// The address of the first instruction.
    pub(super) fn start(&self) -> u64 {
        self.function.address
    }

    /// How many positions there are.
    pub(super) fn len(&self) -> usize {
        self.ranges().map(|(_, code)| code.len()).sum()
    }

    /// The position of an address, if it belongs to the function.
    pub(super) fn locate(&self, address: u64) -> Option<usize> {
        let mut first = 0;
        for (range_address, code) in self.ranges() {
            let offset = address.wrapping_sub(range_address);
            if offset < code.len() as u64 {
                return Some(first + offset as usize);
            }
            first += code.len();
        }
        None
    }

    /// The address of a position and the bytes from there to the end of its range; nothing where
    /// there is no such position.
    pub(super) fn at(&self, position: usize) -> (u64, &'a [u8]) {
        let mut offset = position;
        for (range_address, code) in self.ranges() {
            if offset < code.len() {
                return (range_address.wrapping_add(offset as u64), &code[offset..]);
            }
            offset -= code.len();
        }
        (0, &[])
    }

    fn ranges(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let main = (self.function.address, self.function.code);
        let cold = self.function.cold.iter();
        std::iter::once(main).chain(cold.map(|part| (part.address, part.code)))
    }
}
