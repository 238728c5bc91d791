//! From addresses in a process to addresses in the files of its code.

use std::ops::Range;
use std::sync::Arc;

use super::ProcessError;
use super::image::Image;
use super::location::Location;
use super::process::{Process, maps};
use super::procfs::{self, Mapping};
use super::table::Symbols;

/// What is mapped where in a process, as it was when this was read.
#[derive(Clone, Debug)]
pub struct AddressMap {
    areas: Vec<Area>,
}

/// A mapping with code.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) mapping: Mapping,
    /// The module whose code it is, and what to subtract from addresses to get the file's.
    pub(super) module: Option<(u16, u64)>,
}

impl AddressMap {
    /// Reads the mappings of a process, and finds the modules of the symbols among them.
    ///
    /// # Errors
    /// If the mappings may not be read.
    pub fn read(process: &Process, symbols: &Symbols) -> Result<Self, ProcessError> {
        let pid = process.pid();
        let mappings = procfs::all_mappings(pid)
            .map_err(|error| ProcessError::from_io(pid, "mappings", error))?;
        let module_of = |mapping: &Mapping| {
            (0..).zip(symbols.images()).find_map(|(module, image)| {
                let bias = maps(mapping, image).then(|| bias(mapping, image))??;
                Some((module, bias))
            })
        };
        let areas = mappings
            .into_iter()
            .filter(|mapping| mapping.executable)
            .map(|mapping| Area {
                module: module_of(&mapping),
                mapping,
            })
            .collect();
        Ok(Self { areas })
    }

    /// The module that the code at an address of the process belongs to, and its address in the
    /// module's file.
    pub fn module_address(&self, address: u64) -> Option<(u16, u64)> {
        let (module, bias) = self.area(address)?.module?;
        Some((module, address.wrapping_sub(bias)))
    }

    /// Where an address of the process is in the source, innermost first, and never empty: what no
    /// module of the symbols holds has the name of its mapping or its address for a function's.
    pub fn locate(&self, symbols: &Symbols, address: u64) -> Vec<Location> {
        let known = self.module_address(address);
        let locations = known.map(|(module, address)| symbols.locate(module, address));
        match locations {
            Some(locations) if !locations.is_empty() => locations,
            _ => vec![Location {
                function: self.name(address),
                file: None,
                line: None,
                inlined: false,
            }],
        }
    }

    pub(super) fn area(&self, address: u64) -> Option<&Area> {
        self.areas.iter().find(|area| {
            let Range { start, end } = area.mapping.start..area.mapping.end;
            (start..end).contains(&address)
        })
    }

    /// The file name of the mapping with the offset in the file, such as `libc.so.6+0x9cf3`.
    fn name(&self, address: u64) -> String {
        let mapping = self.area(address).map(|area| &area.mapping);
        match mapping.filter(|mapping| !mapping.path.is_empty()) {
            Some(mapping) => {
                let file = mapping.path.rsplit('/').next().unwrap_or_default();
                let offset = (address - mapping.start).wrapping_add(mapping.offset);
                format!("{file}+{offset:#x}")
            }
            None => format!("{address:#x}"),
        }
    }
}

/// What to subtract from addresses in a mapping of an image to get those in its file.
pub(super) fn bias(mapping: &Mapping, image: &Arc<Image>) -> Option<u64> {
    let address = image.mapped_address(mapping.offset, mapping.end - mapping.start)?;
    Some(mapping.start.wrapping_sub(address))
}
