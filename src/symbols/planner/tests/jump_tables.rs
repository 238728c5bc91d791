//! Where jump tables lead.

use super::*;

/// Four-byte distances from [`DATA`].
fn relative_table(offsets: &[u64]) -> Vec<u8> {
    let distance = |offset: u64| (CODE + offset).wrapping_sub(DATA) as u32;
    offsets
        .iter()
        .flat_map(|&offset| distance(offset).to_le_bytes())
        .collect()
}

/// Eight-byte addresses.
fn absolute_table(offsets: &[u64]) -> Vec<u8> {
    offsets
        .iter()
        .flat_map(|&offset| (CODE + offset).to_le_bytes())
        .collect()
}

#[test]
fn follows_jump_tables() {
    let ends = [0x90, 0xc3, 0x90, 0xc3, 0x90, 0xc3]; // three times nop; ret
    let by_offset = |jump: &[u8]| {
        let mut code = vec![0x83, 0xff, 0x02, 0x77, 0x12]; // 0: cmp $2,%edi; ja 23
        code.extend(lea_data(5, 2)); // 5: lea DATA,%rdx
        code.extend([0x48, 0x63, 0x04, 0xba]); // 12: movslq (%rdx,%rdi,4),%rax
        code.extend([0x48, 0x01, 0xd0]); // 16: add %rdx,%rax
        code.extend(jump); // 19: jmp *%rax
        code.resize(23, 0xcc);
        code.push(0xc3); // 23: ret
        code.extend(ends); // 24, 26, 28
        code
    };
    let table = relative_table(&[24, 26, 28, 24]);
    let expected: &[u64] = &[23, 25, 27, 29];
    check_table("by offset", &by_offset(&[0xff, 0xe0]), &table, expected);
    check_table("notrack", &by_offset(&[0x3e, 0xff, 0xe0]), &table, expected);

    let mut code = vec![0x83, 0xff, 0x02, 0x76, 0x01, 0xc3]; // 0: cmp $2,%edi; jbe 6; ret
    code.extend(lea_data(6, 0)); // 6: lea DATA,%rax
    code.extend([0xff, 0x24, 0xf8]); // 13: jmp *(%rax,%rdi,8)
    code.extend(ends); // 16, 18, 20
    // The fourth entry leads into an instruction, were the bound not known.
    let table = absolute_table(&[16, 18, 20, 7]);
    check_table("by address", &code, &table, &[5, 17, 19, 21]);

    let mut code = vec![0x83, 0xff, 0x03, 0x73, 0x0a]; // 0: cmp $3,%edi; jae 15
    code.extend([0x89, 0xf8]); // 5: mov %edi,%eax
    code.extend([0xff, 0x24, 0xc5, 0, 0x30, 0, 0]); // 7: jmp *DATA(,%rax,8)
    code.extend([0xcc, 0xc3]); // 15: ret
    code.extend(ends); // 16, 18, 20
    check_table("without base", &code, &table, &[15, 17, 19, 21]);

    let mut code = vec![0x83, 0xe7, 0x03]; // 0: and $3,%edi
    code.extend(lea_data(3, 0)); // 3: lea DATA,%rax
    code.extend([0xff, 0x24, 0xf8]); // 10: jmp *(%rax,%rdi,8)
    code.extend(ends); // 13, 15, 17
    let table = absolute_table(&[13, 15, 17, 13]);
    check_table("masked", &code, &table, &[14, 16, 18]);

    let mut code = lea_data(0, 2); // 0: lea DATA,%rdx
    code.extend([0x90; 20]); // 7: far away
    code.extend([0x48, 0x63, 0x04, 0xba]); // 27: movslq (%rdx,%rdi,4),%rax
    code.extend([0x48, 0x01, 0xd0, 0xff, 0xe0]); // 31: add %rdx,%rax; jmp *%rax
    code.extend(ends); // 36, 38, 40
    let table = relative_table(&[36, 38, 40]);
    check_table("hoisted, without bound", &code, &table, &[37, 39, 41]);

    // The table ends early: the third RET may be one that it leads to.
    let plan = Sample {
        data: &relative_table(&[36, 38]),
        ..native("short", &code)
    }
    .plan();
    assert_eq!(plan.summary.reason, Some(ProbeReason::IndirectJump));
}

fn check_table(name: &str, code: &[u8], data: &[u8], expected: &[u64]) {
    let plan = Sample {
        data,
        ..native(name, code)
    }
    .plan();
    let exits = plan.exits.iter().map(|exit| exit.address - CODE);
    assert_eq!(exits.collect::<Vec<_>>(), expected, "{name}");
    assert_eq!(plan.summary.reason, None, "{name}");
}
