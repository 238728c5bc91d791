//! Types, as far as it matters where their values are and how they are shown.

use super::debug_info::{DebugInfo, Entry, Value};
use super::{Interface, Shape};

/// References, members and elements are followed so deep.
const DEPTH_MAX: u32 = 32;
/// So many entries are read for the types of one function.
const ENTRIES_MAX: u32 = 4096;
/// An enumeration's further names are left out.
const NAMES_MAX: usize = 256;
/// Go's kinds of types.
const DW_AT_GO_KIND: gimli::DwAt = gimli::DwAt(0x2900);
const GO_SLICE: u64 = 23;
const GO_STRING: u64 = 24;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Type {
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    pub(super) kind: Kind,
}

/// What values of a type consist of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A single number.
    Scalar(Shape),
    Float,
    Complex,
    /// The offset of the entry of the type that is pointed to.
    Pointer(Option<u64>),
    Struct(Struct),
    Union(Vec<Field>),
    Array {
        element: Box<Type>,
        len: u64,
    },
    GoString,
    GoSlice(Box<Type>),
    GoInterface(Interface),
    /// It could not be read, or nothing is known of it.
    Unknown,
}

/// A structure, or an enumeration with data.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Struct {
    pub(super) fields: Vec<Field>,
    pub(super) variants: Option<Variants>,
    /// C++ passes it by a reference, whatever its size.
    pub(super) by_reference: bool,
    /// The offset of the entry of its first type parameter.
    pub(super) parameter: Option<u64>,
}

/// A member.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    /// From the beginning of the whole, in bytes.
    pub(super) offset: u64,
    pub(super) value: Type,
}

/// The variants of a Rust enumeration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variants {
    /// The number that tells them apart; `None` if there is none.
    pub(super) tag: Option<Box<Field>>,
    pub(super) all: Vec<Variant>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variant {
    /// `None` for the one that all other numbers mean.
    pub(super) tag: Option<u64>,
    pub(super) data: Field,
}

impl Type {
    pub(super) fn unknown() -> Self {
        Self {
            name: String::new(),
            size: 0,
            kind: Kind::Unknown,
        }
    }

    /// What its values are aligned to, in bytes.
    pub(super) fn align(&self) -> u64 {
        let of_fields = |fields: &[Field]| {
            let aligns = fields.iter().map(|field| field.value.align());
            aligns.max().unwrap_or(1)
        };
        match &self.kind {
            Kind::Scalar(_) | Kind::Float => self.size.clamp(1, 16),
            Kind::Complex => (self.size / 2).clamp(1, 16),
            Kind::Struct(data) => {
                let variants = data.variants.iter().flat_map(|variants| &variants.all);
                let variants = variants.map(|variant| variant.data.value.align());
                variants.fold(of_fields(&data.fields), u64::max)
            }
            Kind::Union(fields) => of_fields(fields),
            Kind::Array { element, .. } => element.align(),
            _ => 8,
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        let Kind::Struct(data) = &self.kind else {
            return None;
        };
        data.fields.iter().find(|field| field.name == name)
    }
}

/// Reads types within bounds.
pub(super) struct TypeReader<'d, 'i> {
    pub(super) info: &'d mut DebugInfo<'i>,
    entries_left: u32,
    language: Language,
}

/// The languages whose types differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Go,
    Rust,
    Native,
}

impl<'d, 'i> TypeReader<'d, 'i> {
    pub(super) fn new(info: &'d mut DebugInfo<'i>, language: Language) -> Self {
        Self {
            info,
            entries_left: ENTRIES_MAX,
            language,
        }
    }

    /// The type whose entry is at an offset.
    pub(super) fn read(&mut self, offset: u64) -> Type {
        self.read_within(offset, DEPTH_MAX)
            .unwrap_or_else(Type::unknown)
    }

    /// Whether the types are Rust's.
    pub(super) fn is_rust(&self) -> bool {
        self.language == Language::Rust
    }

    /// Whether a pointer to the type at an offset is C's idea of a string.
    pub(super) fn is_text(&mut self, offset: u64) -> bool {
        let target = self.unqualified(offset);
        self.language == Language::Native
            && target.is_some_and(|target| {
                target.tag == gimli::DW_TAG_base_type && name_of(&target) == "char"
            })
    }

