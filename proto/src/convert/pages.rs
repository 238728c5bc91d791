//! The function table of a process, in pages.

use coral_model::{Function, FunctionTable, FunctionTableBuilder, Module};
use prost::Message;

use super::{ConvertError, ITEM_BYTES, new_function};
use crate::agent::v1 as wire;

/// What the function table of one process may take in the receiver's memory if nothing else is
/// said, in bytes, about.
pub const TABLE_BYTES_MAX: usize = 512 << 20;

/// What a function takes in a table beside its texts, in bytes, about.
const FUNCTION_BYTES: usize = 64;

/// As many of these functions as one page holds: at most so many, in at most so many bytes, but at
/// least one if there is one. The next page begins behind the last one's number.
pub fn function_page<'a>(
    functions: impl IntoIterator<Item = Function<'a>>,
    functions_max: usize,
    bytes_max: usize,
) -> Vec<wire::Function> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for function in functions.into_iter().take(functions_max) {
        let function = wire::Function::from(function);
        bytes += ITEM_BYTES + function.encoded_len();
        if bytes > bytes_max && !page.is_empty() {
            break;
        }
        page.push(function);
    }
    page
}

/// Puts the whole function table of a process together from its pages, in their order. What it is
/// given is not trusted.
#[derive(Debug)]
pub struct FunctionPages {
    bytes_max: usize,
    builder: FunctionTableBuilder,
    modules: Vec<Module>,
    len: usize,
    total: u64,
    held_bytes: usize,
}

impl FunctionPages {
    /// A table of which no page has come, and which may take [`TABLE_BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_bytes_max(TABLE_BYTES_MAX)
    }

    /// A table of which no page has come, and which may take so many bytes.
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            builder: FunctionTableBuilder::new(),
            modules: Vec::new(),
            len: 0,
            total: 0,
            held_bytes: 0,
        }
    }

    /// Takes the next page. Modules stand in the first page; where later pages repeat them, more
    /// may follow.
    ///
    /// # Errors
    /// If a function is missing or not one, or the table takes more than it may.
    pub fn add(&mut self, page: &wire::ListFunctionsResponse) -> Result<(), ConvertError> {
        for module in page.modules.iter().skip(self.modules.len()) {
            self.hold(module.path.len() + FUNCTION_BYTES)?;
            let module = Module::from(module);
            self.builder.add_module(module.clone());
            self.modules.push(module);
        }
        for function in &page.functions {
            if function.id as usize != self.len {
                return Err(ConvertError::Place {
                    field: "functions.id",
                    place: function.id.into(),
                    len: self.len,
                });
            }
            let file_bytes = function.file.as_ref().map_or(0, String::len);
            self.hold(function.name.len() + file_bytes + FUNCTION_BYTES)?;
            self.builder.push(&new_function(function, &self.modules)?);
            self.len += 1;
        }
        self.total = page.total;
        Ok(())
    }

    /// The table, once the last page has come.
    ///
    /// # Errors
    /// If functions are missing at its end.
    pub fn build(self) -> Result<FunctionTable, ConvertError> {
        if (self.len as u64) < self.total {
            let field = "functions";
            return Err(ConvertError::Missing { field });
        }
        Ok(self.builder.build())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), ConvertError> {
        self.held_bytes += bytes;
        if self.held_bytes > self.bytes_max {
            return Err(ConvertError::TooLarge {
                what: "the function table",
                limit_bytes: self.bytes_max,
            });
        }
        Ok(())
    }
}

impl Default for FunctionPages {
    fn default() -> Self {
        Self::new()
    }
}
