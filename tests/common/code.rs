//! Compares a process's code with the files it comes from.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The addresses of all bytes of a process's code that differ from its files: where probes are.
pub(crate) fn changed(pid: u32) -> Vec<u64> {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mappings: Vec<Mapping> = maps.lines().filter_map(Mapping::parse).collect();
    assert!(!mappings.is_empty(), "process {pid} has code");
    mappings
        .iter()
        .flat_map(|mapping| mapping.changed(pid, &memory))
        .collect()
}

/// An executable mapping of a file.
struct Mapping {
    addresses: Range<u64>,
    file_offset: u64,
}

impl Mapping {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [range, rights, offset, _, _, path, ..] = fields[..] else {
            return None;
        };
        if !rights.contains('x') || !path.starts_with('/') {
            return None;
        }
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = range.split_once('-')?;
        Some(Self {
            addresses: number(start)?..number(end)?,
            file_offset: number(offset)?,
        })
    }

    fn changed(&self, pid: u32, memory: &File) -> Vec<u64> {
        let Range { start, end } = self.addresses;
        // The mapped file itself, even if its path leads to another one by now.
        let path = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
        let mut there = vec![0; (end - start) as usize];
        let mut here = there.clone();
        memory.read_exact_at(&mut there, start).unwrap();
        // The last page can reach beyond the file.
        let len = File::open(path)
            .unwrap()
            .read_at(&mut here, self.file_offset)
            .unwrap();
        (start..)
            .zip(here[..len].iter().zip(&there[..len]))
            .filter(|(_, (here, there))| here != there)
            .map(|(address, _)| address)
            .collect()
    }
}
