//! A list held against the process's own executable.

use std::collections::HashMap;

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
    let own = watched.table().iter().filter(|function| function.module == 0);
    let mut by_name = HashMap::<&str, Vec<u64>>::new();
    let mut nameless = HashMap::new();
    for function in own {
        let Some(offset) = executable.file_offset(function.address) else {
            continue;
        };
        by_name.entry(function.name).or_default().push(offset);
        if function.source == SymbolSource::EhFrame {
            nameless.insert(offset, function.id);
        }
    }
    let mut verified = Verified {
        agreed: 0,
        names: Vec::new(),
    };
    for hint in &told.hints {
        match by_name.get(hint.name.as_str()) {
            Some(offsets) if offsets.contains(&hint.offset) => verified.agreed += 1,
            Some(offsets) => {
                return Err(HintError::Wrong(format!(
                    "it says that {} begins at {:#x} of the file, and it begins at {:#x}",
                    escape(&hint.name),
                    hint.offset,
                    offsets.first().copied().unwrap_or_default()
                )));
            }
            // Where no function is known to begin, its word alone is not enough.
            None => {
                let known = nameless.remove(&hint.offset);
                verified.names.extend(known.map(|id| (id, hint.name.clone())));
            }
        }
    }
    Ok(verified)
}

fn check_build(told: &Told, watched: &Watched) -> Result<(), HintError> {
    let modules = watched.table().modules();
    let own = modules.first().and_then(|module| module.build_id.as_deref());
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
