//! The process under observation: its identity and its functions.

use std::sync::Arc;

use coral_model::{FunctionTable, Target};

use crate::symbols::{Image, Process, Symbols};

/// A process that is open for attaching, with everything known of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The process itself, held so that its id cannot come to mean another one.
    pub process: Arc<Process>,
    /// Other processes that run the same executable, measured together with it.
    pub others: Vec<Arc<Process>>,
    /// What identifies it in documents.
    pub target: Target,
    /// The functions of its executable, and of libraries as far as they were asked for.
    pub symbols: Symbols,
}

impl Watched {
    /// The ids of the processes.
    pub fn pids(&self) -> Vec<u32> {
        self.processes().map(|process| process.pid()).collect()
    }

    /// The processes: the first, and the others.
    pub fn processes(&self) -> impl Iterator<Item = &Arc<Process>> {
        std::iter::once(&self.process).chain(&self.others)
    }

    /// The file of a module as one of the processes has it: another container has the same file
    /// under another name. `None` where the process has not mapped it.
    pub(super) fn image_in(&self, process: &Process, module: u16) -> Option<Arc<Image>> {
        let image = self.symbols.image(module)?;
        if process.load_bias(image).ok().flatten().is_some() {
            return Some(Arc::clone(image));
        }
        let is_same =
            |other: &Image| other.build_id().is_some() && other.build_id() == image.build_id();
        if module == 0 {
            return Some(process.executable())
                .filter(|other| is_same(other))
                .cloned();
        }
        let libraries = process.libraries().ok()?;
        libraries
            .iter()
            .filter(|library| library.path == image.path())
            .find_map(|library| process.open_library(library).ok())
            .filter(is_same)
            .map(Arc::new)
    }

    /// Its functions.
    pub fn table(&self) -> &Arc<FunctionTable> {
        self.symbols.table()
    }
}
