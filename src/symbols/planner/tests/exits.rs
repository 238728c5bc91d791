//! Where calls end, and why that is not known.

use super::SiteKind::{Return, TailCall};
use super::*;

#[test]
fn finds_every_exit() {
    let cases: &[(Sample<'_>, &[(u64, SiteKind)])] = &[
        // nop; ret $8
        (native("ret imm", &[0x90, 0xc2, 0x08, 0x00]), &[(1, Return)]),
        // nop; repz ret
        (native("repz ret", &[0x90, 0xf3, 0xc3]), &[(1, Return)]),
        // nop; bnd ret
        (native("bnd ret", &[0x90, 0xf2, 0xc3]), &[(1, Return)]),
        // test %edi,%edi; je 6; nop; ret; 6: nop; ret
        (
            native("two", &[0x85, 0xff, 0x74, 0x02, 0x90, 0xc3, 0x90, 0xc3]),
            &[(5, Return), (7, Return)],
        ),
        // nop; call; int3: the call never returns, but a RET does before
        (
            native(
                "noreturn call at the end",
                &[0x85, 0xff, 0x74, 0x01, 0xc3, 0xe8, 0, 0, 0, 0],
            ),
            &[(4, Return)],
        ),
        // nop; jmp *8(%rax)
        (
            native("pointer", &[0x90, 0xff, 0x60, 0x08]),
            &[(1, TailCall)],
        ),
        // mov 8(%rdi),%rax; jmp *%rax
        (
            native("loaded pointer", &[0x48, 0x8b, 0x47, 0x08, 0xff, 0xe0]),
            &[(4, TailCall)],
        ),
        // nop; jmp *0x2000(%rip)
        (
            native("linkage table", &[0x90, 0xff, 0x25, 0, 0x20, 0, 0]),
            &[(1, TailCall)],
        ),
        // nop; jmp *%rdi, and nothing that it could lead to but padding
        (
            native(
                "register",
                &[0x90, 0xff, 0xe7, 0x66, 0x90, 0x0f, 0x0b, 0xcc],
            ),
            &[(1, TailCall)],
        ),
        // cmpl $0,%fs:0x18; je 12; 11: lock; 12: decl (%rdi); ret
        (
            native(
                "jump over a LOCK prefix",
                &[
                    0x64, 0x83, 0x3c, 0x25, 0x18, 0, 0, 0, 0x00, 0x74, 0x01, 0xf0, 0xff, 0x0f, 0xc3,
                ],
            ),
            &[(14, Return)],
        ),
        // test %edi,%edi; jne cold; ret; cold: jmp back to the RET, or return by itself
        (
            Sample {
                // call; test %eax,%eax; jne 0x1008; ret
                cold: &[
                    0xe8, 0, 0, 0, 0, 0x85, 0xc0, 0x0f, 0x85, 0xfb, 0xef, 0xff, 0xff, 0xc3,
                ],
                ..native(
                    "cold part",
                    &[0x85, 0xff, 0x0f, 0x85, 0xf8, 0x0f, 0, 0, 0xc3],
                )
            },
            &[(8, Return), (COLD - CODE + 13, Return)],
        ),
        // nop; ret; call; ret: Go's runtime goes on behind the RET after `recover`
        (
            go(
                "recovery",
                &[0x90, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3, 0xcc, 0xcc],
            ),
            &[(1, Return), (7, Return)],
        ),
        // nop; jmp 0x1006; four bytes of data; ret
        (
            native("data", &[0x90, 0xeb, 0x04, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3]),
            &[(7, Return)],
        ),
    ];
    for (sample, expected) in cases {
        let plan = sample.plan();
        let exits = plan
            .exits
            .iter()
            .map(|exit| (exit.address - CODE, exit.kind));
        assert_eq!(exits.collect::<Vec<_>>(), *expected, "{}", sample.name);
        assert_eq!(plan.summary.reason, None, "{}", sample.name);
        assert_eq!(plan.summary.exits, expected.len() as u32, "{}", sample.name);
        let tail_calls = expected.iter().filter(|(_, kind)| *kind == TailCall);
        assert_eq!(
            plan.tail_calls,
            tail_calls.count() as u32,
            "{}",
            sample.name
        );
    }
}

#[test]
fn says_why_exits_are_not_probed() {
    use ProbeReason::*;
    let cases: &[(Sample<'_>, ProbeReason)] = &[
        (native("jmp to itself", &[0x90, 0xeb, 0xfe]), NoExit),
        // nop; call
        (native("noreturn", &[0x90, 0xe8, 0, 0, 0, 0]), NoExit),
        // nop; invalid in 64-bit mode
        (native("push %es", &[0x90, 0x06, 0xc3]), Undecodable),
        // nop; half a call
        (native("half a call", &[0x90, 0xe8, 0, 0]), Overrun),
        (native("falls through", &[0x90, 0x90]), Overrun),
        // nop; je into the next instruction; mov $0xc3,%eax; ret
        (
            native(
                "overlap",
                &[0x90, 0x74, 0x01, 0xb8, 0xc3, 0x00, 0x00, 0x00, 0xc3],
            ),
            OverlappingInstructions,
        ),
        // nop; je 0x1103; ret
        (
            native(
                "conditional tail call",
                &[0x90, 0x0f, 0x84, 0, 1, 0, 0, 0xc3],
            ),
            ConditionalTailCall,
        ),
        // nop; jmp *%rdi; a block that only the jump can lead to
        (
            native("register", &[0x90, 0xff, 0xe7, 0x31, 0xc0, 0xc3]),
            IndirectJump,
        ),
        // jmp *8(%rdi); a block that ends with another one: threaded code
        (
            native(
                "threaded",
                &[0x90, 0xff, 0x67, 0x08, 0x90, 0x31, 0xc0, 0xff, 0x67, 0x08],
            ),
            IndirectJump,
        ),
        // jmp *(%rax,%rdi,8) through a table that is not there
        (
            native("no table", &[0x90, 0xff, 0x24, 0xf8, 0x90, 0xc3]),
            IndirectJump,
        ),
        (native("far return", &[0x90, 0xcb]), UnsafeExit),
        (native("iret", &[0x90, 0x48, 0xcf]), UnsafeExit),
        (
            native("notrack jmp", &[0x90, 0x3e, 0xff, 0x60, 0x08]),
            UnsafeExit,
        ),
        (native("nothing but ret", &[0xc3]), SingleInstruction),
    ];
    for (sample, reason) in cases {
        let plan = sample.plan();
        assert_eq!(plan.summary.reason, Some(*reason), "{}", sample.name);
        assert_eq!(
            plan.summary.probe,
            Probeability::EntryOnly,
            "{}",
            sample.name
        );
        assert_eq!(plan.exits, [], "{}", sample.name);
        assert!(plan.entry.is_some(), "{}", sample.name);
    }
}

#[test]
fn caps_exits() {
    for (exits, reason) in [
        (MAX_EXITS, None),
        (MAX_EXITS + 1, Some(ProbeReason::TooManyExits)),
    ] {
        let mut code = vec![0x90];
        code.extend([0x74, 0x01, 0xc3].repeat(exits - 1)); // je 3; ret
        code.push(0xc3);
        let plan = native("many", &code).plan();
        assert_eq!(plan.summary.reason, reason);
    }
}
