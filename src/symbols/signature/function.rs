//! A function's parameters and its result, from its entry in `.debug_info` and those that this
//! one refers to.

use super::debug_info::{DebugInfo, Entry, Value};
use super::location::is_canonical_frame;

/// An attribute may be behind so many references.
const REFERENCES_MAX: usize = 4;
/// More parameters than this are not looked at.
const PARAMETERS_MAX: usize = 64;
/// How Go marks results.
const DW_AT_VARIABLE_PARAMETER: gimli::DwAt = gimli::DW_AT_variable_parameter;

/// What DWARF says of a function.
pub(super) struct Function {
    /// In the order of the source.
    pub(super) parameters: Vec<Parameter>,
    /// The offset of the type of what it returns; not in Go, where results are parameters.
    pub(super) result: Option<u64>,
    pub(super) language: gimli::DwLang,
    /// The name that the linker knows.
    pub(super) linkage_name: Option<String>,
    /// The compiler has changed how it is called.
    pub(super) is_unconventional: bool,
    /// See [`super::location::Frame::is_canonical`].
    pub(super) has_canonical_frame: bool,
}

/// A parameter.
pub(super) struct Parameter {
    pub(super) name: Option<String>,
    /// The offset of the entry of its type.
    pub(super) kind: Option<u64>,
    pub(super) is_result: bool,
    pub(super) entry: Entry,
}

/// Reads the function whose code begins at an address.
pub(super) fn read(info: &mut DebugInfo<'_>, address: u64) -> Option<Function> {
    let entry = info.function_at(address)?;
    let chain = chain_of(info, entry.clone());
    let language = info.root(&entry)?.number(gimli::DW_AT_language);
    let frame = match entry.value(gimli::DW_AT_frame_base) {
        Some(Value::Expression(expression)) => is_canonical_frame(expression),
        _ => false,
    };
    let convention = entry.number(gimli::DW_AT_calling_convention);
    let text = find(&chain, |entry| entry.text(gimli::DW_AT_linkage_name));
    Some(Function {
        parameters: parameters(info, &entry, chain.get(1)),
        result: find(&chain, |entry| entry.reference(gimli::DW_AT_type)),
        language: gimli::DwLang(language.unwrap_or(0) as u16),
        linkage_name: text.map(str::to_owned),
        is_unconventional: convention == Some(u64::from(gimli::DW_CC_nocall.0)),
        has_canonical_frame: frame,
    })
}

fn parameters(
    info: &mut DebugInfo<'_>,
    function: &Entry,
    origin: Option<&Entry>,
) -> Vec<Parameter> {
    let of = |info: &mut DebugInfo<'_>, entry: &Entry| -> Vec<Entry> {
        let children = info.children(entry.offset).into_iter();
        let is_parameter = |child: &Entry| child.tag == gimli::DW_TAG_formal_parameter;
        children.filter(is_parameter).take(PARAMETERS_MAX).collect()
    };
    let own = of(info, function);
    // The compiler may have reordered them, or left out some; their origin has all in order.
    let origins = match origin {
        Some(origin) if own.iter().any(|entry| origin_of(entry).is_some()) || own.is_empty() => {
            of(info, origin)
        }
        _ => Vec::new(),
    };
    let is_listed = |entry: &Entry| {
        let origin = origin_of(entry);
        origins.iter().any(|listed| Some(listed.offset) == origin)
    };
    let ordered: Vec<Entry> = if !own.iter().all(is_listed) {
        own
    } else {
        origins
            .iter()
            .map(|listed| {
                let concrete = own
                    .iter()
                    .find(|entry| origin_of(entry) == Some(listed.offset));
                concrete.unwrap_or(listed).clone()
            })
            .collect()
    };
    ordered
        .into_iter()
        .map(|entry| {
            let chain = chain_of(info, entry.clone());
            let name = find(&chain, |entry| entry.text(gimli::DW_AT_name));
            Parameter {
                name: name.map(str::to_owned),
                kind: find(&chain, |entry| entry.reference(gimli::DW_AT_type)),
                is_result: find(&chain, |entry| entry.number(DW_AT_VARIABLE_PARAMETER)) == Some(1),
                entry,
            }
        })
        .collect()
}

/// An entry and those that it refers to for what it does not say itself.
fn chain_of(info: &mut DebugInfo<'_>, entry: Entry) -> Vec<Entry> {
    let mut chain = vec![entry];
    while let Some(next) = chain.last().and_then(origin_of)
        && chain.len() <= REFERENCES_MAX
        && let Some(entry) = info.entry(next)
    {
        chain.push(entry);
    }
    chain
}

fn origin_of(entry: &Entry) -> Option<u64> {
    [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification]
        .into_iter()
        .find_map(|attribute| entry.reference(attribute))
}

fn find<'e, T: 'e>(chain: &'e [Entry], read: impl Fn(&'e Entry) -> Option<T>) -> Option<T> {
    chain.iter().find_map(read)
}
