//! From a function of the table to its signature.

use std::collections::HashMap;

use coral_ebpf_common::VALUES_MAX;
use coral_model::{FunctionId, Language};

use super::debug_info::DebugInfo;
use super::function::{Function, Parameter};
use super::go_abi::Assignee;
use super::location::{Frame, Told, at_entry};
use super::place::{Part, Piece, Place};
use super::types::{self, Type, TypeReader};
use super::variables::describe;
use super::{
    Signature, SignatureSource, Unreadable, Variable, errors, function, future, go_abi, rust_abi,
    system_v,
};
use crate::symbols::planner::Plan;
use crate::symbols::table::Symbols;

/// So many variables are listed, those that can not be read included.
const LISTED_MAX: usize = 16;
/// Go's name for the hidden first argument of generic functions, where it is listed at all.
const GO_DICTIONARY: &str = ".dict";

/// Reads the signatures of many functions. It holds on to what it has read of their debug
/// information (up to some 100 MB for each image), so it is to be dropped afterwards.
pub struct SignatureReader<'s> {
    symbols: &'s Symbols,
    infos: HashMap<u16, Option<DebugInfo<'s>>>,
}

impl<'s> SignatureReader<'s> {
    /// Has read nothing yet.
    pub fn new(symbols: &'s Symbols) -> Self {
        Self {
            symbols,
            infos: HashMap::new(),
        }
    }

    /// What calls of a function receive and return, at the sites of its plan.
    pub fn read(&mut self, id: FunctionId, plan: &Plan) -> Signature {
        let Some(function) = self.symbols.table().get(id) else {
            return Signature::default();
        };
        let probe = plan.entry.map_or(function.address, |site| site.address);
        // Assembly has its own conventions.
        let is_go = function.language == Language::Go;
        if function.language == Language::Assembly {
            return Signature::default();
        }
        let symbols = self.symbols;
        let info = self.infos.entry(function.module).or_insert_with(|| {
            let image = symbols.debug_image(function.module)?;
            DebugInfo::open(image)
        });
        let read = info.as_mut().and_then(|info| {
            let described = function::read(info, function.address)?;
            let language = match described.language {
                gimli::DW_LANG_Go => types::Language::Go,
                gimli::DW_LANG_Rust => types::Language::Rust,
                _ => types::Language::Native,
            };
            let mut reading = Reading {
                types: TypeReader::new(info, language),
                function: described,
            };
            if is_go {
                return Some(reading.go(function.address, function.name));
            }
            let start = function.address;
            Some(reading.native(start, probe, is_cut_down(function.name)))
        });
        match read {
            Some(signature) => signature,
            None if is_go => go_abi::raw(),
            None => Signature::default(),
        }
    }
}

/// Whether GCC made a function of another by leaving out some of its arguments or its result.
fn is_cut_down(name: &str) -> bool {
    [".isra", ".constprop", ".part"]
        .iter()
        .any(|mark| name.contains(mark))
}

/// A function's signature while it is read.
struct Reading<'d, 'i> {
    types: TypeReader<'d, 'i>,
    function: Function,
}

