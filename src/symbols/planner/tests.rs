//! The planner on small pieces of code, and on random ones.

mod entries;
mod exits;
mod jump_tables;
mod random;

use coral_model::{ProbeReason, Probeability};

use super::*;

const CODE: u64 = 0x1000;
const COLD: u64 = 0x2000;
const DATA: u64 = 0x3000;

/// Read-only data at [`DATA`].
struct Data<'a>(&'a [u8]);

impl ReadOnlyData for Data<'_> {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(DATA)?).ok()?;
        self.0.get(offset..offset.checked_add(len)?)
    }
}

/// A function at [`CODE`] with its cold part at [`COLD`] and its tables at [`DATA`].
struct Sample<'a> {
    name: &'a str,
    convention: Convention,
    code: &'a [u8],
    cold: &'a [u8],
    data: &'a [u8],
}

impl Sample<'_> {
    fn plan(&self) -> Plan {
        let cold = [ColdPart {
            address: COLD,
            code: self.cold,
        }];
        let function = FunctionCode {
            address: CODE,
            code: self.code,
            cold: &cold,
            convention: self.convention,
            architecture: Architecture::X86_64,
        };
        plan(&function, &Data(self.data))
    }
}

fn native<'a>(name: &'a str, code: &'a [u8]) -> Sample<'a> {
    Sample {
        name,
        convention: Convention::Native,
        code,
        cold: &[],
        data: &[],
    }
}

fn go<'a>(name: &'a str, code: &'a [u8]) -> Sample<'a> {
    Sample {
        convention: Convention::GoRegisters,
        ..native(name, code)
    }
}

/// `lea DATA(%rip),%reg` at that offset, where `reg` is 0 for RAX and 2 for RDX.
fn lea_data(offset: u64, reg: u8) -> Vec<u8> {
    let distance = (DATA - CODE - offset - 7) as u32;
    [&[0x48, 0x8d, 0x05 | reg << 3][..], &distance.to_le_bytes()].concat()
}

#[test]
fn says_why_nothing_is_probed() {
    use ProbeReason::*;
    let cases: &[(Sample<'_>, ProbeReason)] = &[
        (native("empty", &[]), UnknownSize),
        (native("int3", &[0xcc, 0xc3]), Breakpoint),
        (native("hlt", &[0xf4]), UnsafeEntry),
        (native("invalid", &[0x06, 0xc3]), Undecodable),
        (native("half a call", &[0xe8, 0]), Overrun),
        // mov $0x909090c3,%eax; je into it
        (
            native("overlap", &[0xb8, 0xc3, 0x90, 0x90, 0x90, 0x74, 0xfa, 0xc3]),
            OverlappingInstructions,
        ),
    ];
    for (sample, reason) in cases {
        let plan = sample.plan();
        assert_eq!(plan.summary.reason, Some(*reason), "{}", sample.name);
        assert_eq!(plan.summary.probe, Probeability::None, "{}", sample.name);
        assert_eq!((plan.entry, plan.exits), (None, vec![]), "{}", sample.name);
    }
    let other = FunctionCode {
        address: CODE,
        code: &[0xc3],
        cold: &[],
        convention: Convention::Native,
        architecture: Architecture::Other,
    };
    let plan = plan(&other, &Data(&[]));
    assert_eq!(plan.summary.reason, Some(UnsupportedArchitecture));
}

#[test]
fn names_the_stack_by_convention() {
    for (convention, key) in [
        (Convention::GoRegisters, FrameKey::Goroutine),
        (Convention::GoAssembly, FrameKey::Thread),
        (Convention::Native, FrameKey::Thread),
    ] {
        let sample = Sample {
            convention,
            ..native("key", &[0x90, 0xc3])
        };
        assert_eq!(sample.plan().key, key);
    }
}
