//! Code as a process runs it, to hold against the file that it was planned from.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::image::Image;
use super::process::Process;
use super::{ProcessError, procfs};

/// An image's code in a process's memory.
#[derive(Debug)]
pub struct MappedCode<'a> {
    pid: u32,
    image: &'a Image,
    memory: File,
    bias: u64,
}

/// A byte of code in memory that is not what the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeDifference {
    /// The virtual address in the file.
    pub address: u64,
    /// Whether memory holds a breakpoint there: a probe, or a debugger's.
    pub is_breakpoint: bool,
}

impl<'a> MappedCode<'a> {
    /// Finds where a process has mapped an image.
    ///
    /// # Errors
    /// If the image is not mapped, or the process may not be read.
    pub fn of(process: &Process, image: &'a Image) -> Result<Self, ProcessError> {
        let pid = process.pid();
        let bias = process
            .load_bias(image)?
            .ok_or_else(|| unreadable(pid, std::io::ErrorKind::NotFound.into()))?;
        let memory = File::open(procfs::path(pid, "mem"))
            .map_err(|error| ProcessError::from_io(pid, "memory", error))?;
        Ok(Self {
            pid,
            image,
            memory,
            bias,
        })
    }

    /// Every byte in a range of the file's addresses that is another one in memory.
    ///
    /// # Errors
    /// If the range is not code of the image, or its memory may not be read.
    pub fn differences(&self, range: Range<u64>) -> Result<Vec<CodeDifference>, ProcessError> {
        let file = self
            .image
            .code(range.clone())
            .ok_or_else(|| unreadable(self.pid, std::io::ErrorKind::InvalidInput.into()))?;
        let mut memory = vec![0; file.len()];
        self.memory
            .read_exact_at(&mut memory, range.start.wrapping_add(self.bias))
            .map_err(|error| ProcessError::from_io(self.pid, "code", error))?;
        Ok((range.start..)
            .zip(file.iter().zip(&memory))
            .filter(|(_, (in_file, in_memory))| in_file != in_memory)
            .map(|(address, (_, in_memory))| CodeDifference {
                address,
                is_breakpoint: *in_memory == 0xcc,
            })
            .collect())
    }
}

fn unreadable(pid: u32, source: std::io::Error) -> ProcessError {
    ProcessError::Unreadable {
        pid,
        what: "code",
        source,
    }
}
