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
    for (name, told) in told_by_name {
        match own.by_name.get(name) {
            Some(offsets) => {
                own.check(name, &told, offsets)?;
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
    /// Whether functions of a name begin where they are said to. Functions with the same code are
    /// one in the file and have several names, of which the table knows one.
    fn check(&self, name: &str, told: &[u64], own: &[u64]) -> Result<(), HintError> {
        let is_one_right = told.iter().any(|offset| own.contains(offset));
        let wrong = told.iter().find(|offset| match is_one_right {
            true => !self.by_offset.contains_key(offset),
            false => true,
        });
        let Some(wrong) = wrong else { return Ok(()) };
        Err(HintError::Wrong(format!(
            "it says that {} begins at {wrong:#x} of the file, and it begins at {:#x}",
            escape(name),
            own.first().copied().unwrap_or_default()
        )))
    }
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
