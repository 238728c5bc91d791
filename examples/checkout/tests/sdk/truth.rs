//! What is in the example's binary, read in another way than the SDK reads it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use object::elf::PF_X;
use object::{Object, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind};

pub(crate) struct Truth {
    /// Mangled names by their offset in the file.
    pub(crate) names: BTreeMap<u64, Vec<String>>,
    pub(crate) build_id: String,
}

impl Truth {
    pub(crate) fn read(exe: &Path) -> Self {
        let bytes = fs::read(exe).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for symbol in file.symbols() {
            let is_function = symbol.kind() == SymbolKind::Text && symbol.is_definition();
            let name = symbol.name().unwrap();
            if !is_function || name.is_empty() || name.ends_with(".cold") {
                continue;
            }
            let Some(offset) = offset(&file, symbol.address()) else {
                continue;
            };
            names.entry(offset).or_default().push(name.to_owned());
        }
        let build_id = file.build_id().unwrap().unwrap_or_default();
        Self {
            names,
            build_id: build_id.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Where the function begins whose mangled name holds this.
    pub(crate) fn offset_of(&self, part: &str) -> u64 {
        let holds = |names: &&Vec<String>| names.iter().any(|name| name.contains(part));
        let found: Vec<u64> = self
            .names
            .iter()
            .filter(|(_, names)| holds(names))
            .map(|(at, _)| *at)
            .collect();
        assert_eq!(found.len(), 1, "{part}");
        found[0]
    }
}

fn offset(file: &object::File<'_>, address: u64) -> Option<u64> {
    file.segments().find_map(|segment| {
        let SegmentFlags::Elf { p_flags, .. } = segment.flags() else {
            return None;
        };
        let (start, len) = segment.file_range();
        let within = address
            .checked_sub(segment.address())
            .filter(|&within| within < len)?;
        p_flags.contains(PF_X).then_some(start + within)
    })
}
