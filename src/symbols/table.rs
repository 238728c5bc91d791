//! The functions of a process: its executable's, and those of libraries that were added.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::{
    Function, FunctionId, FunctionTable, FunctionTableBuilder, Language, Module, ProbeReason,
    SymbolSource,
};

use super::demangle::demangle;
use super::dwarf_lines::{Wanted, locate};
use super::elf_symbols::SymbolTable;
use super::functions::{ColdParts, add_functions};
use super::image::Image;
use super::lookup::Lookup;
use super::planner::Plan;
use super::planning::{ImagePlanner, plan_all};
use super::{SymbolError, debug_file, dwarf_functions};

/// So long the line programs of one image are read; the functions left have no source line.
const LINES_TIME_MAX: Duration = Duration::from_secs(2);

/// The functions of one or more images, and the images themselves.
///
/// Its values are cheap to clone and never change: adding a library or completing the table makes
/// a new one, in which every function keeps its id.
#[derive(Clone, Debug)]
pub struct Symbols {
    images: Vec<LoadedImage>,
    table: Arc<FunctionTable>,
    cold: Arc<ColdParts>,
    skipped: u32,
}

#[derive(Clone, Debug)]
struct LoadedImage {
    image: Arc<Image>,
    /// Its separate debug information.
    debug: Option<Arc<Image>>,
    lookup: Arc<Lookup>,
}

impl Symbols {
    /// Lists the functions of an executable: their names and bounds, not yet their source lines
    /// (except Go's) and plans.
    ///
    /// # Errors
    /// If nothing in it tells where a function starts.
    pub fn read(executable: Arc<Image>) -> Result<Self, SymbolError> {
        let empty = Self {
            images: Vec::new(),
            table: Arc::default(),
            cold: Arc::default(),
            skipped: 0,
        };
        empty.with_library(executable)
    }

    /// The same functions and those of one more image.
    ///
    /// # Errors
    /// If nothing in it tells where a function starts.
    pub fn with_library(&self, library: Arc<Image>) -> Result<Self, SymbolError> {
        let debug = debug_file::find(&library);
        let mut builder = FunctionTableBuilder::extend(&self.table);
        let module = builder.add_module(Module {
            path: library.path().to_owned(),
            build_id: library.build_id().map(str::to_owned),
            language: library.language(),
        });
        let mut cold = ColdParts::clone(&self.cold);
        let added = add_functions(&mut builder, module, &library, debug.as_ref());
        cold.extend(added.cold);
        let table = builder.build();
        if table.len() == self.table.len() {
            return Err(SymbolError::NoFunctions {
                path: library.path().to_owned(),
            });
        }
        let mut images = self.images.clone();
        images.push(LoadedImage {
            image: library,
            debug: debug.map(Arc::new),
            lookup: Arc::default(),
        });
        Ok(Self {
            images,
            table: Arc::new(table),
            cold: Arc::new(cold),
            skipped: self.skipped.saturating_add(added.left_out),
        })
    }

