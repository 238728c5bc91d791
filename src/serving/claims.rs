//! Requests with names: the same one is not worked on twice at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Owner;

/// A request, by who asks and the name that they gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestName {
    pub(crate) owner: Owner,
    pub(crate) id: String,
}

/// The requests that are being worked on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<HashSet<RequestName>>>);

/// A request that is being worked on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Claimed {
    name: RequestName,
    claims: Claims,
}

impl Claims {
    /// The right to work on a request; nothing while somebody has it. One without a name is
    /// another one each time.
    pub(crate) fn claim(&self, name: &RequestName) -> Option<Claimed> {
        let is_new = name.id.is_empty() || self.locked().insert(name.clone());
        is_new.then(|| Claimed {
            name: name.clone(),
            claims: self.clone(),
        })
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, HashSet<RequestName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.claims.locked().remove(&self.name);
    }
}
