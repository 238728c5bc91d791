//! The AArch64 planner on small pieces of code, written as words.

use coral_model::ProbeReason::{self, *};
use proptest::prelude::*;

use super::super::*;
use SiteCost::{Emulated, SingleStepped};
use SiteKind::{Return, TailCall};

type TableCase<'a> = (&'a str, &'a [u32], &'a [u8], Option<&'a [u64]>);

type ExitCase<'a> = (&'a str, Plan, &'a [(u64, SiteKind)]);

type EntryCase<'a> = (&'a str, Plan, (u64, u16, SiteCost), bool);

const CODE: u64 = 0x1000;
const COLD: u64 = 0x2000;
const DATA: u64 = 0x3000;

const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
const BTI_C: u32 = 0xd503_245f;
const PACIASP: u32 = 0xd503_233f;
const SAVE_FRAME: u32 = 0xa9be_7bfd; // stp x29, x30, [sp, #-32]!
const BR_X0: u32 = 0xd61f_0000;
const BRK: u32 = 0xd420_0020;
const LDAXR: u32 = 0x885f_fc01; // ldaxr w1, [x0]

/// Read-only data at [`DATA`].
struct Data<'a>(&'a [u8]);

impl ReadOnlyData for Data<'_> {
    fn read(&self, address: u64, len: usize) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(DATA)?).ok()?;
        self.0.get(offset..offset.checked_add(len)?)
    }
}

fn plan_bytes(convention: Convention, code: &[u8], cold: &[u32], data: &[u8]) -> Plan {
    let function = FunctionCode {
        address: CODE,
        code,
        cold: &[ColdPart {
            address: COLD,
            code: &bytes(cold),
        }],
        convention,
        architecture: Architecture::Aarch64,
    };
    plan(&function, &Data(data))
}

fn native(code: &[u32]) -> Plan {
    plan_bytes(Convention::Native, &bytes(code), &[], &[])
}

