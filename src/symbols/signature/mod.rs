//! What calls of a function receive and return: where its arguments and results are, how the
//! kernel program reads them, and how what it read is shown.
//!
//! Names and types come from DWARF. Where the values are at a function's entry and exits is the
//! calling convention's matter: Go's own (the internal ABI of `abi-internal.md` in its sources),
//! rustc's, or that of the System V ABI; DWARF's locations go before the last two, because
//! optimisers change the conventions of functions that nobody else calls. What can not be told is
//! [`Unreadable`], never a guess.

mod debug_info;
mod errors;
mod function;
mod future;
mod go_abi;
mod go_names;
mod lists;
mod location;
mod place;
mod reader;
mod render;
mod rust_abi;
mod system_v;
mod types;
mod variables;

#[cfg(test)]
mod tests;

use coral_ebpf_common::{Captured, ErrorTest, ValueSpec};
use coral_model::FunctionId;
use thiserror::Error;

use super::gopclntab::Pclntab;
use super::planner::Plan;
use super::table::Symbols;

pub use future::Future;
pub use go_abi::go_http_path;
pub use go_names::GoTypeNames;
pub use place::ELEMENT_BYTES;
pub use reader::SignatureReader;

/// What calls of a function receive and return.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// To be read at the entry site. At most `VALUES_MAX` of them can be.
    pub arguments: Vec<Variable>,
    /// To be read where it returns, not where it jumps to another function. At most `VALUES_MAX`
    /// of them can be read.
    pub results: Vec<Variable>,
    /// How a failed call is told, where that is known.
    pub error: Option<ErrorTest>,
    /// How the function's calls are joined, if they are polls of a Rust future.
    pub future: Option<Future>,
    /// Where all of this comes from.
    pub source: SignatureSource,
}

/// Where a signature comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureSource {
    /// Debug information.
    Dwarf,
    /// The calling convention alone: the variables are registers, whatever is in them.
    Abi,
    /// There is nothing to go by.
    #[default]
    None,
}

/// An argument or a result, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name in the source; parts of structures behind dots; a register's name where the source
    /// is unknown. Results without a name are called `result`, further ones `result1` and so on.
    pub name: String,
    /// Its type, as the language writes it.
    pub type_name: String,
    /// How it is shown.
    pub shape: Shape,
    /// How it is read.
    pub read: Result<ValueSpec, Unreadable>,
}

impl Variable {
    /// What was captured as text for people, such as `42`, `"text"`, `nil`, `<fault>`. It holds no
    /// control characters but may hold others that want to be escaped, and type names from the
    /// target.
    pub fn render(&self, captured: &Captured, types: &dyn TypeNames) -> String {
        match self.read {
            Ok(_) => render::render(&self.shape, captured, types),
            Err(unreadable) => unreadable.to_string(),
        }
    }
}

/// How a value is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A number.
    Unsigned,
    /// A number with a sign.
    Signed,
    /// `true` or `false`.
    Bool,
    /// One character.
    Character,
    /// A floating-point number of the size in bytes, read as a word.
    Float(u32),
    /// An address.
    Pointer,
    /// The content of a register, of which nothing is known.
    Raw,
    /// The bytes of a string.
    Text,
    /// Elements, one after the other.
    Slice {
        /// What each of them is.
        element: Box<Shape>,
        /// The size of one.
        element_bytes: u32,
    },
    /// A number that stands for a name.
    Enumeration {
        /// The numbers and their names.
        names: Vec<(u64, String)>,
        /// Whether numbers without a name have a sign.
        is_signed: bool,
    },
    /// A number that stands for the variant that a Rust enumeration is.
    Variant {
        /// The numbers and their names.
        names: Vec<(u64, String)>,
        /// What all other numbers mean.
        other: Option<String>,
        /// Whether the number is, for that one, the value that it holds, such as an address.
        holds_number: bool,
    },
    /// A Go interface.
    Interface(Interface),
}

/// The kinds of Go interfaces: what their first word points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// `any`: the type of what it holds.
    Empty,
    /// With methods, such as `error`: a table whose second word is that type.
    Methods,
}

/// The names of the types that values of Go interfaces have.
pub trait TypeNames {
    /// The name of the dynamic type behind the first word of an interface.
    fn name(&self, type_word: u64, interface: Interface) -> Option<String>;
}

/// Knows no names.
impl TypeNames for () {
    fn name(&self, _type_word: u64, _interface: Interface) -> Option<String> {
        None
    }
}

/// Why a value can not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// Programs in the kernel do not see these registers.
    #[error("<in a float register>")]
    FloatRegister,
    /// The debug information does not say where it is.
    #[error("<optimized out>")]
    OptimizedOut,
    /// It begins in the middle of a register.
    #[error("<in a part of a register>")]
    PartOfRegister,
    /// Its words are in places that can not be read together.
    #[error("<in several places>")]
    Split,
    /// It can not be told how it is passed.
    #[error("<not known where it is>")]
    Convention,
    /// Values of its type are not shown.
    #[error("<unsupported type>")]
    Type,
}

impl Symbols {
    /// What calls of a function receive and return, at its entry site and its exits.
    ///
    /// For many functions use a [`SignatureReader`], which keeps what it has read.
    pub fn signature(&self, id: FunctionId, plan: &Plan) -> Signature {
        SignatureReader::new(self).read(id, plan)
    }

    /// The address in the file of a Go program's `runtime.firstmoduledata`, for [`GoTypeNames`];
    /// in a process it lies that much further on as the file is mapped away from its addresses.
    pub fn go_moduledata(&self, module: u16) -> Option<u64> {
        let image = self.image(module)?;
        Pclntab::find(image)?.moduledata(image)
    }
}
