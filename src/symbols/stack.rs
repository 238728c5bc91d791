//! What a goroutine or a thread that waits was called by, read without stopping the process.

use std::ops::Range;

use coral_model::FunctionId;

use super::ProcessError;
use super::address_map::AddressMap;
use super::bytes::u64_at;
use super::location::Location;
use super::process::Process;
use super::procfs;
use super::table::Symbols;
use super::unwind::{Frame, Step, Unwind};

/// No more frames than this are followed.
const FRAMES_MAX: usize = 4096;
/// A stack that moves while it is read is read anew so many times.
const ATTEMPTS_MAX: usize = 3;
/// No goroutine's stack is longer: Go ends the program before.
const GO_STACK_BYTES_MAX: u64 = 1 << 30;

/// A stack as return addresses, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Addresses in the process: first where it goes on once it runs again, then where each call
    /// returns to.
    pub addresses: Vec<u64>,
    /// Why there are no more.
    pub end: StackEnd,
}

/// Why a stack has no more frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackEnd {
    /// The last frame is the one that the goroutine or the thread began with.
    Complete,
    /// What called the last frame is not known, or was not asked for.
    Unknown,
}

/// Reads the stacks of one process.
pub struct StackReader<'a> {
    process: &'a Process,
    symbols: &'a Symbols,
    map: AddressMap,
    unwind: Unwind<'a>,
}

impl<'a> StackReader<'a> {
    /// Reads what is mapped in the process now. The symbols are those of its executable, and of
    /// libraries where they are wanted.
    ///
    /// # Errors
    /// If the mappings may not be read.
    pub fn new(process: &'a Process, symbols: &'a Symbols) -> Result<Self, ProcessError> {
        Ok(Self {
            process,
            symbols,
            map: AddressMap::read(process, symbols)?,
            unwind: Unwind::new(process, symbols),
        })
    }

    /// The stack of a goroutine that waits, by the address of its `runtime.g`: no more than `max`
    /// frames. `None` if it runs, or waits in a system call, or is no goroutine.
    ///
    /// It is followed as the runtime does: by the depths of the stack in Go's own table, so
    /// stripped programs have stacks too, and no frame is missed that has not set up its frame
    /// pointer yet.
    pub fn goroutine(&mut self, g: u64, max: usize) -> Option<Stack> {
        self.unmoved(|reader| {
            let parked = Parked::read(reader.process, g)?;
            let frame = Frame::new(parked.pc, parked.sp);
            let stack = reader.follow(frame, &parked.stack, max);
            Some((parked, stack))
        })
    }

    /// The stack of a thread that waits in the kernel: no more than `max` frames. `None` if it
    /// runs, or there is no such thread.
    ///
    /// It is followed by the tables for unwinding of each file (`.eh_frame`, or Go's own); where
    /// those do not tell what called a function, the stack ends as [`StackEnd::Unknown`].
    pub fn thread(&mut self, tid: u32, max: usize) -> Option<Stack> {
        self.unmoved(|reader| {
            let (sp, pc) = reader.process.waiting_at(tid)?;
            let stack = reader.follow(Frame::new(pc, sp), &(sp..u64::MAX), max);
            Some(((sp, pc), stack))
        })
    }

    /// Where the frames of a stack are in the source: functions that were inlined included.
    pub fn locate(&self, stack: &Stack) -> Vec<Location> {
        let mut locations = Vec::new();
        for (depth, &address) in stack.addresses.iter().enumerate() {
            // What has not begun yet goes on at its first instruction. All others are behind a
            // call, which may be the last instruction of its line or its function.
            let address = if depth == 0 && self.is_start(address) {
                address
            } else {
                address.wrapping_sub(1)
            };
            locations.extend(self.map.locate(self.symbols, address));
        }
        locations
    }

    /// The functions of the known modules whose calls are on a stack, innermost first; those that
    /// were inlined are not among them. `None` if these may not be all.
    pub fn functions(&self, stack: &Stack) -> Option<Vec<FunctionId>> {
        let of = |address: &u64| {
            let (module, address) = self.map.module_address(address.wrapping_sub(1))?;
            let function = self.symbols.function_at(module, address);
            Some(function.map(|function| function.id))
        };
        let known = stack.addresses.iter().filter_map(of);
        let functions = known.collect::<Option<Vec<_>>>()?;
        (stack.end == StackEnd::Complete).then_some(functions)
    }

