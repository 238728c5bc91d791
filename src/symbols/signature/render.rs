//! What was captured, as text.

use std::fmt::Write;

use coral_ebpf_common::{Captured, STATUS_FAULT, STATUS_NULL, STATUS_TRUNCATED, VALUE_BYTES};

use super::{Interface, Shape, TypeNames};

/// Where in the bytes of an interface the 16 bytes are that its data word points to, and where
/// the string behind these is.
const INTERFACE_DATA: usize = 8;
const INTERFACE_TEXT: usize = 24;
/// Longer names are cut off.
const TYPE_NAME_CHARS_MAX: usize = 200;

/// A captured value of that shape as text.
pub(super) fn render(shape: &Shape, captured: &Captured, types: &dyn TypeNames) -> String {
    if captured.status == STATUS_FAULT {
        return "<fault>".to_owned();
    }
    if captured.status == STATUS_NULL {
        return "nil".to_owned();
    }
    let len = usize::from(captured.len).min(VALUE_BYTES);
    let bytes = &captured.bytes[..len];
    let is_cut = captured.status == STATUS_TRUNCATED;
    match shape {
        Shape::Text => text(bytes, is_cut),
        Shape::Slice {
            element,
            element_bytes,
        } => slice(element, *element_bytes, captured.word, bytes, is_cut),
        Shape::Interface(interface) => {
            dynamic_value(*interface, captured.word, bytes, is_cut, types)
        }
        shape => number(shape, captured.word),
    }
}

fn number(shape: &Shape, word: u64) -> String {
    match shape {
        Shape::Signed => (word as i64).to_string(),
        Shape::Bool => (word & 0xff != 0).to_string(),
        Shape::Character => character(word),
        Shape::Float(4) => f32::from_bits(word as u32).to_string(),
        Shape::Float(8) => f64::from_bits(word).to_string(),
        Shape::Pointer if word == 0 => "nil".to_owned(),
        Shape::Pointer | Shape::Raw => format!("{word:#x}"),
        Shape::Enumeration { names, is_signed } => match named(names, word) {
            Some(name) => name.to_owned(),
            None if *is_signed => (word as i64).to_string(),
            None => word.to_string(),
        },
        Shape::Variant {
            names,
            other,
            holds_number,
        } => match (named(names, word), other) {
            (Some(name), _) => name.to_owned(),
            (None, Some(other)) if *holds_number => format!("{other}({word:#x})"),
            (None, Some(other)) => other.clone(),
            (None, None) => format!("<unknown variant {word}>"),
        },
        _ => word.to_string(),
    }
}

fn named(names: &[(u64, String)], number: u64) -> Option<&str> {
    let found = names.iter().find(|(named, _)| *named == number);
    found.map(|(_, name)| name.as_str())
}

fn character(word: u64) -> String {
    let found = u32::try_from(word).ok().and_then(char::from_u32);
    match found {
        Some(found) => format!("'{}'", found.escape_debug()),
        None => word.to_string(),
    }
}

fn text(bytes: &[u8], is_cut: bool) -> String {
    let mut text = "\"".to_owned();
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().escape_debug());
        // A character that was cut in two is no damage.
        let is_rest = is_cut && bytes.ends_with(chunk.invalid());
        for byte in chunk.invalid().iter().filter(|_| !is_rest) {
            let _infallible = write!(text, "\\x{byte:02x}");
        }
    }
    text.push_str(if is_cut { "...\"<truncated>" } else { "\"" });
    text
}

/// The elements that were captured, and how many there are.
fn slice(element: &Shape, element_bytes: u32, len: u64, bytes: &[u8], is_cut: bool) -> String {
    let size = (element_bytes as usize).clamp(1, 8);
    let elements: Vec<String> = bytes
        .chunks_exact(size)
        .map(|bytes| number(element, extended(element, bytes)))
        .collect();
    // An array has no length beside its bytes.
    let is_whole = !is_cut && (len == 0 || elements.len() as u64 >= len);
    let mut text = elements.join(", ");
    if !is_whole {
        text.push_str(if text.is_empty() { "..." } else { ", ..." });
        return format!("[{text}] len {len}");
    }
    format!("[{text}]")
}

/// A number of up to 8 bytes, as the kernel program would have extended it.
fn extended(shape: &Shape, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let word = u64::from_le_bytes(word);
    let is_signed = matches!(
        shape,
        Shape::Signed
            | Shape::Enumeration {
                is_signed: true,
                ..
            }
    );
    let unused = 64 - 8 * bytes.len() as u32;
    if is_signed {
        ((word << unused) as i64 >> unused) as u64
    } else {
        word
    }
}

/// What is in a Go interface: its type, and the value if that is of a kind that is known.
fn dynamic_value(
    interface: Interface,
    type_word: u64,
    bytes: &[u8],
    is_cut: bool,
    types: &dyn TypeNames,
) -> String {
    if type_word == 0 {
        return "nil".to_owned();
    }
    let Some(name) = types.name(type_word, interface) else {
        return match bytes.get(INTERFACE_TEXT..) {
            Some(rest) if !rest.is_empty() => format!("?({})", text(rest, is_cut)),
            _ => "?".to_owned(),
        };
    };
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let small = |shape: Shape, size: usize| {
        let bytes = bytes.get(INTERFACE_DATA..INTERFACE_DATA + size)?;
        Some(number(&shape, extended(&shape, bytes)))
    };
    let value = match name.as_str() {
        "bool" => small(Shape::Bool, 1),
        "int8" => small(Shape::Signed, 1),
        "int16" => small(Shape::Signed, 2),
        "int32" => small(Shape::Signed, 4),
        "int" | "int64" => small(Shape::Signed, 8),
        "uint8" => small(Shape::Unsigned, 1),
        "uint16" => small(Shape::Unsigned, 2),
        "uint32" => small(Shape::Unsigned, 4),
        "uint" | "uint64" | "uintptr" => small(Shape::Unsigned, 8),
        "float32" => small(Shape::Float(4), 4),
        "float64" => small(Shape::Float(8), 8),
        _ => {
            // Errors mostly begin with their text; only a string has an address and a length.
            let rest = bytes.get(INTERFACE_TEXT..).unwrap_or_default();
            let is_empty_string = name == "string" && word(INTERFACE_DATA + 8) == Some(0);
            (!rest.is_empty() || is_empty_string).then(|| text(rest, is_cut))
        }
    };
    let name: String = name.chars().take(TYPE_NAME_CHARS_MAX).collect();
    match value.or_else(|| word(0).map(|data| format!("{data:#x}"))) {
        Some(value) => format!("{name}({value})"),
        None => name,
    }
}
