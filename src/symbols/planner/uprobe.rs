//! What Linux does with the instruction under a uprobe: emulate it, single-step a copy, refuse.
//!
//! After `arch/x86/kernel/uprobes.c` from 6.6 on, and stricter where the kernel accepts an
//! instruction that it then executes wrongly.

use iced_x86::{Code, EncodingKind, Instruction, Mnemonic, Register};

use super::SiteCost;

/// Overwritten by a call that runs over the red zone (Linux 6.18).
const NOP5: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/// What a probe on this instruction costs; `None` where there must not be one.
pub(super) fn cost(instruction: &Instruction, bytes: &[u8]) -> Option<SiteCost> {
    if bytes.starts_with(&NOP5) || is_mishandled(instruction) {
        return None;
    }
    let opcode_at = bytes.iter().position(|&byte| !is_prefix(byte))?;
    let (prefixes, opcode) = bytes.split_at(opcode_at);
    if prefixes.iter().any(|&byte| is_refused_prefix(byte)) || is_refused(opcode) {
        return None;
    }
    let operand_size_prefix = prefixes.contains(&0x66);
    match opcode {
        // The 16-bit forms differ between Intel and AMD.
        [0xe8 | 0xe9 | 0xeb | 0x70..=0x7f, ..] | [0x0f, 0x80..=0x8f, ..] => {
            (!operand_size_prefix).then_some(SiteCost::Emulated)
        }
        [0x50..=0x57] if matches!(prefixes, [] | [0x41]) => Some(SiteCost::Emulated),
        [0x90] if prefixes.is_empty() => Some(SiteCost::Emulated),
        _ => Some(SiteCost::SingleStepped),
    }
}

/// Accepted by some kernels, but then not executed as it should be.
fn is_mishandled(instruction: &Instruction) -> bool {
    // The kernel takes the opcode behind a VEX or EVEX prefix for one of the one-byte map:
    // `vmovdqa` (7f) for a conditional jump, `vcmpps` (c2) for a return.
    if instruction.code().encoding() != EncodingKind::Legacy {
        return true;
    }
    // A single step executes one round of a repeated instruction, so the probe fires each round.
    let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    if repeated && instruction.is_string_instruction() {
        return true;
    }
    match instruction.mnemonic() {
        // These see or set the trap flag that single-stepping uses.
        Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq => true,
        Mnemonic::Popf | Mnemonic::Popfd | Mnemonic::Popfq => true,
        // A transaction ends at a trap.
        Mnemonic::Xbegin => true,
        // The trap is held back for one instruction behind a load of the stack segment.
        Mnemonic::Mov => instruction.op0_register() == Register::SS,
        Mnemonic::Lss => true,
        // `41 90` is an exchange, which the kernel emulates as a nop.
        Mnemonic::Xchg => matches!(
            instruction.code(),
            Code::Xchg_r16_AX | Code::Xchg_r32_EAX | Code::Xchg_r64_RAX
        ),
        _ => false,
    }
}

fn is_prefix(byte: u8) -> bool {
    is_refused_prefix(byte) || matches!(byte, 0x40..=0x4f | 0x64..=0x67 | 0xf2 | 0xf3)
}

/// The segment prefixes of 32-bit code (3e also means `notrack`), and LOCK.
fn is_refused_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0xf0)
}

fn is_refused(opcode: &[u8]) -> bool {
    match opcode {
        // Of two bytes: system instructions, `syscall`, `ud2`, fences and state saving.
        [0x0f, second, ..] => matches!(
            second,
            0x00 | 0x01 | 0x05
                ..=0x09 | 0x0b | 0x30 | 0x34 | 0x35 | 0x37 | 0x38 | 0x3a | 0x78 | 0x79 | 0xae
        ),
        // Of one byte: invalid in 64-bit mode, I/O, interrupts, `hlt`, `cli`, `sti`.
        [first, ..] => matches!(
            first,
            0x06 | 0x07 | 0x0e | 0x16 | 0x17 | 0x1e | 0x1f | 0x27 | 0x2f | 0x37 | 0x3f
                | 0x60..=0x62 | 0x6c..=0x6f | 0x82 | 0x9a | 0xcc..=0xcf | 0xd4..=0xd6
                | 0xe4..=0xe7 | 0xea | 0xec..=0xef | 0xf1 | 0xf4 | 0xfa | 0xfb
        ),
        [] => true,
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    #[test]
    fn knows_what_the_kernel_emulates_steps_and_refuses() {
        use SiteCost::{Emulated, SingleStepped};
        let cases: &[(&str, &[u8], Option<SiteCost>)] = &[
            ("push %rbp", &[0x55], Some(Emulated)),
            ("push %r15", &[0x41, 0x57], Some(Emulated)),
            ("rex.W push %rbp", &[0x48, 0x55], Some(SingleStepped)),
            ("push %bp", &[0x66, 0x55], Some(SingleStepped)),
            ("nop", &[0x90], Some(Emulated)),
            ("xchg %ax,%ax", &[0x66, 0x90], Some(SingleStepped)),
            ("xchg %r8d,%eax", &[0x41, 0x90], None),
            ("call", &[0xe8, 0, 0, 0, 0], Some(Emulated)),
            ("jmp short", &[0xeb, 0], Some(Emulated)),
            ("jmp near", &[0xe9, 0, 0, 0, 0], Some(Emulated)),
            ("data16 jmp", &[0x66, 0xe9, 0, 0, 0, 0], None),
            ("je short", &[0x74, 0], Some(Emulated)),
            ("je near", &[0x0f, 0x84, 0, 0, 0, 0], Some(Emulated)),
            ("endbr64", &[0xf3, 0x0f, 0x1e, 0xfa], Some(SingleStepped)),
            ("ret", &[0xc3], Some(SingleStepped)),
            ("repz ret", &[0xf3, 0xc3], Some(SingleStepped)),
            ("bnd ret", &[0xf2, 0xc3], Some(SingleStepped)),
            ("cs ret", &[0x2e, 0xc3], None),
            ("jmp *%rax", &[0xff, 0xe0], Some(SingleStepped)),
            ("notrack jmp *%rax", &[0x3e, 0xff, 0xe0], None),
            ("nopl 0(%rax,%rax,1)", &NOP5, None),
            ("nopl (%rax)", &[0x0f, 0x1f, 0x00], Some(SingleStepped)),
            ("lock incl (%rdi)", &[0xf0, 0xff, 0x07], None),
            ("mov %eax,%ss", &[0x8e, 0xd0], None),
            ("mov %eax,%es", &[0x8e, 0xc0], Some(SingleStepped)),
            ("rep stos", &[0xf3, 0x48, 0xab], None),
            ("stos", &[0x48, 0xab], Some(SingleStepped)),
            ("pushf", &[0x9c], None),
            ("int3", &[0xcc], None),
            ("hlt", &[0xf4], None),
            ("ud2", &[0x0f, 0x0b], None),
            ("syscall", &[0x0f, 0x05], None),
            ("vmovdqa %ymm0,(%rdi)", &[0xc5, 0xfd, 0x7f, 0x07], None),
            ("vzeroupper", &[0xc5, 0xf8, 0x77], None),
            (
                "movdqa %xmm0,(%rdi)",
                &[0x66, 0x0f, 0x7f, 0x07],
                Some(SingleStepped),
            ),
        ];
        for &(text, bytes, expected) in cases {
            let instruction = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
            assert_eq!(instruction.len(), bytes.len(), "{text}");
            assert_eq!(cost(&instruction, bytes), expected, "{text}");
        }
    }
}