    /// The same functions with their source lines, and with what the planner says about each.
    /// In a damaged file functions may overlap so much that some of them stay without.
    ///
    /// This takes seconds for large binaries.
    #[must_use]
    pub fn completed(&self) -> Self {
        let mut builder = FunctionTableBuilder::extend(&self.table);
        let mut skipped = self.skipped;
        for (module, loaded) in (0..).zip(&self.images) {
            skipped += self.add_lines(&mut builder, module, loaded);
        }
        let parts = |function: &Function<'_>| {
            let loaded = self.images.get(usize::from(function.module))?;
            Some((&*loaded.image, self.cold_parts(function.id)))
        };
        // Intact functions hardly overlap, so their code is no longer than the files.
        let files_len = self.images.iter().map(|loaded| loaded.image.len());
        let code_bytes_max = files_len.fold(0, u64::saturating_add).saturating_mul(2);
        for (id, summary) in plan_all(&self.table, code_bytes_max, parts) {
            builder.set_plan(id, summary);
        }
        Self {
            table: Arc::new(builder.build()),
            skipped,
            ..self.clone()
        }
    }

    /// The same functions, some with a name that something else than their file has told.
    #[must_use]
    pub fn with_names(&self, names: &[(FunctionId, String)]) -> Self {
        if names.is_empty() {
            return self.clone();
        }
        let mut builder = FunctionTableBuilder::extend(&self.table);
        for (id, name) in names {
            builder.set_name(*id, name, SymbolSource::Sdk);
        }
        Self {
            table: Arc::new(builder.build()),
            ..self.clone()
        }
    }

    /// The names in the executable's symbol table of what begins at these offsets of the file; also
    /// of what the table leaves out, as Go's wrappers.
    pub fn names_at(&self, offsets: &HashSet<u64>) -> HashMap<u64, String> {
        let Some(executable) = self.images.first().map(|loaded| &*loaded.image) else {
            return HashMap::new();
        };
        let sources = [SymbolSource::Symtab, SymbolSource::Dynsym].into_iter();
        let Some(table) = sources
            .filter_map(|source| SymbolTable::read(executable, source))
            .next()
        else {
            return HashMap::new();
        };
        let symbols = table.symbols.iter().filter_map(|symbol| {
            let offset = executable.file_offset(symbol.address)?;
            let name = offsets.contains(&offset).then(|| table.name(symbol))?;
            let (name, _) = demangle(&name, executable.language());
            Some((offset, name.into_owned()))
        });
        symbols.collect()
    }

    /// All functions.
    pub fn table(&self) -> &Arc<FunctionTable> {
        &self.table
    }

    /// The image of a module of the table.
    pub fn image(&self, module: u16) -> Option<&Arc<Image>> {
        let loaded = self.images.get(usize::from(module))?;
        Some(&loaded.image)
    }

    /// The images of all modules, in the order of the modules.
    pub(super) fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.iter().map(|loaded| &loaded.image)
    }

    /// Where the debug information of a module of the table is.
    pub(super) fn debug_image(&self, module: u16) -> Option<&Arc<Image>> {
        let loaded = self.images.get(usize::from(module))?;
        Some(loaded.debug.as_ref().unwrap_or(&loaded.image))
    }

    /// What finds functions and source lines of a module of the table by address.
    pub(super) fn lookup(&self, module: u16) -> Option<&Lookup> {
        let loaded = self.images.get(usize::from(module))?;
        Some(&loaded.lookup)
    }

    /// How many functions and line programs were damaged, too large, or not reached in time.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Where to probe a function; `None` if it is not of this table.
    ///
    /// # Errors
    /// Why no probe may be placed in it.
    pub fn plan(&self, id: FunctionId) -> Option<Result<Plan, ProbeReason>> {
        let function = self.table.get(id)?;
        let image = self.image(function.module)?;
        Some(ImagePlanner::new(image).plan(&function, self.cold_parts(id)))
    }

    /// The parts of a function that the compiler moved away from it.
    pub(super) fn cold_parts(&self, id: FunctionId) -> &[Range<u64>] {
        self.cold.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Adds the source lines of a module's functions; returns how many line programs were skipped.
    fn add_lines(
        &self,
        builder: &mut FunctionTableBuilder,
        module: u16,
        loaded: &LoadedImage,
    ) -> u32 {
        let mut wanted: Vec<_> = self
            .table
            .iter()
            .filter(|function| function.module == module && function.line.is_none())
            .map(|function| Wanted {
                address: function.address,
                id: function.id,
            })
            .collect();
        wanted.sort_unstable_by_key(|wanted| wanted.address);
        let deadline = Instant::now() + LINES_TIME_MAX;
        let debug = loaded.debug.as_ref().unwrap_or(&loaded.image);
        let mut skipped = 0;
        for locations in locate(debug, &wanted, deadline).into_iter().rev() {
            skipped += locations.skipped;
            // The first location of a function counts: it is set last.
            for location in locations.found.into_iter().rev() {
                let file = &locations.files[location.file];
                builder.set_location(location.id, file, location.line);
                if let Some(language) = location.language {
                    self.correct_language(builder, location.id, language);
                }
            }
        }
        // Where a function is declared goes before where its first instruction comes from.
        let declarations = dwarf_functions::declarations(debug, Instant::now() + LINES_TIME_MAX);
        for wanted in &wanted {
            if let Some(&(file, line)) = declarations.places.get(&wanted.address) {
                builder.set_location(wanted.id, &declarations.files[file], line);
            }
        }
        skipped
    }

    /// An unmangled name says little about the language; the compile unit knows it.
    fn correct_language(
        &self,
        builder: &mut FunctionTableBuilder,
        id: FunctionId,
        language: Language,
    ) {
        let known = self.table.get(id).map(|function| function.language);
        if matches!(known, Some(Language::C | Language::Unknown)) {
            builder.set_language(id, language);
        }
    }
}
