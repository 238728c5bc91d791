//! Whatever the bytes are, sites stand on instructions of the function.

use std::collections::BTreeSet;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, OpKind};
use proptest::prelude::*;

use super::*;

/// Where instructions start along the control flow, found in the most simple way.
fn reachable(code: &[u8]) -> BTreeSet<u64> {
    let end = CODE + code.len() as u64;
    let mut starts = BTreeSet::new();
    let mut roots = vec![CODE];
    while let Some(address) = roots.pop() {
        if !(CODE..end).contains(&address) || starts.contains(&address) {
            continue;
        }
        let bytes = &code[(address - CODE) as usize..];
        let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            continue;
        }
        starts.insert(address);
        let flow = instruction.flow_control();
        if instruction.op0_kind() == OpKind::NearBranch64 && flow != FlowControl::Call {
            roots.push(instruction.near_branch_target());
        }
        let ends = matches!(
            flow,
            FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Return
                | FlowControl::Exception
        );
        // A breakpoint ends the program, and so does what only the kernel may do; other interrupts
        // are system calls.
        let is_system_call = instruction.code() == Code::Int_imm8 && instruction.immediate8() != 3;
        let is_forbidden = instruction.code() == Code::Hlt;
        if !ends && !is_forbidden && (flow != FlowControl::Interrupt || is_system_call) {
            roots.push(instruction.next_ip());
        }
    }
    starts
}

/// Random bytes, and random sequences of what functions are made of.
fn any_code() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..4),
        any::<i8>().prop_map(|distance| vec![0x74, distance as u8]),
        (-40..40i8).prop_map(|distance| vec![0xeb, distance as u8]),
        proptest::sample::select(vec![
            vec![0xc3],
            vec![0x55],
            vec![0x90],
            vec![0xf3, 0x0f, 0x1e, 0xfa],
            vec![0xf0, 0xff, 0x0f],
            vec![0x48, 0x83, 0xec, 0x18],
            vec![0x49, 0x3b, 0x66, 0x10],
            vec![0xff, 0xe0],
            vec![0xff, 0x24, 0xf8],
            vec![0xff, 0x60, 0x08],
            vec![0xe8, 0, 0x10, 0, 0],
            lea_data(0, 2),
            vec![0x48, 0x63, 0x04, 0xba, 0x48, 0x01, 0xd0, 0xff, 0xe0],
        ]),
    ];
    proptest::collection::vec(piece, 1..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn sites_are_instructions_that_flow_reaches(code in any_code()) {
        let plan = native("random", &code).plan();
        let starts = reachable(&code);
        for site in plan.entry.iter().chain(&plan.exits) {
            prop_assert!(starts.contains(&site.address), "{:x?}", site);
        }
        let full = plan.summary.probe == Probeability::Full;
        prop_assert_eq!(full, !plan.exits.is_empty());
        if full {
            let is_return = |address: &u64| matches!(code[(*address - CODE) as usize], 0xc2 | 0xc3);
            for address in starts.into_iter().filter(is_return) {
                let found = plan.exits.iter().any(|exit| exit.address == address);
                prop_assert!(found, "RET at {address:#x}");
            }
        }
    }

    #[test]
    fn sites_lie_in_the_function(
        code in any_code(),
        cold in any_code(),
        data in proptest::collection::vec(any::<u8>(), 0..64),
        convention in proptest::sample::select(vec![
            Convention::GoRegisters,
            Convention::GoAssembly,
            Convention::Native,
        ]),
    ) {
        let sample = Sample { name: "random", convention, code: &code, cold: &cold, data: &data };
        let plan = sample.plan();
        let inside = |address, start, bytes: &[u8]| {
            (start..start + bytes.len() as u64).contains(&address)
        };
        for site in plan.entry.iter().chain(&plan.exits) {
            let address = site.address;
            prop_assert!(inside(address, CODE, &code) || inside(address, COLD, &cold));
        }
        prop_assert_eq!(plan.entry.is_none(), plan.summary.probe == Probeability::None);
    }
}