    fn is_start(&self, address: u64) -> bool {
        self.map
            .module_address(address)
            .is_some_and(|(module, address)| {
                let function = self.symbols.function_at(module, address);
                function.is_some_and(|function| function.address == address)
            })
    }

    /// What `read` returns, once the state that it returns beside it is the same before and after.
    fn unmoved<S: PartialEq>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<(S, Stack)>,
    ) -> Option<Stack> {
        let (mut before, mut stack) = read(self)?;
        for _ in 0..ATTEMPTS_MAX {
            let (after, again) = read(self)?;
            if before == after && stack == again {
                return Some(stack);
            }
            (before, stack) = (after, again);
        }
        None
    }

    fn follow(&mut self, innermost: Frame, bounds: &Range<u64>, max: usize) -> Stack {
        let mut stack = Stack {
            addresses: vec![innermost.pc],
            end: StackEnd::Unknown,
        };
        let mut frame = innermost;
        while stack.addresses.len() < max.min(FRAMES_MAX) {
            match self.unwind.step(&self.map, &frame) {
                Step::Caller(caller) if bounds.contains(&caller.sp) && caller.sp > frame.sp => {
                    stack.addresses.push(caller.pc);
                    frame = caller;
                }
                Step::Outermost => {
                    stack.end = StackEnd::Complete;
                    break;
                }
                Step::Caller(_) | Step::Unknown => break,
            }
        }
        stack
    }
}

/// A goroutine that waits, from its `runtime.g`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parked {
    stack: Range<u64>,
    sp: u64,
    pc: u64,
}

impl Parked {
    /// The fields up to `sched.g` have been where they are since Go 1.16.
    fn read(process: &Process, g: u64) -> Option<Self> {
        let mut bytes = [0; 80];
        process.read_memory(g, &mut bytes)?;
        let word = |index: u64| u64_at(&bytes, 8 * index);
        let (low, high, m) = (word(0)?, word(1)?, word(6)?);
        let (sp, pc, own) = (word(7)?, word(8)?, word(9)?);
        let is_stack = low < high && high - low <= GO_STACK_BYTES_MAX;
        let is_parked = m == 0 && own == g && (low..high).contains(&sp) && sp.is_multiple_of(8);
        // A frame begins above its return address, which may be the highest word.
        (is_stack && is_parked).then_some(Self {
            stack: low..high.saturating_add(1),
            sp,
            pc,
        })
    }
}

impl Process {
    /// The part of its stack that a goroutine uses while it waits, by the address of its
    /// `runtime.g`. `None` if it runs, or waits in a system call, or is no goroutine.
    pub fn goroutine_in_use(&self, g: u64) -> Option<Range<u64>> {
        let parked = Parked::read(self, g)?;
        Some(parked.sp..parked.stack.end - 1)
    }

    /// The stack pointer of a thread that waits in the kernel. `None` if it runs, or there is no
    /// such thread.
    pub fn thread_sp(&self, tid: u32) -> Option<u64> {
        self.waiting_at(tid).map(|(sp, _)| sp)
    }

    /// The stack pointer and the program counter of a thread that waits in the kernel.
    fn waiting_at(&self, tid: u32) -> Option<(u64, u64)> {
        let text = procfs::read(self.pid(), &format!("task/{tid}/syscall")).ok()?;
        parse_syscall(&text)
    }
}

/// The last two fields are the stack pointer and the program counter; of a thread that runs there
/// is but a word.
fn parse_syscall(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace().rev();
    let mut number = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let (pc, sp) = (number()?, number()?);
    Some((sp, pc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_tells_where() {
        let cases = [
            (
                "0 0x3 0x7ffc 0x1000 0x0 0x0 0x0 0x7ffc1230 0x7f5501\n",
                Some((0x7ffc_1230, 0x7f_5501)),
            ),
            ("-1 0x7ffc1230 0x7f5501\n", Some((0x7ffc_1230, 0x7f_5501))),
            ("running\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_syscall(text), expected, "{text}");
        }
    }
}
