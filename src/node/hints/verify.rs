//! A list held against the process's own executable.

use std::collections::{BTreeMap, HashMap};

use coral_model::{FunctionId, SymbolSource, escape};

use super::{HintError, Told};
use crate::agent::Watched;

/// A list of which nothing is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verified {
    /// How many functions begin where the list says.
    pub(super) agreed: usize,
    /// Names for functions that the executable does not name.
    pub(super) names: Vec<(FunctionId, String)>,
}

/// Holds a list against what the executable itself says.
pub(super) fn verify(told: &Told, watched: &Watched) -> Result<Verified, HintError> {
    check_build(told, watched)?;
    let Some(executable) = watched.symbols.image(0) else {
        return Err(HintError::NoAnswer("nothing to compare with".into()));
    };
    let mut own = Own::default();
    for function in watched
        .table()
        .iter()
        .filter(|function| function.module == 0)
    {
        if let Some(offset) = executable.file_offset(function.address) {
            own.by_name.entry(function.name).or_default().push(offset);
            let is_nameless = function.source == SymbolSource::EhFrame;
            own.by_offset
                .insert(offset, is_nameless.then_some(function.id));
        }
    }
    let mut verified = Verified {
        agreed: 0,
        names: Vec::new(),
    };
    let mut told_by_name = BTreeMap::<&str, Vec<u64>>::new();
    for hint in &told.hints {
        told_by_name
            .entry(&hint.name)
            .or_default()
            .push(hint.offset);
    }
    let mut doubtful = Vec::new();
    for (name, told) in told_by_name {
        match own.by_name.get(name) {
            Some(offsets) => {
                doubtful.extend(own.doubtful(&told, offsets).map(|offset| (name, offset)));
                verified.agreed += told.len();
            }
            // Where no function is known to begin, its word alone is not enough.
            None => {
                let mut known = told.iter();
                let known = known.find_map(|offset| own.by_offset.get_mut(offset)?.take());
                verified.names.extend(known.map(|id| (id, name.to_owned())));
            }
        }
    }
    check_doubtful(&doubtful, &own, watched)?;
    Ok(verified)
}

/// What the executable itself says.
#[derive(Debug, Default)]
struct Own<'a> {
    /// Where functions of a name begin, in the file.
    by_name: HashMap<&'a str, Vec<u64>>,
    /// Where functions begin, and which of them have no name.
    by_offset: HashMap<u64, Option<FunctionId>>,
}

impl Own<'_> {
    /// The offsets that are said of a name and are not those that the table has. Functions with the
    /// same code are one in the file and have several names, of which the table knows one: beside
    /// a right one, where any function begins will do.
    fn doubtful<'a>(&'a self, told: &'a [u64], own: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
        let is_one_right = told.iter().any(|offset| own.contains(offset));
        let is_good = move |offset: &u64| match is_one_right {
            true => self.by_offset.contains_key(offset),
            false => own.contains(offset),
        };
        told.iter().copied().filter(move |offset| !is_good(offset))
    }
}

/// The table leaves some symbols out, such as Go's wrappers; the file itself has the last word.
fn check_doubtful(
    doubtful: &[(&str, u64)],
    own: &Own<'_>,
    watched: &Watched,
) -> Result<(), HintError> {
    if doubtful.is_empty() {
        return Ok(());
    }
    let offsets = doubtful.iter().map(|&(_, offset)| offset).collect();
    let names = watched.symbols.names_at(&offsets);
    let is_wrong = |&&(name, offset): &&(&str, u64)| names.get(&offset).is_none_or(|it| it != name);
    let Some((name, wrong)) = doubtful.iter().find(is_wrong) else {
        return Ok(());
    };
    let right = own.by_name.get(name).and_then(|offsets| offsets.first());
    Err(HintError::Wrong(format!(
        "it says that {} begins at {wrong:#x} of the file, and it begins at {:#x}",
        escape(name),
        right.copied().unwrap_or_default()
    )))
}

fn check_build(told: &Told, watched: &Watched) -> Result<(), HintError> {
    let modules = watched.table().modules();
    let own = modules
        .first()
        .and_then(|module| module.build_id.as_deref());
    match own {
        Some(own) if !told.build_id.is_empty() && told.build_id != own => {
            Err(HintError::Wrong(format!(
                "it says that it is build {}, and the process runs build {own}",
                escape(&told.build_id)
            )))
        }
        _ => Ok(()),
    }
}