    /// Whether the type at an offset is Rust's `String` or a `Vec`, or C++'s `string`.
    pub(super) fn is_sequence(&mut self, offset: u64) -> bool {
        let Some(target) = self.unqualified(offset) else {
            return false;
        };
        let name = name_of(&target);
        match self.language {
            Language::Go => false,
            Language::Rust => name == "String" || name.starts_with("Vec<"),
            Language::Native => name.starts_with("basic_string<char"),
        }
    }

    /// The entry of a type behind its qualifiers and other names.
    fn unqualified(&mut self, offset: u64) -> Option<Entry> {
        let mut entry = self.entry(offset)?;
        for _ in 0..DEPTH_MAX {
            if ![
                gimli::DW_TAG_const_type,
                gimli::DW_TAG_volatile_type,
                gimli::DW_TAG_typedef,
            ]
            .contains(&entry.tag)
            {
                return Some(entry);
            }
            entry = self.entry(entry.reference(gimli::DW_AT_type)?)?;
        }
        None
    }

    fn entry(&mut self, offset: u64) -> Option<Entry> {
        self.entries_left = self.entries_left.checked_sub(1)?;
        self.info.entry(offset)
    }

    fn children(&mut self, offset: u64) -> Option<Vec<Entry>> {
        let children = self.info.children(offset);
        let len = u32::try_from(children.len()).ok()?;
        self.entries_left = self.entries_left.checked_sub(len)?;
        Some(children)
    }

    fn read_within(&mut self, offset: u64, depth: u32) -> Option<Type> {
        let depth = depth.checked_sub(1)?;
        let entry = self.entry(offset)?;
        let size = entry.number(gimli::DW_AT_byte_size).unwrap_or(0);
        let target = entry.reference(gimli::DW_AT_type);
        let kind = match entry.tag {
            gimli::DW_TAG_base_type => scalar(&entry, size),
            gimli::DW_TAG_typedef
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type => {
                let name = self.name_within(Some(offset), DEPTH_MAX)?;
                return self.renamed(target?, name, depth);
            }
            gimli::DW_TAG_pointer_type
            | gimli::DW_TAG_reference_type
            | gimli::DW_TAG_rvalue_reference_type => {
                return Some(Type {
                    name: self.name_within(Some(offset), DEPTH_MAX)?,
                    size: 8,
                    kind: Kind::Pointer(target),
                });
            }
            gimli::DW_TAG_subroutine_type | gimli::DW_TAG_unspecified_type
                if self.language == Language::Go =>
            {
                return Some(Type {
                    name: name_of(&entry),
                    size: 8,
                    kind: Kind::Pointer(None),
                });
            }
            gimli::DW_TAG_enumeration_type => self.enumeration(&entry, target)?,
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type => {
                self.structure(&entry, depth)?
            }
            gimli::DW_TAG_union_type => Kind::Union(self.fields(offset, depth)?.fields),
            gimli::DW_TAG_array_type => return self.array(&entry, target?, depth),
            _ => Kind::Unknown,
        };
        Some(Type {
            name: name_of(&entry),
            size,
            kind,
        })
    }

    /// The type at an offset under another name, which may tell more of it.
    fn renamed(&mut self, offset: u64, name: String, depth: u32) -> Option<Type> {
        let mut renamed = self.read_within(offset, depth)?;
        renamed.kind = match (renamed.name.as_str(), renamed.kind) {
            ("runtime.eface", Kind::Struct(_)) => Kind::GoInterface(Interface::Empty),
            ("runtime.iface", Kind::Struct(_)) => Kind::GoInterface(Interface::Methods),
            (_, kind) => kind,
        };
        // A generic function's own name for its type parameter tells nobody anything.
        let is_told = !name.starts_with(".param");
        if is_told
            && !(matches!(renamed.kind, Kind::GoInterface(_)) && name.starts_with("runtime."))
        {
            renamed.name = name;
        }
        Some(renamed)
    }

