//! What is in a binary: which functions it has, where they start and return, and the processes
//! that run it.
//!
//! Everything is read from files and memory that belong to others, so nothing in them is trusted:
//! sizes and offsets are checked, time and memory are bounded, and what is damaged is left out.

mod address_map;
mod bytes;
mod call_graph;
mod callees;
mod code_reader;
mod constants;
mod debug_file;
mod demangle;
mod discovery;
mod dwarf_entries;
mod dwarf_functions;
mod dwarf_lines;
mod dwarf_units;
mod eh_frame;
mod elf;
mod elf_symbols;
mod error;
mod functions;
mod go_build_info;
mod gopclntab;
mod goroutine;
mod image;
mod inlined;
mod inlined_dwarf;
mod inlined_go;
mod location;
mod lookup;
mod mapped_code;
mod moduledata;
mod own_packages;
pub mod planner;
mod planning;
mod process;
mod process_error;
mod processes;
mod procfs;
pub mod signature;
mod sockets;
mod stack;
mod table;
mod unwind;
mod unwind_table;

pub use address_map::AddressMap;
pub use call_graph::SymbolGraph;
pub use callees::{CallReader, Callees};
pub use discovery::{CallGraph, Found, Role, Start, TracePlan, Why, discover};
pub use error::SymbolError;
pub use image::{FileIdentity, Image};
pub use inlined::{InlinedFunction, InlinedInstance};
pub use location::Location;
pub use mapped_code::{CodeDifference, MappedCode};
pub use own_packages::OwnPackages;
pub use process::{Library, Process, ProcessState, executable_path};
pub use process_error::ProcessError;
pub use processes::{list_processes, listening_ports};
pub use sockets::holds_connection;
pub use stack::{Stack, StackEnd, StackReader};
pub use table::Symbols;
