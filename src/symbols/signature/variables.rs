//! From a value's type and place to what is read of it: itself, or the parts that can be read.

use coral_ebpf_common::{ValueKind, ValueSpec};

use super::place::{Part, Place, memory, pointee, two_words, word};
use super::types::{Field, Kind, Struct, Type, TypeReader, Variants};
use super::{Shape, Unreadable, Variable};

/// Of one value no more parts than this are listed.
const PARTS_MAX: usize = 16;
/// Arrays that are not in memory are listed up to this length.
const ELEMENTS_MAX: u64 = 4;
/// How strings are read: from registers, and from memory.
const STRING: [ValueKind; 2] = [ValueKind::String, ValueKind::StringAt];
const INTERFACE: [ValueKind; 2] = [ValueKind::Interface, ValueKind::InterfaceAt];

/// What is read of a value.
pub(super) fn describe(
    types: &mut TypeReader<'_, '_>,
    name: &str,
    value: &Type,
    place: &Place,
) -> Vec<Variable> {
    let mut description = Description {
        types,
        place,
        listed: Vec::new(),
    };
    description.value(name, value, 0);
    description.listed
}

struct Description<'t, 'd, 'i> {
    types: &'t mut TypeReader<'d, 'i>,
    place: &'t Place,
    listed: Vec<Variable>,
}

/// A sequence of elements: where its address and its length are, and what it consists of.
struct Sequence {
    address: u64,
    length: u64,
    element: Option<Type>,
}

impl Description<'_, '_, '_> {
    /// Lists what lies at an offset in the value.
    fn value(&mut self, name: &str, value: &Type, at: u64) {
        if self.listed.len() == PARTS_MAX {
            return;
        }
        match &value.kind {
            Kind::Unknown | Kind::Union(_) | Kind::Complex => {
                let unreadable = match self.place {
                    Place::Unreadable(reason) => *reason,
                    _ => Unreadable::Type,
                };
                self.push(name, value, Shape::Raw, Err(unreadable));
            }
            _ if value.size == 0 => {}
            Kind::Scalar(shape) => {
                let is_signed = matches!(
                    shape,
                    Shape::Signed
                        | Shape::Enumeration {
                            is_signed: true,
                            ..
                        }
                );
                let read = self.word(at, value.size, is_signed);
                self.push(name, value, shape.clone(), read);
            }
            Kind::Float => {
                let read = self.word(at, value.size, false);
                self.push(name, value, Shape::Float(value.size as u32), read);
            }
            Kind::Pointer(target) => self.pointer(name, value, *target, at),
            Kind::GoString => {
                let read = self.two_words(at, at.saturating_add(8), STRING, 1);
                self.push(name, value, Shape::Text, read);
            }
            Kind::GoSlice(element) => {
                let sequence = Sequence {
                    address: at,
                    length: at.saturating_add(8),
                    element: Some((**element).clone()),
                };
                self.sequence(name, value, &sequence);
            }
            Kind::GoInterface(interface) => {
                let read = self.two_words(at, at.saturating_add(8), INTERFACE, 1);
                self.push(name, value, Shape::Interface(*interface), read);
            }
            Kind::Array { element, len } => self.array(name, value, element, *len, at),
            Kind::Struct(data) => match self.sequence_of(value, at) {
                Some(sequence) => self.sequence(name, value, &sequence),
                None => self.structure(name, value, data, at),
            },
        }
    }

    fn pointer(&mut self, name: &str, value: &Type, target: Option<u64>, at: u64) {
        let part = self.place.part(at, 8);
        if let Some(target) = target {
            if self.types.is_text(target) {
                let read = part.and_then(|part| pointee(part, ValueKind::CString, 0));
                return self.push(name, value, Shape::Text, read);
            }
            if self.types.is_sequence(target) {
                let whole = self.types.read(target);
                if let Some(sequence) = self.sequence_of(&whole, 0)
                    && sequence.address.checked_add(8) == Some(sequence.length)
                    && let Some((shape, element_bytes)) = shape_of(&sequence)
                {
                    let read = part.and_then(|part| {
                        let mut spec = pointee(part, ValueKind::StringAt, sequence.address)?;
                        if element_bytes > 1 {
                            spec.offsets[super::ELEMENT_BYTES] = element_bytes;
                        }
                        Ok(spec)
                    });
                    return self.push(name, value, shape, read);
                }
            }
        }
        let read = self.word(at, 8, false);
        self.push(name, value, Shape::Pointer, read);
    }

    /// Lists a sequence: its elements if they are numbers, or else its length.
    fn sequence(&mut self, name: &str, value: &Type, sequence: &Sequence) {
        match shape_of(sequence) {
            Some((shape, element_bytes)) => {
                let bytes = element_bytes as u32;
                let read = self.two_words(sequence.address, sequence.length, STRING, bytes);
                self.push(name, value, shape, read);
            }
            None => {
                let read = self.word(sequence.length, 8, false);
                self.push(&format!("len({name})"), value, Shape::Unsigned, read);
            }
        }
    }

    /// Rust's sequences and libstdc++'s string, known by their fields.
    fn sequence_of(&mut self, whole: &Type, at: u64) -> Option<Sequence> {
        if let (Some(address), Some(length)) =
            (whole.field("_M_dataplus"), whole.field("_M_string_length"))
        {
            let Kind::Pointer(Some(target)) = address.value.field("_M_p")?.value.kind else {
                return None;
            };
            return Some(Sequence {
                address: at.checked_add(address.offset)?,
                length: at.checked_add(length.offset)?,
                element: Some(self.types.read(target)),
            });
        }
        if let (Some(address), Some(length)) = (whole.field("data_ptr"), whole.field("length")) {
            let Kind::Pointer(target) = address.value.kind else {
                return None;
            };
            let element = target.map(|target| self.types.read(target));
            return Some(Sequence {
                address: at.checked_add(address.offset)?,
                length: at.checked_add(length.offset)?,
                element,
            });
        }
        if whole.name == "String" {
            let vec = whole.field("vec")?;
            return self.sequence_of(&vec.value, at.checked_add(vec.offset)?);
        }
        if !whole.name.starts_with("Vec<") {
            return None;
        }
        let Kind::Struct(data) = &whole.kind else {
            return None;
        };
        let length = whole.field("len")?;
        let buffer = whole.field("buf")?;
        let address = buffer.offset.checked_add(pointer_in(&buffer.value)?)?;
        let element = data.parameter.map(|element| self.types.read(element));
        Some(Sequence {
            address: at.checked_add(address)?,
            length: at.checked_add(length.offset)?,
            element,
        })
    }

    fn array(&mut self, name: &str, value: &Type, element: &Type, len: u64, at: u64) {
        let part = self.place.part(at, value.size);
        if let (Ok(part @ Part::Memory { .. }), Some(shape)) = (part, number(element)) {
            let read = memory(part, ValueKind::Memory, value.size);
            let shape = Shape::Slice {
                element: Box::new(shape),
                element_bytes: element.size as u32,
            };
            return self.push(name, value, shape, read);
        }
        for index in 0..len.min(ELEMENTS_MAX) {
            let at = at.saturating_add(index.saturating_mul(element.size));
            self.value(&format!("{name}[{index}]"), element, at);
        }
    }

    fn structure(&mut self, name: &str, whole: &Type, data: &Struct, at: u64) {
        if let Some(variants) = &data.variants {
            return self.variants(name, whole, variants, at);
        }
        let is_wrapper = |field: &Field| field.value.size == whole.size;
        for field in &data.fields {
            let at = at.saturating_add(field.offset);
            let is_rust = self.types.is_rust();
            let part = match field.name.strip_prefix("__") {
                Some(number) if is_rust => number,
                _ => &field.name,
            };
            // Rust's wrappers and C++'s bases are what is in them.
            let is_same = part.is_empty() || (is_rust && is_wrapper(field));
            if is_same {
                self.value(name, &field.value, at);
            } else {
                self.value(&format!("{name}.{part}"), &field.value, at);
            }
        }
    }

    fn variants(&mut self, name: &str, whole: &Type, variants: &Variants, at: u64) {
        let Some(tag) = &variants.tag else {
            return match &variants.all[..] {
                [only] => self.value(name, &only.data.value, at),
                _ => self.push(name, whole, Shape::Raw, Err(Unreadable::Type)),
            };
        };
        let size = tag.value.size;
        let mask = match size {
            0..8 => (1 << (8 * size)) - 1,
            _ => u64::MAX,
        };
        let mut names = Vec::new();
        let mut other = None;
        for variant in &variants.all {
            let name = variant.data.name.clone();
            match variant.tag {
                Some(tag) => names.push((tag & mask, name)),
                None => other = Some(name),
            }
        }
        let shape = Shape::Variant {
            names,
            other,
            holds_number: size == whole.size,
        };
        let read = self.word(at.saturating_add(tag.offset), size, false);
        self.push(name, whole, shape, read);
    }

    fn word(&self, at: u64, size: u64, is_signed: bool) -> Result<ValueSpec, Unreadable> {
        word(self.place.part(at, size)?, size, is_signed)
    }

    fn two_words(
        &self,
        first: u64,
        second: u64,
        kinds: [ValueKind; 2],
        element_bytes: u32,
    ) -> Result<ValueSpec, Unreadable> {
        let (first, second) = (self.place.part(first, 8)?, self.place.part(second, 8)?);
        two_words(first, second, kinds, element_bytes)
    }

    fn push(
        &mut self,
        name: &str,
        value: &Type,
        shape: Shape,
        read: Result<ValueSpec, Unreadable>,
    ) {
        if self.listed.len() < PARTS_MAX {
            self.listed.push(Variable {
                name: name.to_owned(),
                type_name: value.name.clone(),
                shape,
                read,
            });
        }
    }
}

