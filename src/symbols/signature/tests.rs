//! What is shown of captured values.

use coral_ebpf_common::{
    Captured, STATUS_FAULT, STATUS_NULL, STATUS_OK, STATUS_TRUNCATED, VALUE_BYTES, ValueSpec,
};
use proptest::prelude::*;

use super::*;

/// Knows two types.
struct Known;

impl TypeNames for Known {
    fn name(&self, type_word: u64, interface: Interface) -> Option<String> {
        match (type_word, interface) {
            (1, Interface::Methods) => Some("*errors.errorString".to_owned()),
            (2, Interface::Empty) => Some("int32".to_owned()),
            (3, Interface::Empty) => Some("*main.cart".to_owned()),
            (4, Interface::Empty) => Some("string".to_owned()),
            _ => None,
        }
    }
}

fn captured(status: u8, word: u64, content: &[u8]) -> Captured {
    let mut bytes = [0; VALUE_BYTES];
    bytes[..content.len()].copy_from_slice(content);
    Captured {
        status,
        kind: 0,
        len: content.len() as u16,
        padding: 0,
        word,
        bytes,
    }
}

fn variable(shape: Shape) -> Variable {
    Variable {
        name: "v".to_owned(),
        type_name: String::new(),
        shape,
        read: Ok(ValueSpec::default()),
    }
}

#[track_caller]
fn check(shape: Shape, captured: &Captured, expected: &str) {
    assert_eq!(variable(shape).render(captured, &Known), expected);
}

fn numbers(of: Shape, element_bytes: u32) -> Shape {
    Shape::Slice {
        element: Box::new(of),
        element_bytes,
    }
}

#[test]
fn words() {
    let levels = vec![(0, "Low".to_owned()), (7, "High".to_owned())];
    let plain = |is_signed| Shape::Enumeration {
        names: levels.clone(),
        is_signed,
    };
    let variant = |holds_number| Shape::Variant {
        names: vec![(0, "None".to_owned())],
        other: Some("Some".to_owned()),
        holds_number,
    };
    let cases = [
        (Shape::Unsigned, u64::MAX, "18446744073709551615"),
        (Shape::Signed, u64::MAX, "-1"),
        (Shape::Bool, 1, "true"),
        (Shape::Bool, 0, "false"),
        (Shape::Character, 0x78, "'x'"),
        (Shape::Character, 0x0a, "'\\n'"),
        (Shape::Character, 0xd800, "55296"),
        (Shape::Float(8), 2.5_f64.to_bits(), "2.5"),
        (Shape::Float(4), u64::from(0.1_f32.to_bits()), "0.1"),
        (Shape::Pointer, 0, "nil"),
        (Shape::Pointer, 0xc000_0123, "0xc0000123"),
        (Shape::Raw, 0, "0x0"),
        (plain(false), 7, "High"),
        (plain(false), 8, "8"),
        (plain(true), u64::MAX, "-1"),
        (variant(true), 0, "None"),
        (variant(true), 0x7f00, "Some(0x7f00)"),
        (variant(false), 3, "Some"),
    ];
    for (shape, word, expected) in cases {
        check(shape.clone(), &captured(STATUS_OK, word, &[]), expected);
        check(shape, &captured(STATUS_FAULT, word, &[]), "<fault>");
    }
}

#[test]
fn texts() {
    let cases: [(u8, &[u8], &str); 8] = [
        (STATUS_OK, b"text", "\"text\""),
        (STATUS_OK, b"", "\"\""),
        (STATUS_NULL, b"", "nil"),
        (STATUS_OK, b"a\"b\n\x1b", "\"a\\\"b\\n\\u{1b}\""),
        (STATUS_OK, b"a\xffb", "\"a\\xffb\""),
        (STATUS_TRUNCATED, b"cut", "\"cut...\"<truncated>"),
        // The character is cut in two by the end of what was kept.
        (STATUS_TRUNCATED, b"h\xc3", "\"h...\"<truncated>"),
        (STATUS_OK, b"h\xc3", "\"h\\xc3\""),
    ];
    for (status, bytes, expected) in cases {
        let len = bytes.len() as u64;
        check(Shape::Text, &captured(status, len, bytes), expected);
    }
}

#[test]
fn elements() {
    let shorts = numbers(Shape::Signed, 2);
    let bytes = [1, 0, 0xff, 0xff, 9, 0];
    let all = captured(STATUS_OK, 3, &bytes);
    check(shorts.clone(), &all, "[1, -1, 9]");
    let some = captured(STATUS_TRUNCATED, 500, &bytes[..4]);
    check(shorts.clone(), &some, "[1, -1, ...] len 500");
    // A program that counts the length in bytes keeps less than there is.
    let fewer = captured(STATUS_OK, 3, &bytes[..3]);
    check(shorts.clone(), &fewer, "[1, ...] len 3");
    check(shorts.clone(), &captured(STATUS_OK, 2, &[]), "[...] len 2");
    check(shorts, &captured(STATUS_OK, 0, &[]), "[]");
    // An array.
    let longs = numbers(Shape::Unsigned, 8);
    check(
        longs,
        &captured(STATUS_OK, 0, &[5, 0, 0, 0, 0, 0, 0, 0]),
        "[5]",
    );
}

#[test]
fn interfaces() {
    let content = |data: u64, pointee: [u64; 2], text: &[u8]| {
        let words = [data, pointee[0], pointee[1]].map(u64::to_le_bytes);
        [&words.concat(), text].concat()
    };
    let text = content(0xc000, [0x1000, 8], b"no stock");
    let number = content(0xc000, [0xffff_fffe, 0], b"");
    let cases = [
        (Interface::Methods, 0, &[][..], "nil"),
        (
            Interface::Methods,
            1,
            &text,
            "*errors.errorString(\"no stock\")",
        ),
        (Interface::Empty, 2, &number, "int32(-2)"),
        (Interface::Empty, 3, &number, "*main.cart(0xc000)"),
        (Interface::Empty, 4, &number[..], "string(\"\")"),
        (Interface::Empty, 3, &[], "*main.cart"),
        (Interface::Empty, 9, &text, "?(\"no stock\")"),
        (Interface::Empty, 9, &[], "?"),
    ];
    for (interface, word, bytes, expected) in cases {
        let number_is_empty_text = word == 4;
        let mut captured = captured(STATUS_OK, word, bytes);
        if number_is_empty_text {
            captured.bytes[16..24].fill(0);
        }
        check(Shape::Interface(interface), &captured, expected);
    }
}

#[test]
fn what_can_not_be_read_says_why() {
    let cases = [
        (Unreadable::OptimizedOut, "<optimized out>"),
        (Unreadable::FloatRegister, "<in a float register>"),
    ];
    for (reason, expected) in cases {
        let mut variable = variable(Shape::Signed);
        variable.read = Err(reason);
        let shown = variable.render(&captured(STATUS_OK, 1, &[]), &());
        assert_eq!(shown, expected);
    }
}

proptest! {
    #[test]
    fn whatever_was_captured_is_shown(
        status in any::<u8>(),
        len in any::<u16>(),
        word in any::<u64>(),
        content in prop::collection::vec(any::<u8>(), VALUE_BYTES),
    ) {
        let mut captured = captured(status, word, &content);
        captured.len = len;
        for shape in [
            Shape::Text,
            Shape::Character,
            numbers(Shape::Float(4), 4),
            numbers(Shape::Unsigned, u32::MAX),
            Shape::Interface(Interface::Empty),
        ] {
            let shown = variable(shape).render(&captured, &Known);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
