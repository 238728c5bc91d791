//! The process under observation: its identity and its functions.

use std::sync::Arc;

use coral_model::{FunctionTable, Target};

use crate::symbols::{Process, Symbols};

/// A process that is open for attaching, with everything known of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The process itself, held so that its id cannot come to mean another one.
    pub process: Arc<Process>,
    /// What identifies it in documents.
    pub target: Target,
    /// The functions of its executable, and of libraries as far as they were asked for.
    pub symbols: Symbols,
}

impl Watched {
    /// Its functions.
    pub fn table(&self) -> &Arc<FunctionTable> {
        self.symbols.table()
    }
}
