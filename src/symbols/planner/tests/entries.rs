//! Where calls are counted.

use super::SiteCost::{Emulated, SingleStepped};
use super::*;

#[test]
fn chooses_the_cheapest_entry_that_every_call_passes_once() {
    let cases: &[(Sample<'_>, (u64, u16, SiteCost), bool)] = &[
        // push %rbp; mov %rsp,%rbp; pop %rbp; ret
        (
            native("push", &[0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3]),
            (0, 0, Emulated),
            false,
        ),
        // endbr64; push %rbx; pop %rbx; ret
        (
            native("endbr64", &[0xf3, 0x0f, 0x1e, 0xfa, 0x53, 0x5b, 0xc3]),
            (4, 0, Emulated),
            false,
        ),
        // sub $0x18,%rsp; call 0x1018; add $0x18,%rsp; ret
        (
            native(
                "call behind sub",
                &[
                    0x48, 0x83, 0xec, 0x18, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 0x18, 0xc3,
                ],
            ),
            (4, 0x18, Emulated),
            false,
        ),
        // lea -8(%rsp),%rsp; 66 push %ax; jmp 0x1008; ret
        (
            native(
                "two stack changes",
                &[0x48, 0x8d, 0x64, 0x24, 0xf8, 0x66, 0x50, 0xeb, 0x00, 0xc3],
            ),
            (7, 10, Emulated),
            false,
        ),
        // mov %rsi,%rdi; push %rbx; pop %rbx; ret
        (
            native(
                "argument overwritten",
                &[0x48, 0x89, 0xf7, 0x53, 0x5b, 0xc3],
            ),
            (0, 0, SingleStepped),
            false,
        ),
        // movaps %xmm1,%xmm0; push %rbx; pop %rbx; ret
        (
            native(
                "vector argument overwritten",
                &[0x0f, 0x28, 0xc1, 0x53, 0x5b, 0xc3],
            ),
            (0, 0, SingleStepped),
            false,
        ),
        // xor %eax,%eax; push %rbx; pop %rbx; ret: RAX is an argument in Go only
        (
            native("result overwritten", &[0x31, 0xc0, 0x53, 0x5b, 0xc3]),
            (2, 0, Emulated),
            false,
        ),
        (
            go("Go's argument overwritten", &[0x31, 0xc0, 0x53, 0x5b, 0xc3]),
            (0, 0, SingleStepped),
            false,
        ),
        // mov %rsp,%r10; and $-32,%rsp; push %rbp; pop %rbp; mov %r10,%rsp; ret
        (
            native(
                "unknown stack pointer",
                &[
                    0x49, 0x89, 0xe2, 0x48, 0x83, 0xe4, 0xe0, 0x55, 0x5d, 0x4c, 0x89, 0xd4, 0xc3,
                ],
            ),
            (0, 0, SingleStepped),
            false,
        ),
        // mov %edi,%r11d; 3: dec %r11d; jne 3; ret: what is behind is passed often
        (
            native(
                "loop behind",
                &[0x41, 0x89, 0xfb, 0x41, 0xff, 0xcb, 0x75, 0xfb, 0xc3],
            ),
            (0, 0, SingleStepped),
            false,
        ),
        // 0: dec %edi; jne 0; ret
        (
            native("loop to the start", &[0xff, 0xcf, 0x75, 0xfc, 0xc3]),
            (0, 0, SingleStepped),
            true,
        ),
        // nopl 0(%rax,%rax,1); xor %eax,%eax; ret
        (
            native(
                "five-byte nop",
                &[0x0f, 0x1f, 0x44, 0x00, 0x00, 0x31, 0xc0, 0xc3],
            ),
            (5, 0, SingleStepped),
            false,
        ),
        // vmovaps %xmm0,%xmm8; xor %eax,%eax; ret
        (
            native("VEX", &[0xc5, 0x78, 0x28, 0xc0, 0x31, 0xc0, 0xc3]),
            (4, 0, SingleStepped),
            false,
        ),
        // 0: lock decl (%rdi); jne 0; ret
        (
            native("LOCK", &[0xf0, 0xff, 0x0f, 0x75, 0xfb, 0xc3]),
            (3, 0, Emulated),
            true,
        ),
        // xor %eax,%eax; jmp 0x1104: an exit is no entry
        (
            native("tail call", &[0x31, 0xc0, 0xe9, 0xfd, 0, 0, 0]),
            (0, 0, SingleStepped),
            false,
        ),
    ];
    for (sample, (offset, stack_adjust, cost), may_refire) in cases {
        let plan = sample.plan();
        let entry = Site {
            address: CODE + offset,
            kind: SiteKind::Entry,
            stack_adjust: *stack_adjust,
            cost: *cost,
        };
        let name = sample.name;
        assert_eq!(plan.summary.probe, Probeability::Full, "{name}");
        assert_eq!(plan.entry, Some(entry), "{name}");
        assert_eq!(plan.entry_may_refire, *may_refire, "{name}");
    }
}

/// The block that grows the stack: save RAX, call, restore it, jump to the start.
///
/// The jump is 20 bytes behind the block's start.
fn grow_block(start: usize) -> Vec<u8> {
    let mut block = vec![0x48, 0x89, 0x44, 0x24, 0x08]; // mov %rax,8(%rsp)
    block.extend([0x0f, 0x1f, 0x44, 0x00, 0x00]); // nop
    block.extend([0xe8, 0, 0x10, 0, 0]); // call runtime.morestack_noctxt
    block.extend([0x48, 0x8b, 0x44, 0x24, 0x08]); // mov 8(%rsp),%rax
    block.extend([0xeb, -(start as i8 + 22) as u8]); // jmp to the start
    block
}

#[test]
fn enters_go_behind_the_check_of_the_stack() {
    let push = [0x55, 0x5d, 0xc3]; // push %rbp; pop %rbp; ret
    let no_push = [0x48, 0x83, 0xec, 0x08, 0x48, 0x83, 0xc4, 0x08, 0xc3]; // sub; add; ret
    let small = [0x49, 0x3b, 0x66, 0x10]; // cmp 0x10(%r14),%rsp
    let medium = [
        0x4c, 0x8d, 0x64, 0x24, 0xf8, // lea -8(%rsp),%r12
        0x4d, 0x3b, 0x66, 0x10, // cmp 0x10(%r14),%r12
    ];
    let assembly = [
        &[0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff][..], // mov %fs:-8,%rcx
        &[0x48, 0x3b, 0x61, 0x10],                                   // cmp 0x10(%rcx),%rsp
    ]
    .concat();
    let cases = [
        (
            "small frame",
            Convention::GoRegisters,
            &small[..],
            &push[..],
            Emulated,
        ),
        (
            "medium frame",
            Convention::GoRegisters,
            &medium[..],
            &push[..],
            Emulated,
        ),
        (
            "assembly",
            Convention::GoAssembly,
            &assembly[..],
            &push[..],
            Emulated,
        ),
        (
            "no push",
            Convention::GoRegisters,
            &small[..],
            &no_push[..],
            SingleStepped,
        ),
    ];
    for (name, convention, check, body, cost) in cases {
        // check; jbe grow; body; grow
        let mut code = [check, &[0x76, body.len() as u8], body].concat();
        code.extend(grow_block(code.len()));
        let sample = Sample {
            convention,
            ..native(name, &code)
        };
        let plan = sample.plan();
        let entry = plan.entry.unwrap();
        assert_eq!(entry.address, CODE + check.len() as u64 + 2, "{name}");
        assert_eq!((entry.cost, entry.stack_adjust), (cost, 0), "{name}");
        assert!(!plan.entry_may_refire, "{name}");
        assert_eq!(plan.summary.probe, Probeability::Full, "{name}");
    }
}

#[test]
fn enters_go_behind_the_check_of_a_large_frame() {
    // mov %rsp,%r12; sub $0x4000,%r12; jb 24; cmp 0x10(%r14),%r12; jbe 24; push; pop; ret; 24: grow
    let mut code = vec![
        0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0x00, 0x40, 0x00, 0x00, 0x72, 0x09,
    ];
    code.extend([0x4d, 0x3b, 0x66, 0x10, 0x76, 0x03, 0x55, 0x5d, 0xc3]);
    code.extend(grow_block(code.len()));
    let plan = go("large frame", &code).plan();
    assert_eq!(plan.entry.map(|entry| entry.address), Some(CODE + 18));
    assert!(!plan.entry_may_refire);
}

#[test]
fn does_not_take_a_loop_for_a_check_of_the_stack() {
    // cmp 0x10(%r14),%rsp; jbe 9; push; pop; ret; then a block that jumps back but calls nothing
    let code = [
        0x49, 0x3b, 0x66, 0x10, 0x76, 0x03, 0x55, 0x5d, 0xc3, 0x90, 0xeb, 0xf4,
    ];
    let plan = go("loop", &code).plan();
    assert_eq!(plan.entry.map(|entry| entry.address), Some(CODE + 4));
    assert!(plan.entry_may_refire);
}