/// How a sequence of numbers is shown, and the size of one.
fn shape_of(sequence: &Sequence) -> Option<(Shape, i32)> {
    let element = sequence.element.as_ref()?;
    let shape = number(element)?;
    if element.size == 1 && matches!(shape, Shape::Unsigned | Shape::Character) {
        return Some((Shape::Text, 1));
    }
    let element_bytes = u32::try_from(element.size).ok()?;
    let slice = Shape::Slice {
        element: Box::new(shape),
        element_bytes,
    };
    Some((slice, i32::try_from(element_bytes).ok()?))
}

/// How a number of 1, 2, 4 or 8 bytes is shown.
fn number(kind: &Type) -> Option<Shape> {
    let shape = match &kind.kind {
        Kind::Scalar(shape) => shape.clone(),
        Kind::Float => Shape::Float(kind.size as u32),
        Kind::Pointer(_) => Shape::Pointer,
        _ => return None,
    };
    [1, 2, 4, 8].contains(&kind.size).then_some(shape)
}

/// Where in a value the field is that is called `ptr` and is, or wraps, a pointer.
fn pointer_in(value: &Type) -> Option<u64> {
    let Kind::Struct(data) = &value.kind else {
        return None;
    };
    data.fields.iter().find_map(|field| {
        let inner = if field.name == "ptr" {
            (field.value.size == 8).then_some(0)
        } else {
            pointer_in(&field.value)
        };
        field.offset.checked_add(inner?)
    })
}