    fn enumeration(&mut self, entry: &Entry, target: Option<u64>) -> Option<Kind> {
        let is_signed = match target {
            Some(target) => {
                let base = self.entry(target)?;
                let size = base.number(gimli::DW_AT_byte_size).unwrap_or(0);
                scalar(&base, size) == Kind::Scalar(Shape::Signed)
            }
            None => false,
        };
        let names = self.children(entry.offset)?.into_iter();
        let names = names
            .filter(|child| child.tag == gimli::DW_TAG_enumerator)
            .filter_map(|child| {
                let value = child.number(gimli::DW_AT_const_value)?;
                Some((value, name_of(&child)))
            })
            .take(NAMES_MAX);
        Some(Kind::Scalar(Shape::Enumeration {
            names: names.collect(),
            is_signed,
        }))
    }

    fn structure(&mut self, entry: &Entry, depth: u32) -> Option<Kind> {
        if entry.number(gimli::DW_AT_declaration) == Some(1) {
            return Some(Kind::Unknown);
        }
        let mut data = self.fields(entry.offset, depth)?;
        match entry.number(DW_AT_GO_KIND) {
            Some(GO_STRING) => return Some(Kind::GoString),
            Some(GO_SLICE) => {
                let array = data.fields.first()?;
                let Kind::Pointer(Some(element)) = array.value.kind else {
                    return Some(Kind::Unknown);
                };
                let element = self.read_within(element, depth)?;
                return Some(Kind::GoSlice(Box::new(element)));
            }
            _ => {}
        }
        match entry
            .number(gimli::DW_AT_calling_convention)
            .map(|number| number as u8)
        {
            Some(4) => data.by_reference = true,
            Some(5) => data.by_reference = false,
            _ => {}
        }
        Some(Kind::Struct(data))
    }

    fn fields(&mut self, offset: u64, depth: u32) -> Option<Struct> {
        let mut data = Struct::default();
        let own = self.entry(offset)?;
        for child in self.children(offset)? {
            match child.tag {
                gimli::DW_TAG_member | gimli::DW_TAG_inheritance => {
                    // Static members of older formats have no place.
                    if child.value(gimli::DW_AT_external).is_some() {
                        continue;
                    }
                    let field = self.field(&child, depth)?;
                    data.by_reference |= field.name.starts_with("_vptr")
                        || matches!(&field.value.kind, Kind::Struct(inner) if inner.by_reference);
                    data.fields.push(field);
                }
                gimli::DW_TAG_variant_part => {
                    data.variants = Some(self.variants(&child, depth)?);
                }
                gimli::DW_TAG_template_type_parameter if data.parameter.is_none() => {
                    data.parameter = child.reference(gimli::DW_AT_type);
                }
                gimli::DW_TAG_subprogram => data.by_reference |= makes_copies(&own, &child),
                _ => {}
            }
        }
        Some(data)
    }

    fn field(&mut self, entry: &Entry, depth: u32) -> Option<Field> {
        let offset = match entry.value(gimli::DW_AT_data_member_location) {
            Some(Value::Number(offset)) => *offset,
            Some(_) => return None,
            None => entry.number(gimli::DW_AT_data_bit_offset).unwrap_or(0) / 8,
        };
        let target = entry.reference(gimli::DW_AT_type)?;
        let mut value = self.read_within(target, depth)?;
        let is_bit_field = [gimli::DW_AT_bit_size, gimli::DW_AT_data_bit_offset]
            .into_iter()
            .any(|attribute| entry.value(attribute).is_some());
        if is_bit_field {
            value.kind = Kind::Unknown;
        }
        Some(Field {
            name: name_of(entry),
            offset,
            value,
        })
    }

    fn variants(&mut self, part: &Entry, depth: u32) -> Option<Variants> {
        let depth = depth.checked_sub(1)?;
        let tag = match part.reference(gimli::DW_AT_discr) {
            Some(offset) => {
                let member = self.entry(offset)?;
                Some(Box::new(self.field(&member, depth)?))
            }
            None => None,
        };
        let mut all = Vec::new();
        for child in self.children(part.offset)? {
            if child.tag != gimli::DW_TAG_variant {
                continue;
            }
            let mut members = self.children(child.offset)?.into_iter();
            let member = members.find(|member| member.tag == gimli::DW_TAG_member)?;
            all.push(Variant {
                tag: child.number(gimli::DW_AT_discr_value),
                data: self.field(&member, depth)?,
            });
        }
        Some(Variants { tag, all })
    }

