//! Which functions a function calls, from its code.

use std::ops::Range;

use coral_model::{FunctionId, FunctionTable};

use super::bytes::u64_at;
use super::image::Image;
use super::planner::{Convention, ReadOnlyData, References};
use super::planning::{ImagePlanner, convention};
use super::table::Symbols;

/// Code that the table does not list is looked through so deep: a wrapper of a wrapper.
const WRAPPER_DEPTH_MAX: u32 = 2;
/// So many wrappers are looked through for one function.
const WRAPPERS_MAX: u32 = 1000;
/// A wrapper is not longer than this.
const WRAPPER_BYTES_MAX: u64 = 1024;

/// What a function calls, as far as its code tells. Each function is listed once, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callees {
    /// Functions of the same image that it calls, or jumps to in return position.
    pub direct: Vec<FunctionId>,
    /// Functions of the same image whose addresses or static closures it loads: it passes them on
    /// as callbacks, handlers, goroutines and deferred calls.
    pub referenced: Vec<FunctionId>,
    /// How many calls go where the code does not tell: through interfaces, pointers, and to
    /// libraries.
    pub indirect: u32,
}

impl Symbols {
    /// What a function calls; use a [`CallReader`] for many.
    ///
    /// Wrappers that the table does not list, such as Go's for `go` and `defer`, are looked
    /// through. Nothing is found in functions that are not of this table, or have no code.
    pub fn callees(&self, id: FunctionId) -> Callees {
        CallReader::new(self).callees(id)
    }
}

/// Reads what functions call, one after the other, with few system calls.
pub struct CallReader<'a> {
    symbols: &'a Symbols,
    /// The module that was read last.
    planner: Option<(u16, ImagePlanner<'a>)>,
}

impl<'a> CallReader<'a> {
    /// A reader of those functions.
    pub fn new(symbols: &'a Symbols) -> Self {
        Self {
            symbols,
            planner: None,
        }
    }

    /// See [`Symbols::callees`].
    pub fn callees(&mut self, id: FunctionId) -> Callees {
        let mut callees = Callees::default();
        if let Some(function) = self.symbols.table().get(id)
            && let Some(image) = self.symbols.image(function.module)
        {
            let symbols = self.symbols;
            let mut module = Module {
                symbols,
                number: function.module,
                image,
                planner: self.planner_of(function.module, image),
                wrappers_left: WRAPPERS_MAX,
            };
            let range = function.address..function.address.saturating_add(function.size);
            let cold = symbols.cold_parts(id);
            let references = module
                .planner
                .references(range, cold, convention(&function))
                .unwrap_or_default();
            module.add(&references, WRAPPER_DEPTH_MAX, &mut callees);
        }
        for list in [&mut callees.direct, &mut callees.referenced] {
            list.sort_unstable();
            list.dedup();
        }
        callees
    }

    fn planner_of(&mut self, module: u16, image: &'a Image) -> &mut ImagePlanner<'a> {
        let known = self.planner.take().filter(|(number, _)| *number == module);
        let planner = known.unwrap_or_else(|| (module, ImagePlanner::new(image)));
        &mut self.planner.insert(planner).1
    }
}

/// One image and its functions.
struct Module<'a, 'r> {
    symbols: &'a Symbols,
    number: u16,
    image: &'a Image,
    planner: &'r mut ImagePlanner<'a>,
    /// How many more wrappers are looked through.
    wrappers_left: u32,
}

/// What is at an address.
enum Located {
    /// The start of a function of the table.
    Function(FunctionId),
    /// Code that belongs to no function of the table.
    Unlisted(Range<u64>),
    Nothing,
}

impl Module<'_, '_> {
    /// Turns addresses into functions; `depth` wrappers are looked through one inside the other.
    fn add(&mut self, references: &References, depth: u32, callees: &mut Callees) {
        callees.indirect = callees.indirect.saturating_add(references.indirect_calls);
        for &target in &references.calls {
            match self.locate(target) {
                Located::Function(id) => callees.direct.push(id),
                Located::Unlisted(range) => match self.wrapped(range, depth) {
                    Some(inner) => self.add(&inner, depth - 1, callees),
                    None => callees.indirect = callees.indirect.saturating_add(1),
                },
                Located::Nothing => callees.indirect = callees.indirect.saturating_add(1),
            }
        }
        for &address in &references.addresses {
            match self.pointed_to(address) {
                Located::Function(id) => callees.referenced.push(id),
                Located::Unlisted(range) => {
                    if let Some(inner) = self.wrapped(range, depth) {
                        let mut called = Callees::default();
                        self.add(&inner, depth - 1, &mut called);
                        callees.referenced.append(&mut called.direct);
                        callees.referenced.append(&mut called.referenced);
                    }
                }
                Located::Nothing => {}
            }
        }
    }

    /// What a wrapper refers to, unless there were too many already.
    fn wrapped(&mut self, range: Range<u64>, depth: u32) -> Option<References> {
        if depth == 0 || self.wrappers_left == 0 {
            return None;
        }
        self.wrappers_left -= 1;
        // As native code only what the flow reaches is read, not what lies behind.
        self.planner.references(range, &[], Convention::Native)
    }

    /// The function at a loaded address, or the one of the static closure there, which begins
    /// with the function's address.
    fn pointed_to(&self, address: u64) -> Located {
        match self.locate(address) {
            Located::Nothing => {
                let constant = self.image.constants().read(address, 8);
                let pointer = constant.and_then(|bytes| u64_at(bytes, 0));
                pointer.map_or(Located::Nothing, |pointer| self.locate(pointer))
            }
            located => located,
        }
    }

    fn locate(&self, address: u64) -> Located {
        let table = self.symbols.table();
        let next = first_from(table, self.number, address);
        let function_at = |index: u32| {
            let function = table.get(FunctionId(index))?;
            (function.module == self.number).then_some(function)
        };
        let following = function_at(next).map(|function| function.address);
        if following == Some(address) {
            return Located::Function(FunctionId(next));
        }
        let previous = next.checked_sub(1).and_then(function_at);
        let is_inside = previous.is_some_and(|function| address - function.address < function.size);
        let len = self.image.code_len_from(address).min(WRAPPER_BYTES_MAX);
        if is_inside || len == 0 {
            return Located::Nothing;
        }
        let end = address + len;
        Located::Unlisted(address..following.map_or(end, |following| end.min(following)))
    }
}

/// The first function of a module at or behind an address, or what comes after the module: the
/// table is in the order of modules and addresses.
fn first_from(table: &FunctionTable, module: u16, address: u64) -> u32 {
    let (mut low, mut high) = (0, table.len() as u32);
    while low < high {
        let middle = low + (high - low) / 2;
        let is_before = table
            .get(FunctionId(middle))
            .is_some_and(|function| (function.module, function.address) < (module, address));
        if is_before {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
