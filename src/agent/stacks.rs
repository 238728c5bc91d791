//! Where calls are in the source: the stacks of slow calls and of calls that hang.

use coral_ebpf_common::{DetailRecord, FrameKey};
use coral_model::{FunctionId, StackFrame};

use super::watched::Watched;
use crate::symbols::{AddressMap, Location, Process, StackReader, Symbols};

/// How many frames of a stack are kept.
const FRAMES_MAX: usize = 64;

/// The return addresses of a record: where its call ended, and its callers, innermost first.
pub(super) fn addresses(detail: &DetailRecord) -> &[u64] {
    let len = (detail.stack_len as usize).min(detail.stack.len());
    &detail.stack[..len]
}

/// Where the addresses of a call's stack are.
///
/// The kernel follows frame pointers; code that was compiled without them leads it astray. So the
/// stack ends with the first address that is in no known function.
pub(super) fn of_addresses(watched: &Watched, pid: u32, addresses: &[u64]) -> Vec<StackFrame> {
    let mut processes = watched.processes();
    let Some(process) = processes.find(|process| process.pid() == pid) else {
        return Vec::new();
    };
    let Ok(map) = AddressMap::read(process, &watched.symbols) else {
        return Vec::new();
    };
    let mut frames = Vec::new();
    for (index, &address) in addresses.iter().enumerate() {
        // Callers go on behind their call, which may be the last instruction of its line.
        let address = if index == 0 {
            address
        } else {
            address.wrapping_sub(1)
        };
        let known = map
            .module_address(address)
            .is_some_and(|(module, address)| !watched.symbols.locate(module, address).is_empty());
        if !known {
            break;
        }
        let locations = map.locate(&watched.symbols, address);
        frames.extend(locations.into_iter().map(frame));
    }
    frames.truncate(FRAMES_MAX);
    frames
}

/// What a goroutine or a thread that waits is doing.
pub(super) struct Hanging {
    /// Where it is, innermost first.
    pub(super) frames: Vec<StackFrame>,
    /// The functions whose calls it is in, if these are all.
    pub(super) functions: Option<Vec<FunctionId>>,
}

/// Reads where a goroutine or a thread hangs, without stopping anything.
pub(super) fn of_hanging(process: &Process, symbols: &Symbols, key: &FrameKey) -> Option<Hanging> {
    let mut reader = StackReader::new(process, symbols).ok()?;
    let stack = match key.tid {
        0 => reader.goroutine(key.g, FRAMES_MAX),
        tid => reader.thread(tid, FRAMES_MAX),
    }?;
    Some(Hanging {
        functions: reader.functions(&stack),
        frames: reader.locate(&stack).into_iter().map(frame).collect(),
    })
}

fn frame(location: Location) -> StackFrame {
    StackFrame {
        function: location.function,
        file: location.file,
        line: location.line,
        inlined: location.inlined,
    }
}