    fn array(&mut self, entry: &Entry, element: u64, depth: u32) -> Option<Type> {
        let element = self.read_within(element, depth)?;
        let mut len: u64 = 1;
        for child in self.children(entry.offset)? {
            let count = child.number(gimli::DW_AT_count).or_else(|| {
                child
                    .number(gimli::DW_AT_upper_bound)
                    .map(|last| last.wrapping_add(1))
            });
            len = len.checked_mul(count.unwrap_or(0))?;
        }
        let size = len.checked_mul(element.size)?;
        let name = match name_of(entry) {
            name if name.is_empty() => format!("{}[{len}]", element.name),
            name => name,
        };
        Some(Type {
            name,
            size,
            kind: Kind::Array {
                element: Box::new(element),
                len,
            },
        })
    }

    fn name_within(&mut self, offset: Option<u64>, depth: u32) -> Option<String> {
        let Some(offset) = offset else {
            return Some("void".to_owned());
        };
        let depth = depth.checked_sub(1)?;
        let entry = self.entry(offset)?;
        if let Some(name) = entry.text(gimli::DW_AT_name) {
            return Some(name.to_owned());
        }
        let target = entry.reference(gimli::DW_AT_type);
        let mut target = || self.name_within(target, depth);
        Some(match entry.tag {
            gimli::DW_TAG_pointer_type => format!("{}*", target()?),
            gimli::DW_TAG_reference_type => format!("{}&", target()?),
            gimli::DW_TAG_rvalue_reference_type => format!("{}&&", target()?),
            gimli::DW_TAG_const_type => match target()? {
                pointer if pointer.ends_with('*') => format!("{pointer} const"),
                other => format!("const {other}"),
            },
            gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type => target()?,
            gimli::DW_TAG_subroutine_type => "function".to_owned(),
            gimli::DW_TAG_array_type => format!("{}[]", target()?),
            _ => "?".to_owned(),
        })
    }
}

fn name_of(entry: &Entry) -> String {
    entry.text(gimli::DW_AT_name).unwrap_or_default().to_owned()
}

fn scalar(entry: &Entry, size: u64) -> Kind {
    if size == 0 {
        // Rust's `()`: nothing.
        return Kind::Struct(Struct::default());
    }
    let encoding = entry.number(gimli::DW_AT_encoding).unwrap_or(0);
    Kind::Scalar(match gimli::DwAte(encoding as u8) {
        gimli::DW_ATE_boolean => Shape::Bool,
        gimli::DW_ATE_signed => Shape::Signed,
        gimli::DW_ATE_unsigned => Shape::Unsigned,
        gimli::DW_ATE_address => Shape::Pointer,
        gimli::DW_ATE_UTF => Shape::Character,
        gimli::DW_ATE_signed_char | gimli::DW_ATE_unsigned_char => {
            // C's other names for it are used for numbers.
            if name_of(entry) == "char" {
                Shape::Character
            } else if encoding == u64::from(gimli::DW_ATE_signed_char.0) {
                Shape::Signed
            } else {
                Shape::Unsigned
            }
        }
        gimli::DW_ATE_float => return Kind::Float,
        gimli::DW_ATE_complex_float => return Kind::Complex,
        _ => return Kind::Unknown,
    })
}

/// Whether a member function of a C++ class is a destructor or copies it, and somebody wrote it:
/// such a class has an address everywhere.
fn makes_copies(class: &Entry, function: &Entry) -> bool {
    let is_written = function.number(gimli::DW_AT_artificial) != Some(1)
        && function.number(gimli::DW_AT_defaulted) != Some(1);
    let class = class.text(gimli::DW_AT_name).unwrap_or_default();
    let class = class.split('<').next().unwrap_or_default();
    let name = function.text(gimli::DW_AT_name).unwrap_or_default();
    let linkage = function.text(gimli::DW_AT_linkage_name).unwrap_or_default();
    let copies = name == class && (linkage.contains("C4EOS") || linkage.contains("C4ERKS"));
    is_written && (name.starts_with('~') || copies)
}
