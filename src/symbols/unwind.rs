//! One step up a stack: from a frame to its caller, by what the code's file says about it.

use std::collections::HashMap;
use std::sync::Arc;

use super::address_map::{AddressMap, bias};
use super::bytes::u64_at;
use super::gopclntab::frames::GoCode;
use super::image::{FileIdentity, Image};
use super::planner::stack_depth;
use super::process::Process;
use super::table::Symbols;
use super::unwind_table::{Base, CallerRules, UnwindTable};

/// A frame, as far as its registers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) pc: u64,
    pub(super) sp: u64,
    /// The frame pointer, once it was found on the stack.
    rbp: Option<u64>,
    /// Whether `pc` is behind a call.
    is_caller: bool,
}

/// What is above a frame.
pub(super) enum Step {
    Caller(Frame),
    /// Nothing: the stack begins with this frame.
    Outermost,
    Unknown,
}

/// Follows the stacks of one process.
pub(super) struct Unwind<'a> {
    process: &'a Process,
    symbols: &'a Symbols,
    /// By the file; `None` for one that has none.
    tables: HashMap<FileIdentity, Option<UnwindTable>>,
    /// Images of libraries that the symbols do not hold, by the start of their mapping.
    libraries: HashMap<u64, Option<Arc<Image>>>,
}

impl Frame {
    /// The innermost frame of a stack.
    pub(super) fn new(pc: u64, sp: u64) -> Self {
        Self {
            pc,
            sp,
            rbp: None,
            is_caller: false,
        }
    }
}

impl<'a> Unwind<'a> {
    pub(super) fn new(process: &'a Process, symbols: &'a Symbols) -> Self {
        Self {
            process,
            symbols,
            tables: HashMap::new(),
            libraries: HashMap::new(),
        }
    }

    pub(super) fn step(&mut self, map: &AddressMap, frame: &Frame) -> Step {
        // A call can be a function's last instruction: the one before its return address is in it.
        let pc = frame.pc.wrapping_sub(u64::from(frame.is_caller));
        if let Some((module, address)) = map.module_address(pc)
            && let Some(image) = self.symbols.image(module)
            && let Some(lookup) = self.symbols.lookup(module)
            && let Some(code) = lookup.go(image).and_then(|go| go.function_at(address))
        {
            return self.go_step(&code, frame, address);
        }
        self.native_step(map, frame, pc).unwrap_or(Step::Unknown)
    }

    fn go_step(&self, code: &GoCode<'_>, frame: &Frame, address: u64) -> Step {
        if code.is_top_frame() {
            return Step::Outermost;
        }
        // Where the stack itself is switched, depths mean nothing.
        let depth = (!code.moves_stack()).then(|| code.stack_depth(address - code.start));
        let caller = depth.flatten().and_then(|depth| {
            let place = frame.sp.checked_add(depth)?;
            Some(Frame {
                pc: self.word(place)?,
                sp: place.checked_add(8)?,
                rbp: None,
                is_caller: true,
            })
        });
        caller.map_or(Step::Unknown, Step::Caller)
    }

    fn native_step(&mut self, map: &AddressMap, frame: &Frame, pc: u64) -> Option<Step> {
        let (image, bias) = self.image_at(map, pc)?;
        let table = self
            .tables
            .entry(image.identity())
            .or_insert_with(|| UnwindTable::read(&image));
        let address = pc.wrapping_sub(bias);
        let Some(rules) = table.as_ref()?.rules_at(address)? else {
            return Some(Step::Outermost);
        };
        let top = match (rules.base, frame.rbp) {
            (Base::StackPointer, _) => frame.sp.wrapping_add_signed(rules.offset),
            (Base::FramePointer, Some(rbp)) => rbp.wrapping_add_signed(rules.offset),
            (Base::FramePointer, None) => {
                let depth = depth_in(&image, &rules, frame.pc.wrapping_sub(bias))?;
                frame.sp.checked_add(depth)?.checked_add(8)?
            }
        };
        let at = |offset| self.word(top.wrapping_add_signed(offset));
        Some(Step::Caller(Frame {
            pc: at(rules.return_address)?,
            sp: top,
            rbp: rules.rbp.map_or(frame.rbp, at),
            is_caller: true,
        }))
    }

    /// The image with the code at an address, opened if the symbols do not hold it; and what to
    /// subtract from the address.
    fn image_at(&mut self, map: &AddressMap, address: u64) -> Option<(Arc<Image>, u64)> {
        let area = map.area(address)?;
        if let Some((module, bias)) = area.module {
            return Some((self.symbols.image(module)?.clone(), bias));
        }
        let mapping = &area.mapping;
        let open = || {
            (mapping.inode != 0)
                .then(|| self.process.open_mapping(mapping).ok())
                .flatten()
        };
        let image = self.libraries.entry(mapping.start);
        let image = image.or_insert_with(|| open().map(Arc::new)).clone()?;
        let bias = bias(mapping, &image)?;
        Some((image, bias))
    }

    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.process.read_memory(address, &mut bytes)?;
        u64_at(&bytes, 0)
    }
}

/// How deep the stack of a function is that keeps its frame in a register whose value nobody has
/// saved: its code may tell.
fn depth_in(image: &Image, rules: &CallerRules, address: u64) -> Option<u64> {
    let code = image.code(rules.function.clone())?;
    rules
        .has_usual_frame()
        .then(|| stack_depth(rules.function.start, &code, address))?
}
