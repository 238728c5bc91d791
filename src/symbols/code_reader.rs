//! Reads the code of many functions in the order of their addresses, with few system calls.

use std::ops::Range;

use super::image::{FUNCTION_BYTES_MAX, Image};

/// One read fetches this much, unless a function is longer.
const WINDOW_BYTES: u64 = 1 << 20;

/// A window over an image's code.
pub(super) struct CodeReader<'a> {
    image: &'a Image,
    start: u64,
    window: Vec<u8>,
}

impl<'a> CodeReader<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        Self {
            image,
            start: 0,
            window: Vec::new(),
        }
    }

    /// The code at a range of addresses; `None` if not all of it is code.
    pub(super) fn read(&mut self, range: Range<u64>) -> Option<&[u8]> {
        let len = range.end.checked_sub(range.start)?;
        if len > FUNCTION_BYTES_MAX {
            return None;
        }
        let window_end = self.start + self.window.len() as u64;
        if range.start < self.start || range.end > window_end {
            let available = self.image.code_len_from(range.start);
            let end = range.start + available.min(len.max(WINDOW_BYTES));
            self.window = self.image.code(range.start..end)?;
            self.start = range.start;
        }
        let offset = (range.start - self.start) as usize;
        self.window.get(offset..offset + len as usize)
    }
}
