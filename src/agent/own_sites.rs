//! Which breakpoints in a target's code are this agent's own: any other is somebody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::symbols::FileIdentity;

/// A place in a file that a process runs, or that all processes of the file share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OwnSite {
    pub(super) pid: Option<u32>,
    pub(super) file: FileIdentity,
    pub(super) address: u64,
}

/// The sites of all sessions; one that several sessions probe is counted as often.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnSites(Arc<Mutex<HashMap<OwnSite, usize>>>);

impl OwnSites {
    pub(super) fn add(&self, sites: &[OwnSite]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites {
            *counts.entry(*site).or_default() += 1;
        }
    }

    pub(super) fn remove(&self, sites: &[OwnSite]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites {
            if let Some(count) = counts.get_mut(site) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(site);
                }
            }
        }
    }

    pub(super) fn holds(&self, site: &OwnSite) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.contains_key(site)
    }
}