fn go(code: &[u32]) -> Plan {
    plan_bytes(Convention::GoRegisters, &bytes(code), &[], &[])
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// `b` over that many instructions.
fn b(distance: i32) -> u32 {
    0x1400_0000 | distance as u32 & 0x3ff_ffff
}

fn bl(distance: i32) -> u32 {
    b(distance) | 0x8000_0000
}

/// `b.cond` over that many instructions; 9 is `ls`, 8 is `hi`.
fn b_cond(condition: u32, distance: i32) -> u32 {
    0x5400_0000 | (distance as u32 & 0x7_ffff) << 5 | condition
}

#[test]
fn chooses_the_cheapest_entry_that_every_call_passes_once() {
    // ldr x16, [x28, #16]; cmp sp, x16; b.ls 6; str x30, [sp, #-32]!; nop; ret;
    // 6: mov x3, x30; bl morestack; b 0
    let grows = [
        0xf940_0b90,
        0xeb30_63ff,
        b_cond(9, 4),
        0xf81e_0ffe,
        NOP,
        RET,
        0xaa1e_03e3,
        bl(0x100),
        b(-8),
    ];
    let mut loops = grows;
    loops[4] = b(-4); // The function itself jumps back to the start as well.
    let cases: &[EntryCase<'_>] = &[
        (
            "first",
            native(&[SAVE_FRAME, RET]),
            (0, 0, SingleStepped),
            false,
        ),
        ("nop", native(&[BTI_C, NOP, RET]), (4, 0, Emulated), false),
        // paciasp; stp; bl: the call is emulated, 32 bytes further down
        (
            "call",
            native(&[PACIASP, SAVE_FRAME, bl(0x100), RET]),
            (8, 32, Emulated),
            false,
        ),
        // sub sp, sp, #32; adrp x9; ret
        (
            "sub",
            native(&[0xd100_83ff, 0x9000_0009, RET]),
            (4, 32, Emulated),
            false,
        ),
        // mov x0, x1; nop; ret
        (
            "argument overwritten",
            native(&[0xaa01_03e0, NOP, RET]),
            (0, 0, SingleStepped),
            false,
        ),
        // fmov d0, d1; nop; ret
        (
            "vector",
            native(&[0x1e60_4020, NOP, RET]),
            (0, 0, SingleStepped),
            false,
        ),
        // mov x9, x1; nop; ret: X9 is an argument in Go only
        (
            "x9",
            native(&[0xaa01_03e9, NOP, RET]),
            (4, 0, Emulated),
            false,
        ),
        (
            "x9 in Go",
            go(&[0xaa01_03e9, NOP, RET]),
            (0, 0, SingleStepped),
            false,
        ),
        // bti c; ldaxr; nop: never between an exclusive load and its store
        (
            "exclusive",
            native(&[BTI_C, LDAXR, NOP, RET]),
            (0, 0, SingleStepped),
            false,
        ),
        ("Go's growing stack", go(&grows), (16, 32, Emulated), false),
    ];
    for (name, plan, (offset, adjust, cost), refires) in cases {
        let entry = plan.entry.unwrap();
        let found = (entry.address - CODE, entry.stack_adjust, entry.cost);
        assert_eq!(found, (*offset, *adjust, *cost), "{name}");
        assert_eq!(plan.entry_may_refire, *refires, "{name}");
    }
    assert!(go(&loops).entry_may_refire);
}

#[test]
fn finds_every_exit() {
    let cases: &[ExitCase<'_>] = &[
        ("ret", native(&[NOP, RET]), &[(4, Return)]),
        // cbz x0, 3; nop; ret; 3: nop; ret
        (
            "two",
            native(&[0xb400_0060, NOP, RET, NOP, RET]),
            &[(8, Return), (16, Return)],
        ),
        ("tail call", native(&[NOP, b(0x100)]), &[(4, TailCall)]),
        (
            "noreturn call at the end",
            native(&[0xb400_0040, RET, bl(0x100)]),
            &[(4, Return)],
        ),
        // ldr x1, [x0, #32]; br x1
        (
            "pointer",
            native(&[0xf940_1001, 0xd61f_0020]),
            &[(4, TailCall)],
        ),
        // mov x16, x1; br x16, and nothing but padding behind
        (
            "register",
            native(&[0xaa01_03f0, 0xd61f_0200, NOP, 0, BRK]),
            &[(4, TailCall)],
        ),
        // nop; svc #0; ret
        (
            "system call",
            native(&[NOP, 0xd400_0001, RET]),
            &[(8, Return)],
        ),
        // cbz x0, cold; ret. cold: ret
        (
            "cold part",
            plan_bytes(Convention::Native, &bytes(&[0xb400_8000, RET]), &[RET], &[]),
            &[(4, Return), (COLD - CODE, Return)],
        ),
        // nop; ret; bl; ret: Go's runtime goes on behind the RET after `recover`
        (
            "recovery",
            go(&[NOP, RET, bl(0x100), RET, 0]),
            &[(4, Return), (12, Return)],
        ),
        // nop; ldr w27, 3; ret; 3: a constant that looks like a RET
        (
            "constant",
            go(&[NOP, 0x1800_005b, RET, RET]),
            &[(8, Return)],
        ),
    ];
    for (name, plan, expected) in cases {
        let exits = plan.exits.iter();
        let exits: Vec<_> = exits.map(|exit| (exit.address - CODE, exit.kind)).collect();
        assert_eq!(exits, *expected, "{name}");
        assert_eq!(plan.summary.reason, None, "{name}");
        assert!(
            plan.exits.iter().all(|exit| exit.stack_adjust == 0),
            "{name}"
        );
    }
}

#[test]
fn says_why_exits_are_not_probed() {
    let odd = [bytes(&[NOP, NOP]), vec![0xc0, 0x03]].concat();
    let cases: &[(&str, Plan, ProbeReason)] = &[
        ("jump to itself", native(&[NOP, b(0)]), NoExit),
        ("falls through", native(&[NOP, NOP]), Overrun),
        (
            "half an instruction",
            plan_bytes(Convention::Native, &odd, &[], &[]),
            Overrun,
        ),
        ("unallocated", native(&[NOP, 0x0600_0000, RET]), Undecodable),
        (
            "unallocated branch",
            native(&[NOP, 0xd61f_0400, RET]),
            Undecodable,
        ),
        (
            "conditional tail call",
            native(&[NOP, b_cond(9, 0x100), RET]),
            ConditionalTailCall,
        ),
        (
            "tbz out",
            native(&[NOP, 0x3618_2000, RET]),
            ConditionalTailCall,
        ),
        // nop; br x0; a block that only the jump can lead to
        (
            "register",
            native(&[NOP, BR_X0, SAVE_FRAME, RET]),
            IndirectJump,
        ),
        ("retaa", native(&[NOP, 0xd65f_0bff]), UnsafeExit),
        ("braaz", native(&[NOP, 0xd61f_083f]), UnsafeExit),
        ("eret", native(&[NOP, 0xd69f_03e0]), UnsafeExit),
        // nop; ldr w27, 2; 2: a constant that is executed; ret
        (
            "constant",
            native(&[NOP, 0x1800_003b, NOP, RET]),
            OverlappingInstructions,
        ),
        ("nothing but ret", native(&[RET]), SingleInstruction),
    ];
    for (name, plan, reason) in cases {
        assert_eq!(plan.summary.reason, Some(*reason), "{name}");
        assert_eq!(plan.exits, [], "{name}");
    }
}

#[test]
fn says_why_nothing_is_probed() {
    let cases: &[(&str, Plan, ProbeReason)] = &[
        ("empty", native(&[]), UnknownSize),
        ("brk", native(&[BRK, RET]), Breakpoint),
        ("udf", native(&[0, RET]), UnsafeEntry),
        ("exclusive", native(&[LDAXR, RET]), UnsafeEntry),
        ("unallocated", native(&[0x0600_0000, RET]), Undecodable),
    ];
    for (name, plan, reason) in cases {
        assert_eq!(plan.summary.reason, Some(*reason), "{name}");
        assert_eq!(plan.entry, None, "{name}");
    }
}

#[test]
fn follows_jump_tables() {
    // 0: cmp w1, #2; 1: b.hi 7; 2: adrp x0, DATA; 3: ldrb w0, [x0, w1, uxtw]; 4: adr x1, 7;
    // 5: add x0, x1, w0, sxtb #2; 6: br x0; 7: ret; 8: ret; 9: ret
    let gcc = [
        0x7100_083f,
        b_cond(8, 6),
        0xd000_0000,
        0x3861_4800,
        0x1000_0061,
        0x8b20_8820,
        BR_X0,
        RET,
        RET,
        RET,
    ];
    // 0: cmp w1, #2; 1: b.hi 5; 2: adrp x2, DATA; 3: ldr x27, [x2, x1, lsl #3]; 4: br x27; 5: ret...
    let go = [
        0x7100_083f,
        b_cond(8, 4),
        0xd000_0002,
        0xf861_785b,
        0xd61f_0360,
        RET,
        RET,
        RET,
    ];
    let addresses: Vec<u8> = [5, 6, 7]
        .iter()
        .flat_map(|n| (CODE + 4 * n).to_le_bytes())
        .collect();
    let cases: &[TableCase<'_>] = &[
        ("bytes", &gcc, &[0, 1, 2], Some(&[7, 8, 9])),
        ("bytes out of the function", &gcc, &[0, 1, 0x7f], None),
        ("addresses", &go, &addresses, Some(&[5, 6, 7])),
        ("short", &go, &addresses[..16], None),
    ];
    for (name, code, data, expected) in cases {
        let plan = plan_bytes(Convention::Native, &bytes(code), &[], data);
        let exits: Vec<_> = plan
            .exits
            .iter()
            .map(|exit| (exit.address - CODE) / 4)
            .collect();
        assert_eq!(exits, expected.unwrap_or(&[]), "{name}");
        let reason = expected.is_none().then_some(IndirectJump);
        assert_eq!(plan.summary.reason, reason, "{name}");
    }
}

proptest! {
    #[test]
    fn sites_are_instructions_of_the_function(
        words in proptest::collection::vec(prop_oneof![
            any::<u32>(),
            (-20..20i32).prop_map(b),
            (-20..20i32).prop_map(|distance| b_cond(9, distance)),
            proptest::sample::select(vec![RET, NOP, BR_X0, SAVE_FRAME, 0x3861_4800, 0x8b20_8820]),
        ], 1..40),
        cut in 0..4usize,
        data in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let code = bytes(&words);
        let code = &code[..code.len() - cut];
        for convention in [Convention::GoRegisters, Convention::Native] {
            let plan = plan_bytes(convention, code, &[RET], &data);
            for site in plan.entry.iter().chain(&plan.exits) {
                prop_assert_eq!(site.address % 4, 0);
                let inside = site.address == COLD || site.address + 4 <= CODE + code.len() as u64;
                prop_assert!(inside, "{:x?}", site);
            }
            prop_assert_eq!(plan.summary.probe == Probeability::Full, !plan.exits.is_empty());
        }
    }
}