impl Reading<'_, '_> {
    fn go(&mut self, start: u64, name: &str) -> Signature {
        let (results, mut arguments): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.function.parameters)
                .into_iter()
                .partition(|parameter| parameter.is_result);
        let count = arguments.len();
        arguments.retain(|argument| argument.name.as_deref() != Some(GO_DICTIONARY));
        // It stands first, or behind the receiver; closures have it in their context.
        let has_dictionary = count > arguments.len() || name.contains('[');
        let argument_types = self.types_of(&arguments);
        let result_types = self.types_of(&results);
        let frame = Frame {
            start,
            probe: start,
            is_canonical: false,
        };
        let listed = arguments.iter().zip(&argument_types);
        let listed = listed.map(|(argument, kind)| {
            let told = at_entry(self.types.info, &argument.entry, kind.size, frame);
            Assignee {
                kind,
                begins_in: first_register(&told),
            }
        });
        let listed: Vec<_> = listed.collect();
        let returned = result_types.iter().map(|kind| Assignee {
            kind,
            begins_in: None,
        });
        let returned: Vec<_> = returned.collect();
        let (places, result_places) = go_abi::assign(&listed, has_dictionary, &returned);
        let names = |parameters: &[Parameter]| -> Vec<Option<String>> {
            let name = |parameter: &Parameter| {
                let name = parameter.name.clone()?;
                // The compiler's own names: of `_`, and of results without a name.
                (!name.starts_with('~') && name != "_").then_some(name)
            };
            parameters.iter().map(name).collect()
        };
        let returned: Vec<_> = result_types.iter().zip(&result_places).collect();
        Signature {
            error: errors::of_go(&returned),
            arguments: self.list("arg", &names(&arguments), &argument_types, &places),
            results: self.list("result", &names(&results), &result_types, &result_places),
            future: None,
            source: SignatureSource::Dwarf,
        }
    }

    fn native(&mut self, start: u64, probe: u64, is_cut_down: bool) -> Signature {
        let parameters = std::mem::take(&mut self.function.parameters);
        let types = self.types_of(&parameters);
        let result = self.function.result.map(|offset| self.types.read(offset));
        let frame = Frame {
            start,
            probe,
            is_canonical: self.function.has_canonical_frame,
        };
        let told: Vec<Told> = parameters
            .iter()
            .zip(&types)
            .map(|(parameter, kind)| at_entry(self.types.info, &parameter.entry, kind.size, frame))
            .collect();
        let (conventional, returned) = self.convention(&types, &told, result.as_ref());
        let is_changed = self.function.is_unconventional || is_cut_down;
        let places = reconcile(&told, &conventional, is_changed);
        let future = match (types.first(), places.first()) {
            (Some(first), Some(place)) if self.types.is_rust() => {
                future::of(&mut self.types, first, place)
            }
            _ => None,
        };
        // Of a call that polls a future the kernel program keeps where that lies instead.
        let is_lost = future.is_some() && matches!(returned, Place::Memory { .. });
        let returned = if is_changed || is_lost {
            Place::Unreadable(Unreadable::Convention)
        } else {
            returned
        };
        let names: Vec<_> = parameters
            .into_iter()
            .map(|parameter| parameter.name)
            .collect();
        let result: Vec<Type> = result.into_iter().collect();
        let error = match result.first() {
            Some(result) if self.types.is_rust() => errors::of_rust(result, &returned),
            _ => None,
        };
        Signature {
            arguments: self.list("arg", &names, &types, &places),
            results: self.list("result", &[None], &result, &[returned]),
            error,
            future,
            source: SignatureSource::Dwarf,
        }
    }

    /// Where the convention puts arguments and the result.
    fn convention(
        &self,
        types: &[Type],
        told: &[Told],
        result: Option<&Type>,
    ) -> (Vec<Place>, Place) {
        let nothing = Place::Pieces(Vec::new());
        let by_reference = |(kind, told): (_, &Told)| {
            let is_reference = match told {
                Told::Stored { by_reference } => *by_reference,
                Told::Here(Place::Memory { base, .. }) => *base != coral_ebpf_common::BASE_STACK,
                _ => false,
            };
            (kind, is_reference)
        };
        let marked: Vec<(&Type, bool)> = types.iter().zip(told).map(by_reference).collect();
        let system_v = (
            system_v::arguments(&marked, result),
            result.map_or(nothing.clone(), system_v::result),
        );
        if !self.types.is_rust() {
            return system_v;
        }
        let all: Vec<&Type> = types.iter().collect();
        let rust = (
            rust_abi::arguments(&all, result),
            result.map_or(nothing, rust_abi::place_of_result),
        );
        let name = self.function.linkage_name.as_deref().unwrap_or_default();
        if name.starts_with("_R") || name.starts_with("_ZN") {
            return rust;
        }
        // It may be declared `extern "C"`: then only what is the same in both is known.
        let unknown = || Place::Unreadable(Unreadable::Convention);
        let same = |(a, b): (Place, Place)| if a == b { a } else { unknown() };
        let arguments = rust.0.into_iter().zip(system_v.0).map(same).collect();
        (arguments, same((rust.1, system_v.1)))
    }

    fn types_of(&mut self, parameters: &[Parameter]) -> Vec<Type> {
        let types = parameters.iter().map(|parameter| match parameter.kind {
            Some(offset) => self.types.read(offset),
            None => Type::unknown(),
        });
        types.collect()
    }

    /// The variables of several values, as many as can be read.
    fn list(
        &mut self,
        unnamed: &str,
        names: &[Option<String>],
        types: &[Type],
        places: &[Place],
    ) -> Vec<Variable> {
        let mut listed = Vec::new();
        for (index, ((name, kind), place)) in names.iter().zip(types).zip(places).enumerate() {
            let name = match name {
                Some(name) => name.clone(),
                None if index == 0 => unnamed.to_owned(),
                None => format!("{unnamed}{index}"),
            };
            listed.extend(describe(&mut self.types, &name, kind, place));
        }
        let mut readable = 0;
        listed.retain(|variable| {
            readable += usize::from(variable.read.is_ok());
            variable.read.is_err() || readable <= VALUES_MAX
        });
        listed.truncate(LISTED_MAX);
        listed
    }
}

/// The general register that a value begins in.
fn first_register(told: &Told) -> Option<u8> {
    let Told::Here(Place::Pieces(pieces)) = told else {
        return None;
    };
    let first = pieces.iter().find(|piece| piece.offset == 0)?;
    match first.part {
        Part::Register(register) => Some(register),
        _ => None,
    }
}

/// What DWARF says, and where it leaves that to the convention, what that says; unless DWARF
/// disagrees with it anywhere, because then the compiler has changed it.
fn reconcile(told: &[Told], conventional: &[Place], is_changed: bool) -> Vec<Place> {
    let both = || told.iter().zip(conventional);
    let is_changed = is_changed
        || both().any(|(told, place)| matches!(told, Told::Here(here) if !agree(here, place)));
    let places = both().map(|(told, place)| match told {
        Told::Here(here) => here.clone(),
        Told::Stored { .. } if !is_changed => place.clone(),
        Told::Later(later) if !is_changed && agree(later, place) => place.clone(),
        _ => Place::Unreadable(Unreadable::OptimizedOut),
    });
    places.collect()
}

/// Whether what is told of a place is a part of another.
fn agree(told: &Place, place: &Place) -> bool {
    match (told, place) {
        (Place::Pieces(told), Place::Pieces(all)) => told.iter().all(|piece| {
            let same = |other: &&Piece| other.offset == piece.offset && other.part == piece.part;
            all.iter().any(|other| same(&other))
        }),
        (told, place) => told == place,
    }
}
