//! Where an address is in the source, with the calls that were inlined there.

use coral_model::{Function, Language};

use super::demangle::demangle;
use super::table::Symbols;

/// One function at a place in the code: the one that the code belongs to, or one that was inlined
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its name; with an offset in bytes (`malloc+0x1c`) where no line is known, and what else
    /// names the place where no function is.
    pub function: String,
    /// The source file.
    pub file: Option<String>,
    /// The line, from 1: of the code, or of the inlined call that the location before came from.
    pub line: Option<u32>,
    /// Whether it was inlined into the function of the next location.
    pub inlined: bool,
}

impl Symbols {
    /// Where a virtual address in a module's file is, innermost first; empty if it is in no
    /// function. Of a return address, ask for the byte before it.
    ///
    /// Go's own table tells it for Go, stripped or not; DWARF for all others; and else the nearest
    /// function of the table. What is read for this is kept with the module.
    pub fn locate(&self, module: u16, address: u64) -> Vec<Location> {
        self.locate_known(module, address).unwrap_or_default()
    }

    fn locate_known(&self, module: u16, address: u64) -> Option<Vec<Location>> {
        let image = self.image(module)?;
        let lookup = self.lookup(module)?;
        let go = lookup.go(image);
        if let Some(locations) = go.and_then(|go| go.locate(image, address)) {
            return Some(locations);
        }
        let function = self.function_at(module, address);
        let mut locations = lookup.dwarf(self.debug_image(module)?, address);
        for location in &mut locations {
            let (name, _) = demangle(&location.function, Language::Unknown);
            location.function = name.into_owned();
        }
        // The function has the name that the table knows it by.
        match (locations.last_mut(), function) {
            (Some(outermost), Some(function)) => outermost.function = function.name.to_owned(),
            (None, Some(function)) => locations.push(without_line(&function, address)),
            (Some(outermost), None) if outermost.function.is_empty() => locations.clear(),
            (_, None) => {}
        }
        Some(locations)
    }

    /// The function that the code at an address belongs to.
    pub(super) fn function_at(&self, module: u16, address: u64) -> Option<Function<'_>> {
        let id = self.lookup(module)?.function_at(self, module, address)?;
        self.table().get(id)
    }
}

fn without_line(function: &Function<'_>, address: u64) -> Location {
    let name = match address.wrapping_sub(function.address) {
        0 => function.name.to_owned(),
        offset if offset < function.size => format!("{}+{offset:#x}", function.name),
        // In a part that the compiler moved away.
        _ => format!("{} at {address:#x}", function.name),
    };
    Location {
        function: name,
        file: None,
        line: None,
        inlined: false,
    }
}
